/**
 * What a guest gets: the registry asks, the policy decides, and the stricter of the two holds.
 * Asking for more than the policy gives is a violation of that guest alone, never a silent clamp.
 * The result carries all that a plan needs. Nothing here looks at the machine.
 */
import { type DataPath, overlaps, ownedBy } from "../data_path.ts";
import { guestFolder, type VmId } from "../id.ts";
import { errorsOf, type Issue, issue } from "../issue.ts";
import { fillPath, type Policy, type Profile } from "../policy/policy.ts";
import type { BrokenGuest, EffectiveGuest, GuestRecord, Registry } from "./guest.ts";

/** One guest, or why there is none; warnings may stand beside a guest. */
export interface Effective {
  readonly guest: EffectiveGuest | null;
  readonly issues: Issue[];
}

/**
 * The stricter of a record and the policy.
 *
 * @returns the guest, or null with every violation of its record
 */
export function effective(policy: Policy, record: GuestRecord): Effective {
  const issues: Issue[] = [];
  const violation: Violation = (rule, key, expected, found) =>
    issues.push(issue(rule, {
      path: `vms.${record.vmId}.${key}`,
      expected,
      found,
      hint: "change the record, or let the policy give it and sign it again",
    }));
  const profile = policy.profiles.get(record.profile);
  if (profile === undefined) {
    const names = [...policy.profiles.keys()].join(", ") || "none";
    violation(
      "registry.no_profile",
      "profile",
      `a profile of the policy (${names})`,
      record.profile,
    );
    return { guest: null, issues };
  }
  checkName(profile, record, violation);
  checkDevices(profile, record, violation);
  checkDisks(profile, record, violation);
  const own = ownFiles(profile, record, violation);
  if (record.disks.length === 0 && own.boot === null) {
    violation("registry.nothing_to_boot", "storage.disks", "a disk, or a kernel", "neither");
  }
  if (profile.boot !== null && record.boot !== null) issues.push(bootNotUsed(profile, record));
  if (errorsOf(issues).length > 0) return { guest: null, issues };
  const guest = stricterOf(profile, record, own);
  checkOwnFiles(guest, violation);
  return errorsOf(issues).length > 0 ? { guest: null, issues } : { guest, issues };
}

/** The files besides its disks that a guest has by its profile, each below the guest's own folder. */
interface OwnFiles {
  readonly boot: Pick<EffectiveGuest, "kernel" | "initrd" | "cmdline"> | null;
  readonly shares: EffectiveGuest["shares"];
  readonly tpmStateDir: DataPath | null;
  readonly ovmfVars: DataPath | null;
}

function ownFiles(profile: Profile, record: GuestRecord, violation: Violation): OwnFiles {
  const path = (template: string, key: string): DataPath | null => {
    const filled = fillPath(template, record.vmId);
    const owned = filled.ok ? ownedBy(filled.path, record.kind, record.vmId) : filled;
    if (owned.ok) return owned.path;
    violation(owned.rule, `${key} (from ${profile.tomlPath})`, owned.expected, owned.found);
    return null;
  };
  const { windows, shares } = profile.storage;
  // A linux profile has no key for it.
  const vtpmDir = windows?.vtpmStateDir.path ?? `${guestFolder("linux", record.vmId)}/tpm`;
  return {
    ovmfVars: windows === null ? null : path(windows.ovmfVars.path, "storage.ovmf_vars"),
    tpmStateDir: hasTpm(profile, record) ? path(vtpmDir, "storage.vtpm_state_dir") : null,
    shares: shares.flatMap((share) => {
      const own = path(share.path, "storage.shares");
      return own === null ? [] : [{ ...share, path: own }];
    }),
    boot: profile.boot === null ? record.boot : {
      kernel: path(profile.boot.kernel, "boot.kernel"),
      initrd: profile.boot.initrd === null ? null : path(profile.boot.initrd, "boot.initrd"),
      cmdline: profile.boot.cmdline,
    },
  };
}

