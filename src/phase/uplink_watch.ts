/**
 * Watches over the NICs and their DHCP clients while the host runs: a client that has ended or is stopped
 * is reported, and begun again; so is one whose NIC is gone, as soon as a NIC is there. A NIC that stands in
 * the host's own namespace is reported and put away, whatever the policy says. Guests go on meanwhile.
 */

import { asFault } from "../fault.ts";
import { clientCgroup, lookAtUplinks, nicsOutside, type UplinkTrouble } from "../network/uplink.ts";
import type { Runtime } from "../runtime.ts";
import { settleUplinks, tellUplink, type UplinkAround, wantsUplink } from "./network.ts";

/** Milliseconds between two looks. */
const LOOK_MS = 10_000;
/** Looks that are left out, at most, where beginning them again does not help. */
const MOST_LEFT_OUT = 5;

/** Looks from time to time until the machine ends; a look that fails is told of and is not the last one. */
export async function watchUplink(runtime: Runtime): Promise<void> {
  const told = new Map<string, UplinkTrouble>();
  let leftOut = 0;
  let wait = 0;
  while (!runtime.ending) {
    await runtime.host.clock.sleep(LOOK_MS);
    if (wait-- > 0) continue;
    const helped = await lookAfterUplinks(runtime, told).catch((error) => {
      const { stage, code, message } = asFault(error, "network", "network.watch");
      runtime.emit({ type: "fault", stage, code, message });
      return false;
    });
    leftOut = helped ? 0 : Math.min(leftOut + 1, MOST_LEFT_OUT);
    wait = leftOut;
  }
}

/**
 * One look, and what is done about it.
 *
 * @param told what was reported and not yet mended
 * @returns whether nothing is wrong
 */
export async function lookAfterUplinks(
  runtime: UplinkAround,
  told: Map<string, UplinkTrouble>,
): Promise<boolean> {
  const { host, emit } = runtime;
  const tell = (nic: string, trouble: UplinkTrouble) => {
    // Without its NIC no client lasts: that is said once.
    if (told.get(nic) === trouble || told.get(nic) === "network.no_nic") return;
    told.set(nic, trouble);
    tellUplink(runtime, nic, trouble);
  };
  const outside = nicsOutside(host);
  for (const [nic, trouble] of told) {
    if (trouble === "network.nic_outside" && !outside.includes(nic)) told.delete(nic);
  }
  for (const nic of outside) tell(nic, "network.nic_outside");
  const wanted = wantsUplink(runtime);
  const found = wanted ? lookAtUplinks(host) : new Map<string, UplinkTrouble | null>();
  for (const [nic, trouble] of found) {
    if (trouble !== null) tell(nic, trouble);
    else if (told.delete(nic)) emit({ type: "uplink_back", nic });
    if (trouble === "network.dhcp_stopped") host.put(`${clientCgroup(nic)}/cgroup.kill`, "1");
  }
  const whole = found.size > 0 && [...found.values()].every((one) => one === null);
  if (wanted && whole && outside.length === 0) return true;
  for (const nic of await settleUplinks(runtime)) {
    if (found.has(nic)) tell(nic, "network.no_nic");
  }
  return !wanted && outside.length === 0;
}
