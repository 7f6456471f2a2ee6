/**
 * From verified bytes to a policy, or to everything that is wrong with them: UTF-8, TOML, version,
 * shape and sense together, hosts, serial, in this order. It reads no file and remembers nothing;
 * what the machine remembers is handed in.
 */
import { errorsOf, type Issue, issue } from "../issue.ts";
import type { Accepted } from "./accepted.ts";
import { checkMeaning } from "./meaning.ts";
import { migrate, whatToDo } from "./migrations.ts";
import { notYet } from "./not_yet.ts";
import type { Policy } from "./policy.ts";
import { resolvePolicy } from "./resolve.ts";
import { checkShape } from "./shape.ts";
import { sizeIssue, type VerifiedBytes } from "./signature.ts";
import {
  readToml,
  showPath,
  type TomlDocument,
  TomlOther,
  type TomlPath,
  type TomlValue,
} from "./toml.ts";
import { sha256Hex } from "../sha256.ts";

/** Most findings in one report; the rest is counted. */
export const MAX_ISSUES = 100;

/** What the machine knows that a policy is held against. */
export interface PolicyFacts {
  /** This host's name, or null where it has none: then only a policy for any host fits. */
  readonly hostName: string | null;
  /** The lowest serial that the image accepts; 0 where it says nothing. */
  readonly minSerial: number;
  /** What was accepted before; null where nothing can have been. */
  readonly remembered: Accepted | null;
}

/** A policy with its places, or why there is none; warnings and notes may stand beside a policy. */
export type ParsedPolicy =
  & {
    readonly issues: Issue[];
    /** SHA-256 of the exact bytes, in hex. */
    readonly sha256: string;
  }
  & ({ readonly policy: Policy; readonly toml: TomlDocument } | { readonly policy: null });

/**
 * Parses a policy that may come into force.
 *
 * @param verified bytes that were verified; nothing else of a policy is ever parsed in a boot
 * @returns the policy, or null with at least one finding of severity error
 */
export function parsePolicy(verified: VerifiedBytes, facts: PolicyFacts): ParsedPolicy {
  const { bytes } = verified;
  const sha256 = sha256Hex(bytes);
  const read = readPolicy(bytes);
  if (read.policy === null) return { policy: null, issues: capped(read.issues, read.more), sha256 };
  const { policy, toml } = read;
  const against = [
    ...hostIssues(policy, toml, facts.hostName),
    ...serialIssues(policy, toml, facts, sha256),
  ];
  const issues = capped([...read.issues, ...against]);
  if (errorsOf(against).length > 0) return { policy: null, issues, sha256 };
  return { policy, toml, issues, sha256 };
}

/**
 * Everything that can be said of a policy on a desk, where neither its signature nor the machine is
 * at hand. It never gives a policy, so nothing can come into force by it.
 */
export function checkPolicy(bytes: Uint8Array): Issue[] {
  const size = sizeIssue(bytes);
  if (size !== null) return [size];
  const read = readPolicy(bytes);
  if (read.policy === null) return capped(read.issues, read.more);
  const serial = read.policy.serial === null ? [noSerial()] : [];
  return capped([...read.issues, ...serial]);
}

/** A document that was read: its policy, with its places; or why there is none. */
export type Read =
  | { readonly policy: Policy; readonly toml: TomlDocument; readonly issues: readonly Issue[] }
  | {
    readonly policy: null;
    readonly issues: readonly Issue[];
    /** Further findings, that were only counted. */
    readonly more: number;
  };

/**
 * Reads a policy on a desk, to explain it, compare it or plan with it. Nothing in the boot calls this:
 * what is in force comes from `parsePolicy` alone.
 */
export function readOnDesk(bytes: Uint8Array): Read {
  const size = sizeIssue(bytes);
  if (size !== null) return { policy: null, issues: [size], more: 0 };
  const read = readPolicy(bytes);
  return read.policy === null ? { ...read, issues: capped(read.issues, read.more) } : read;
}

function readPolicy(bytes: Uint8Array): Read {
  const parsed = readToml(bytes);
  if (!parsed.ok) return { policy: null, issues: [parsed.issue], more: 0 };
  const toml = parsed.document;
  const version = versionIssue(toml);
  if (version !== null) return { policy: null, issues: [version], more: 0 };
  const texts = textIssues(toml);
  const shape = checkShape(toml);
  const excess = parsed.excess === null ? [] : [parsed.excess.issue];
  const unseen = parsed.excess?.keys ?? 0;
  const issues = [...excess, ...texts, ...shape.issues];
  const { document } = shape;
  if (document === null) return { policy: null, issues, more: shape.more + unseen };
  issues.push(...checkMeaning(toml, document, shape.faulty));
  if (issues.length > 0) return { policy: null, issues, more: shape.more + unseen };
  return { policy: resolvePolicy(document), toml, issues: notYet(toml, document) };
}

