/**
 * The policy as the rest of the program sees it: fully typed, every default in place, so that
 * nobody else needs to know a default rule. `parse.ts` is the only maker; nothing here decides.
 */
import { dataPath } from "../data_path.ts";
import type { GuestKind, VmId } from "../id.ts";

declare const templateBrand: unique symbol;

/** A path that keeps the lexical rules once `{vm_id}` in it is replaced. */
export type PathTemplate = string & { readonly [templateBrand]: true };

export type Networking = "off" | "on" | "provisioning_only";
export type OnShutdown = "shutdown" | "suspend";
export type Gpu = "virtio" | "none";
export type DiskBus = "virtio" | "ahci";

/** A folder that a guest sees. */
export interface Share {
  readonly tag: string;
  readonly path: PathTemplate;
  readonly readOnly: boolean;
  readonly quotaMib: number;
}

/** A path that a profile gives. */
export interface ProfilePath {
  readonly path: PathTemplate;
  /** Whether the document says it; a default binds nobody who names another file of his own. */
  readonly explicit: boolean;
}

/** What a profile of either kind says where its guest's files are. */
export interface ProfileStorage {
  /** `root_disk` of a linux profile, `disk` of a windows profile. */
  readonly disk: ProfilePath;
  readonly bus: DiskBus;
  readonly shares: readonly Share[];
  /** Only for kind windows. */
  readonly windows: {
    readonly ovmfVars: ProfilePath;
    readonly vtpmStateDir: ProfilePath;
    /** Whether its firmware holds keys and starts from a disk only what they signed. */
    readonly secureBoot: boolean;
  } | null;
}

/** What the policy gives one guest (`linux`, `windows`) or each guest of a name (`profiles.*`). */
export interface Profile {
  /** `linux`, `windows`, or the name under `profiles`; a registry record refers to it. */
  readonly name: string;
  /** Its table in the document, e.g. `linux` or `profiles.kiosk`, for findings. */
  readonly tomlPath: string;
  readonly kind: GuestKind;
  readonly enabled: boolean;
  /** The one guest it is for; null for a profile under `profiles`, and when disabled without one. */
  readonly vmId: VmId | null;
  /** Its own word and `defaults.autoboot_vms` together. */
  readonly autoboot: boolean;
  /** A guest that was suspended goes on at boot, whether or not it would start there. */
  readonly resumesAtBoot: boolean;
  readonly presentOnBoot: boolean;
  readonly networking: Networking;
  readonly provisioningMinutes: number;
  readonly onShutdown: OnShutdown;
  readonly limits: {
    readonly cpus: number;
    readonly memMib: number;
    /** Null: no limit. */
    readonly ioMibS: number | null;
    readonly consoleKibS: number;
  };
  readonly storage: ProfileStorage;
  /** Null: boot from the disk. */
  readonly boot: {
    readonly kernel: PathTemplate;
    readonly initrd: PathTemplate | null;
    readonly cmdline: string;
  } | null;
  readonly devices: { readonly input: boolean; readonly gpu: Gpu; readonly vtpm: boolean };
}

/** The one document that decides. */
export interface Policy {
  readonly version: 0;
  readonly serial: number | null;
  /** Null: any host. */
  readonly hosts: readonly string[] | null;
  readonly limits: {
    /** All guests together, of all CPUs. */
    readonly cpuPercent: number;
    /** All guests together; null: three quarters of the host's memory. */
    readonly memMib: number | null;
    /** Running at once. */
    readonly vms: number;
  };
  readonly logging: {
    readonly level: "error" | "warn" | "info" | "debug" | "trace";
    readonly persist: boolean;
    readonly input: "redacted" | "full";
  };
  readonly security: {
    readonly virtualization: "required" | "emulated_ok";
    readonly measure: "if_available" | "required" | "off";
    readonly guestAgent: boolean;
  };
  readonly presentation: {
    readonly attention: "ctrl+alt+pause" | "ctrl+alt+end";
    readonly allow: readonly ("console" | "socket")[];
  };
  /** Null: a read-only recovery shell. */
  readonly recoveryPassphrase: string | null;
  readonly network: {
    /** Null: the uplink's. */
    readonly resolver: string | null;
    readonly allowPrivate: readonly string[];
  };
  readonly profiles: ReadonlyMap<string, Profile>;
}

/** What stands in a path for the guest's name. */
export const VM_ID_SLOT = "{vm_id}";

/**
 * The template's path for one guest.
 *
 * @returns the path, or the rule it breaks: a long name can make a good template too long
 */
export function fillPath(template: string, id: VmId): ReturnType<typeof dataPath> {
  return dataPath(template.replaceAll(VM_ID_SLOT, id));
}

/** Memory in MiB that all guests together may have on a host with that much. */
export function memoryForGuests(policy: Policy, hostMemoryMib: number): number {
  return policy.limits.memMib ?? Math.floor(hostMemoryMib * 3 / 4);
}
