/**
 * `disk.info`, `disk.create`, `disk.import`, `disk.export` and `disk.resize`: what a person may have done to
 * the disks of one guest that has ended. Nothing that is there is replaced: an image is made in a file
 * without a use, brought to the disk, and then given a name that nothing has.
 */

import * as v from "valibot";
import type { Outcome } from "../control/protocol.ts";
import type { DataPath } from "../data_path.ts";
import { formatOf, formatOfName, type ImageFacts, imageFacts, sizeIssue } from "../disk/image.ts";
import { listBackups } from "../disk/backup.ts";
import { makeFolder } from "../folder.ts";
import { boxPath, diskPath, diskPlaces } from "../disk/places.ts";
import { mostBytes, neededBytes, roomIssue } from "../disk/room.ts";
import {
  type DiskOwner,
  type DiskWork,
  dropUnfinished,
  publish,
  workOnDisk,
} from "../disk/work.ts";
import type { Host } from "../host/port.ts";
import { uidOf } from "../id.ts";
import { issue } from "../issue.ts";
import { oneAtATime } from "../one_at_a_time.ts";
import { PATHS } from "../permissions.ts";
import { HEADER_BYTES } from "../plan/disk_header.ts";
import { checkGuestFile } from "../plan/file_check.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { DiskFormat, GuestRecord } from "../registry/guest.ts";
import type { Operation, Runtime } from "../runtime.ts";
import {
  type Args,
  checkUnused,
  orRefuse,
  read,
  Refused,
  roomLeft,
  workOnGuest,
} from "./guest_work.ts";

const NAME = v.pipe(v.string(), v.minLength(1), v.maxLength(255));
const BYTES = v.pipe(v.number(), v.safeInteger(), v.minValue(1));
const FORMAT = v.picklist(["raw", "qcow2"]);
const INFO_ARGS = v.looseObject({ disk: v.optional(NAME) });
const CREATE_ARGS = v.looseObject({ disk: NAME, bytes: BYTES });
const IMPORT_ARGS = v.looseObject({ file: NAME, disk: NAME, from: v.optional(FORMAT) });
const EXPORT_ARGS = v.looseObject({ disk: NAME, file: v.optional(NAME) });

/** The launcher, one use at a time. */
export type DiskLauncher = (
  owner: DiskOwner,
  what: DiskWork,
  told: (percent: number) => void,
) => Promise<void>;

export function diskLauncher(host: Host): DiskLauncher {
  return oneAtATime((owner, what, told) => workOnDisk(host, owner, what, told));
}

/** A disk that was looked at. */
export interface Looked extends ImageFacts {
  readonly path: string;
  readonly fileBytes: number;
}

/** The operations, by name. */
export function diskOperations(runtime: Runtime, work: DiskLauncher): [LiveOp, Operation][] {
  const around = (op: LiveOp, body: (guest: GuestDisks, args: Args) => Promise<unknown>) =>
    [op, (permit: Allowed, args: Args) => carryOut(runtime, work, permit, args, body)] as [
      LiveOp,
      Operation,
    ];
  return [
    around("disk.info", (guest, args) => Promise.resolve(guest.info(read(INFO_ARGS, args).disk))),
    around("disk.create", (guest, args) => {
      const { disk, bytes } = read(CREATE_ARGS, args);
      return guest.create(disk, bytes);
    }),
    around("disk.import", (guest, args) => {
      const { file, disk, from } = read(IMPORT_ARGS, args);
      return guest.import(file, disk, from);
    }),
    around("disk.export", (guest, args) => {
      const { disk, file } = read(EXPORT_ARGS, args);
      return guest.export(disk, file);
    }),
    around("disk.resize", (guest, args) => {
      const { disk, bytes } = read(CREATE_ARGS, args);
      return guest.resize(disk, bytes);
    }),
  ];
}

async function carryOut(
  runtime: Runtime,
  work: DiskLauncher,
  permit: Allowed,
  args: Args,
  body: (guest: GuestDisks, args: Args) => Promise<unknown>,
): Promise<Outcome> {
  const changes = permit.op !== "disk.info";
  return await workOnGuest(runtime, permit, changes, (guest) => {
    if (changes) checkUnused(guest);
    return body(new GuestDisks(runtime, guest.record, guest.owner, permit.op, work), args);
  });
}

/** The disks of one guest while one operation is done to them. */
class GuestDisks {
  constructor(
    readonly runtime: Runtime,
    readonly record: GuestRecord,
    readonly owner: DiskOwner,
    readonly op: LiveOp,
    readonly work: DiskLauncher,
  ) {}

  info(name: string | undefined): unknown {
    const { record, owner, runtime } = this;
    const asked = name === undefined
      ? record.disks.map((disk) => disk.path)
      : [orRefuse(diskPath(owner, name))];
    const disks = asked.map((path) => {
      const used = record.disks.find((disk) => disk.path === path)?.name ?? null;
      try {
        return { ...shown(this.look(path)), used_as: used };
      } catch (error) {
        if (!(error instanceof Refused) || name !== undefined) throw error;
        return { path, rule: error.issue.rule, used_as: used };
      }
    });
    return { vm: owner.vm, disks, backups: listBackups(runtime.host, owner), ...roomLeft(runtime) };
  }

  async create(name: string, bytes: number): Promise<unknown> {
    const path = this.newPath(orRefuse(diskPath(this.owner, name)));
    orRefuse(sizeIssue(bytes));
    const to = this.formatAt(path);
    this.checkRoom(neededBytes(to, bytes, 0));
    return await this.make(path, { verb: "create", to, bytes });
  }

