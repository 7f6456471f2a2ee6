/**
 * `vm.backup` and `vm.restore`. A backup is a folder of copies that counts from the moment in which its
 * manifest is on the disk. A restore copies them back beside the guest's files, compares every hash, and then
 * lets all take their places together; what was there before is kept and named.
 */

import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import {
  type BackupFile,
  backupFiles,
  backupFolder,
  beginBackup,
  dropUnfinishedBackups,
  finishBackup,
  type ManifestDocument,
  readBackup,
} from "../disk/backup.ts";
import { type Content, contentOf, copyFile } from "../disk/copy.ts";
import {
  asideFolder,
  beginPending,
  carryOutPending,
  decide,
  dropPending,
  isDecided,
  makeAside,
  stagedPath,
} from "../disk/pending.ts";
import { roomIssue } from "../disk/room.ts";
import type { FileFacts } from "../host/port.ts";
import { guestFolder } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { TPM_STATE } from "../plan/device.ts";
import type { Allowed } from "../policy/authorize.ts";
import { effectiveGuests } from "../registry/effective.ts";
import { firstFault } from "../registry/change.ts";
import type { GuestRecord } from "../registry/guest.ts";
import { documentOf } from "../registry/registry.ts";
import type { Runtime } from "../runtime.ts";
import { type Held, holdGuest } from "./backup_hold.ts";
import {
  type Args,
  checkUnused,
  guestFile,
  type GuestWork,
  makeParents,
  orRefuse,
  read,
  Refused,
  roomLeft,
  workOnGuest,
} from "./guest_work.ts";
import { unfinished } from "./pending_finish.ts";
import { REGISTRY_FILE } from "./registry.ts";
import { replan } from "./registry_change.ts";

const RESTORE_ARGS = v.looseObject({
  backup: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(999_999)),
});

const full = (path: string) => `${PATHS.dataRoot}/${path}`;

export function backUp(runtime: Runtime, permit: Allowed<"vm.backup">): Promise<Outcome> {
  return workOnGuest(runtime, permit, true, async (work) => {
    const { vm } = work.owner;
    const before = runtime.guests.get(vm)?.state ?? "unknown";
    const started = runtime.host.clock.monoMs();
    const held = await holdGuest(work);
    let made: Awaited<ReturnType<typeof copyAll>>;
    try {
      made = await copyAll(work, held, before);
    } catch (error) {
      dropUnfinishedBackups(runtime.host, work.owner);
      throw error;
    } finally {
      await held.letGo();
    }
    const ms = Math.round(runtime.host.clock.monoMs() - started);
    const { folder: path, bytes } = made;
    runtime.emit({ type: "disk_done", vm, what: permit.op, path, bytes, ms });
    const state = runtime.guests.get(vm)?.state ?? "unknown";
    return { vm, ...made, consistent: held.consistent, ms, state, ...roomLeft(runtime) };
  });
}

async function copyAll(work: GuestWork, held: Held, state: string) {
  const { runtime, owner, record } = work;
  const { host, inForce } = runtime;
  const files = filesOf(runtime, record).map((file) => ({
    ...file,
    facts: guestFile(runtime, file.path, owner, file.owner),
  }));
  const whole = files.reduce((sum, { facts }) => sum + facts.size, 0);
  orRefuse(roomIssue(roomOf(files.map((file) => file.facts)), host.freeBytes(PATHS.dataRoot)));
  const backup = beginBackup(host, owner);
  const copied: ManifestDocument["files"] = [];
  let before = 0;
  for (const { name, path } of files) {
    const told = (bytes: number) => tell(work, before + bytes, whole);
    const content = await copyFile(
      host,
      full(path),
      `${backupFolder(owner, backup)}/${name}`,
      told,
    );
    copied.push({ name, path, ...content });
    before += content.bytes;
  }
  const folder = `${guestFolder(owner.kind, owner.vm)}/backup/${backup}`;
  const boot = await bootFiles(work);
  held.check();
  finishBackup(host, owner, backup, {
    version: 0,
    vm_id: owner.vm,
    kind: owner.kind,
    uuid: record.uuid,
    made_at: host.clock.wall().toISOString(),
    policy: inForce?.sha256 ?? null,
    state,
    consistent: held.consistent,
    files: copied,
    boot,
    record: documentOf(record),
  });
  return { backup, folder, files: copied.map((file) => file.name), bytes: before };
}

/** Every file of the guest that a backup holds. */
function filesOf(runtime: Runtime, record: GuestRecord): BackupFile[] {
  const { inForce, registry, host } = runtime;
  const guests = inForce === null || registry === null
    ? null
    : effectiveGuests(inForce.policy, registry).guests;
  return backupFiles(host, record, guests?.get(record.vmId) ?? null);
}

/** Kernel and initrd as they are now. */
async function bootFiles({ runtime, owner }: GuestWork): Promise<ManifestDocument["boot"]> {
  const plan = runtime.plans.find((one) => one.vm === owner.vm);
  const found: ManifestDocument["boot"] = [];
  for (const { path } of plan?.files.filter((file) => file.access === "ro") ?? []) {
    guestFile(runtime, path, owner);
    found.push({ path, ...await contentOf(runtime.host, full(path)) });
  }
  return found;
}

/** What copies of these take: a hole is copied as one. */
function roomOf(files: readonly FileFacts[]): number {
  return files.reduce((sum, { size, allocated = size }) => sum + Math.min(size, allocated), 0);
}

function tell({ runtime, owner, permit }: GuestWork, done: number, whole: number): void {
  if (!runtime.busy.has(owner.vm)) return;
  const percent = whole === 0 ? 100 : Math.floor(done / whole * 100);
  runtime.busy.set(owner.vm, `${permit.op} ${percent} %`);
}

