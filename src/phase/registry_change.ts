/**
 * `vm.define` and `vm.remove`: changes of the registry while the host runs, each one atomic write. A
 * guest's folder is never removed here: it is named to the person, and its slot stays taken until it is
 * gone.
 */

import { randomUUID } from "node:crypto";
import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import { makeFolder } from "../folder.ts";
import { guestFolder, type Slot, slotOfUid } from "../id.ts";
import { PATHS } from "../permissions.ts";
import { launchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { newRecord, slotsInText, withoutRecord, withRecord } from "../registry/change.ts";
import { effectiveGuests } from "../registry/effective.ts";
import { MAX_REGISTRY_BYTES, parseRegistry } from "../registry/registry.ts";
import type { Runtime } from "../runtime.ts";
import { syncGuests } from "./launch.ts";
import { REGISTRY_FILE } from "./registry.ts";

const DEFINE_ARGS = v.looseObject({
  profile: v.string(),
  name: v.optional(v.pipe(v.string(), v.minLength(1), v.maxLength(100))),
  vcpus: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(64))),
  memory_mib: v.optional(v.pipe(v.number(), v.integer(), v.minValue(32), v.maxValue(2 ** 24))),
});

type Args = Readonly<Record<string, unknown>>;

/** Adds a guest that the policy has a profile for. */
export function defineGuest(
  runtime: Runtime,
  permit: Allowed<"vm.define">,
  args: Args,
): Outcome {
  const { inForce, registry } = runtime;
  const parsed = v.safeParse(DEFINE_ARGS, args);
  if (!parsed.success) {
    const [first] = parsed.issues;
    return no("control.form", `${v.getDotPath(first) ?? "args"}: expected ${first.expected}`);
  }
  if (permit.vm === null || inForce === null || registry === null) {
    return no("vm.safe_mode", "no registry is in use");
  }
  const { profile, name, vcpus, memory_mib: memoryMiB } = parsed.output;
  const text = currentText(runtime);
  if (text === null) return unreadable();
  const record = newRecord(
    inForce.policy,
    registry,
    {
      vm: permit.vm,
      profile,
      ...(name === undefined ? {} : { name }),
      ...(vcpus === undefined ? {} : { vcpus }),
      ...(memoryMiB === undefined ? {} : { memoryMiB }),
    },
    new Set([...slotsInText(text), ...slotsOfFolders(runtime)]),
    randomUUID(),
  );
  if ("rule" in record) {
    return no(record.rule, `${record.path}: expected ${record.expected}, found ${record.found}`);
  }
  makeFolder(runtime.host, `${PATHS.dataRoot}/${guestFolder(record.kind, permit.vm)}`);
  runtime.host.replace(REGISTRY_FILE, withRecord(text, record));
  runtime.registry = {
    version: 0,
    guests: new Map(registry.guests).set(permit.vm, record),
  };
  replan(runtime);
  const folder = guestFolder(record.kind, permit.vm);
  return {
    ok: true,
    result: { vm: permit.vm, slot: record.slot, uuid: record.uuid, folder, disks: record.disks },
  };
}

/** Takes a guest out of the registry; its folder stays. */
export function removeGuest(runtime: Runtime, permit: Allowed<"vm.remove">): Outcome {
  const { host, registry } = runtime;
  const text = currentText(runtime);
  if (permit.vm === null || registry === null) {
    return no("vm.safe_mode", "no registry is in use");
  }
  if (text === null) return unreadable();
  const record = registry.guests.get(permit.vm);
  host.replace(REGISTRY_FILE, withoutRecord(text, permit.vm));
  const guests = new Map(registry.guests);
  guests.delete(permit.vm);
  runtime.registry = { version: 0, guests };
  runtime.guests.delete(permit.vm);
  runtime.broken = runtime.broken.filter((one) => one.vm !== permit.vm);
  replan(runtime);
  const folder = record === undefined ? null : guestFolder(record.kind, permit.vm);
  const kept = folder !== null && host.lstat(`${PATHS.dataRoot}/${folder}`) !== null;
  return { ok: true, result: { vm: permit.vm, folder: kept ? folder : null } };
}

/** The file's text; null where someone damaged it meanwhile: it is left as it is then. */
export function currentText(runtime: Runtime): string | null {
  const text = runtime.host.readText(REGISTRY_FILE, MAX_REGISTRY_BYTES);
  return text === null || parseRegistry(text).registry === null ? null : text;
}

function unreadable(): Outcome {
  return no("registry.unreadable", "vm/registry.json cannot be read any more; look at it first");
}

/**
 * Slots whose files still lie in some guest's folder: a disk keeps the uid of the slot that used it, and
 * a new guest must not find itself their owner.
 */
export function slotsOfFolders({ host }: Runtime): Slot[] {
  const found: Slot[] = [];
  for (const kind of ["linux", "windows"]) {
    const kindFolder = `${PATHS.dataRoot}/vm/${kind}`;
    for (const guest of host.list(kindFolder)) {
      if (host.lstat(`${kindFolder}/${guest}`)?.type !== "directory") continue;
      for (const file of host.list(`${kindFolder}/${guest}`)) {
        const facts = host.lstat(`${kindFolder}/${guest}/${file}`);
        const slot = facts === null ? null : slotOfUid(facts.uid);
        if (slot !== null) found.push(slot);
      }
    }
  }
  return found;
}

/** Plans for what the registry says now. */
export function replan(runtime: Runtime): void {
  const { inForce, registry, facts } = runtime;
  if (inForce === null || registry === null) return;
  const { guests } = effectiveGuests(inForce.policy, registry);
  runtime.plans = [...guests.values()].map((one) => launchPlan(inForce.policy, one, facts));
  syncGuests(runtime);
}

function no(rule: string, detail: string): Outcome {
  return { ok: false, rule, detail };
}
