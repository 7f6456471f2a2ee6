/**
 * What the program must know of a guest's shares when it was started again: one file a slot in a folder of
 * root's in memory (`/run/rayos/share/`), written before each step. What cannot be read says that something
 * was there, and so that it is to be taken away.
 */

import * as v from "valibot";
import type { Host } from "../host/port.ts";
import { type Slot, slotName } from "../id.ts";
import { PATHS } from "../permissions.ts";

const ONE = v.strictObject({
  share: v.number(),
  tag: v.string(),
  /** `off`: a person has taken it away, until its guest starts anew or it is asked for. */
  step: v.picklist(["wanted", "giving", "on", "taking", "off"]),
  /** Whether `share_on` was written, so that a `share_off` follows it. */
  told: v.boolean(),
});
const RECORD = v.strictObject({ version: v.literal(0), uuid: v.string(), shares: v.array(ONE) });
export type ShareRecord = v.InferOutput<typeof ONE>;

const LIMIT = 64 * 1024;
const FOLDER = `${PATHS.run}/share`;
const recordPath = (slot: Slot) => `${FOLDER}/${slotName(slot)}.json`;

/** Writes what there is, and what there is to be. */
export function writeShares(
  host: Host,
  { slot, uuid }: { readonly slot: Slot; readonly uuid: string },
  shares: readonly ShareRecord[],
): void {
  host.makeDirectory(FOLDER);
  host.replace(recordPath(slot), `${JSON.stringify({ version: 0, uuid, shares })}\n`);
}

export function dropShares(host: Host, slot: Slot): void {
  if (host.lstat(recordPath(slot)) !== null) host.remove(recordPath(slot));
}

/** What was written for that guest; null: nothing that can be believed, nobody has decided anything. */
export function readShares(
  host: Host,
  { slot, uuid }: { readonly slot: Slot; readonly uuid: string },
): readonly ShareRecord[] | null {
  if (host.lstat(recordPath(slot)) === null) return null;
  try {
    const parsed = v.safeParse(RECORD, JSON.parse(host.readText(recordPath(slot), LIMIT) ?? ""));
    return parsed.success && parsed.output.uuid === uuid ? parsed.output.shares : null;
  } catch {
    return null;
  }
}
