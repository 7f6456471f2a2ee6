/**
 * From a document that has the shape to the policy with every default in place. It asks nothing and
 * refuses nothing: what makes no sense was found by meaning.ts before.
 */
import { guestFolder, type GuestKind, type VmId } from "../id.ts";
import type { PathTemplate, Policy, Profile, ProfilePath } from "./policy.ts";
import { VM_ID_SLOT } from "./policy.ts";
import type {
  LinuxDocument,
  NamedProfileDocument,
  PolicyDocument,
  WindowsDocument,
} from "./schema.ts";

export type ProfileDocument = LinuxDocument | WindowsDocument | NamedProfileDocument;

/** One profile of a document, with where it stands. */
export interface ProfileEntry {
  readonly name: string;
  readonly kind: GuestKind;
  readonly path: readonly string[];
  readonly document: ProfileDocument;
  /** Null under `profiles`, and where the document gives none. */
  readonly vmId: VmId | null;
  /** Whether it is for any number of guests. */
  readonly named: boolean;
}

/** File names of a guest that says nothing else, in its own folder. */
const DEFAULT_FILES = {
  linuxDisk: "rootfs.ext4",
  windowsDisk: "disk",
  ovmfVars: "ovmf_vars.fd",
  vtpmStateDir: "tpm",
} as const;

/** All profiles of a document, `linux` and `windows` first. */
export function profilesOf(document: PolicyDocument): ProfileEntry[] {
  const single = (kind: GuestKind, own: LinuxDocument | WindowsDocument | undefined) =>
    own === undefined ? [] : [{
      name: kind,
      kind,
      path: [kind],
      document: own,
      vmId: (own.vm_id ?? null) as VmId | null,
      named: false,
    }];
  const named = Object.entries(document.profiles).map(([name, own]): ProfileEntry => ({
    name,
    kind: own.kind,
    path: ["profiles", name],
    document: own,
    vmId: null,
    named: true,
  }));
  return [...single("linux", document.linux), ...single("windows", document.windows), ...named];
}

/** The networking that holds for a profile: its own word, else the default's. */
export function networkingOf(document: PolicyDocument, profile: ProfileDocument) {
  return profile.networking ?? document.defaults.networking;
}

/** A path of the profile with its key, as given or by default. */
export interface NamedPath {
  readonly key: readonly (string | number)[];
  readonly template: string;
  readonly explicit: boolean;
}

/** Every file and folder that a profile names, by the key that names it. */
export function pathsOf(entry: ProfileEntry): NamedPath[] {
  const { storage, boot } = entry.document;
  const given = (key: string, file: string | undefined): NamedPath[] =>
    file === undefined ? [] : [{ key: ["boot", key], template: file, explicit: true }];
  return [
    ...Object.entries(storagePaths(entry)).map(([key, path]) => ({
      key: ["storage", key],
      template: path.path,
      explicit: path.explicit,
    })),
    ...storage.shares.map((share, index) => ({
      key: ["storage", "shares", index, "path"],
      template: share.path,
      explicit: true,
    })),
    ...given("kernel", boot.kernel),
    ...given("initrd", boot.initrd),
  ];
}

/** The policy that a document means. */
export function resolvePolicy(document: PolicyDocument): Policy {
  const profiles = profilesOf(document).map((entry): [string, Profile] => [
    entry.name,
    resolveProfile(document, entry),
  ]);
  const { limits, logging, security, presentation, network } = document;
  return {
    version: 0,
    serial: document.serial ?? null,
    hosts: document.hosts ?? null,
    limits: { cpuPercent: limits.cpu_percent, memMib: limits.mem_mib ?? null, vms: limits.vms },
    logging,
    security: {
      virtualization: security.virtualization,
      measure: security.measure,
      guestAgent: security.guest_agent,
    },
    presentation,
    recoveryPassphrase: document.recovery.passphrase ?? null,
    network: { resolver: network.resolver ?? null, allowPrivate: network.allow_private },
    profiles: new Map(profiles),
  };
}

function resolveProfile(document: PolicyDocument, entry: ProfileEntry): Profile {
  const own = entry.document;
  const { boot, limits, storage } = own;
  const { root_disk, disk, ovmf_vars, vtpm_state_dir } = storagePaths(entry);
  return {
    name: entry.name,
    tomlPath: entry.path.join("."),
    kind: entry.kind,
    enabled: own.enabled,
    vmId: entry.vmId,
    autoboot: own.autoboot && document.defaults.autoboot_vms,
    resumesAtBoot: own.on_shutdown === "suspend" && document.defaults.autoboot_vms,
    presentOnBoot: own.present_on_boot ?? document.defaults.present_on_boot,
    networking: networkingOf(document, own),
    provisioningMinutes: own.provisioning_minutes,
    onShutdown: own.on_shutdown,
    limits: {
      cpus: limits.cpus,
      memMib: limits.mem_mib,
      ioMibS: limits.io_mib_s ?? null,
      consoleKibS: limits.console_kib_s,
    },
    storage: {
      disk: root_disk ?? disk,
      bus: storage.bus,
      shares: storage.shares.map((share) => ({
        tag: share.tag,
        path: share.path as PathTemplate,
        readOnly: share.read_only,
        quotaMib: share.quota_mib,
      })),
      windows: ovmf_vars !== undefined && vtpm_state_dir !== undefined
        ? {
          ovmfVars: ovmf_vars,
          vtpmStateDir: vtpm_state_dir,
          secureBoot: "secure_boot" in boot && boot.secure_boot,
        }
        : null,
    },
    boot: boot.kernel === undefined ? null : {
      kernel: boot.kernel as PathTemplate,
      initrd: (boot.initrd ?? null) as PathTemplate | null,
      cmdline: boot.cmdline ?? "",
    },
    devices: own.devices,
  };
}

type StoragePaths =
  | { root_disk: ProfilePath; disk?: never; ovmf_vars?: never; vtpm_state_dir?: never }
  | { root_disk?: never; disk: ProfilePath; ovmf_vars: ProfilePath; vtpm_state_dir: ProfilePath };

function storagePaths(entry: ProfileEntry): StoragePaths {
  const { storage } = entry.document;
  const path = (given: string | undefined, file: string): ProfilePath => ({
    path: (given ?? `${guestFolder(entry.kind, VM_ID_SLOT as VmId)}/${file}`) as PathTemplate,
    explicit: given !== undefined,
  });
  return "root_disk" in storage || entry.kind === "linux"
    ? { root_disk: path((storage as LinuxDocument["storage"]).root_disk, DEFAULT_FILES.linuxDisk) }
    : {
      disk: path((storage as WindowsDocument["storage"]).disk, DEFAULT_FILES.windowsDisk),
      ovmf_vars: path((storage as WindowsDocument["storage"]).ovmf_vars, DEFAULT_FILES.ovmfVars),
      vtpm_state_dir: path(
        (storage as WindowsDocument["storage"]).vtpm_state_dir,
        DEFAULT_FILES.vtpmStateDir,
      ),
    };
}
