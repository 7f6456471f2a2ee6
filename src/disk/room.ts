/**
 * How much room work on a disk needs, what RayOS Data keeps for the running guests, and when there is so
 * little left that a person is told. Pure.
 */

import { type Issue, issue } from "../issue.ts";
import type { DiskFormat } from "../registry/guest.ts";

const MIB = 1024 * 1024;
/** Left over by any such work: a running guest's next write, logs, the registry. */
export const RESERVE_BYTES = 16 * MIB;
/** Tables of an empty qcow2, and some room for more of them. */
const TABLES_BYTES = 2 * MIB;
/** Low: less than a twentieth, and less than this. */
const LOW_PARTS = 20;
const LOW_MOST_BYTES = 2048 * MIB;

/**
 * Bytes that a new image may take at once: a raw disk all that the guest sees, since nothing could stop the
 * guest from filling it; a qcow2 what is copied into it.
 *
 * @param copiedBytes the size of the file that is copied, 0 for an empty disk
 */
export function neededBytes(format: DiskFormat, virtualBytes: number, copiedBytes: number): number {
  return format === "raw" ? virtualBytes : Math.min(virtualBytes, copiedBytes) + TABLES_BYTES;
}

/** Whether there is so much room, beside what is kept. */
export function roomIssue(needed: number, free: number): Issue | null {
  if (needed + RESERVE_BYTES <= free) return null;
  const mib = (bytes: number) => `${Math.ceil(bytes / MIB)} MiB`;
  return issue("disk.no_room", {
    expected: `${mib(needed + RESERVE_BYTES)} free on RayOS Data, ${mib(RESERVE_BYTES)} of it kept`,
    found: mib(Math.max(0, free)),
    hint: "remove what is not needed, or take a .qcow2 that grows with its content",
  });
}

/** The most that qemu-img may write into a new image, in whole sectors. */
export function mostBytes(free: number): number {
  return Math.floor((free - RESERVE_BYTES) / 512) * 512;
}

/** Whether so little is left that a person should know. */
export function isLow(free: number, whole: number): boolean {
  return free < Math.min(whole / LOW_PARTS, LOW_MOST_BYTES);
}
