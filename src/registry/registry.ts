/**
 * The registry as text and as data: who exists. A fault of the file as a whole leaves no registry; a
 * fault of one record leaves that guest out and says why. It decides nothing about what a guest may
 * have (effective.ts does, with the policy), and reads and writes no file.
 */
import type { core } from "zod/mini";
import { type DataPath, dataPath, overlaps, ownedBy } from "../data_path.ts";
import { allSlots, type Slot, slot, SLOT_COUNT, type VmId, vmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { neverGiven, neverGivenExpected } from "../policy/never_given.ts";
import { fillPath, type Policy, type Profile } from "../policy/policy.ts";
import type { BrokenGuest, GuestDisk, GuestRecord, Registry } from "./guest.ts";
import { type Json, readJson } from "../json.ts";
import { type RecordDocument, recordSchema, registrySchema } from "./schema.ts";

/** Largest registry in bytes. */
export const MAX_REGISTRY_BYTES = 1024 * 1024;

/** A registry, or what is wrong with the file as a whole; and the records that are broken alone. */
export interface ParsedRegistry {
  readonly registry: Registry | null;
  readonly issues: Issue[];
  readonly broken: BrokenGuest[];
}

/**
 * Reads `vm/registry.json`.
 *
 * @param content the file, as text or as its exact bytes (which must be UTF-8)
 */
export function parseRegistry(content: string | Uint8Array): ParsedRegistry {
  const text = textOf(content);
  if (typeof text !== "string") return whole([text]);
  const read = readJson(text);
  if (!read.ok) {
    const { rule, ...parts } = read.fault;
    return whole([issue(`registry.${rule}`, { ...parts, hint: "correct the file at that place" })]);
  }
  const version = isObject(read.value) ? read.value["version"] : undefined;
  if (typeof version === "number" && version !== 0) {
    return whole([issue("registry.version", {
      path: "version",
      expected: "0",
      found: String(version),
      hint: "this version of RayOS knows registries of version 0 only",
    })]);
  }
  const shape = registrySchema.safeParse(read.value);
  if (!shape.success) return whole(shapeIssues(shape.error.issues, []));
  const count = Object.keys(shape.data.vms).length;
  if (count > SLOT_COUNT) {
    const expected = `at most ${SLOT_COUNT} records, as many as there are slots`;
    return whole([registryIssue("registry.too_many", ["vms"], expected, `${count}`)]);
  }
  const guests = new Map<VmId, GuestRecord>();
  const broken: BrokenGuest[] = [];
  for (const [key, value] of Object.entries(shape.data.vms)) {
    const record = readRecord(key, value);
    if ("issues" in record) broken.push(record);
    else guests.set(record.vmId, record);
  }
  for (const [id, issues] of clashes([...guests.values()])) {
    guests.delete(id);
    broken.push({ vmId: id, issues });
  }
  return { registry: { version: 0, guests }, issues: [], broken };
}

/**
 * The registry of a data root with no history: one guest for each enabled profile that names one.
 *
 * @param makeUuid a fresh random UUID each time
 */
export function registryFromPolicy(policy: Policy, makeUuid: () => string): Registry {
  const slots = allSlots();
  const records = [...policy.profiles.values()].flatMap((profile): GuestRecord[] => {
    const { vmId: id } = profile;
    const free = slots[0];
    if (!profile.enabled || id === null || free === undefined) return [];
    const root = rootDisk(profile, id);
    if (root === null) return [];
    slots.shift();
    return [recordOf(profile, id, free, root, makeUuid())];
  });
  return { version: 0, guests: new Map(records.map((record) => [record.vmId, record])) };
}

/** The file's text: the same bytes for the same registry, ending in a line end. */
export function renderRegistry(registry: Registry): string {
  const ids = [...registry.guests.keys()].sort();
  const vms = Object.fromEntries(ids.flatMap((id) => {
    const record = registry.guests.get(id);
    return record === undefined ? [] : [[id, documentOf(record)]];
  }));
  return `${JSON.stringify({ version: 0, vms }, null, 2)}\n`;
}

function textOf(content: string | Uint8Array): string | Issue {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  if (bytes.length > MAX_REGISTRY_BYTES) {
    return issue("registry.size", {
      expected: `at most ${MAX_REGISTRY_BYTES} bytes`,
      found: `${bytes.length} bytes`,
      hint: "put back a registry that was saved before",
    });
  }
  if (typeof content === "string") return content;
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(content);
  } catch {
    return issue("registry.utf8", {
      expected: "UTF-8",
      found: "bytes that are not UTF-8",
      hint: "put back a registry that was saved before",
    });
  }
}

