/**
 * Changes of the registry, as pure functions from text to text: a record comes or goes, and every other
 * record stays as it stands, also one that this program cannot use. Nothing here reads or writes a file.
 */

import type { DataPath } from "../data_path.ts";
import { allSlots, guestFolder, type Slot, slot, type VmId } from "../id.ts";
import { errorsOf, type Issue, issue } from "../issue.ts";
import { readJson } from "../json.ts";
import type { Policy } from "../policy/policy.ts";
import { effectiveGuests } from "./effective.ts";
import type { GuestRecord, Registry } from "./guest.ts";
import { documentOf, parseRegistry, recordOf, renderRegistry, rootDisk } from "./registry.ts";

/** What a person may ask of a new guest; what is left out is the profile's. */
export interface NewGuest {
  readonly vm: VmId;
  readonly profile: string;
  readonly name?: string;
  readonly vcpus?: number;
  readonly memoryMiB?: number;
}

/**
 * The record of a new guest, held against the policy and the guests there are.
 *
 * @param taken slots that belong to a record or to a folder that is still there
 * @param uuid a fresh random UUID
 * @returns the record, or the first thing that stands against it
 */
export function newRecord(
  policy: Policy,
  registry: Registry,
  asked: NewGuest,
  taken: ReadonlySet<Slot>,
  uuid: string,
): GuestRecord | Issue {
  const profile = policy.profiles.get(asked.profile);
  if (profile === undefined) {
    const names = [...policy.profiles.keys()].join(", ") || "none";
    return issue("registry.no_profile", {
      path: `vms.${asked.vm}.profile`,
      expected: `a profile of the policy (${names})`,
      found: asked.profile,
      hint: "name one of them, or add one to the policy and sign it",
    });
  }
  const free = allSlots().find((one) => !taken.has(one));
  if (free === undefined) {
    return issue("registry.no_slot", {
      path: `vms.${asked.vm}.slot`,
      expected: "a free slot",
      found: "none",
      hint: "remove a guest and its folder",
    });
  }
  const root = rootDisk(profile, asked.vm);
  if (root === null) {
    return issue("path.form", {
      path: `vms.${asked.vm}.storage`,
      expected: "a path that fits",
      found: profile.storage.disk.path,
      hint: "take a shorter name",
    });
  }
  const base = recordOf(profile, asked.vm, free, root, uuid);
  const record: GuestRecord = {
    ...base,
    name: asked.name ?? base.name,
    vcpus: asked.vcpus ?? base.vcpus,
    memoryMiB: asked.memoryMiB ?? base.memoryMiB,
  };
  const guests = new Map(registry.guests).set(asked.vm, record);
  const { broken } = effectiveGuests(policy, { version: 0, guests });
  const found = errorsOf(broken.find((one) => one.vmId === asked.vm)?.issues ?? []);
  return found[0] ?? record;
}

/** Slots that the records of a registry's text name, also of records that cannot be used. */
export function slotsInText(text: string): Set<Slot> {
  const found = Object.values(recordsOf(text)).map((record) =>
    slot((record as { slot?: unknown } | null)?.slot)
  );
  return new Set(found.filter((one) => one !== null));
}

/** The text with one record more or replaced. */
export function withRecord(text: string | null, record: GuestRecord): string {
  return render({ ...recordsOf(text), [record.vmId]: documentOf(record) });
}

/** The text without the record of that key. */
export function withoutRecord(text: string, key: string): string {
  const { [key]: _, ...rest } = recordsOf(text);
  return render(rest);
}

function recordsOf(text: string | null): Record<string, unknown> {
  const read = text === null ? null : readJson(text);
  const value = read?.ok ? read.value as { vms?: unknown } : null;
  return { ...(value?.vms as Record<string, unknown> | undefined) };
}

function render(vms: Record<string, unknown>): string {
  const sorted = Object.fromEntries(
    Object.entries(vms).sort(([a], [b]) => a < b ? -1 : a > b ? 1 : 0),
  );
  return `${JSON.stringify({ version: 0, vms: sorted }, null, 2)}\n`;
}

/**
 * The record of a copy of a guest under another name: of the same profile, with as many CPUs, as much memory
 * and the same devices, with disks in its own folder, and a UUID of its own, from which its network address
 * follows.
 *
 * @param taken slots that belong to a record or to a folder that is still there
 * @param uuid a fresh random UUID
 * @returns the record, or the first thing that stands against it
 */
export function clonedRecord(
  policy: Policy,
  registry: Registry,
  source: GuestRecord,
  vm: VmId,
  taken: ReadonlySet<Slot>,
  uuid: string,
): GuestRecord | Issue {
  const { profile, vcpus, memoryMiB } = source;
  const base = newRecord(policy, registry, { vm, profile, vcpus, memoryMiB }, taken, uuid);
  if ("rule" in base) return base;
  const own = `${guestFolder(source.kind, source.vmId)}/`;
  const moved = (path: DataPath): DataPath => {
    const rest = path.startsWith(own) ? path.slice(own.length) : path.slice(path.indexOf("/") + 1);
    return `${guestFolder(source.kind, vm)}/${rest}` as DataPath;
  };
  const root = base.disks[0]?.path;
  const { boot } = source;
  const record: GuestRecord = {
    ...base,
    disks: source.disks.map((disk) => ({
      ...disk,
      // The policy may say what a guest's root disk is called.
      path: disk.name === "root" && root !== undefined ? root : moved(disk.path),
    })),
    input: source.input,
    gpu: source.gpu,
    vtpm: source.vtpm,
    boot: boot === null ? null : {
      kernel: moved(boot.kernel),
      initrd: boot.initrd === null ? null : moved(boot.initrd),
      cmdline: boot.cmdline,
    },
    provisionedAt: source.provisionedAt,
  };
  return firstFault(policy, registry, record) ?? record;
}

/** What stands against a record in that place of the registry; null where nothing does. */
export function firstFault(policy: Policy, registry: Registry, record: GuestRecord): Issue | null {
  const guests = new Map(registry.guests).set(record.vmId, record);
  const rendered = parseRegistry(renderRegistry({ version: 0, guests }));
  const { broken } = effectiveGuests(policy, { version: 0, guests });
  const found = [...rendered.broken, ...broken].find((one) => one.vmId === record.vmId);
  return errorsOf(found?.issues ?? [])[0] ?? null;
}
