/**
 * What a guest's jails must be, QEMU's and its TPM's, as data: who runs in it, what it sees, what it may
 * use. The launcher is given the values of it (`render.ts`), and what the kernel says of the running jail
 * is held against it (`confinement.ts`). It builds nothing.
 */

import type { DataPath } from "../data_path.ts";
import { slotName, type VmId } from "../id.ts";
import { firmwareCode } from "../plan/device.ts";
import { type GuestLimits, hasNetworkPort, type LaunchPlan } from "../plan/launch_plan.ts";

/** A mount in the jail. `root`: which part of its file system is mounted there; null: any. */
export interface JailMount {
  readonly place: string;
  readonly root: string | null;
  readonly access: "ro" | "rw";
  /** `data`: of RayOS Data's own file system; `share`: of the file that holds what a guest writes. */
  readonly of: "image" | "data" | "tmpfs" | "devtmpfs" | "proc" | "share";
  /** Nothing in it is executed, and no link in it is followed. */
  readonly inert?: true;
}

/** A file that the process must have open, by what it is on RayOS Data. */
export interface JailFile {
  readonly path: DataPath;
  readonly name: string;
  /** Where the jail has it. */
  readonly place: string;
  /** A disk stays open for the life of the process; a kernel is read once. */
  readonly heldOpen: boolean;
}

/** What the jail's cgroup must hold. */
export type JailLimits = Pick<
  GuestLimits,
  "cpuMaxUs" | "memoryMaxBytes" | "pidsMax" | "ioMaxBytesS"
>;

/** What a task may do. */
export interface TaskRights {
  readonly seccompFilters: number;
  /** All five sets, as proc(5) writes them; left out: none at all. */
  readonly capabilities?: string;
}

export interface JailSpec extends TaskRights {
  readonly vm: VmId;
  /** What its findings begin with, where it is not QEMU's. */
  readonly prefix: "" | "tpm." | "passt." | "share.";
  readonly slotName: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  /** How one task beside the first may be instead, in exactly these fields. */
  readonly oddTask?: TaskRights;
  readonly mounts: readonly JailMount[];
  readonly files: readonly JailFile[];
  /** Files of the jail's own root that the process keeps open. */
  readonly imageFiles: readonly string[];
  /** Whether the largest file that it may make is limited: not where a disk's format grows by itself. */
  readonly fileSizeLimited: boolean;
  /** So large any file may be, whatever the disks are; left out: the launcher's least. */
  readonly fileBytes?: number;
  /** What it may have open besides, as the kernel names it. */
  readonly opens?: RegExp;
  /** Null: the cgroup lies in that of another jail of the guest's, whose limits hold for both. */
  readonly limits: JailLimits | null;
}

/** Debian's static gid of `kvm` in the image's nodes: /dev/kvm is 0660 root:36 there. */
const KVM_GID = 36;
/** The namespaces that must be the jail's own (namespaces(7)). */
export const NAMESPACES = ["mnt", "pid", "net", "ipc", "uts", "cgroup"] as const;
const ROOTS = "/usr/lib/rayos/root";

const device = (name: string): JailMount => ({
  place: `/dev/${name}`,
  root: `/${name}`,
  access: "rw",
  of: "devtmpfs",
});
export const ownRoot = (name: string): JailMount[] => [
  { place: "/", root: `${ROOTS}/${name}`, access: "ro", of: "image" },
  { place: "/dev", root: "/", access: "ro", of: "tmpfs" },
  device("null"),
];

/** The jail of a plan's QEMU. */
export function jailSpec(plan: LaunchPlan): JailSpec {
  return {
    vm: plan.vm,
    prefix: "",
    slotName: slotName(plan.slot),
    uid: plan.uid,
    gid: plan.uid,
    groups: plan.emulated ? [] : [KVM_GID],
    // The allow-list of src/seccomp/qemu.ts, and QEMU's own -sandbox.
    seccompFilters: 2,
    mounts: [
      ...ownRoot("qemu"),
      ...(plan.emulated ? [] : [device("kvm")]),
      { place: "/g", root: "/", access: "ro", of: "tmpfs" },
      ...plan.files.map((file): JailMount => ({
        place: `/g/${file.name}`,
        root: `/${file.path}`,
        access: file.access,
        of: "data",
      })),
      // Where passt makes its socket: to connect, and nothing else.
      ...(hasNetworkPort(plan)
        ? [{ place: "/n", root: `/${slotName(plan.slot)}`, access: "ro", of: "tmpfs" } as const]
        : []),
      { place: "/s", root: `/${slotName(plan.slot)}`, access: "rw", of: "tmpfs" },
      ...(plan.tpm === null ? [] : [tpmSocket(plan, "ro")]),
      // Where those who serve its shares make their sockets.
      ...(plan.shares.length > 0
        ? [{ place: "/v", root: `/${slotName(plan.slot)}`, access: "ro", of: "tmpfs" } as const]
        : []),
      { place: "/tmp", root: "/", access: "rw", of: "tmpfs" },
    ],
    files: plan.files.map((file) => ({
      path: file.path,
      name: file.name,
      place: `/g/${file.name}`,
      heldOpen: file.access === "rw",
    })),
    imageFiles: plan.devices.flatMap((one) =>
      one.device === "firmware" ? [firmwareCode(one.secureBoot)] : []
    ),
    fileSizeLimited: !plan.devices.some((one) => one.device === "disk" && one.format === "qcow2"),
    // Memory that is shared is a file in memory.
    ...(plan.shares.length > 0 ? { fileBytes: plan.limits.memoryMaxBytes } : {}),
    limits: plan.limits,
  };
}

/** Where QEMU finds its TPM: a folder of a file system that holds nothing else. */
function tpmSocket(plan: LaunchPlan, access: "ro" | "rw"): JailMount {
  return { place: "/t", root: `/${slotName(plan.slot)}`, access, of: "tmpfs" };
}

/** The folder with the TPM's state, as the files of its jail name it. */
export const TPM_FOLDER = "state";

/** The jail of a plan's TPM; null where it has none. */
export function tpmSpec(plan: LaunchPlan): JailSpec | null {
  const { tpm } = plan;
  if (tpm === null) return null;
  return {
    vm: plan.vm,
    prefix: "tpm.",
    slotName: slotName(plan.slot),
    uid: tpm.uid,
    gid: tpm.uid,
    groups: [],
    // The allow-list of src/seccomp/swtpm.ts, and swtpm's own.
    seccompFilters: 2,
    mounts: [
      ...ownRoot("swtpm"),
      { place: "/state", root: `/${tpm.stateDir}`, access: "rw", of: "data" },
      tpmSocket(plan, "rw"),
    ],
    files: [{ path: tpm.stateDir, name: TPM_FOLDER, place: "/state", heldOpen: false }],
    imageFiles: [],
    fileSizeLimited: true,
    limits: null,
  };
}