/** Nothing of a document is judged by this schema unless it says that it is of this version. */
function versionIssue(toml: TomlDocument): Issue | null {
  const path = ["version"];
  const version = toml.data["version"];
  const { line, column, source } = toml.valuePlace(path);
  const parts = { path: "version", line, column, expected: "0", found: source };
  if (typeof version === "number" && migrate(toml.data, version)) return null;
  if (version === undefined) {
    return issue("schema.missing", {
      ...parts,
      found: "nothing",
      hint: "add the line version = 0",
    });
  }
  const isNumber = typeof version === "number" ||
    version instanceof TomlOther && version.kind === "integer";
  return isNumber
    ? issue("meaning.version", {
      ...parts,
      // An integer beyond 2^53 is no number here, and later than any version there is.
      hint: whatToDo(typeof version === "number" ? version : Infinity),
    })
    : issue("schema.type", { ...parts, hint: "write the number 0" });
}

/** A NUL that an escape put into a string; no value of a policy may carry one anywhere. */
function textIssues(toml: TomlDocument): Issue[] {
  const issues: Issue[] = [];
  const visit = (value: TomlValue, path: TomlPath): void => {
    if (issues.length > MAX_ISSUES) return;
    if (typeof value === "string") {
      if (!value.includes("\0")) return;
      const { line, column } = toml.valuePlace(path);
      const hint = "remove the NUL";
      const parts = { line, column, expected: "text without NUL", found: "a NUL", hint };
      issues.push(issue("schema.nul", { path: showPath(path), ...parts }));
      return;
    }
    // What is neither a list nor a table has nothing in it that the document says.
    for (const [key, inner] of Object.entries(value)) {
      visit(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  };
  visit(toml.data, []);
  return issues;
}

function hostIssues(policy: Policy, toml: TomlDocument, hostName: string | null): Issue[] {
  if (policy.hosts === null) return [];
  const own = hostName?.toLowerCase();
  if (policy.hosts.some((one) => one.toLowerCase() === own)) return [];
  const { line, column } = toml.valuePlace(["hosts"]);
  return [issue("meaning.hosts", {
    path: "hosts",
    line,
    column,
    expected: hostName === null ? "a policy for any host" : `this host, ${hostName}`,
    found: policy.hosts.slice(0, 8).join(", "),
    hint: "install the policy that was made for this host, or correct /etc/rayos/host",
  })];
}

function serialIssues(
  policy: Policy,
  toml: TomlDocument,
  facts: PolicyFacts,
  sha256: string,
): Issue[] {
  const { remembered, minSerial } = facts;
  const { line, column } = toml.valuePlace(["serial"]);
  const at = { path: "serial", line, column };
  if (policy.serial === null) {
    const least = Math.max(remembered?.serial ?? 0, minSerial);
    if (least === 0) return [noSerial()];
    return [issue("serial.missing", {
      ...at,
      expected: `a serial of at least ${least}`,
      found: "none",
      hint: "add a serial higher than any before, and sign the policy",
    })];
  }
  const found = String(policy.serial);
  if (policy.serial < minSerial) {
    return [issue("serial.below_image", {
      ...at,
      expected: `at least ${minSerial}, the lowest that this image accepts`,
      found,
      hint: "install a newer policy",
    })];
  }
  if (remembered === null || policy.serial > remembered.serial) return [];
  if (policy.serial < remembered.serial) {
    return [issue("serial.rollback", {
      ...at,
      expected: `at least ${remembered.serial}, which was accepted before`,
      found,
      hint: "install the newer policy, or sign this one with a higher serial",
    })];
  }
  if (remembered.sha256 === sha256) return [];
  return [issue("serial.reused", {
    ...at,
    expected: `the policy of serial ${found} that was accepted before, or a higher serial`,
    found: "another policy with the same serial",
    hint: "sign this policy with a higher serial",
  })];
}

function noSerial(): Issue {
  return issue("serial.none", {
    path: "serial",
    expected: "a serial, so that an older policy cannot be put back",
    found: "none",
    hint: "add serial = 1 and raise it with each change",
    severity: "warning",
  });
}

/** The findings in the order of their places, at most so many, with a last one that counts the rest. */
export function capped(issues: readonly Issue[], uncounted = 0): Issue[] {
  const weight = { error: 0, warning: 1, note: 2 } as const;
  const sorted = [...issues].sort((a, b) =>
    weight[a.severity] - weight[b.severity] || (a.line ?? 0) - (b.line ?? 0) ||
    (a.column ?? 0) - (b.column ?? 0)
  );
  const more = sorted.length - MAX_ISSUES + uncounted;
  if (more <= 0) return sorted;
  const last = issue("schema.more", {
    expected: `at most ${MAX_ISSUES} findings in a report`,
    found: `${more} more`,
    hint: "correct those above first",
    severity: errorsOf(sorted).length > 0 ? "error" : "note",
  });
  return [...sorted.slice(0, MAX_ISSUES), last];
}
