/**
 * What serves one share of a guest, as the kernel shows it: which processes there are, what is left of it,
 * and whether its jail is the one that it should be, before QEMU comes and while it serves. It starts and
 * ends nothing.
 *
 * virtiofsd makes the shared folder its root once QEMU has come, and drops what it needed for that. From
 * then on it sees one mount, and the kernel shows no other.
 */

import { mountedAt, mountTable } from "../boot/mount_table.ts";
import type { FileFacts, Host } from "../host/port.ts";
import { type Slot, slotName, uidOf } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { confinementOf } from "../jail/confinement.ts";
import { processesIn } from "../jail/processes.ts";
import { type JailMount, type JailSpec, ownRoot } from "../jail/spec.ts";
import { PATHS, shareCgroup } from "../permissions.ts";
import type { LaunchPlan, PlannedShare } from "../plan/launch_plan.ts";

const TEXT_LIMIT = 256 * 1024;

/** A guest's n-th share, as its plan has it. */
export interface ShareOf {
  readonly plan: Pick<LaunchPlan, "vm" | "slot">;
  readonly share: number;
  readonly planned: PlannedShare;
}

/** Where the launcher mounts it. */
function placeOf(slot: Slot, share: number): string {
  return `${PATHS.run}/share/${slotName(slot)}.${share}`;
}

/** Ids of the processes in its cgroup; empty where there is no such cgroup. */
export function shareProcesses(host: Host, slot: Slot, share: number): number[] {
  return processesIn(host, shareCgroup(slot, share));
}

/** What there is of it on the host, in words; empty where nothing is left. */
export function leftOfShare(host: Host, slot: Slot, share: number): string[] {
  const own = host.readText(`${PATHS.proc}/1/mountinfo`, TEXT_LIMIT) ?? "";
  return [
    ...(shareProcesses(host, slot, share).length > 0 ? ["virtiofsd"] : []),
    ...(host.lstat(shareCgroup(slot, share)) !== null ? ["its cgroup"] : []),
    ...(mountedAt(own, placeOf(slot, share)) !== null ? ["its mount"] : []),
  ];
}

/** CAP_SYS_CHROOT (18) and CAP_SETPCAP (8): to make the folder its root, and to drop both for good. */
const CHROOT_AND_SETPCAP = "0000000000040100";

/** The launcher's largest file where nothing is written: virtiofsd's own words. */
const READ_BYTES = 1024 * 1024;

const proc = (place: string, access: "ro" | "rw"): JailMount => ({
  place,
  root: place.slice("/proc".length) || "/",
  access,
  of: "proc",
});

function shared({ path, readOnly }: PlannedShare, place: string): JailMount {
  return readOnly
    ? { place, root: `/${path}`, access: "ro", of: "data", inert: true }
    : { place, root: "/", access: "rw", of: "share", inert: true };
}

function baseSpec({ plan, planned }: ShareOf): Omit<JailSpec, "mounts" | "seccompFilters"> {
  const uid = uidOf("virtiofsd", plan.slot);
  return {
    vm: plan.vm,
    prefix: "share.",
    slotName: slotName(plan.slot),
    uid,
    gid: uid,
    groups: [],
    files: [],
    imageFiles: [],
    fileSizeLimited: true,
    fileBytes: planned.readOnly ? READ_BYTES : planned.quotaMib * 1024 * 1024,
    // A lock of its socket's name, what the kernel says of its own descriptors, and the shared folder: what
    // else it has open lies in that, since no other mount is there.
    opens: /^(\/var\/run\/virtiofsd\/[.a-z]+\.pid|\/proc\/1\/(fd|task)|\/share(\/.*)?)$/,
    limits: null,
  };
}

