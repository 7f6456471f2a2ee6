/**
 * `recovery.unlock`: a person at a recovery shell gives the passphrase, and may change things there from then
 * on until that shell is locked again. An attempt is counted on the disk before it is looked at, so that
 * cutting the power takes none back; the passphrase itself goes nowhere.
 */

import type { Outcome } from "../control/protocol.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import { parseAccepted } from "../policy/accepted.ts";
import type { Allowed } from "../policy/authorize.ts";
import { isAffordable, isPassphrase } from "../policy/passphrase.ts";
import { failedAttempts, renderAttempts, waitAfter } from "../recovery/attempts.ts";
import type { Runtime } from "../runtime.ts";
import { textOrDamaged } from "./damaged_text.ts";
import { ACCEPTED_FILE, loadPolicy, policyFiles } from "./policy_source.ts";

const ATTEMPTS_FILE = `${PATHS.dataRoot}/boot/recovery_attempts.json`;
const SMALL = 4096;

/** Milliseconds that the answer to the next attempt waits, and how many failed before it. */
export function nextWait(runtime: Runtime): { readonly failed: number; readonly waitMs: number } {
  const failed = failedAttempts(textOrDamaged(runtime.host, ATTEMPTS_FILE, SMALL));
  return { failed, waitMs: waitAfter(failed) };
}

/** Whether any passphrase would open the shell. */
export function hasPassphrase(runtime: Runtime): boolean {
  return hashOf(runtime) !== null;
}

/**
 * @param args `passphrase`: its bytes, which are overwritten here
 */
export async function unlock(
  runtime: Runtime,
  _permit: Allowed<"recovery.unlock">,
  args: Readonly<Record<string, unknown>>,
): Promise<Outcome> {
  const { passphrase } = args;
  if (!(passphrase instanceof Uint8Array)) return no("control.form", "passphrase: expected bytes");
  try {
    return await attempt(runtime, passphrase);
  } finally {
    passphrase.fill(0);
  }
}

async function attempt(runtime: Runtime, passphrase: Uint8Array): Promise<Outcome> {
  const { host, emit } = runtime;
  const hash = hashOf(runtime);
  if (hash === null) {
    return no("recovery.no_passphrase", "no accepted policy has one, so this shell only looks");
  }
  if (!isAffordable(hash)) {
    return no("recovery.passphrase_cost", "comparing with its hash would cost the host too much");
  }
  const { failed, waitMs } = nextWait(runtime);
  try {
    host.replace(ATTEMPTS_FILE, renderAttempts(failed + 1));
  } catch (error) {
    // An attempt that is not counted is none.
    return no("recovery.uncounted", `attempts cannot be counted: ${reasonOf(error)}`);
  }
  if (waitMs > 0) await host.clock.sleep(waitMs);
  const ok = await isPassphrase(passphrase, hash);
  if (ok) host.replace(ATTEMPTS_FILE, renderAttempts(0));
  emit({ type: "passphrase_attempt", ok, failed: ok ? failed : failed + 1, waitMs });
  return ok ? { ok, result: { failed } } : no("recovery.passphrase", "it is another one");
}

/**
 * The hash of the last accepted policy: of the one in force, else as it is remembered. Where what is
 * remembered cannot be read, the policy that lies there says it, if its signature holds: `serial accept`
 * must stay possible, and whoever could put an older policy there could as well have put the file there.
 */
function hashOf(runtime: Runtime): string | null {
  const { inForce, host } = runtime;
  if (inForce !== null) return inForce.policy.recoveryPassphrase;
  const remembered = parseAccepted(textOrDamaged(host, ACCEPTED_FILE, SMALL), false);
  if (remembered === null) return null;
  if (!("rule" in remembered)) return remembered.passphrase ?? null;
  const { cmdline, bootId } = runtime;
  const quiet = { host, cmdline: { ...cmdline, dev: null }, bootId, emit: () => {} };
  const loaded = loadPolicy(quiet, policyFiles(false), () => null);
  return loaded.ok ? loaded.policy.recoveryPassphrase : null;
}

function no(rule: string, detail: string): Outcome {
  return { ok: false, rule, detail };
}
