/**
 * `ray vm backup|restore|clone`: each one request over the control socket. They decide nothing; a denial is
 * the host's.
 */

import { buildCommand } from "@stricli/core";
import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";
import { PATHS } from "../permissions.ts";
import type { CliContext } from "./context.ts";
import { diskWork, roomText, sizeText } from "./disk_routes.ts";
import { docs, type Json, jsonFlag, one, two } from "./flags.ts";

const ROOM = { free_bytes: v.number(), low: v.boolean() };
const MADE = v.looseObject({
  vm: v.string(),
  backup: v.number(),
  folder: v.string(),
  bytes: v.number(),
  ms: v.number(),
  consistent: v.string(),
  state: v.string(),
  ...ROOM,
});
const RESTORED = v.looseObject({
  vm: v.string(),
  backup: v.number(),
  restored: v.array(v.string()),
  aside: v.string(),
  boot_differs: v.array(v.string()),
  ...ROOM,
});
const CLONED = v.looseObject({
  vm: v.string(),
  slot: v.number(),
  uuid: v.string(),
  folder: v.string(),
  ...ROOM,
});

const SHAPE = "rayos: vm: the host answered in another shape; use --json\n";

/** What a backup holds and how the guest is, for a person. */
export function renderBackup(result: unknown): string {
  const made = v.safeParse(MADE, result);
  if (!made.success) return SHAPE;
  const { vm, backup, folder, bytes, ms, consistent, state } = made.output;
  return `${escapeUnsafe(`${vm}: backup ${backup} in ${PATHS.dataRoot}/${folder}`)}, ` +
    `${sizeText(bytes)}, ${escapeUnsafe(consistent)}, in ${(ms / 1000).toFixed(1)} s; ` +
    `the guest is ${escapeUnsafe(state)}\n` +
    roomText(made.output);
}

/** What was put back, and where lies what was there before. */
export function renderRestored(result: unknown): string {
  const done = v.safeParse(RESTORED, result);
  if (!done.success) return SHAPE;
  const { vm, backup, restored, aside, boot_differs: differs } = done.output;
  const other = differs.length === 0
    ? ""
    : `warning: not what it was backed up with: ${escapeUnsafe(differs.join(", "))}\n`;
  return `${escapeUnsafe(`${vm}: backup ${backup} is back: ${restored.join(", ")}`)}\n` +
    `what was there before lies in ${PATHS.dataRoot}/${escapeUnsafe(aside)}\n` +
    other + roomText(done.output);
}

function renderCloned(result: unknown): string {
  const made = v.safeParse(CLONED, result);
  if (!made.success) return SHAPE;
  const { vm, slot, uuid, folder } = made.output;
  return `${escapeUnsafe(`${vm}: cloned into slot ${slot}, uuid ${uuid}, in ${folder}`)}\n` +
    roomText(made.output);
}

export const vmBackup = buildCommand<Json, [string], CliContext>({
  docs: docs(
    "Copy a guest's disks and record into a new numbered backup; one that runs is suspended for it",
    "ray vm backup linux-demo-001",
  ),
  parameters: { flags: { json: jsonFlag }, positional: one("ID", "the guest's name") },
  func({ json }, vm) {
    return diskWork(this, "vm.backup", { vm }, json, renderBackup);
  },
});

/** The number of a backup. @throws SyntaxError */
function numberOf(text: string): number {
  if (!/^[1-9]\d{0,5}$/.test(text)) throw new SyntaxError(`${text} is no backup's number`);
  return Number(text);
}

export const vmRestore = buildCommand<Json, [string, number], CliContext>({
  docs: docs(
    "Put a guest back as a backup has it, after every hash was compared; what is there now is kept",
    "ray disk info linux-demo-001",
    "ray vm restore linux-demo-001 2",
  ),
  parameters: {
    flags: { json: jsonFlag },
    positional: {
      kind: "tuple",
      parameters: [
        { parse: (text: string) => text, placeholder: "ID", brief: "the guest's name" },
        { parse: numberOf, placeholder: "BACKUP", brief: "its number" },
      ],
    },
  },
  func({ json }, vm, backup) {
    return diskWork(this, "vm.restore", { vm, backup }, json, renderRestored);
  },
});

export const vmClone = buildCommand<Json, [string, string], CliContext>({
  docs: docs(
    "Make another guest of the same profile, with copies of this one's disks",
    "ray vm clone kiosk-1 kiosk-2",
  ),
  parameters: {
    flags: { json: jsonFlag },
    positional: two(["ID", "the guest's name"], ["NEW", "the new guest's name"]),
  },
  func({ json }, vm, to) {
    return diskWork(this, "vm.clone", { vm, to }, json, renderCloned);
  },
});