  async import(file: string, name: string, from: DiskFormat | undefined): Promise<unknown> {
    const { runtime: { host }, owner } = this;
    makeFolder(host, diskPlaces(owner).inbox);
    const path = this.newPath(orRefuse(diskPath(owner, name)));
    const source = orRefuse(boxPath(owner, "inbox", file));
    const found = this.look(source, (head) => from ?? orRefuse(formatOf(head)));
    return await this.convert(found, path, this.formatAt(path));
  }

  async export(name: string, file: string | undefined): Promise<unknown> {
    const { runtime: { host }, owner } = this;
    makeFolder(host, diskPlaces(owner).outbox);
    const found = this.look(orRefuse(diskPath(owner, name)));
    const base = found.path.slice(found.path.lastIndexOf("/") + 1);
    const path = this.newPath(orRefuse(boxPath(owner, "outbox", file ?? base)));
    return await this.convert(found, path, formatOfName(path));
  }

  async resize(name: string, bytes: number): Promise<unknown> {
    const found = this.look(orRefuse(diskPath(this.owner, name)));
    orRefuse(sizeIssue(bytes));
    if (bytes <= found.virtualBytes) {
      throw new Refused(issue("disk.shrink", {
        path: found.path,
        expected: `more than its ${found.virtualBytes} bytes`,
        found: String(bytes),
        hint: "a disk only grows: what lies at its end would be lost",
      }));
    }
    this.checkRoom(
      found.format === "raw" ? bytes - found.virtualBytes : neededBytes("qcow2", 0, 0),
    );
    const work = { verb: "resize", path: found.path, from: found.format, bytes } as const;
    return await this.finish(found.path, work);
  }

  private async convert(found: Looked, path: DataPath, to: DiskFormat): Promise<unknown> {
    const { path: source, format: from, virtualBytes, fileBytes } = found;
    this.checkRoom(neededBytes(to, virtualBytes, fileBytes));
    if (from === "qcow2") {
      await this.do({ verb: "check", path: source, from, bytes: fileBytes });
    }
    const free = this.runtime.host.freeBytes(PATHS.dataRoot);
    return await this.make(path, {
      verb: "convert",
      path: source,
      from,
      to,
      bytes: virtualBytes,
      mostBytes: mostBytes(free),
    });
  }

  /** Makes an image and gives it that name. */
  private async make(path: DataPath, work: DiskWork): Promise<unknown> {
    const { runtime: { host }, owner } = this;
    makeFolder(host, diskPlaces(owner).state);
    dropUnfinished(host, owner);
    try {
      return await this.finish(path, work, diskPlaces(owner).unfinished);
    } finally {
      // Nothing where it got its name.
      dropUnfinished(host, owner);
    }
  }

  private async finish(path: string, work: DiskWork, made?: string): Promise<unknown> {
    const { runtime, owner, op } = this;
    const { host, emit } = runtime;
    const started = host.clock.monoMs();
    await this.do(work);
    if (made !== undefined) publish(host, made, `${PATHS.dataRoot}/${path}`);
    const done = this.look(path);
    const ms = Math.round(host.clock.monoMs() - started);
    emit({ type: "disk_done", vm: owner.vm, what: op, path, bytes: done.virtualBytes, ms });
    return { vm: owner.vm, ...shown(done), ms, ...roomLeft(runtime) };
  }

  private async do(work: DiskWork): Promise<void> {
    const { runtime, owner, op } = this;
    await this.work(owner, work, (percent) => runtime.busy.set(owner.vm, `${op} ${percent} %`));
  }

  /** What is there under that path. @throws Refused where it is nothing that is worked on */
  private look(path: string, format?: (head: Uint8Array) => DiskFormat): Looked {
    return lookAtDisk(this.runtime.host, this.owner, path, format ?? this.formatAt(path));
  }

  /** The record says what its disks are; of any other file its name does. */
  private formatAt(path: string): DiskFormat {
    return this.record.disks.find((disk) => disk.path === path)?.format ?? formatOfName(path);
  }

  /** A name that nothing has, in a folder that is there. */
  private newPath(path: DataPath): DataPath {
    const { runtime: { host }, owner } = this;
    const checked = checkGuestFile(host, path, uidOf("qemu", owner.slot));
    if (!("rule" in checked) || host.lstat(`${PATHS.dataRoot}/${path}`) !== null) {
      throw new Refused(issue("disk.exists", {
        path,
        expected: "a name that nothing has",
        found: "a file",
        hint: "choose another name: nothing is ever replaced",
      }));
    }
    const folder = path.slice(0, path.lastIndexOf("/"));
    if (checked.rule !== "path.missing") throw new Refused(checked);
    if (host.lstat(`${PATHS.dataRoot}/${folder}`)?.type === "directory") return path;
    throw new Refused({ ...checked, path: folder, expected: "a folder", hint: "make it first" });
  }

  private checkRoom(needed: number): void {
    orRefuse(roomIssue(needed, this.runtime.host.freeBytes(PATHS.dataRoot)));
  }
}

function shown({ path, format, virtualBytes, fileBytes }: Looked): Record<string, unknown> {
  return { path, format, virtual_bytes: virtualBytes, file_bytes: fileBytes };
}

/** A disk of that owner's. @throws Refused where it is nothing that is worked on */
export function lookAtDisk(
  host: Host,
  owner: DiskOwner,
  path: string,
  format: DiskFormat | ((head: Uint8Array) => DiskFormat),
): Looked {
  const facts = orRefuse(checkGuestFile(host, path, uidOf("qemu", owner.slot)));
  const head = host.head(`${PATHS.dataRoot}/${path}`, HEADER_BYTES) ?? new Uint8Array();
  const image = imageFacts(typeof format === "string" ? format : format(head), head, facts.size);
  if ("rule" in image) throw new Refused({ ...image, path });
  return { ...image, path, fileBytes: facts.size };
}
