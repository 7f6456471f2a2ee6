/**
 * `ray disk info|create|import|export|resize`: the disks of one guest, each command one request over the
 * control socket. They decide nothing; a denial is the host's.
 */

import { buildCommand, buildRouteMap } from "@stricli/core";
import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, neededText, one, optionalText, two } from "./flags.ts";
import { hostCommand } from "./host_commands.ts";
import { showingProgress } from "./progress.ts";

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  K: 2 ** 10,
  M: 2 ** 20,
  G: 2 ** 30,
  T: 2 ** 40,
};

/** Bytes, from 512M, 8G, 1T or a plain number. @throws SyntaxError */
export function bytesOf(text: string): number {
  const [, digits = "", unit = ""] = /^(\d{1,15})([KMGT]?)$/.exec(text) ?? [];
  const bytes = Number(digits) * (UNITS[unit] ?? 1);
  if (digits === "" || !Number.isSafeInteger(bytes)) {
    throw new SyntaxError(`${text} is no size; say it as 512M, 8G or 1T`);
  }
  return bytes;
}

/** A size as a person reads it. */
export function sizeText(bytes: number): string {
  const units = ["bytes", "KiB", "MiB", "GiB", "TiB"];
  const power = bytes < 1024 ? 0 : Math.min(4, Math.floor(Math.log2(bytes) / 10));
  const value = bytes / 1024 ** power;
  return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[power]}`;
}

const ROOM = { free_bytes: v.number(), low: v.boolean() };
const DISK = {
  path: v.string(),
  format: v.string(),
  virtual_bytes: v.number(),
  file_bytes: v.number(),
};
const DONE = v.looseObject({ vm: v.string(), ...DISK, ms: v.number(), ...ROOM });
const INFO = v.looseObject({
  vm: v.string(),
  disks: v.array(v.union([
    v.looseObject({ ...DISK, used_as: v.nullable(v.string()) }),
    v.looseObject({ path: v.string(), rule: v.string(), used_as: v.nullable(v.string()) }),
  ])),
  backups: v.array(v.looseObject({
    backup: v.number(),
    made_at: v.optional(v.string()),
    bytes: v.optional(v.number()),
    rule: v.optional(v.string()),
  })),
  ...ROOM,
});

/** How much room is left, with a warning where it is little. */
export function roomText(room: { readonly free_bytes: number; readonly low: boolean }): string {
  const left = sizeText(room.free_bytes);
  return room.low ? `warning: RayOS Data runs low, ${left} left\n` : `RayOS Data: ${left} left\n`;
}

function renderDone(result: unknown): string {
  const done = v.safeParse(DONE, result);
  if (!done.success) return "rayos: disk: the host answered in another shape; use --json\n";
  const { path, format, virtual_bytes: size, ms } = done.output;
  return `${escapeUnsafe(path)}: ${escapeUnsafe(format)}, ${sizeText(size)}, in ${
    (ms / 1000).toFixed(1)
  } s\n${roomText(done.output)}`;
}

/** The disks of a guest for a person. */
export function renderInfo(result: unknown): string {
  const info = v.safeParse(INFO, result);
  if (!info.success) return "rayos: disk: the host answered in another shape; use --json\n";
  const lines = info.output.disks.map((disk) => {
    const used = disk.used_as === null ? "" : `, disk ${disk.used_as}`;
    const what = "format" in disk
      ? `${disk.format}, ${sizeText(disk.virtual_bytes as number)} for the guest, file of ${
        sizeText(disk.file_bytes as number)
      }`
      : `cannot be used: ${disk.rule}`;
    return `${escapeUnsafe(`${disk.path}: ${what}${used}`)}\n`;
  });
  const backups = info.output.backups.map(({ backup, made_at: at, bytes, rule }) => {
    const what = rule === undefined
      ? `of ${at ?? "an unknown time"}, ${sizeText(bytes ?? 0)}`
      : `cannot be used: ${rule}`;
    return `${escapeUnsafe(`backup ${backup}: ${what}`)}\n`;
  });
  return [...lines, ...backups].join("") + roomText(info.output);
}

/** Asks for work on a guest's disks and shows how far it is. */
export function diskWork(
  context: CliContext,
  op: string,
  args: { readonly vm: string } & Record<string, unknown>,
  json: boolean,
  render: (result: unknown) => string,
): Promise<void> {
  const work = () => hostCommand(context, op, args, json, render);
  return guarded(context, () => showingProgress(context, args.vm, json, work));
}

const ID = ["ID", "the guest's name"] as const;
const DISK_NAME = ["DISK", "a file of the guest's folder"] as const;
const size = {
  kind: "parsed",
  parse: bytesOf,
  brief: "bytes, or 512M, 8G, 1T",
  placeholder: "SIZE",
} as const;

interface Info extends Json {
  readonly disk?: string;
}

const info = buildCommand<Info, [string], CliContext>({
  docs: docs(
    "A guest's disks: format, size as the guest sees it, size of the file, and room left",
    "ray disk info linux-demo-001",
    "ray disk info linux-demo-001 --disk data.qcow2",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      disk: optionalText(
        "one file of the guest's folder, the record's disks where not given",
        "DISK",
      ),
    },
    positional: one(...ID),
  },
  func({ json, disk }, vm) {
    return guarded(this, () => hostCommand(this, "disk.info", { vm, disk }, json, renderInfo));
  },
});

interface Sized extends Json {
  readonly size: number;
}

const create = buildCommand<Sized, [string, string], CliContext>({
  docs: docs(
    "Make an empty disk; one that is called .qcow2 grows with its content, any other is raw",
    "ray disk create linux-demo-001 data.qcow2 --size 8G",
  ),
  parameters: { flags: { json: jsonFlag, size }, positional: two(ID, DISK_NAME) },
  func({ json, size: bytes }, vm, disk) {
    return diskWork(this, "disk.create", { vm, disk, bytes }, json, renderDone);
  },
});

const resize = buildCommand<Sized, [string, string], CliContext>({
  docs: docs(
    "Let a disk grow; the guest has to let its own file system grow afterwards",
    "ray disk resize linux-demo-001 rootfs.ext4 --size 16G",
  ),
  parameters: { flags: { json: jsonFlag, size }, positional: two(ID, DISK_NAME) },
  func({ json, size: bytes }, vm, disk) {
    return diskWork(this, "disk.resize", { vm, disk, bytes }, json, renderDone);
  },
});

interface Import extends Json {
  readonly as: string;
  readonly from?: "raw" | "qcow2";
}

const importImage = buildCommand<Import, [string, string], CliContext>({
  docs: docs(
    "Check an image in the guest's inbox/ and make a disk of it; the image stays",
    "ray disk import linux-demo-001 debian.qcow2 --as rootfs.ext4",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      as: neededText("the new disk, a file of the guest's folder", "DISK"),
      from: {
        kind: "enum",
        values: ["raw", "qcow2"],
        optional: true,
        brief: "what the image is; looked for in its first bytes where not given",
      },
    },
    positional: two(ID, ["FILE", "a file in the guest's inbox/"]),
  },
  func({ json, as: disk, from }, vm, file) {
    return diskWork(this, "disk.import", { vm, file, disk, from }, json, renderDone);
  },
});

interface Export extends Json {
  readonly as?: string;
}

const exportImage = buildCommand<Export, [string, string], CliContext>({
  docs: docs(
    "Copy a disk to the guest's outbox/, as qcow2 where the new file is called so, else raw",
    "ray disk export linux-demo-001 rootfs.ext4 --as demo.qcow2",
  ),
  parameters: {
    flags: {
      json: jsonFlag,
      as: optionalText("the new file, the disk's name where not given", "FILE"),
    },
    positional: two(ID, DISK_NAME),
  },
  func({ json, as: file }, vm, disk) {
    return diskWork(this, "disk.export", { vm, disk, file }, json, renderDone);
  },
});

/** `ray disk …`. */
export const diskRoutes = buildRouteMap({
  docs: { brief: "Disks of guests" },
  routes: { info, create, import: importImage, export: exportImage, resize },
});
