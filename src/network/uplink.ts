/**
 * The host's NICs and the DHCP client of each, as the kernel shows them: whether the client is there,
 * runs, and still has its NIC. It starts and ends nothing.
 */

import type { Host } from "../host/port.ts";
import { anyStopped, processesIn } from "../jail/processes.ts";
import { PATHS } from "../permissions.ts";

const TEXT_LIMIT = 64 * 1024;
/** Below it the launcher `uplink` keeps a folder for each NIC that it has found. */
const FOLDER = `${PATHS.run}/uplink`;

/** What can be wrong with a NIC's client, and the sentence that a person is told. */
export const UPLINK_TROUBLES = {
  "network.no_nic":
    "the NIC is gone; no guest reaches anything through it until one is there again",
  "network.dhcp_ended": "its DHCP client has ended; another one is begun",
  "network.dhcp_stopped": "its DHCP client is stopped; it is ended and another one is begun",
  "network.nic_outside": "it stands in the host's own namespace; it is put away from there",
} as const;
export type UplinkTrouble = keyof typeof UPLINK_TROUBLES;

/** The folder of the cgroup of a NIC's DHCP client. */
export function clientCgroup(nic: string): string {
  return `${PATHS.cgroup}/rayos/net/${nic}`;
}

/** Names of the NICs that stand in the host's own namespace, where none is to be (proc(5), /proc/pid/net/dev). */
export function nicsOutside(host: Host): string[] {
  const text = host.readText(`${PATHS.proc}/1/net/dev`, TEXT_LIMIT) ?? "";
  const names = [...text.matchAll(/^ *([^\s:]+):/gmu)].map(([, name = ""]) => name);
  return names.filter((name) => name !== "lo");
}

/** Whether any DHCP client runs. */
export function clientsRun(host: Host): boolean {
  return host.list(FOLDER).some((nic) => processesIn(host, clientCgroup(nic)).length > 0);
}

/** Each NIC that was ever found, and what is wrong with it; null: nothing. */
export function lookAtUplinks(host: Host): ReadonlyMap<string, UplinkTrouble | null> {
  return new Map(host.list(FOLDER).map((nic) => [nic, troubleOf(host, nic)]));
}

/** A NIC as a person is told of it. */
export interface UplinkView {
  readonly nic: string;
  /** `up`: a DHCP server gave it an address; `no_address`: none did yet; `unknown`: it changed under the look. */
  readonly state: "up" | "no_address" | "unknown" | UplinkTrouble;
}

/** Each NIC that was ever found, for display. */
export function viewUplinks(host: Host): UplinkView[] {
  return host.list(FOLDER).map((nic) => ({ nic, state: stateOf(host, nic) }));
}

function stateOf(host: Host, nic: string): UplinkView["state"] {
  try {
    const there = host.lstat(`${FOLDER}/${nic}/facts`) !== null;
    return troubleOf(host, nic) ?? (there ? "up" : "no_address");
  } catch {
    // A client that ends while it is looked at takes no other answer with it.
    return "unknown";
  }
}

function troubleOf(host: Host, nic: string): UplinkTrouble | null {
  const pids = processesIn(host, clientCgroup(nic));
  // Any process that is in the client's network namespace sees its NIC.
  const devices = pids.flatMap((pid) =>
    host.readText(`${PATHS.proc}/${pid}/net/dev`, TEXT_LIMIT) ?? []
  );
  if (devices.length > 0 && !devices.some((one) => one.includes(` ${nic}:`))) {
    return "network.no_nic";
  }
  if (pids.length === 0) return "network.dhcp_ended";
  return anyStopped(host, pids) ? "network.dhcp_stopped" : null;
}
