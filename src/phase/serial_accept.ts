/**
 * `serial.accept`: the one way past a `policy/state.json` that is damaged or gone. A person says that
 * the policy which is there shall count; its signature, its sense and the image's lowest serial must
 * hold all the same. What was there before is set aside.
 */

import type { Outcome } from "../control/protocol.ts";
import { freeAside } from "../free_name.ts";
import type { Allowed } from "../policy/authorize.ts";
import { acceptedByPerson, renderAccepted } from "../policy/accepted.ts";
import type { Runtime } from "../runtime.ts";
import { ACCEPTED_FILE, loadPolicy, policyFiles } from "./policy_source.ts";

/** Remembers the policy that lies there; the next start of the boot takes it. */
export function acceptSerial(runtime: Runtime, permit: Allowed<"serial.accept">): Outcome {
  const { host } = runtime;
  if (runtime.cmdline.data.by === "tmpfs") {
    return { ok: false, rule: "policy.in_image", detail: "no serial is remembered in this boot" };
  }
  const loaded = loadPolicy(runtime, policyFiles(false), () => null);
  if (!loaded.ok) {
    const [first] = loaded.issues;
    for (const one of loaded.issues) runtime.emit({ type: "violation", issue: one, vm: null });
    return {
      ok: false,
      rule: first?.rule ?? "policy.refused",
      detail: `expected ${first?.expected}, found ${first?.found}`,
    };
  }
  const accepted = acceptedByPerson({
    serial: loaded.policy.serial,
    sha256: loaded.sha256,
    passphrase: loaded.policy.recoveryPassphrase,
  });
  const { serial, sha256 } = accepted;
  if (permit.dryRun) return { ok: true, result: { serial, sha256, dry_run: true } };
  if (host.lstat(ACCEPTED_FILE) !== null) {
    host.rename(ACCEPTED_FILE, freeAside(host, ACCEPTED_FILE));
  }
  host.replace(ACCEPTED_FILE, renderAccepted(accepted));
  return { ok: true, result: { serial, sha256, next: "retry" } };
}
