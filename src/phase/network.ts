/**
 * Phase `network`: where the policy lets some guest have a network, a DHCP client begins in the namespace
 * into which stage 0 has put the NICs; whether anybody answers it is not waited for. What is left of a
 * guest that ended while no program ran is taken away.
 */

import { Fault } from "../fault.ts";
import { allSlots, type Slot } from "../id.ts";
import { launchNet } from "../network/launcher.ts";
import { leftOf } from "../network/passt.ts";
import { dropNetworkRecord } from "../network/record.ts";
import { oneAtATime } from "../one_at_a_time.ts";
import type { Runtime } from "../runtime.ts";

/** Milliseconds. */
const TIMEOUT_MS = 60_000;

export async function phaseNetwork(runtime: Runtime): Promise<void> {
  await takeLeft(runtime, allSlots());
  await beginUplink(runtime);
}

/** Takes away what is left of networks in slots where nobody runs, and says of which it could not. */
export async function takeLeft(
  { host, emit }: Pick<Runtime, "host" | "emit">,
  slots: readonly Slot[],
): Promise<void> {
  for (const slot of slots) {
    if (host.processesOf(slot).length > 0 || leftOf(host, slot).length === 0) continue;
    const failed = await launchNet(host, "take", slot);
    if (failed !== null) {
      const { stage, code, message } = failed;
      emit({ type: "fault", stage, code, message: `slot ${slot}: ${message}` });
    }
    // What could not be taken away is still to be found by its record.
    if (leftOf(host, slot).length === 0) dropNetworkRecord(host, slot);
  }
}

/** What the DHCP clients need of the host. */
export type UplinkAround = Pick<Runtime, "host" | "emit" | "inForce" | "troubles">;

/** Whether the policy in force lets some guest have a network. */
export function wantsUplink({ inForce }: Pick<Runtime, "inForce">): boolean {
  const profiles = [...inForce?.policy.profiles.values() ?? []];
  return profiles.some((one) => one.enabled && one.networking !== "off");
}

/**
 * Has the DHCP clients begun that are wanted and not there; a policy may want them later than the boot, and
 * who watches over them may be at it then. Two of them at once could begin two for one NIC.
 *
 * @returns names of NICs that are not in the machine any more
 */
export const beginUplink = oneAtATime(begin);

async function begin(runtime: UplinkAround): Promise<readonly string[]> {
  const { host, emit } = runtime;
  if (!wantsUplink(runtime)) return [];
  const { code, words } = await host.launch("uplink", ["begin"], TIMEOUT_MS);
  if (code === 0 && words[0] === "ok") return words.slice(2);
  const [, rule = "net.silent", ...detail] = words;
  const why = detail.join(" ") || "the launcher says nothing";
  // Guests start without a network; nothing else depends on one.
  const fault = new Fault("network", rule, `uplink: ${why}; no guest is given a network`);
  emit({ type: "fault", stage: fault.stage, code: fault.code, message: fault.message });
  // It is tried again and again while nothing helps.
  if (runtime.troubles.some((one) => one.code === rule)) return [];
  runtime.troubles.push({
    code: rule,
    text: `uplink: ${why}`,
    hint: "no guest is given a network",
  });
  return [];
}