const hasTpm = (profile: Profile, record: GuestRecord) => record.vtpm && profile.devices.vtpm;

/** Of each thing the less. */
function stricterOf(profile: Profile, record: GuestRecord, own: OwnFiles): EffectiveGuest {
  const { windows } = profile.storage;
  const { boot, shares, tpmStateDir, ovmfVars } = own;
  return {
    vmId: record.vmId,
    kind: record.kind,
    name: record.name,
    profile: profile.name,
    uuid: record.uuid,
    slot: record.slot,
    enabled: profile.enabled,
    autoboot: profile.enabled && profile.autoboot,
    presentOnBoot: profile.presentOnBoot,
    onShutdown: profile.onShutdown,
    vcpus: Math.min(record.vcpus, profile.limits.cpus),
    memoryMiB: Math.min(record.memoryMiB, profile.limits.memMib),
    disks: record.disks,
    shares,
    kernel: boot?.kernel ?? null,
    initrd: boot?.initrd ?? null,
    cmdline: boot?.cmdline ?? null,
    consoleKibS: profile.limits.consoleKibS,
    ioMibS: profile.limits.ioMibS,
    networking: profile.networking,
    provisioningMinutes: profile.provisioningMinutes,
    input: record.input && profile.devices.input,
    gpu: record.gpu === "virtio" && profile.devices.gpu === "virtio" ? "virtio" : "none",
    vtpm: hasTpm(profile, record),
    tpmStateDir,
    windows: ovmfVars === null || windows === null
      ? null
      : { ovmfVars, secureBoot: windows.secureBoot },
  };
}

function bootNotUsed(profile: Profile, record: GuestRecord): Issue {
  return issue("registry.boot_not_used", {
    path: `vms.${record.vmId}.boot`,
    expected: `nothing, since ${profile.tomlPath}.boot is used`,
    found: "a boot of its own",
    hint: "remove it from the record",
    severity: "warning",
  });
}

/** All guests of a registry, those that cannot start, and warnings about those that can. */
export interface EffectiveGuests {
  readonly guests: ReadonlyMap<VmId, EffectiveGuest>;
  readonly broken: readonly BrokenGuest[];
  readonly warnings: readonly Issue[];
}

/**
 * Every guest of a registry held against the policy, and their files against each other: also those
 * that only the policy names.
 */
export function effectiveGuests(policy: Policy, registry: Registry): EffectiveGuests {
  const guests = new Map<VmId, EffectiveGuest>();
  const broken: BrokenGuest[] = [];
  const warnings: Issue[] = [];
  for (const record of registry.guests.values()) {
    const { guest, issues } = effective(policy, record);
    if (guest === null) broken.push({ vmId: record.vmId, issues });
    else {
      guests.set(guest.vmId, guest);
      warnings.push(...issues);
    }
  }
  const all = [...guests.values()];
  for (const guest of all) {
    const issues = all.filter((other) => other !== guest).flatMap((other) =>
      sharedFiles(guest, other).map((file) =>
        issue("path.foreign", {
          path: `vms.${guest.vmId}`,
          expected: "files that no other guest names",
          found: `${file}, which ${other.vmId} names too`,
          hint: "give each guest its own files",
        })
      )
    );
    if (issues.length === 0) continue;
    guests.delete(guest.vmId);
    broken.push({ vmId: guest.vmId, issues });
  }
  warnings.push(...unusedProfiles(policy, registry));
  return { guests, broken, warnings };
}

/** A warning `meaning.profile_unused` for each enabled profile under `profiles` that no record names. */
function unusedProfiles(policy: Policy, registry: Registry): Issue[] {
  const named = new Set([...registry.guests.values()].map((record) => record.profile));
  return [...policy.profiles.values()].filter((profile) =>
    profile.enabled && profile.tomlPath.startsWith("profiles.") && !named.has(profile.name)
  ).map((profile) =>
    issue("meaning.profile_unused", {
      path: profile.tomlPath,
      expected: "a record of the registry that names it",
      found: "none",
      hint: "define a guest with it (`ray vm define`), or remove it from the policy",
      severity: "warning",
    })
  );
}

