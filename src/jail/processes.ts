/**
 * Who is in a cgroup, as the kernel says (cgroup v2, cgroup.procs).
 */

import type { Host } from "../host/port.ts";

const LIMIT = 64 * 1024;

/** Ids of its processes; empty where there is no such cgroup. */
export function processesIn(host: Pick<Host, "readText">, cgroup: string): number[] {
  const text = host.readText(`${cgroup}/cgroup.procs`, LIMIT) ?? "";
  return text.split("\n").filter((line) => line !== "").map(Number);
}
