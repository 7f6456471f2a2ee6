/**
 * Phase `policy`: signature over the exact bytes first, everything else after. Keys, revocations, host
 * name and the lowest serial are the image's; the highest serial accepted is remembered on RayOS Data,
 * and is written only once the whole boot's documents were accepted (phase `registry`).
 */

import { Fault } from "../fault.ts";
import { errorsOf, type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { type Keyring, makeKeyring, parseRevoked } from "../policy/keyring.ts";
import { parsePolicy } from "../policy/parse.ts";
import {
  acceptUnsigned,
  MAX_POLICY_BYTES,
  type VerifiedBytes,
  verify,
} from "../policy/signature.ts";
import { parseAccepted } from "../policy/accepted.ts";
import type { Runtime } from "../runtime.ts";

/** A public key file is two lines. */
const KEY_LIMIT = 4096;
const FACT_LIMIT = 64 * 1024;

/** Where the policy lies: on RayOS Data, or in the image where that lives in memory. */
export function policyPlaces(inMemory: boolean): { policy: string; signature: string } {
  const folder = inMemory ? `${PATHS.imageFacts}/policy` : `${PATHS.dataRoot}/policy`;
  const policy = `${folder}/rayos-policy.toml`;
  return { policy, signature: `${policy}.minisig` };
}

export const ACCEPTED_FILE = `${PATHS.dataRoot}/policy/state.json`;

export function phasePolicy(runtime: Runtime): void {
  const { host, emit, cmdline } = runtime;
  const verified = verifiedPolicy(runtime);
  const inMemory = cmdline.data.by === "tmpfs";
  const accepted = inMemory ? null : parseAccepted(
    host.readText(ACCEPTED_FILE, FACT_LIMIT),
    acceptedBefore(runtime),
  );
  if (accepted !== null && "rule" in accepted) deny(runtime, [accepted]);
  const minSerial = Number(host.readText(`${PATHS.imageFacts}/min_serial`, FACT_LIMIT) ?? "0");
  const parsed = parsePolicy(verified, {
    hostName: host.readText(`${PATHS.imageFacts}/host`, FACT_LIMIT)?.trim() ?? null,
    // An image whose floor cannot be read accepts nothing rather than everything.
    minSerial: Number.isSafeInteger(minSerial) ? minSerial : Number.MAX_SAFE_INTEGER,
    remembered: accepted === null || "rule" in accepted ? null : accepted,
  });
  if (parsed.policy === null) deny(runtime, errorsOf(parsed.issues));
  for (const one of parsed.issues) emit({ type: "finding", issue: one });
  if (parsed.policy === null) return;
  runtime.inForce = { policy: parsed.policy, sha256: parsed.sha256, keyId: verified.keyId };
  runtime.sinks.setPolicy(parsed.policy.logging);
  if (verified.keyId === null) emit({ type: "policy_unsigned" });
  emit({
    type: "policy_ok",
    sha256: parsed.sha256,
    serial: parsed.policy.serial,
    key: verified.keyId,
  });
}

/**
 * Whether an earlier boot of this data root accepted a policy, by its history: then a missing
 * `policy/state.json` was taken away. Boots that only ever failed leave nothing to miss.
 */
function acceptedBefore(runtime: Runtime): boolean {
  const { host, bootId } = runtime;
  const folder = `${PATHS.dataRoot}/boot/history`;
  return host.list(folder).some((name) => {
    if (name === `${bootId}.json` || !name.endsWith(".json")) return false;
    return /"accepted":true/.test(host.readText(`${folder}/${name}`, FACT_LIMIT) ?? "");
  });
}

function verifiedPolicy(runtime: Runtime): VerifiedBytes {
  const { host, cmdline } = runtime;
  const places = policyPlaces(cmdline.data.by === "tmpfs");
  const bytes = readBounded(runtime, places.policy, MAX_POLICY_BYTES);
  const signature = readBounded(runtime, places.signature, FACT_LIMIT);
  if (signature === null && cmdline.dev !== null) {
    const unsigned = acceptUnsigned(bytes, cmdline.dev);
    return unsigned.ok ? unsigned.verified : deny(runtime, [unsigned.issue]);
  }
  const revokedText = host.readText(`${PATHS.imageFacts}/keys/revoked`, FACT_LIMIT) ?? "";
  const { revoked, issues } = parseRevoked(revokedText);
  // A line that cannot be read may have meant any key.
  if (issues.length > 0) deny(runtime, issues);
  const result = verify({ bytes, signature, keyring: keyring(runtime), revoked });
  return result.ok ? result.verified : deny(runtime, [result.issue]);
}

function keyring(runtime: Runtime): Keyring {
  const { host, emit } = runtime;
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
function readBounded(runtime: Runtime, path: string, limit: number): Uint8Array | null {
  try {
    return runtime.host.read(path, limit);
  } catch (error) {
    const tooLarge = error instanceof Fault && error.code === "file.too_large";
    return deny(runtime, [
      issue(tooLarge ? "policy.size" : "policy.unreadable", {
        path,
        expected: tooLarge ? `at most ${limit} bytes` : "a readable file",
        found: tooLarge ? "more" : error instanceof Error ? error.message : String(error),
        hint: "put a signed policy there",
      }),
    ]);
  }
}

function deny(runtime: Runtime, issues: readonly Issue[]): never {
  for (const one of issues) runtime.violation(one);
  const rule = issues[0]?.rule ?? "policy.refused";
  throw new Fault("policy", rule, `policy: refused by ${rule}; see the violations above`);
}
