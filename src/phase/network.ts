/**
 * Phase `network`: where the policy lets some guest have a network, a DHCP client begins in the namespace
 * into which stage 0 has put the NICs; whether anybody answers it is not waited for. What is left of a
 * guest that ended while no program ran is taken away, and so is a NIC that stage 0 could not put there.
 */

import { allSlots, type Slot } from "../id.ts";
import { launchNet } from "../network/launcher.ts";
import { leftOf } from "../network/passt.ts";
import { dropNetworkRecord } from "../network/record.ts";
import { clientsRun, nicsOutside, UPLINK_TROUBLES, type UplinkTrouble } from "../network/uplink.ts";
import { oneAtATime } from "../one_at_a_time.ts";
import type { Runtime } from "../runtime.ts";

/** Milliseconds. */
const TIMEOUT_MS = 60_000;

export async function phaseNetwork(runtime: Runtime): Promise<void> {
  await takeLeft(runtime, allSlots());
  for (const nic of nicsOutside(runtime.host)) tellUplink(runtime, nic, "network.nic_outside");
  await settleUplinks(runtime);
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

/** Says what is wrong with a NIC. */
export function tellUplink({ emit }: Pick<Runtime, "emit">, nic: string, code: UplinkTrouble) {
  emit({ type: "fault", stage: "network", code, message: `${nic}: ${UPLINK_TROUBLES[code]}` });
}

/**
 * Has the DHCP clients begun that are wanted and not there, and those ended that nobody wants any more; a
 * policy may want them later than the boot, and who watches over them may be at it then. Two of them at
 * once could begin two for one NIC. Whatever NIC stands in the host's own namespace is put away.
 *
 * @returns names of NICs that are not in the machine any more
 */
export const settleUplinks = oneAtATime(settle);

async function settle(runtime: UplinkAround): Promise<readonly string[]> {
  const { host } = runtime;
  const wanted = wantsUplink(runtime);
  if (!wanted && nicsOutside(host).length === 0 && !clientsRun(host)) return [];
  const { code, words } = await host.launch("uplink", [wanted ? "begin" : "park"], TIMEOUT_MS);
  if (code !== 0 || words[0] !== "ok") {
    const [, rule = "net.silent", ...detail] = words;
    // Guests start without a network; nothing else depends on one. It is tried again while nothing helps.
    const what = wanted ? "no guest is given a network" : "see the kernel's log";
    trouble(runtime, rule, detail.join(" ") || "the launcher says nothing", what);
    return [];
  }
  const more = words.slice(2).find((word) => word.startsWith("+"));
  if (more !== undefined && !runtime.troubles.some((one) => one.code === "network.nics")) {
    const why = `${more.slice(1)} more than the eight NICs that are used`;
    trouble(runtime, "network.nics", why, "they are put away and serve nobody; take them out");
  }
  return words.slice(2).filter((word) => word !== more);
}

function trouble({ emit, troubles }: UplinkAround, code: string, why: string, what: string): void {
  emit({ type: "fault", stage: "network", code, message: `uplink: ${why}; ${what}` });
  if (troubles.some((one) => one.code === code)) return;
  troubles.push({ code, text: `uplink: ${why}`, hint: what });
}