function readRecord(key: string, value: unknown): GuestRecord | BrokenGuest {
  const at = ["vms", key];
  const id = vmId(key);
  if (id === null) {
    const expected = "a guest name: a-z 0-9 -, at most 63 characters";
    return brokenBy(key, [registryIssue("registry.vm_id", at, expected, key)]);
  }
  const shape = recordSchema.safeParse(value);
  if (!shape.success) return brokenBy(key, shapeIssues(shape.error.issues, at));
  const own = shape.data;
  const issues: Issue[] = [];
  if (own.vm_id !== key) {
    const path = [...at, "vm_id"];
    issues.push(registryIssue("registry.id_differs", path, `"${key}", as the key`, own.vm_id));
  }
  const checked = (given: string, ...keys: string[]): DataPath => {
    const lexical = dataPath(given);
    const result = lexical.ok ? ownedBy(lexical.path, own.kind, id) : lexical;
    if (result.ok) return result.path;
    issues.push(registryIssue(result.rule, [...at, ...keys], result.expected, result.found));
    return given as DataPath;
  };
  const record = toRecord(own, id, checked);
  return issues.length > 0 || record === null ? brokenBy(key, issues) : record;
}

function toRecord(
  own: RecordDocument,
  id: VmId,
  checked: (given: string, ...keys: string[]) => DataPath,
): GuestRecord | null {
  const ownSlot = slot(own.slot);
  if (ownSlot === null) return null;
  const disks = Object.entries(own.storage.disks).map(([name, disk]): GuestDisk => ({
    name,
    path: checked(disk.path, "storage", "disks", name, "path"),
    format: disk.format,
    bus: disk.bus,
  }));
  const { boot, devices } = own;
  return {
    vmId: id,
    name: own.name ?? id,
    kind: own.kind,
    profile: own.profile,
    uuid: own.uuid.toLowerCase(),
    slot: ownSlot,
    state: own.state,
    disks: inOrder(disks),
    vcpus: devices.vcpus,
    memoryMiB: devices.memory_mib,
    input: devices.input,
    gpu: devices.gpu,
    vtpm: devices.vtpm,
    boot: boot === null ? null : {
      kernel: checked(boot.kernel, "boot", "kernel"),
      initrd: boot.initrd === null ? null : checked(boot.initrd, "boot", "initrd"),
      cmdline: boot.cmdline,
    },
    provisionedAt: own.provisioned_at,
    savedState: own.saved_state,
  };
}

/** `root` first, then by name, so that a guest always sees its disks in the same order. */
function inOrder(disks: GuestDisk[]): GuestDisk[] {
  const rank = (disk: GuestDisk) => disk.name === "root" ? "" : disk.name;
  return disks.sort((a, b) => rank(a) < rank(b) ? -1 : rank(a) > rank(b) ? 1 : 0);
}

/** Records that are fine by themselves and have a slot, a UUID or a file in common with another. */
function clashes(records: readonly GuestRecord[]): Map<VmId, Issue[]> {
  const found = new Map<VmId, Issue[]>();
  const report = (record: GuestRecord, rule: string, expected: string, what: string) => {
    const one = registryIssue(rule, ["vms", record.vmId], expected, what);
    found.set(record.vmId, [...found.get(record.vmId) ?? [], one]);
  };
  for (const [index, one] of records.entries()) {
    for (const other of records.slice(index + 1)) {
      for (const [record, against] of [[one, other], [other, one]] as const) {
        if (one.slot === other.slot) {
          const what = `${record.slot}, which ${against.vmId} has too`;
          report(record, "registry.slot_twice", "a slot of its own", what);
        }
        if (one.uuid === other.uuid) {
          const what = `${record.uuid}, which ${against.vmId} has too`;
          report(record, "registry.uuid_twice", "a UUID of its own", what);
        }
        const shared = filesOf(record).find((file) =>
          filesOf(against).some((theirs) => overlaps(file, theirs))
        );
        if (shared !== undefined) {
          const what = `${shared}, which ${against.vmId} names too`;
          report(record, "path.foreign", "files that no other guest names", what);
        }
      }
    }
  }
  return found;
}

