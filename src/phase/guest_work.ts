/**
 * What all work on a guest's disks has in common: the guest's record, the mark that it is worked on, by which
 * `authorize` keeps everything else away, and a refusal on the way as the answer.
 */

import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import { makeFolder } from "../folder.ts";
import type { DiskOwner } from "../disk/work.ts";
import { guestFolder, uidOf } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { checkGuestFile } from "../plan/file_check.ts";
import type { Allowed, Denied } from "../policy/authorize.ts";
import type { GuestRecord } from "../registry/guest.ts";
import type { Runtime } from "../runtime.ts";
import { savedPlaces } from "../saved/places.ts";
import { noticeRoom } from "./disk_tidy.ts";

export type Args = Readonly<Record<string, unknown>>;

/** A refusal on the way; becomes the answer. */
export class Refused extends Error {
  constructor(readonly issue: Issue) {
    super(issue.rule);
  }
}

/** @throws Refused where it is an issue */
export function orRefuse<T>(value: T | Issue | null): T {
  if (typeof value === "object" && value !== null && "rule" in value) throw new Refused(value);
  return value as T;
}

/** A second decision that this work needs went against it. */
export function refuseAs(denied: Denied): never {
  throw new Refused(
    issue(denied.rule, { expected: "what the policy allows", found: denied.detail }),
  );
}

/** A request's arguments. @throws Refused `control.form` */
export function read<const S extends v.GenericSchema>(schema: S, args: Args): v.InferOutput<S> {
  const parsed = v.safeParse(schema, args);
  if (parsed.success) return parsed.output;
  const [first] = parsed.issues;
  throw new Refused(issue("control.form", {
    path: v.getDotPath(first) ?? "args",
    expected: first.expected ?? "another value",
    found: first.received,
  }));
}

/** Who is worked on. */
export interface GuestWork {
  readonly runtime: Runtime;
  readonly permit: Allowed;
  readonly record: GuestRecord;
  readonly owner: DiskOwner;
}

/** A guest whose record or plan does not hold, or was not read in this mode, has nothing that could be done to it. */
export function noPlan(permit: Allowed): Extract<Outcome, { ok: false }> {
  const detail = `${permit.vm}: its record does not hold or was not read; \`ray status\` says why`;
  return { ok: false, rule: "vm.violation", detail };
}

/** Does it, with the guest marked as worked on where it `changes` anything. */
export async function workOnGuest(
  runtime: Runtime,
  permit: Allowed,
  changes: boolean,
  body: (work: GuestWork) => Promise<unknown>,
): Promise<Outcome> {
  const record = permit.vm === null ? undefined : runtime.registry?.guests.get(permit.vm);
  if (record === undefined) return noPlan(permit);
  const owner = { vm: record.vmId, kind: record.kind, slot: record.slot };
  if (changes) runtime.busy.set(record.vmId, permit.op);
  try {
    if (changes) {
      makeFolder(runtime.host, `${PATHS.dataRoot}/${guestFolder(record.kind, record.vmId)}`);
    }
    return { ok: true, result: await body({ runtime, permit, record, owner }) };
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    const { rule, path, expected, found, hint } = error.issue;
    const place = path === "" ? "" : `${path}: `;
    const todo = hint === "" ? "" : `; ${hint}`;
    return { ok: false, rule, detail: `${place}expected ${expected}, found ${found}${todo}` };
  } finally {
    if (changes) runtime.busy.delete(record.vmId);
  }
}

/**
 * Disks that a saved memory remembers, or that a process has open, are not touched, whatever the guest's
 * state says. @throws Refused
 */
export function checkUnused({ runtime: { host }, owner }: GuestWork): void {
  if (host.processesOf(owner.slot).length > 0) {
    throw new Refused(issue("disk.in_use", {
      expected: "no process of the guest's",
      found: "one that did not end",
      hint: "restart the host",
    }));
  }
  if (host.lstat(savedPlaces(owner).state) === null) return;
  throw new Refused(issue("disk.saved_state", {
    expected: "a guest without saved memory",
    found: "one that would go on from it",
    hint: `start and stop ${owner.vm}, or set its state aside with \`ray vm reset-state\``,
  }));
}

/** The folders above a path of the guest's, made where they are missing. */
export function makeParents(runtime: Runtime, path: string): void {
  const parts = path.split("/");
  for (let n = 1; n < parts.length; n++) {
    makeFolder(runtime.host, `${PATHS.dataRoot}/${parts.slice(0, n).join("/")}`);
  }
}

/** A file of the guest's, looked at. @throws Refused where it is none */
export function guestFile(
  runtime: Runtime,
  path: string,
  owner: DiskOwner,
  process: "qemu" | "swtpm" = "qemu",
) {
  return orRefuse(checkGuestFile(runtime.host, path, uidOf(process, owner.slot)));
}

/** What is left, and whether that is little; a person is told in the log as well. */
export function roomLeft(runtime: Runtime): { free_bytes: number; low: boolean } {
  return { free_bytes: runtime.host.freeBytes(PATHS.dataRoot), low: noticeRoom(runtime) };
}
