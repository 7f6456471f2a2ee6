/**
 * Policy, record and host facts become a launch plan: plain data that says everything about a guest's
 * start, that `vm plan` prints and that the executor checks again. Pure; it starts nothing.
 */

import type { DataPath } from "../data_path.ts";
import { type GuestKind, type Slot, uidOf, type VmId } from "../id.ts";
import type { Subject } from "../event.ts";
import { memoryForGuests, type Policy } from "../policy/policy.ts";
import type { EffectiveGuest } from "../registry/guest.ts";
import { QEMU_FILTER_SHA256 } from "../seccomp/qemu.ts";
import { QEMU_SHARED_FILTER_SHA256 } from "../seccomp/qemu_shared.ts";
import { SWTPM_FILTER_SHA256 } from "../seccomp/swtpm.ts";
import { type DeviceName, type DeviceRequest, NVRAM, SCREEN_MEMORY_MIB } from "./device.ts";
import { qemuArgv, TCG_CACHE_MIB } from "./qemu_argv.ts";

/** What the plan needs to know of the machine. */
export interface HostFacts {
  readonly kvm: boolean;
  readonly cpus: number;
  readonly memoryMiB: number;
}

/** One file that the jail gets. */
export interface PlannedFile {
  readonly access: "ro" | "rw";
  readonly path: DataPath;
  /** Its name under /g in the jail. */
  readonly name: string;
}

/** A guest's TPM: swtpm, in a jail of its own beside QEMU's, under the limits of the guest's cgroup. */
export interface TpmPlan {
  readonly uid: number;
  /** The folder with its state, which its jail gets as a whole. */
  readonly stateDir: DataPath;
  /** SHA-256 of its system call filter, in hexadecimal. */
  readonly seccomp: string;
}

/** A folder that the guest sees while virtiofsd, in a jail of its own, serves it. */
export interface PlannedShare {
  /** What the guest mounts it by. */
  readonly tag: string;
  /** The folder; of a share that is written, the file with a file system of its own. */
  readonly path: DataPath;
  readonly readOnly: boolean;
  /** The size of a share that is written. */
  readonly quotaMib: number;
}

/** Everything about one start. */
export interface LaunchPlan {
  readonly vm: VmId;
  readonly kind: GuestKind;
  readonly slot: Slot;
  readonly uuid: string;
  readonly uid: number;
  readonly emulated: boolean;
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** Text for `-append`; null: boot from the disk. */
  readonly kernelCmdline: string | null;
  readonly files: readonly PlannedFile[];
  readonly devices: readonly DeviceRequest[];
  readonly limits: GuestLimits;
  /** SHA-256 of the system call filter that the launcher must find in the image, in hexadecimal. */
  readonly seccomp: string;
  /** Null: the guest has no TPM. */
  readonly tpm: TpmPlan | null;
  readonly shares: readonly PlannedShare[];
  /** QEMU's arguments without those that the launcher itself puts in front. */
  readonly argv: readonly string[];
}

export interface GuestLimits {
  /** CPU time in µs for each period of 100 000 µs (cgroup v2, cpu.max). */
  readonly cpuMaxUs: number;
  readonly memoryMaxBytes: number;
  readonly pidsMax: number;
  /** Bytes a second that are read from and, apart from that, written to RayOS Data's disk; null: any. */
  readonly ioMaxBytesS: number | null;
  readonly consoleKibS: number;
}

const MIB = 1024 * 1024;
/** QEMU's own memory beside the guest's: measured peak 40 MiB for one disk; the rest is room for I/O. */
const QEMU_OVERHEAD_MIB = 192;
/** swtpm's memory, code included: measured 12 MiB. */
const TPM_OVERHEAD_MIB = 32;
/** What QEMU keeps of a screen, at most, and as much again where it is shown. */
const SCREEN_MIB = 2 * SCREEN_MEMORY_MIB;
/** virtiofsd's memory for one share: measured 5 MiB; the rest is room for files' data on their way. */
const SHARE_OVERHEAD_MIB = 32;
/** QEMU's own threads (main loop, block I/O) may use this much of a CPU beside the vCPUs. */
const QEMU_CPU_US = 25_000;
const PIDS_MAX = 64;
/** A launcher and bubblewrap's own process stand beside QEMU in the guest's cgroup while it starts. */
const LAUNCHER_PIDS = 8;