function filesOf(record: GuestRecord): DataPath[] {
  const boot = record.boot === null ? [] : [record.boot.kernel, record.boot.initrd ?? []].flat();
  return [...record.disks.map((disk) => disk.path), ...boot];
}

export function rootDisk(profile: Profile, id: VmId): GuestDisk | null {
  const { disk, bus } = profile.storage;
  const filled = fillPath(disk.path, id);
  if (!filled.ok) return null;
  // Only the record says that a disk is qcow2, so the signed file name decides what it will say.
  const format = filled.path.endsWith(".qcow2") ? "qcow2" : "raw";
  return { name: "root", path: filled.path, format, bus };
}

export function recordOf(
  profile: Profile,
  id: VmId,
  own: Slot,
  root: GuestDisk,
  uuid: string,
): GuestRecord {
  return {
    vmId: id,
    name: id,
    kind: profile.kind,
    profile: profile.name,
    uuid: uuid.toLowerCase(),
    slot: own,
    state: "defined",
    disks: [root],
    vcpus: profile.limits.cpus,
    memoryMiB: profile.limits.memMib,
    ...profile.devices,
    boot: null,
    provisionedAt: null,
    savedState: null,
  };
}

export function documentOf(record: GuestRecord): RecordDocument {
  const { boot } = record;
  return {
    vm_id: record.vmId,
    name: record.name,
    kind: record.kind,
    profile: record.profile,
    uuid: record.uuid,
    slot: record.slot,
    state: record.state,
    storage: {
      disks: Object.fromEntries(
        record.disks.map(({ name, path, format, bus }) => [name, { path, format, bus }]),
      ),
    },
    devices: {
      vcpus: record.vcpus,
      memory_mib: record.memoryMiB,
      input: record.input,
      gpu: record.gpu,
      vtpm: record.vtpm,
    },
    boot: boot === null
      ? null
      : { kernel: boot.kernel, initrd: boot.initrd, cmdline: boot.cmdline },
    provisioned_at: record.provisionedAt,
    saved_state: record.savedState,
  };
}

function shapeIssues(found: readonly core.$ZodIssue[], at: readonly string[]): Issue[] {
  return found.slice(0, 20).flatMap((one) => {
    const path = [...at, ...one.path.map(String)];
    if (one.code === "unrecognized_keys") {
      return one.keys.slice(0, 20).map((key) => {
        const never = path.length > 0 ? neverGiven(key) : null;
        return never === null
          ? registryIssue("registry.unknown_key", [...path, key], "a known key", key)
          : registryIssue("registry.device_none", [...path, key], neverGivenExpected(never), key);
      });
    }
    const expected = one.code === "invalid_type"
      ? `a value of type ${one.expected}`
      : one.code === "invalid_value"
      ? one.values.map((value) => JSON.stringify(value)).join(" or ")
      : one.code === "too_small"
      ? `at least ${one.minimum}`
      : one.code === "too_big"
      ? `at most ${one.maximum}`
      : one.message;
    return [registryIssue("registry.shape", path, expected, "something else, or nothing")];
  });
}

function registryIssue(rule: string, path: readonly string[], expected: string, found: string) {
  const shown = path.map((part) => part.length > 64 ? `${part.slice(0, 64)}…` : part).join(".");
  const hint = "correct the record in vm/registry.json";
  const short = found.length > 120 ? `${found.slice(0, 120)}…` : found;
  return issue(rule, { path: shown, expected, found: short, hint });
}

function brokenBy(key: string, issues: Issue[]): BrokenGuest {
  return { vmId: key, issues };
}

function whole(issues: Issue[]): ParsedRegistry {
  return { registry: null, issues, broken: [] };
}

function isObject(value: Json): value is { [key: string]: Json } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
