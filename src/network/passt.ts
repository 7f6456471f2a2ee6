/**
 * The passt of one slot as the kernel shows it: which processes there are, whether its namespace is there,
 * and whether its jail is the one that it should be. It starts and ends nothing.
 */

import type { Host, ProcessFacts } from "../host/port.ts";
import { type Slot, slotName, uidOf } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { CGROUP_FILES, confinementOf } from "../jail/confinement.ts";
import { processesIn } from "../jail/processes.ts";
import type { JailLimits, JailSpec } from "../jail/spec.ts";
import { networkCgroup, PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

const TEXT_LIMIT = 64 * 1024;

/** The file to which the launcher binds the slot's namespace. */
function namespacePath(slot: Slot): string {
  return `${PATHS.run}/netns/${slotName(slot)}`;
}

/** Ids of the processes in the slot's cgroup; empty where there is no such cgroup. */
export function passtProcesses(host: Host, slot: Slot): number[] {
  return processesIn(host, networkCgroup(slot));
}

/** What there is of a slot's way to the network, in words; empty where nothing is left of it. */
export function leftOf(host: Host, slot: Slot): string[] {
  return [
    ...(passtProcesses(host, slot).length > 0 ? ["passt"] : []),
    ...(host.lstat(networkCgroup(slot)) !== null ? ["its cgroup"] : []),
    ...(host.lstat(namespacePath(slot)) !== null ? ["its namespace"] : []),
  ];
}

/** Whether a DHCP server gave the host an address. What it is, the launcher reads and checks. */
export function uplinkIsThere(host: Host): boolean {
  const folder = `${PATHS.run}/uplink`;
  return host.list(folder).some((nic) => host.lstat(`${folder}/${nic}/facts`) !== null);
}

/** What the launcher `net` lets passt use. */
export const PASST_LIMITS: JailLimits = {
  cpuMaxUs: 50_000,
  memoryMaxBytes: 128 * 1024 * 1024,
  pidsMax: 8,
  ioMaxBytesS: null,
};

/** The jail of a slot's passt, as the launcher `net` builds it. */
export function passtSpec(plan: Pick<LaunchPlan, "vm" | "slot">): JailSpec {
  const name = slotName(plan.slot);
  const uid = uidOf("passt", plan.slot);
  return {
    vm: plan.vm,
    prefix: "passt.",
    slotName: name,
    uid,
    gid: uid,
    groups: [],
    // The list of src/seccomp/passt.ts, and passt's own.
    seccompFilters: 2,
    mounts: [
      { place: "/", root: `${PATHS.launchers}/root/passt`, access: "ro", of: "image" },
      { place: "/dev", root: "/", access: "ro", of: "tmpfs" },
      { place: "/dev/null", root: "/null", access: "rw", of: "devtmpfs" },
      { place: "/n", root: `/${name}`, access: "rw", of: "tmpfs" },
      { place: "/tmp", root: "/", access: "ro", of: "tmpfs" },
    ],
    files: [],
    imageFiles: [],
    fileSizeLimited: true,
    limits: PASST_LIMITS,
  };
}

export interface FoundPasst {
  readonly issues: readonly Issue[];
  readonly checks: number;
  readonly process: { readonly pid: number; readonly startTicks: number } | null;
}

/** What the kernel says of the running passt, held against its spec, and whether it is in its namespace. */
export function readPasstBack(host: Host, plan: Pick<LaunchPlan, "vm" | "slot">): FoundPasst {
  const processes = passtProcesses(host, plan.slot).flatMap((pid) => host.processFacts(pid) ?? []);
  const cgroup = networkCgroup(plan.slot);
  const read = (file: string) => host.readText(`${cgroup}/${file}`, TEXT_LIMIT)?.trimEnd() ?? null;
  const { issues, checks } = confinementOf(passtSpec(plan), {
    processes,
    hostNamespaces: host.processFacts(1)?.namespaces ?? {},
    cgroup: Object.fromEntries(CGROUP_FILES.map((file) => [file, read(file)])),
    files: {},
    errors: null,
    dataDevice: "none",
    partitions: "",
  });
  const [process] = processes;
  return {
    issues: [...issues, ...elsewhere(host, plan.slot, process)],
    checks: checks + 1,
    process: process === undefined ? null : { pid: process.pid, startTicks: process.startTicks },
  };
}

/** The namespace must be the one in which the launcher has put the rules. */
function elsewhere(host: Host, slot: Slot, process: ProcessFacts | undefined): Issue[] {
  const wanted = `net:[${host.lstat(namespacePath(slot))?.inode ?? "none"}]`;
  const found = process?.namespaces["net"] ?? "none";
  if (found === wanted) return [];
  const hint = "it was ended; the image's launcher is not the one that this program expects";
  return [issue("vm.confinement", { path: "passt.namespace", expected: wanted, found, hint })];
}
