/**
 * What of a policy and the keys a person may look at: whether a file on RayOS Data would come into force,
 * what the one in force says, and whose signatures count. The hash of a passphrase is shown nowhere.
 */

import type { Outcome } from "../control/protocol.ts";
import { dataPath } from "../data_path.ts";
import { escapeUnsafe } from "../escape.ts";
import type { Issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { explain } from "../policy/explain.ts";
import { parseRevoked } from "../policy/keyring.ts";
import type { LiveOp } from "../policy/ops.ts";
import { parsePublicKey } from "../policy/minisign.ts";
import { MAX_POLICY_BYTES } from "../policy/signature.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { loadPolicy, policyFiles } from "./policy_source.ts";
import { sha256Hex } from "../sha256.ts";

const SMALL = 64 * 1024;

export function policyViewOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["policy.check", (_, args) => check(runtime, args.file)],
    ["policy.show", () => show(runtime)],
    ["policy.explain", (_, args) => explainInForce(runtime, args.subject)],
    ["keys.list", () => ({ ok: true, result: listKeys(runtime) })],
  ];
}

/** Everything that stands against a policy, as the boot would say it; nothing is written. */
function check(runtime: Runtime, file: unknown): Outcome {
  const inMemory = runtime.cmdline.data.by === "tmpfs";
  let files = policyFiles(inMemory);
  if (file !== undefined) {
    const path = dataPath(file);
    if (!path.ok) return no(path.rule, `expected ${path.expected}, found ${path.found}`);
    const policy = `${PATHS.dataRoot}/${path.path}`;
    files = { policy, signature: `${policy}.minisig` };
  }
  const loaded = loadPolicy(runtime, files);
  const issues = loaded.ok ? loaded.findings : loaded.issues;
  const facts = loaded.ok
    ? { sha256: loaded.sha256, serial: loaded.policy.serial, key: loaded.keyId }
    : {};
  return {
    ok: true,
    result: { file: files.policy, holds: loaded.ok, ...facts, issues: issues.map(shownIssue) },
  };
}

/** A finding as it is shown to somebody outside. */
export function shownIssue(one: Issue): Issue {
  const { rule, path, line, column, expected, found, hint, severity } = one;
  return { rule, path, line, column, expected, found, hint, severity };
}

function show(runtime: Runtime): Outcome {
  const { inForce, host, cmdline } = runtime;
  if (inForce === null) return no("op.no_policy", "no policy is in force");
  const { policy } = policyFiles(cmdline.data.by === "tmpfs");
  const bytes = host.read(policy, MAX_POLICY_BYTES);
  const same = bytes !== null &&
    sha256Hex(bytes) === inForce.sha256;
  const text = same && bytes !== null ? new TextDecoder().decode(bytes).split("\n") : null;
  return {
    ok: true,
    result: {
      sha256: inForce.sha256,
      serial: inForce.policy.serial,
      key: inForce.keyId,
      file: policy,
      // What lies there now may be another one.
      lines: text?.map((line) => /passphrase/i.test(line) ? "# (not shown)" : escapeUnsafe(line)) ??
        null,
    },
  };
}

/** @param subject `host` or a profile's name; all where it is left out */
function explainInForce({ inForce }: Runtime, subject: unknown): Outcome {
  if (inForce === null) return no("op.no_policy", "no policy is in force");
  const statements = explain(inForce).filter((one) =>
    subject === undefined || one.subject === subject
  );
  return statements.length === 0
    ? no("policy.no_subject", "the policy says nothing about that; name `host` or a profile")
    : { ok: true, result: statements };
}

/** Every key file of the image: what it is for, its id, and whether it counts. */
function listKeys(runtime: Runtime): Record<string, unknown>[] {
  const { host, inForce } = runtime;
  const folder = `${PATHS.imageFacts}/keys`;
  const { revoked, issues } = parseRevoked(host.readText(`${folder}/revoked`, SMALL) ?? "");
  return host.list(folder).filter((name) => name.endsWith(".pub")).map((name) => {
    const parsed = parsePublicKey(host.read(`${folder}/${name}`, SMALL) ?? new Uint8Array());
    const purpose = /^(policy|release)-/.exec(name)?.[1] ?? null;
    if (!parsed.ok) return { file: name, purpose, key: null, trusted: false, why: "unreadable" };
    const { keyId } = parsed.key;
    const why = purpose === null
      ? "its name says no purpose"
      : issues.length > 0
      ? "the list of revoked keys cannot be read"
      : revoked.has(keyId)
      ? "revoked"
      : null;
    const signed = inForce?.keyId === keyId;
    return { file: name, purpose, key: keyId, trusted: why === null, why, in_force: signed };
  });
}

function no(rule: string, detail: string): Outcome {
  return { ok: false, rule, detail };
}