/**
 * A backup's manifest lies on the data partition: a file of it takes no place but one that the guest has by
 * its record and the policy of now.
 */
function checkPlaces(
  { inForce, registry }: Runtime,
  manifest: ManifestDocument,
  record: GuestRecord,
): void {
  if (inForce === null || registry === null) return;
  const guests = new Map(registry.guests).set(record.vmId, record);
  const own = effectiveGuests(inForce.policy, { version: 0, guests }).guests.get(record.vmId);
  const places: string[] = record.disks.map((disk) => disk.path);
  if (own?.windows) places.push(own.windows.ovmfVars);
  if (own?.tpmStateDir) places.push(`${own.tpmStateDir}/${TPM_STATE}`);
  const foreign = manifest.files.find(({ path }) => !places.includes(path));
  if (foreign === undefined) return;
  throw new Refused(issue("path.foreign", {
    path: foreign.path,
    expected: "a file that the guest has by its record and the policy",
    found: "another",
    hint: "take another backup, or let the record name the file again",
  }));
}

export function restore(
  runtime: Runtime,
  permit: Allowed<"vm.restore">,
  args: Args,
): Promise<Outcome> {
  return workOnGuest(runtime, permit, true, async (work) => {
    const { host } = runtime;
    const { owner } = work;
    const { backup } = read(RESTORE_ARGS, args);
    checkUnused(work);
    if (isDecided(host, owner)) notDone(owner.vm);
    const started = host.clock.monoMs();
    const { manifest, record: kept } = orRefuse(readBackup(host, owner, backup));
    // The slot is the guest's now, whatever it was then.
    const record = { ...kept, slot: work.record.slot, state: work.record.state };
    checkRecord(runtime, record);
    checkPlaces(runtime, manifest, record);
    const sizes = manifest.files.map((file) => {
      const facts = host.lstat(`${backupFolder(owner, backup)}/${file.name}`);
      return facts?.type === "file" ? facts : damaged(file.name, file.sha256, "no file");
    });
    orRefuse(roomIssue(roomOf(sizes), host.freeBytes(PATHS.dataRoot)));
    beginPending(host, owner);
    try {
      await stageAll(work, backup, manifest);
      // A policy may have come into force meanwhile.
      checkRecord(runtime, record);
      checkPlaces(runtime, manifest, record);
      for (const { path } of manifest.files) makeParents(runtime, path);
      const aside = makeAside(host, owner);
      const files = manifest.files.map(({ name, path }) => ({ staged: name, path }));
      decide(host, owner, { aside, files, record });
      takePlaces(runtime, work, record);
      const bytes = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
      const ms = Math.round(host.clock.monoMs() - started);
      const path = `${guestFolder(owner.kind, owner.vm)}/backup/${backup}`;
      runtime.emit({ type: "disk_done", vm: owner.vm, what: permit.op, path, bytes, ms });
      return {
        vm: owner.vm,
        backup,
        restored: files.map((file) => file.path),
        aside: asideFolder(owner, aside).slice(PATHS.dataRoot.length + 1),
        boot_differs: await bootDifferences(work, manifest),
        ms,
        ...roomLeft(runtime),
      };
    } finally {
      if (!isDecided(host, owner)) dropPending(host, owner);
    }
  });
}

/** Copies every file of a backup beside the guest's, and compares what was copied. */
async function stageAll(
  work: GuestWork,
  backup: number,
  manifest: ManifestDocument,
): Promise<void> {
  const { runtime: { host }, owner } = work;
  const whole = manifest.files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  for (const { name, bytes, sha256 } of manifest.files) {
    const told = (count: number) => tell(work, before + count, whole);
    const from = `${backupFolder(owner, backup)}/${name}`;
    const found: Content = await copyFile(host, from, stagedPath(owner, name), told);
    if (found.bytes !== bytes || found.sha256 !== sha256) damaged(name, sha256, found.sha256);
    before += bytes;
  }
}

function damaged(name: string, expected: string, found: string): never {
  throw new Refused(issue("backup.damaged", {
    path: name,
    expected,
    found,
    hint: "nothing was changed; take another backup",
  }));
}

function checkRecord(runtime: Runtime, record: GuestRecord): void {
  const { inForce, registry } = runtime;
  if (inForce === null || registry === null) {
    throw new Refused(issue("vm.safe_mode", { expected: "a policy in force", found: "none" }));
  }
  orRefuse(firstFault(inForce.policy, registry, record));
}

/** What is decided is done, in this program and on the disk. @throws Refused where it cannot be */
export function takePlaces(runtime: Runtime, { owner }: GuestWork, record: GuestRecord): void {
  let problem: Issue | null;
  try {
    problem = carryOutPending(runtime.host, owner, REGISTRY_FILE);
  } catch (error) {
    problem = unfinished(error);
  }
  if (problem !== null) {
    // It does not start between two states; the next start of the host finishes it.
    runtime.broken.push({ vm: owner.vm, issues: [problem] });
    throw new Refused(problem);
  }
  const guests = new Map(runtime.registry?.guests).set(record.vmId, record);
  runtime.registry = { version: 0, guests };
  replan(runtime);
}

export function notDone(vm: string): never {
  throw new Refused(issue("disk.pending", {
    expected: "nothing that is decided and not done",
    found: `a change of ${vm}'s files`,
    hint: "restart the host, which finishes it or says why it cannot",
  }));
}

/** Kernel and initrd that are not what the guest had when it was backed up. */
async function bootDifferences(work: GuestWork, manifest: ManifestDocument): Promise<string[]> {
  const now = await bootFiles(work).catch(() => []);
  return manifest.boot.filter((then) => !now.some((one) => one.sha256 === then.sha256))
    .map((then) => then.path);
}
