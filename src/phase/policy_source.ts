/**
 * From a policy's two files to a policy that may come into force, or to everything that stands against
 * it: used by the boot and by an installation alike. It reads, and changes nothing.
 */

import type { HostEvent } from "../event.ts";
import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import { errorsOf, type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { type Accepted, parseAccepted } from "../policy/accepted.ts";
import type { Cmdline } from "../boot/cmdline.ts";
import { makeKeyring, parseRevoked } from "../policy/keyring.ts";
import { parsePolicy } from "../policy/parse.ts";
import type { Policy } from "../policy/policy.ts";
import type { TomlDocument } from "../policy/toml.ts";
import { DAMAGED, textOrDamaged } from "./damaged_text.ts";
import {
  acceptUnsigned,
  MAX_POLICY_BYTES,
  type VerifiedBytes,
  verify,
} from "../policy/signature.ts";

/** A public key file is two lines. */
const KEY_LIMIT = 4096;
const FACT_LIMIT = 64 * 1024;

export const ACCEPTED_FILE = `${PATHS.dataRoot}/policy/state.json`;

/** A policy's file and the signature beside it. */
export interface PolicyFiles {
  readonly policy: string;
  readonly signature: string;
}

/** Where the policy lies: on RayOS Data, or in the image where that lives in memory. */
export function policyFiles(inMemory: boolean): PolicyFiles {
  const folder = inMemory ? `${PATHS.imageFacts}/policy` : `${PATHS.dataRoot}/policy`;
  const policy = `${folder}/rayos-policy.toml`;
  return { policy, signature: `${policy}.minisig` };
}

/** What a policy is held against besides its own bytes. */
export interface PolicySurroundings {
  readonly host: Pick<Host, "read" | "readText" | "list">;
  readonly emit: (event: HostEvent) => void;
  readonly cmdline: Cmdline;
  readonly bootId: string;
}

export interface LoadedPolicy {
  readonly ok: true;
  readonly policy: Policy;
  /** The document that it was read from, for sentences about it. */
  readonly toml: TomlDocument;
  readonly sha256: string;
  readonly keyId: string | null;
  readonly bytes: Uint8Array;
  /** Warnings and notes. */
  readonly findings: readonly Issue[];
}

export type Refused = { readonly ok: false; readonly issues: readonly Issue[] };

/**
 * Signature over the exact bytes first, then everything else, each step only after the one before.
 *
 * @param remember what was accepted before, asked only once the signature holds
 */
export function loadPolicy(
  around: PolicySurroundings,
  files: PolicyFiles,
  remember: () => Accepted | null | Issue = () => rememberedSerial(around),
): LoadedPolicy | Refused {
  const read = readVerified(around, files);
  if (!read.ok) return read;
  const { verified } = read;
  const accepted = remember();
  if (accepted !== null && "rule" in accepted) return refuse(accepted);
  const { host } = around;
  const minSerial = Number(host.readText(`${PATHS.imageFacts}/min_serial`, FACT_LIMIT) ?? "0");
  const parsed = parsePolicy(verified, {
    hostName: host.readText(`${PATHS.imageFacts}/host`, FACT_LIMIT)?.trim() ?? null,
    // An image whose floor cannot be read accepts nothing rather than everything.
    minSerial: Number.isSafeInteger(minSerial) ? minSerial : Number.MAX_SAFE_INTEGER,
    remembered: accepted,
  });
  if (parsed.policy === null) return { ok: false, issues: errorsOf(parsed.issues) };
  return {
    ok: true,
    policy: parsed.policy,
    toml: parsed.toml,
    sha256: parsed.sha256,
    keyId: verified.keyId,
    bytes: verified.bytes,
    findings: parsed.issues,
  };
}

/** What is remembered on RayOS Data; null where that lives in memory or remembers nothing. */
function rememberedSerial(around: PolicySurroundings): Accepted | null | Issue {
  if (around.cmdline.data.by === "tmpfs") return null;
  return parseAccepted(
    textOrDamaged(around.host, ACCEPTED_FILE, FACT_LIMIT),
    acceptedBefore(around),
  );
}

/**
 * Whether an earlier boot of this data root accepted a policy, by its history: then a missing
 * `policy/state.json` was taken away. Boots that only ever failed leave nothing to miss.
 */
function acceptedBefore({ host, bootId }: PolicySurroundings): boolean {
  const folder = `${PATHS.dataRoot}/boot/history`;
  return host.list(folder).some((name) => {
    if (name === `${bootId}.json` || !name.endsWith(".json")) return false;
    const text = textOrDamaged(host, `${folder}/${name}`, FACT_LIMIT);
    // One that cannot be read may have said so.
    return text === DAMAGED || /"accepted":true/.test(text ?? "");
  });
}

function readVerified(
  around: PolicySurroundings,
  files: PolicyFiles,
): { readonly ok: true; readonly verified: VerifiedBytes } | Refused {
  const { host, cmdline } = around;
  const bytes = readBounded(around, files.policy, MAX_POLICY_BYTES);
  const signature = readBounded(around, files.signature, FACT_LIMIT);
  if (bytes !== null && "rule" in bytes) return refuse(bytes);
  if (signature !== null && "rule" in signature) return refuse(signature);
  if (signature === null && cmdline.dev !== null) {
    const unsigned = acceptUnsigned(bytes, cmdline.dev);
    return unsigned.ok ? unsigned : refuse(unsigned.issue);
  }
  const { revoked, issues } = parseRevoked(
    host.readText(`${PATHS.imageFacts}/keys/revoked`, FACT_LIMIT) ?? "",
  );
  // A line that cannot be read may have meant any key.
  if (issues.length > 0) return { ok: false, issues };
  const result = verify({ bytes, signature, keyring: keyring(around), revoked });
  return result.ok ? result : refuse(result.issue);
}

function keyring({ host, emit }: PolicySurroundings) {
  const folder = `${PATHS.imageFacts}/keys`;
  const files = [];
  for (const name of host.list(folder)) {
    if (!/^policy-.*\.pub$/.test(name)) continue;
    files.push({ name, content: host.read(`${folder}/${name}`, KEY_LIMIT) ?? new Uint8Array() });
  }
  const made = makeKeyring(files);
  for (const one of made.issues) emit({ type: "finding", issue: { ...one, severity: "warning" } });
  return made.keyring;
}

/** A file's bytes; one that is too large or is no regular file is a denial, not an accident. */
function readBounded(
  { host }: PolicySurroundings,
  path: string,
  limit: number,
): Uint8Array | null | Issue {
  try {
    return host.read(path, limit);
  } catch (error) {
    const tooLarge = error instanceof Fault && error.code === "file.too_large";
    return issue(tooLarge ? "policy.size" : "policy.unreadable", {
      path,
      expected: tooLarge ? `at most ${limit} bytes` : "a readable regular file",
      found: tooLarge ? "more" : error instanceof Error ? error.message : String(error),
      hint: "put a signed policy there",
    });
  }
}

function refuse(one: Issue): Refused {
  return { ok: false, issues: [one] };
}
