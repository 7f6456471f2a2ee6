/**
 * The operations by which a person finds out what is wrong and mends it, by their names: the recovery
 * shell asks for them, and what may be asked over the control socket is asked there too.
 */

import type { Outcome } from "../control/protocol.ts";
import { oneAtATime } from "../one_at_a_time.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { bootViewOperations } from "./boot_view.ts";
import { dataRepairOperations } from "./data_repair.ts";
import { policyViewOperations } from "./policy_view.ts";
import { unlock } from "./recovery_unlock.ts";
import { registryRepairOperations } from "./registry_repair.ts";

export function recoveryOperations(runtime: Runtime): [LiveOp, Operation][] {
  // Also where several shells are open: nobody gains attempts by it.
  const unlockOne = oneAtATime(unlock);
  return [
    ...policyViewOperations(runtime),
    ...registryRepairOperations(runtime),
    ...dataRepairOperations(runtime),
    ...bootViewOperations(runtime),
    [
      "recovery.unlock",
      (permit, args) => unlockOne(runtime, permit as Allowed<"recovery.unlock">, args),
    ],
    ["recovery.shell", () => rootShell(runtime)],
  ];
}

/** A root shell at the console, until it ends; the launcher looks at image and command line again. */
async function rootShell(runtime: Runtime): Promise<Outcome> {
  const code = await runtime.host.consoleLaunch("shell");
  return code === 0
    ? { ok: true, result: { ended: true } }
    : { ok: false, rule: "recovery.shell", detail: `the launcher or its shell ended with ${code}` };
}
