/**
 * What the program must know of a guest's network when it was started again: one file a slot in a folder
 * of root's in memory (`/run/rayos/net/`), written before each step. What cannot be read says that
 * something was there, and so that it is to be taken away.
 */

import * as v from "valibot";
import type { NetworkReason } from "../event.ts";
import type { Host } from "../host/port.ts";
import { type Slot, slotName } from "../id.ts";
import { PATHS } from "../permissions.ts";

const REASONS = [
  "policy",
  "provisioning",
  "provisioned",
  "lease_expired",
  "stopped",
] as const satisfies readonly NetworkReason[];

const RECORD = v.strictObject({
  version: v.literal(0),
  vm: v.string(),
  uuid: v.string(),
  step: v.picklist(["giving", "on", "taking"]),
  lease: v.boolean(),
  /** Whether `RAYOS_NETWORK:on` was written, so that an `off` follows it. */
  told: v.boolean(),
  /** passt's process, and when the kernel started it, in clock ticks since boot (proc(5), field 22). */
  process: v.nullable(v.strictObject({ pid: v.number(), startTicks: v.number() })),
  /** The values of the launcher. */
  way: v.string(),
  /** Why it is taken, and whether the guest's memory is not to be lost by it; null: it is not. */
  ending: v.nullable(v.strictObject({ reason: v.picklist(REASONS), keep: v.boolean() })),
});
export type NetworkRecord = Omit<v.InferOutput<typeof RECORD>, "version">;

const LIMIT = 64 * 1024;
const FOLDER = `${PATHS.run}/net`;
const recordPath = (slot: Slot) => `${FOLDER}/${slotName(slot)}.json`;

export function writeNetworkRecord(host: Host, slot: Slot, record: NetworkRecord): void {
  host.makeDirectory(FOLDER);
  host.replace(recordPath(slot), `${JSON.stringify({ version: 0, ...record })}\n`);
}

export function dropNetworkRecord(host: Host, slot: Slot): void {
  if (host.lstat(recordPath(slot)) !== null) host.remove(recordPath(slot));
}

export function readNetworkRecord(host: Host, slot: Slot): NetworkRecord | "unreadable" | null {
  if (host.lstat(recordPath(slot)) === null) return null;
  try {
    const parsed = v.safeParse(RECORD, JSON.parse(host.readText(recordPath(slot), LIMIT) ?? ""));
    return parsed.success ? parsed.output : "unreadable";
  } catch {
    return "unreadable";
  }
}

/** Where it lies that a person has taken a guest's network away: in memory as well, since it ends with it. */
const heldOffPath = (slot: Slot) => `${FOLDER}/${slotName(slot)}.off`;

export function isHeldOff(host: Host, slot: Slot): boolean {
  return host.lstat(heldOffPath(slot)) !== null;
}

export function setHeldOff(host: Host, slot: Slot, off: boolean): void {
  if (isHeldOff(host, slot) === off) return;
  if (!off) return host.remove(heldOffPath(slot));
  host.makeDirectory(FOLDER);
  host.replace(heldOffPath(slot), "");
}
