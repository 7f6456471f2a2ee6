/**
 * The launcher `/usr/lib/rayos/share`, as the program calls it: one share of a slot, served or taken away.
 * Whoever asks looks at the kernel afterwards.
 */

import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Slot } from "../id.ts";

/**
 * Milliseconds: of any use, and beside them for each MiB of a file system that is made or checked. A 64th of
 * it is tables of inodes, and a slow disk takes 2 KiB of them in a millisecond.
 */
const LEAST_MS = 60_000;
const MIB_MS = 8;

/**
 * @param writtenMib the size of the file system that it mounts; 0: none
 * @returns what went wrong, with the launcher's code for it; null: it says that it is done
 */
export async function launchShare(
  host: Host,
  verb: "give" | "take",
  slot: Slot,
  share: number,
  writtenMib = 0,
): Promise<Fault | null> {
  const args = [verb, String(slot), String(share)];
  const { code, words } = await host.launch("share", args, LEAST_MS + writtenMib * MIB_MS);
  if (code === 0 && words[0] === "ok") return null;
  const [, rule = "share.silent", ...detail] = words;
  const why = `the launcher says ${detail.join(" ") || "nothing"}`;
  return shareFault(rule, why, "see what it refuses");
}

/** A fault of a guest's share, with what to do or what is done. */
export function shareFault(code: string, why: string, what: string): Fault {
  return new Fault("share", code, `share: ${why}; ${what}`);
}
