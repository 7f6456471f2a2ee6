/**
 * The guests as data: what a record of the registry asks, and what is left of it once the policy
 * has decided. Types only; `registry.ts` and `effective.ts` make them.
 */
import type { DataPath } from "../data_path.ts";
import type { GuestKind, Slot, VmId } from "../id.ts";
import type { Issue } from "../issue.ts";
import type { MachineState } from "../machine_state.ts";
import type { DiskBus, Gpu, Networking, OnShutdown } from "../policy/policy.ts";

export type DiskFormat = "raw" | "qcow2";

/** One disk of a guest. */
export interface GuestDisk {
  /** `root`, or the name of a further disk. */
  readonly name: string;
  readonly path: DataPath;
  readonly format: DiskFormat;
  readonly bus: DiskBus;
}

/** One guest's record, as the registry has it: a wish, not a right. */
export interface GuestRecord {
  readonly vmId: VmId;
  readonly name: string;
  readonly kind: GuestKind;
  /** Name of the policy's profile. */
  readonly profile: string;
  readonly uuid: string;
  readonly slot: Slot;
  /** The last state written; what really runs is asked of the kernel. */
  readonly state: MachineState;
  readonly disks: readonly GuestDisk[];
  readonly vcpus: number;
  readonly memoryMiB: number;
  readonly input: boolean;
  readonly gpu: Gpu;
  readonly vtpm: boolean;
  readonly boot: {
    readonly kernel: DataPath;
    readonly initrd: DataPath | null;
    readonly cmdline: string;
  } | null;
  readonly provisionedAt: string | null;
  readonly savedState: string | null;
}

/** Who exists. */
export interface Registry {
  readonly version: 0;
  readonly guests: ReadonlyMap<VmId, GuestRecord>;
}

/** One folder that a guest sees. */
export interface GuestShare {
  readonly tag: string;
  readonly path: DataPath;
  readonly readOnly: boolean;
  readonly quotaMib: number;
}

/** The stricter of record and policy: all that a plan needs to know of a guest. */
export interface EffectiveGuest {
  readonly vmId: VmId;
  readonly kind: GuestKind;
  readonly name: string;
  readonly profile: string;
  readonly uuid: string;
  readonly slot: Slot;
  /** False: the policy does not let it run. */
  readonly enabled: boolean;
  readonly autoboot: boolean;
  readonly presentOnBoot: boolean;
  readonly onShutdown: OnShutdown;
  readonly vcpus: number;
  readonly memoryMiB: number;
  /** In the order in which the guest sees them; `root` first. */
  readonly disks: readonly GuestDisk[];
  readonly shares: readonly GuestShare[];
  /** Null: boot from the disk. */
  readonly kernel: DataPath | null;
  readonly initrd: DataPath | null;
  readonly cmdline: string | null;
  readonly consoleKibS: number;
  /** Null: no limit. */
  readonly ioMibS: number | null;
  readonly networking: Networking;
  readonly provisioningMinutes: number;
  readonly input: boolean;
  readonly gpu: Gpu;
  readonly vtpm: boolean;
  /** The folder of its TPM's state; null: it has no TPM. */
  readonly tpmStateDir: DataPath | null;
  /** Only for kind windows. */
  readonly windows: { readonly ovmfVars: DataPath; readonly secureBoot: boolean } | null;
}

/** A guest that cannot start, and why; the others do. */
export interface BrokenGuest {
  /** The record's key as it stands, which may be no guest name at all. */
  readonly vmId: string;
  readonly issues: readonly Issue[];
}