/** Its jail as the launcher builds it. */
export function startedSpec(of: ShareOf): JailSpec {
  const { plan, share, planned } = of;
  return {
    ...baseSpec(of),
    capabilities: CHROOT_AND_SETPCAP,
    // The list of src/seccomp/virtiofsd.ts.
    seccompFilters: 1,
    mounts: [
      ...ownRoot("virtiofsd"),
      proc("/proc", "rw"),
      // bubblewrap covers what in there acts on the whole machine.
      ...["sysrq-trigger", "irq", "bus"].map((name) => proc(`/proc/${name}`, "ro")),
      shared(planned, "/share"),
      { place: "/v", root: `/${slotName(plan.slot)}/${share}`, access: "rw", of: "tmpfs" },
      { place: "/var/run", root: "/", access: "rw", of: "tmpfs" },
    ],
  };
}

/** Its jail while it serves. */
export function servingSpec(of: ShareOf): JailSpec {
  return {
    ...baseSpec(of),
    // That list, and virtiofsd's own.
    seccompFilters: 2,
    // QEMU's library begins a thread (call_rcu) before main(), which drops nothing. It has this project's
    // filter alone; it serves no guest.
    oddTask: { capabilities: CHROOT_AND_SETPCAP, seccompFilters: 1 },
    mounts: [shared(of.planned, "/")],
  };
}

export interface FoundShare {
  readonly issues: readonly Issue[];
  readonly checks: number;
}

/**
 * What the kernel says of it, held against the spec.
 *
 * @param folder what a read-only share's folder was when it was checked; null: it is not compared
 */
export function readShareBack(
  host: Host,
  of: ShareOf,
  when: "started" | "serving",
  folder: FileFacts | null,
): FoundShare {
  const { slot } = of.plan;
  const pids = shareProcesses(host, slot, of.share);
  const own = host.readText(`${PATHS.proc}/1/mountinfo`, TEXT_LIMIT) ?? "";
  const spec = when === "started" ? startedSpec(of) : servingSpec(of);
  const { issues, checks } = confinementOf(spec, {
    processes: pids.flatMap((pid) => host.processFacts(pid) ?? []),
    hostNamespaces: host.processFacts(1)?.namespaces ?? {},
    cgroup: {},
    files: {},
    errors: host.lstat(`${PATHS.run}/err/${slotName(slot)}/share${of.share}`),
    dataDevice: mountedAt(own, PATHS.dataRoot)?.device ?? "none",
    partitions: "",
  });
  const swapped = when === "started" && folder !== null ? swappedFolder(host, pids, folder) : [];
  return { issues: [...issues, ...swapped], checks: checks + 1 };
}

/** What is to become its root must be the folder that was checked, by device and inode. */
function swappedFolder(host: Host, [pid = 0]: readonly number[], folder: FileFacts): Issue[] {
  const given = host.lstat(`${PATHS.proc}/${pid}/root/share`);
  if (given?.device === folder.device && given.inode === folder.inode) return [];
  return [issue("vm.confinement", {
    path: "share.given",
    expected: "the folder that was checked, same device and inode",
    found: given === null ? "nothing" : "another folder",
    hint: "the share was taken away; something swaps its folder",
  })];
}

/** Whether it has made the folder its root and brought its own filter: it serves from now on. */
export function isServing(host: Host, slot: Slot, share: number): boolean {
  const [pid] = shareProcesses(host, slot, share);
  const facts = pid === undefined ? null : host.processFacts(pid);
  const first = facts?.tasks.find((task) => task.tid === facts.pid);
  return /^Seccomp_filters:\s+2$/m.test(first?.status ?? "");
}

/** The slots' shares of which the launcher made a place: `[slot, share]`. */
export function sharesThere(host: Host): [number, number][] {
  const folder = `${PATHS.run}/share`;
  const listed = host.lstat(folder) === null ? [] : host.list(folder);
  const mounted = mountTable(host.readText(`${PATHS.proc}/1/mountinfo`, TEXT_LIMIT) ?? "")
    .flatMap(({ place }) => place.startsWith(`${folder}/`) ? [place.slice(folder.length + 1)] : []);
  return [...new Set([...listed, ...mounted])].flatMap((name) => {
    const found = /^(\d\d)\.(\d{1,2})$/.exec(name);
    return found === null ? [] : [[Number(found[1]), Number(found[2])] as [number, number]];
  });
}