/** The plan of a guest that the policy lets start. */
export function launchPlan(policy: Policy, guest: EffectiveGuest, host: HostFacts): LaunchPlan {
  const emulated = !host.kvm;
  const disks = guest.disks.map((disk, index) => ({ disk, file: `disk${index}` }));
  const ahci = guest.disks.filter((disk) => disk.bus === "ahci");
  const files: PlannedFile[] = disks.map(({ disk, file }) => ({
    access: "rw",
    path: disk.path,
    name: file,
  }));
  if (guest.kernel !== null) files.push({ access: "ro", path: guest.kernel, name: "kernel" });
  if (guest.initrd !== null) files.push({ access: "ro", path: guest.initrd, name: "initrd" });
  if (guest.windows !== null) {
    files.push({ access: "rw", path: guest.windows.ovmfVars, name: NVRAM });
  }
  const tpm: TpmPlan | null = guest.tpmStateDir === null ? null : {
    uid: uidOf("swtpm", guest.slot),
    stateDir: guest.tpmStateDir,
    seccomp: SWTPM_FILTER_SHA256,
  };
  const devices: DeviceRequest[] = [{ device: "serial-bus" }, { device: "console" }];
  if (policy.security.guestAgent) devices.push({ device: "agent" });
  for (const { disk, file } of disks) {
    const port = ahci.indexOf(disk);
    const place = port < 0 ? {} : { ahciPort: port };
    devices.push({ device: "disk", file, format: disk.format, ...place });
  }
  if (guest.windows !== null) {
    devices.push({ device: "firmware", secureBoot: guest.windows.secureBoot });
  }
  if (tpm !== null) devices.push({ device: "vtpm" });
  if (guest.networking !== "off") devices.push({ device: "network-port" });
  if (guest.gpu !== "none") {
    devices.push({ device: "gpu", model: guest.kind === "windows" ? "vga" : "virtio" });
  }
  if (guest.input) devices.push({ device: "input" });
  const { shares, memoryMiB } = guest;
  if (shares.length > 0) devices.push({ device: "shared-memory", memoryMiB });
  for (const share of shares.keys()) devices.push({ device: "share-port", share });
  const besideMiB = QEMU_OVERHEAD_MIB + (emulated ? TCG_CACHE_MIB : 0) +
    (tpm === null ? 0 : TPM_OVERHEAD_MIB) + (guest.gpu === "none" ? 0 : SCREEN_MIB) +
    shares.length * SHARE_OVERHEAD_MIB;
  const values = {
    vm: guest.vmId,
    kind: guest.kind,
    slot: guest.slot,
    uuid: guest.uuid,
    uid: uidOf("qemu", guest.slot),
    emulated,
    vcpus: guest.vcpus,
    memoryMiB,
    kernelCmdline: guest.kernel === null ? null : guest.cmdline ?? "",
    files,
    devices,
    limits: {
      cpuMaxUs: guest.vcpus * 100_000 + QEMU_CPU_US,
      memoryMaxBytes: (memoryMiB + besideMiB) * MIB,
      pidsMax: PIDS_MAX,
      ioMaxBytesS: guest.ioMibS === null ? null : guest.ioMibS * MIB,
      consoleKibS: guest.consoleKibS,
    },
    seccomp: shares.length > 0 ? QEMU_SHARED_FILTER_SHA256 : QEMU_FILTER_SHA256,
    tpm,
    shares: shares.map(({ tag, path, readOnly, quotaMib }) => ({ tag, path, readOnly, quotaMib })),
  };
  return { ...values, argv: qemuArgv(values) };
}

/** Limits of all guests together, as the cgroup above them holds them. */
export function wholeLimits(
  policy: Policy,
  host: HostFacts,
): { cpuMaxUs: number; memoryMaxBytes: number; pidsMax: number } {
  // As much as the one that takes most: none can take what another one was given.
  const shares = Math.max(
    0,
    ...[...policy.profiles.values()].map((one) => one.storage.shares.length),
  );
  const each = QEMU_OVERHEAD_MIB + TPM_OVERHEAD_MIB + SCREEN_MIB + shares * SHARE_OVERHEAD_MIB +
    (host.kvm ? 0 : TCG_CACHE_MIB);
  const overhead = policy.limits.vms * each;
  return {
    cpuMaxUs: Math.max(1000, Math.floor(policy.limits.cpuPercent * host.cpus * 1000)),
    memoryMaxBytes: (memoryForGuests(policy, host.memoryMiB) + overhead) * MIB,
    pidsMax: policy.limits.vms * (PIDS_MAX + LAUNCHER_PIDS),
  };
}

/** The plan's guest as events name it. */
export function subjectOf(plan: LaunchPlan): Subject {
  return { vm: plan.vm, kind: plan.kind, slot: plan.slot, emulated: plan.emulated };
}

/** Whether its guest can be given a network at all. */
export function hasNetworkPort(plan: Pick<LaunchPlan, "devices">): boolean {
  return hasDevice(plan, "network-port");
}

export function hasDevice(plan: Pick<LaunchPlan, "devices">, name: DeviceName): boolean {
  return plan.devices.some((one) => one.device === name);
}

/** Whether two plans say the same. */
export function samePlan(one: LaunchPlan, other: LaunchPlan): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