/** Every file and folder of the data root that a guest names. */
function filesOfGuest(guest: EffectiveGuest): DataPath[] {
  const { kernel, initrd, windows, tpmStateDir } = guest;
  return [
    ...guest.disks.map((disk) => disk.path),
    ...guest.shares.map((share) => share.path),
    ...[kernel, initrd, windows?.ovmfVars, tpmStateDir].filter((file) => file != null),
  ];
}

type Violation = (rule: string, key: string, expected: string, found: string) => void;

function checkName(profile: Profile, record: GuestRecord, violation: Violation): void {
  if (profile.kind !== record.kind) {
    violation("registry.kind_not_in_policy", "kind", profile.kind, record.kind);
  }
  if (profile.vmId !== null && profile.vmId !== record.vmId) {
    violation("registry.vm_id_not_in_policy", "vm_id", profile.vmId, record.vmId);
  }
}

function checkDevices(profile: Profile, record: GuestRecord, violation: Violation): void {
  const { limits, devices } = profile;
  const above = (what: string, key: string, most: number | string, asked: number | string) =>
    violation(`registry.${what}_above_policy`, `devices.${key}`, `at most ${most}`, String(asked));
  if (record.vcpus > limits.cpus) above("vcpus", "vcpus", limits.cpus, record.vcpus);
  if (record.memoryMiB > limits.memMib) {
    above("memory", "memory_mib", `${limits.memMib} MiB`, `${record.memoryMiB} MiB`);
  }
  if (record.input && !devices.input) above("input", "input", "false", "true");
  if (record.gpu !== "none" && devices.gpu === "none") above("gpu", "gpu", "none", record.gpu);
  if (record.vtpm && !devices.vtpm) above("vtpm", "vtpm", "false", "true");
  if (record.kind === "windows" && profile.enabled && !record.vtpm) {
    violation("registry.windows_vtpm", "devices.vtpm", "true for a windows guest", "false");
  }
}

/** Ports of the one AHCI controller that a guest has (q35's ICH9). */
const AHCI_PORTS = 6;

function checkDisks(profile: Profile, record: GuestRecord, violation: Violation): void {
  const ahci = record.disks.filter((disk) => disk.bus === "ahci").length;
  if (ahci > AHCI_PORTS) {
    const expected = `at most ${AHCI_PORTS} disks with bus ahci`;
    violation("registry.ahci_ports", "storage.disks", expected, String(ahci));
  }
  for (const disk of record.disks) {
    const key = `storage.disks.${disk.name}`;
    if (disk.bus === "ahci" && profile.storage.bus !== "ahci") {
      violation("registry.bus_above_policy", `${key}.bus`, profile.storage.bus, disk.bus);
    }
    const named = profile.storage.disk;
    if (disk.name !== "root" || !named.explicit) continue;
    const filled = fillPath(named.path, record.vmId);
    if (filled.ok && filled.path !== disk.path) {
      const expected = `${filled.path}, as ${profile.tomlPath} says`;
      violation("registry.disk_not_in_policy", `${key}.path`, expected, disk.path);
    }
  }
}

function checkOwnFiles(guest: EffectiveGuest, violation: Violation): void {
  const files = filesOfGuest(guest);
  files.forEach((file, index) => {
    if (!files.slice(0, index).some((other) => overlaps(file, other))) return;
    violation("registry.file_twice", "storage", "each file named once", file);
  });
}

function sharedFiles(guest: EffectiveGuest, other: EffectiveGuest): DataPath[] {
  const theirs = filesOfGuest(other);
  return filesOfGuest(guest).filter((file) => theirs.some((one) => overlaps(file, one)));
}
