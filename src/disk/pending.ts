/**
 * Files that take their places together, and a record with them: a restored guest, or a clone. They are
 * brought to the disk in `state/pending/` first. Then one file, `state/pending.json`, says what goes where;
 * from that moment the change is decided, before it nothing has happened. What a power cut leaves of it is
 * finished by the next start, before anybody reads the registry.
 *
 * What a place held before goes to a folder of the host's, and is never removed.
 */

import * as z from "zod/mini";
import { dataPath, ownedBy } from "../data_path.ts";
import type { Host } from "../host/port.ts";
import { guestFolder, type GuestKind, type VmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { withRecord } from "../registry/change.ts";
import type { GuestRecord } from "../registry/guest.ts";
import { documentOf, MAX_REGISTRY_BYTES, parseRegistry } from "../registry/registry.ts";
import { makeFolder } from "../folder.ts";

type Of = { readonly kind: GuestKind; readonly vm: VmId };

const MAX_PENDING_BYTES = 64 * 1024;
export const FILE_NAME = /^[a-z0-9][a-z0-9._-]{0,63}$/;

const name = z.string().check(z.regex(FILE_NAME));
const PENDING = z.strictObject({
  version: z.literal(0),
  /** Where in `backup/aside/` lies what was there before; null: nothing may be there. */
  aside: z.nullable(z.int().check(z.minimum(1))),
  files: z.array(z.strictObject({ staged: name, path: z.string() })),
  record: z.unknown(),
});

/** A change that is decided. */
export interface Pending {
  readonly aside: number | null;
  /** The name in `state/pending/`, and the path under the data root where it belongs. */
  readonly files: readonly { readonly staged: string; readonly path: string }[];
  readonly record: GuestRecord;
}

function placesOf({ kind, vm }: Of) {
  const own = `${PATHS.dataRoot}/${guestFolder(kind, vm)}`;
  const state = `${own}/state`;
  const backup = `${own}/backup`;
  return { own, state, backup, folder: `${state}/pending`, plan: `${state}/pending.json` };
}

/** The full path of a file that waits. */
export function stagedPath(of: Of, staged: string): string {
  return `${placesOf(of).folder}/${staged}`;
}

/** The full path of the folder with what was there before. */
export function asideFolder(of: Of, count: number): string {
  return `${placesOf(of).backup}/aside/${count}`;
}

/** Makes the folders for files that wait, and takes away those of a change that was never decided. */
export function beginPending(host: Host, of: Of): void {
  const { own, state, folder } = placesOf(of);
  for (const one of [own, state, folder]) makeFolder(host, one);
  dropPending(host, of);
}

/** Takes away the files of a change that was never decided. @returns whether there were any */
export function dropPending(host: Host, of: Of): boolean {
  const { folder } = placesOf(of);
  const left = host.list(folder).filter((one) => host.lstat(`${folder}/${one}`)?.type === "file");
  for (const one of left) host.remove(`${folder}/${one}`);
  return left.length > 0;
}

/** A number for what will be set aside, and its folder. */
export function makeAside(host: Host, of: Of): number {
  const { backup } = placesOf(of);
  const aside = `${backup}/aside`;
  for (const one of [backup, aside]) makeFolder(host, one);
  const numbers = host.list(aside).map(Number).filter(Number.isSafeInteger);
  const count = Math.max(0, ...numbers) + 1;
  makeFolder(host, `${aside}/${count}`);
  return count;
}

/** Decides it: from here on it happens, whatever happens. */
export function decide(host: Host, of: Of, pending: Pending): void {
  const { folder, state, plan } = placesOf(of);
  host.syncDirectory(folder);
  host.syncDirectory(state);
  const { aside, files, record } = pending;
  const document = { version: 0, aside, files, record: documentOf(record) };
  host.replace(plan, `${JSON.stringify(document, null, 2)}\n`);
}

/** Whether something is decided and not done. */
export function isDecided(host: Host, of: Of): boolean {
  return host.lstat(placesOf(of).plan) !== null;
}

/**
 * Does what is decided, from wherever it was left.
 *
 * @param registryFile full path of the registry
 * @returns what stands in the way; then everything decided is still there, and the guest must not start
 */
export function carryOutPending(host: Host, of: Of, registryFile: string): Issue | null {
  const { state, plan } = placesOf(of);
  const pending = readPending(host, of);
  if ("rule" in pending) return pending;
  const text = host.readText(registryFile, MAX_REGISTRY_BYTES);
  if (text === null || parseRegistry(text).registry === null) {
    return refused("a registry that can be read", "none", "mend vm/registry.json first");
  }
  const missing = pending.files.find(({ staged, path }) =>
    host.lstat(stagedPath(of, staged)) === null && host.lstat(whole(path)) === null
  );
  if (missing !== undefined) {
    const hint = "restore the guest from a backup again, then remove state/pending.json";
    return refused(`${missing.path}, or the file that takes its place`, "neither", hint);
  }
  for (const { staged, path } of pending.files) {
    const problem = place(host, of, pending.aside, staged, path);
    if (problem !== null) return problem;
  }
  host.replace(registryFile, withRecord(text, pending.record));
  host.remove(plan);
  host.syncDirectory(state);
  return null;
}

function place(
  host: Host,
  of: Of,
  aside: number | null,
  staged: string,
  path: string,
): Issue | null {
  const from = stagedPath(of, staged);
  // It is there already: a cut came after this one.
  if (host.lstat(from) === null) return null;
  const to = whole(path);
  const folder = to.slice(0, to.lastIndexOf("/"));
  if (host.lstat(to) !== null) {
    if (aside === null) {
      return refused(`nothing at ${path}`, "a file", "move it away, then start the host again");
    }
    host.rename(to, `${asideFolder(of, aside)}/${staged}`);
    // Before anything takes its name.
    host.syncDirectory(asideFolder(of, aside));
    host.syncDirectory(folder);
  }
  host.rename(from, to);
  host.syncDirectory(folder);
  return null;
}

function readPending(host: Host, of: Of): Pending | Issue {
  const { plan } = placesOf(of);
  const text = host.readText(plan, MAX_PENDING_BYTES);
  const parsed = PENDING.safeParse(json(text));
  const hint = "look at the file; without it the guest is as its folder shows";
  if (!parsed.success) return refused("what is to be done, as JSON", "something else", hint);
  const { aside, files, record } = parsed.data;
  const registry = parseRegistry(JSON.stringify({ version: 0, vms: { [of.vm]: record } })).registry;
  const guest = registry?.guests.get(of.vm);
  if (guest === undefined || guest.kind !== of.kind) {
    return refused(`a record of ${of.vm}`, "something else", hint);
  }
  const foreign = files.find(({ path }) => {
    const lexical = dataPath(path);
    return !lexical.ok || !ownedBy(lexical.path, of.kind, of.vm).ok;
  });
  if (foreign !== undefined) return refused("paths of the guest's own", foreign.path, hint);
  return { aside, files, record: guest };
}

function refused(expected: string, found: string, hint: string): Issue {
  return issue("disk.pending", { path: "state/pending.json", expected, found, hint });
}

function whole(path: string): string {
  return `${PATHS.dataRoot}/${path}`;
}

function json(text: string | null): unknown {
  try {
    return JSON.parse(text ?? "");
  } catch {
    return null;
  }
}
