/**
 * `vm.clone`: another guest of the same profile with copies of a guest's disks. The policy must allow a guest
 * of that name as it must for `vm.define`. UUID and slot are new, and with the UUID the network address; a
 * TPM's state is never copied. The record comes last, so that a clone is there in whole or not at all.
 */

import { randomUUID } from "node:crypto";
import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import { copyFile } from "../disk/copy.ts";
import { makeFolder } from "../folder.ts";
import { beginPending, decide, dropPending, isDecided, stagedPath } from "../disk/pending.ts";
import { diskPlaces } from "../disk/places.ts";
import { mostBytes, neededBytes, roomIssue } from "../disk/room.ts";
import { dropUnfinished } from "../disk/work.ts";
import { guestFolder, type VmId, vmId } from "../id.ts";
import { issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { NVRAM } from "../plan/device.ts";
import { launchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { clonedRecord, slotsInText } from "../registry/change.ts";
import { effectiveGuests } from "../registry/effective.ts";
import type { DiskFormat, EffectiveGuest, GuestRecord } from "../registry/guest.ts";
import type { Runtime } from "../runtime.ts";
import { notDone, takePlaces } from "./backup_commands.ts";
import { type DiskLauncher, lookAtDisk } from "./disk_commands.ts";
import {
  type Args,
  checkUnused,
  guestFile,
  type GuestWork,
  makeParents,
  orRefuse,
  read,
  refuseAs,
  Refused,
  roomLeft,
  workOnGuest,
} from "./guest_work.ts";
import { currentText, slotsOfFolders } from "./registry_change.ts";

const CLONE_ARGS = v.looseObject({ to: v.string() });

/** One file of the clone: a disk, which is converted, or anything else, which is copied. */
interface CloneFile {
  readonly name: string;
  readonly from: string;
  readonly to: string;
  readonly format: DiskFormat | null;
}

export function clone(
  runtime: Runtime,
  permit: Allowed<"vm.clone">,
  args: Args,
  launcher: DiskLauncher,
): Promise<Outcome> {
  return workOnGuest(runtime, permit, true, async (work) => {
    const { host } = runtime;
    const to = vmId(read(CLONE_ARGS, args).to);
    if (to === null) {
      const expected = "a guest name: a-z 0-9 -, at most 63 characters";
      throw new Refused(issue("control.form", { path: "to", expected, found: "another text" }));
    }
    checkUnused(work);
    const started = host.clock.monoMs();
    const made = { vm: to, kind: work.owner.kind };
    const files = cloneFiles(work, plannedRecord(work, to));
    for (const file of files) checkFile(work, file);
    // A name that is only worked on is no guest's yet: no condition of the table knows it.
    if (runtime.busy.has(to)) {
      const hint = "wait until that is done, or choose another name";
      throw new Refused(
        issue("vm.busy", { path: "to", expected: "a name that is free", found: to, hint }),
      );
    }
    runtime.busy.set(to, permit.op);
    try {
      makeParents(runtime, `${guestFolder(made.kind, to)}/x`);
      if (isDecided(host, made)) notDone(to);
      beginPending(host, made);
      for (const file of files) await stage(work, launcher, to, file);
      // Another guest may have come meanwhile, or another policy.
      const record = plannedRecord(work, to);
      for (const file of files) {
        makeParents(runtime, file.to);
        checkFree(runtime, file.to);
      }
      const waiting = files.map((file) => ({ staged: file.name, path: file.to }));
      decide(host, made, { aside: null, files: waiting, record });
      takePlaces(runtime, { ...work, owner: { ...made, slot: record.slot } }, record);
      const ms = Math.round(host.clock.monoMs() - started);
      const path = guestFolder(made.kind, to);
      runtime.emit({ type: "disk_done", vm: to, what: permit.op, path, bytes: 0, ms });
      const { slot, uuid, disks } = record;
      return {
        vm: to,
        from: work.owner.vm,
        slot,
        uuid,
        folder: path,
        disks,
        ms,
        ...roomLeft(runtime),
      };
    } finally {
      runtime.busy.delete(to);
      if (!isDecided(host, made)) dropPending(host, made);
    }
  });
}

/** The clone's record as things are now. @throws Refused where there may be none */
function plannedRecord({ runtime, permit, record }: GuestWork, to: VmId): GuestRecord {
  const { inForce, registry } = runtime;
  const asked = { op: "vm.define", vm: to } as const;
  const decision = runtime.decide(permit.caller, asked);
  if (!decision.allow) refuseAs(decision);
  const text = currentText(runtime);
  if (inForce === null || registry === null || text === null) {
    throw new Refused(issue("registry.unreadable", {
      expected: "a registry that can be read",
      found: "none",
      hint: "look at vm/registry.json first",
    }));
  }
  const taken = new Set([...slotsInText(text), ...slotsOfFolders(runtime)]);
  return orRefuse(clonedRecord(inForce.policy, registry, record, to, taken, randomUUID()));
}

/** Which file of the guest becomes which of the clone: those that both plans call the same. */
function cloneFiles({ runtime, owner, record }: GuestWork, made: GuestRecord): CloneFile[] {
  const { inForce, registry, facts } = runtime;
  if (inForce === null || registry === null) return [];
  const guests = new Map(registry.guests).set(made.vmId, made);
  const all = effectiveGuests(inForce.policy, { version: 0, guests }).guests;
  const [source, target] = [all.get(owner.vm), all.get(made.vmId)];
  if (source === undefined || target === undefined) {
    throw new Refused(issue("vm.violation", { expected: "a sound record", found: owner.vm }));
  }
  const plan = (guest: EffectiveGuest) => launchPlan(inForce.policy, guest, facts).files;
  const theirs = plan(source);
  return plan(target).flatMap(({ name, path }): CloneFile[] => {
    const from = theirs.find((one) => one.name === name)?.path;
    if (from === undefined) return [];
    // Variables are made at the first start: a guest that has had none has nothing to copy.
    if (name === NVRAM && runtime.host.lstat(`${PATHS.dataRoot}/${from}`) === null) return [];
    const format = record.disks.find((disk) => disk.path === from)?.format ?? null;
    return [{ name, from, to: path, format }];
  });
}

function checkFile({ runtime, owner }: GuestWork, file: CloneFile): void {
  guestFile(runtime, file.from, owner);
  checkFree(runtime, file.to);
}

function checkFree({ host }: Runtime, path: string): void {
  if (host.lstat(`${PATHS.dataRoot}/${path}`) === null) return;
  throw new Refused(issue("disk.exists", {
    path,
    expected: "nothing where the clone's files go",
    found: "a file",
    hint: "move it away, or choose another name",
  }));
}

/** Brings one file to where it waits. */
async function stage(
  { runtime, owner, permit }: GuestWork,
  launcher: DiskLauncher,
  to: VmId,
  file: CloneFile,
): Promise<void> {
  const { host } = runtime;
  const waits = stagedPath({ kind: owner.kind, vm: to }, file.name);
  const free = host.freeBytes(PATHS.dataRoot);
  if (file.format === null) {
    const { size } = guestFile(runtime, file.from, owner);
    orRefuse(roomIssue(size, free));
    await copyFile(host, `${PATHS.dataRoot}/${file.from}`, waits);
    return;
  }
  const disk = lookAtDisk(host, owner, file.from, file.format);
  orRefuse(roomIssue(neededBytes(disk.format, disk.virtualBytes, disk.fileBytes), free));
  const places = diskPlaces(owner);
  makeFolder(host, places.state);
  dropUnfinished(host, owner);
  try {
    await launcher(owner, {
      verb: "convert",
      path: file.from,
      from: disk.format,
      to: disk.format,
      bytes: disk.virtualBytes,
      mostBytes: mostBytes(free),
    }, (percent) => runtime.busy.set(owner.vm, `${permit.op} ${file.name} ${percent} %`));
    host.renameNew(places.unfinished, waits);
    host.syncDirectory(places.state);
  } finally {
    dropUnfinished(host, owner);
  }
}
