/**
 * What a guest's jail must be, as data: who runs in it, what it sees, what it may use. The launcher is
 * given the values of it (`render.ts`), and what the kernel says of the running jail is held against
 * it (`confinement.ts`). It builds nothing.
 */

import type { DataPath } from "../data_path.ts";
import { slotName, type VmId } from "../id.ts";
import type { GuestLimits, LaunchPlan } from "../plan/launch_plan.ts";

/** A mount in the jail. `root`: which part of its file system is mounted there; null: any. */
export interface JailMount {
  readonly place: string;
  readonly root: string | null;
  readonly access: "ro" | "rw";
  /** `data`: of RayOS Data's own file system. */
  readonly of: "image" | "data" | "tmpfs" | "devtmpfs";
}

/** A file that the process must have open, by what it is on RayOS Data. */
export interface JailFile {
  readonly path: DataPath;
  readonly name: string;
  /** A disk stays open for the life of the process; a kernel is read once. */
  readonly heldOpen: boolean;
}

/** What the jail's cgroup must hold. */
export type JailLimits = Pick<
  GuestLimits,
  "cpuMaxUs" | "memoryMaxBytes" | "pidsMax" | "ioMaxBytesS"
>;

export interface JailSpec {
  readonly vm: VmId;
  readonly slotName: string;
  readonly uid: number;
  readonly gid: number;
  readonly groups: readonly number[];
  readonly seccompFilters: number;
  readonly mounts: readonly JailMount[];
  readonly files: readonly JailFile[];
  /** Whether the largest file that it may make is limited: not where a disk's format grows by itself. */
  readonly fileSizeLimited: boolean;
  readonly limits: JailLimits;
}

/** Debian's static gid of `kvm` in the image's nodes: /dev/kvm is 0660 root:36 there. */
export const KVM_GID = 36;
/** The namespaces that must be the jail's own (namespaces(7)). */
export const NAMESPACES = ["mnt", "pid", "net", "ipc", "uts", "cgroup"] as const;
const JAIL_ROOT = "/usr/lib/rayos/root/qemu";

/** The jail of a plan. */
export function jailSpec(plan: LaunchPlan): JailSpec {
  const device = (name: string): JailMount => ({
    place: `/dev/${name}`,
    root: `/${name}`,
    access: "rw",
    of: "devtmpfs",
  });
  return {
    vm: plan.vm,
    slotName: slotName(plan.slot),
    uid: plan.uid,
    gid: plan.uid,
    groups: plan.emulated ? [] : [KVM_GID],
    // The allow-list of src/seccomp/qemu.ts, and QEMU's own -sandbox.
    seccompFilters: 2,
    mounts: [
      { place: "/", root: JAIL_ROOT, access: "ro", of: "image" },
      { place: "/dev", root: "/", access: "ro", of: "tmpfs" },
      device("null"),
      ...(plan.emulated ? [] : [device("kvm")]),
      { place: "/g", root: "/", access: "ro", of: "tmpfs" },
      ...plan.files.map((file): JailMount => ({
        place: `/g/${file.name}`,
        root: `/${file.path}`,
        access: file.access,
        of: "data",
      })),
      { place: "/s", root: `/${slotName(plan.slot)}`, access: "rw", of: "tmpfs" },
      { place: "/tmp", root: "/", access: "rw", of: "tmpfs" },
    ],
    files: plan.files.map((file) => ({
      path: file.path,
      name: file.name,
      heldOpen: file.access === "rw",
    })),
    fileSizeLimited: !plan.devices.some((one) => one.device === "disk" && one.format === "qcow2"),
    limits: plan.limits,
  };
}
