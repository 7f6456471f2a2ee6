/**
 * A backup of a guest: a numbered folder `backup/<n>/` of copies, and `manifest.json`, which is written last.
 * A folder without it is no backup. It says which files belong to one, where they lie, and reads what a
 * folder says of itself; what is done with it stands elsewhere.
 */

import * as z from "zod/mini";
import { type DataPath, dataPath, ownedBy } from "../data_path.ts";
import type { Host } from "../host/port.ts";
import { guestFolder, type GuestKind, type VmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { TPM_STATE } from "../plan/device.ts";
import type { EffectiveGuest, GuestRecord } from "../registry/guest.ts";
import { parseRegistry } from "../registry/registry.ts";
import { makeFolder } from "../folder.ts";
import { FILE_NAME } from "./pending.ts";

type Of = { readonly kind: GuestKind; readonly vm: VmId };

/** A guest has few files; a longer text is none of ours. */
const MAX_MANIFEST_BYTES = 64 * 1024;

const sha256 = z.string().check(z.regex(/^[0-9a-f]{64}$/));
const bytes = z.int().check(z.minimum(0));

/**
 * How a backup's files come to belong to one moment. `stopped`: nothing ran. `suspended`: its memory was
 * saved and its machine ended. `paused`: its vCPUs were held, so that the disks are what a power cut leaves.
 * `frozen+paused`: besides, the guest says that it had written down everything before; only the guest knows.
 */
const CONSISTENT = ["stopped", "suspended", "frozen+paused", "paused"] as const;
export type Consistent = typeof CONSISTENT[number];

const MANIFEST = z.strictObject({
  version: z.literal(0),
  vm_id: z.string(),
  kind: z.enum(["linux", "windows"]),
  uuid: z.string(),
  made_at: z.string(),
  /** SHA-256 of the policy that was in force. */
  policy: z.nullable(sha256),
  /** The guest's state before it was copied. */
  state: z.string(),
  /** How its files were kept from changing meanwhile; not there in backups of before this was written. */
  consistent: z.optional(z.enum(CONSISTENT)),
  files: z.array(z.strictObject({
    name: z.string().check(z.regex(FILE_NAME)),
    path: z.string(),
    bytes,
    sha256,
  })),
  /** Kernel and initrd are not copied: the policy or the record names them, and they rarely change. */
  boot: z.array(z.strictObject({ path: z.string(), bytes, sha256 })),
  record: z.unknown(),
});

/** A manifest that has the shape. */
export type ManifestDocument = z.output<typeof MANIFEST>;

/** A backup that was read, with its record. */
export interface Backup {
  readonly manifest: ManifestDocument;
  readonly record: GuestRecord;
}

/** One file that a backup holds. */
export interface BackupFile {
  /** In the backup's folder. */
  readonly name: string;
  readonly path: DataPath;
  /** Whose uid may own it, beside root's. */
  readonly owner: "qemu" | "swtpm";
}

/**
 * Every file that belongs to a guest's backup: its disks, and where they are there the firmware's variables
 * and the TPM's state.
 */
export function backupFiles(
  host: Host,
  record: GuestRecord,
  guest: Pick<EffectiveGuest, "windows" | "tpmStateDir"> | null,
): BackupFile[] {
  const files = record.disks.map(({ name, path }): BackupFile => ({
    name: `disk-${name}`,
    path,
    owner: "qemu",
  }));
  const vars = guest?.windows?.ovmfVars;
  if (vars !== undefined && host.lstat(`${PATHS.dataRoot}/${vars}`) !== null) {
    files.push({ name: "nvram", path: vars, owner: "qemu" });
  }
  const state = guest?.tpmStateDir ?? null;
  if (state === null || host.lstat(`${PATHS.dataRoot}/${state}`) === null) return files;
  const tpm = host.list(`${PATHS.dataRoot}/${state}`)
    // The one file in which swtpm keeps a TPM: a captured one may make any number of others.
    .filter((name) => name === TPM_STATE)
    .map((name): BackupFile => ({
      name: `tpm-${name}`,
      path: `${state}/${name}` as DataPath,
      owner: "swtpm",
    }));
  return [...files, ...tpm];
}

/** The full path of all of a guest's backups. */
function backupsFolder({ kind, vm }: Of): string {
  return `${PATHS.dataRoot}/${guestFolder(kind, vm)}/backup`;
}

/** The full path of one backup. */
export function backupFolder(of: Of, count: number): string {
  return `${backupsFolder(of)}/${count}`;
}

function manifestPath(of: Of, count: number): string {
  return `${backupFolder(of, count)}/manifest.json`;
}

const NUMBER = /^[1-9]\d{0,5}$/;

/** The numbers of all whole backups, the oldest first. */
export function wholeBackups(host: Host, of: Of): number[] {
  return numbers(host, of).filter((count) => host.lstat(manifestPath(of, count)) !== null);
}

/** The whole backups, as a person is shown them. */
export function listBackups(host: Host, of: Of) {
  return wholeBackups(host, of).map((count) => {
    const read = readBackup(host, of, count);
    if ("rule" in read) return { backup: count, rule: read.rule };
    const { made_at, files, consistent = null } = read.manifest;
    return {
      backup: count,
      made_at,
      consistent,
      bytes: files.reduce((sum, file) => sum + file.bytes, 0),
    };
  });
}

function numbers(host: Host, of: Of): number[] {
  return host.list(backupsFolder(of)).filter((name) => NUMBER.test(name)).map(Number)
    .sort((one, other) => one - other);
}

/** Takes away copies that belong to no whole backup. @returns how many */
export function dropUnfinishedBackups(host: Host, of: Of): number {
  const whole = wholeBackups(host, of);
  const left = numbers(host, of).filter((count) => !whole.includes(count)).flatMap((count) => {
    const folder = backupFolder(of, count);
    return host.list(folder).map((name) => `${folder}/${name}`);
  }).filter((path) => host.lstat(path)?.type === "file");
  for (const path of left) host.remove(path);
  return left.length;
}

/** The folder of the next backup, made where it is missing. @returns its number */
export function beginBackup(host: Host, of: Of): number {
  makeFolder(host, backupsFolder(of));
  dropUnfinishedBackups(host, of);
  const count = Math.max(0, ...wholeBackups(host, of)) + 1;
  makeFolder(host, backupFolder(of, count));
  return count;
}

/** Makes it a backup. */
export function finishBackup(host: Host, of: Of, count: number, manifest: ManifestDocument): void {
  host.syncDirectory(backupFolder(of, count));
  host.replace(manifestPath(of, count), `${JSON.stringify(manifest, null, 2)}\n`);
}

/** What a backup says of itself. */
export function readBackup(host: Host, of: Of, count: number): Backup | Issue {
  const path = `${guestFolder(of.kind, of.vm)}/backup/${count}/manifest.json`;
  if (host.lstat(manifestPath(of, count)) === null) {
    const whole = wholeBackups(host, of).join(", ") || "none";
    return issue("backup.unknown", {
      path,
      expected: `one of the whole backups (${whole})`,
      found: String(count),
      hint: "`ray disk info` lists them",
    });
  }
  const damaged = (found: string) =>
    issue("backup.damaged", { path, expected: "a backup's manifest", found, hint: "take another" });
  const parsed = MANIFEST.safeParse(
    json(host.readText(manifestPath(of, count), MAX_MANIFEST_BYTES)),
  );
  if (!parsed.success) return damaged("something else");
  const manifest = parsed.data;
  if (manifest.vm_id !== of.vm || manifest.kind !== of.kind) return damaged("another guest's");
  const registry = parseRegistry(
    JSON.stringify({ version: 0, vms: { [of.vm]: manifest.record } }),
  ).registry;
  const record = registry?.guests.get(of.vm);
  if (record === undefined) return damaged("a record that does not hold");
  const foreign = manifest.files.find((file) => {
    const lexical = dataPath(file.path);
    return !lexical.ok || !ownedBy(lexical.path, of.kind, of.vm).ok;
  });
  if (foreign !== undefined) return damaged(`a path that is not the guest's: ${foreign.path}`);
  const names = manifest.files.flatMap((file) => [`n ${file.name}`, `p ${file.path}`]);
  if (new Set(names).size !== names.length) return damaged("a file twice");
  return { manifest, record };
}

function json(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}
