/**
 * Who is in a cgroup, and whether one of them is held by a signal, as the kernel says (cgroup v2,
 * cgroup.procs; proc(5), State in status).
 */

import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";

const LIMIT = 64 * 1024;

/** Ids of its processes; empty where there is no such cgroup. */
export function processesIn(host: Pick<Host, "readText">, cgroup: string): number[] {
  const text = host.readText(`${cgroup}/cgroup.procs`, LIMIT) ?? "";
  return text.split("\n").filter((line) => line !== "").map(Number);
}

/** Whether one of these processes is held by a signal: it is there, and does nothing more. */
export function anyStopped(host: Pick<Host, "readText">, pids: readonly number[]): boolean {
  const statuses = pids.map((pid) => host.readText(`${PATHS.proc}/${pid}/status`, LIMIT) ?? "");
  return statuses.some((status) => /^State:\t[Tt]/mu.test(status));
}
