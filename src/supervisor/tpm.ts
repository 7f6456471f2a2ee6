/**
 * The TPM of a guest while it runs: which processes its cgroup has, and whether it ended before the guest
 * did. The launcher starts it and QEMU's end ends it; nothing here does.
 */

import { anyStopped, processesIn } from "../jail/processes.ts";
import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Slot } from "../id.ts";
import { guestCgroup } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

/** Milliseconds between two looks at the cgroup. */
const WATCH_PAUSE_MS = 500;
/** A QEMU that ends in order ends its TPM first; so long it may take to be gone itself. */
const QEMU_END_MS = 3_000;

/** Ids of the processes in the cgroup of a slot's TPM, which lies in the guest's own. */
export function tpmProcesses(host: Host, slot: Slot): number[] {
  return processesIn(host, `${guestCgroup(slot)}/tpm`);
}

/**
 * Waits until the guest's TPM is gone, or stopped; a guest cannot go on without it, nor be given another one.
 *
 * @param wanted whether it still matters
 * @param end ends the guest for that fault
 */
export async function watchTpm(
  host: Host,
  plan: LaunchPlan,
  wanted: () => boolean,
  end: (fault: Fault) => Promise<void>,
): Promise<void> {
  if (plan.tpm === null) return;
  let pids: number[];
  let stopped: boolean;
  do {
    await host.clock.sleep(WATCH_PAUSE_MS);
    if (!wanted()) return;
    pids = tpmProcesses(host, plan.slot);
    stopped = anyStopped(host, pids);
  } while (pids.length > 0 && !stopped);
  await host.clock.sleep(QEMU_END_MS);
  // The end of QEMU is told by its own connection.
  if (!wanted() || host.processesOf(plan.slot).length === 0) return;
  const why =
    `its process is ${stopped ? "stopped" : "gone"} while the guest runs; the guest is ended, ` +
    "and has it again when it is started";
  await end(new Fault("guest", stopped ? "tpm.stopped" : "tpm.gone", `TPM of ${plan.vm}: ${why}`));
}
