/**
 * What the program last knew of itself and its guests, as the document that it leaves for a report of its
 * end. Pure. Whoever had the disk may have written what is read back: it is believed only in this shape, is
 * shown to people, and decides nothing.
 */

import * as v from "valibot";
import { SLOT_COUNT, vmId } from "../id.ts";
import { MACHINE_STATES } from "../machine_state.ts";

/** What is larger is none of ours; as many guests as there are slots take a third of it. */
export const MAX_LAST_KNOWN_BYTES = 32 * 1024;

/** Nothing that a terminal obeys, and no second line. */
const TEXT = v.pipe(v.string(), v.regex(/^[\x20-\x7e]{1,200}$/u));
const COUNT = v.pipe(v.number(), v.safeInteger(), v.minValue(0));

const LAST_KNOWN = v.strictObject({
  version: v.literal(0),
  boot_id: TEXT,
  phase: v.pipe(v.string(), v.regex(/^[a-z_]{1,20}$/u)),
  program: v.strictObject({
    version: TEXT,
    build_id: TEXT,
    form: TEXT,
    runtime: TEXT,
    start: COUNT,
  }),
  kernel: TEXT,
  mode: v.picklist(["normal", "safe", "recovery"]),
  policy: v.nullable(v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/u))),
  guests: v.pipe(
    v.array(
      v.strictObject({
        vm: v.pipe(v.string(), v.check((text) => vmId(text) !== null)),
        state: v.picklist(MACHINE_STATES),
      }),
    ),
    v.maxLength(SLOT_COUNT),
  ),
  /** Processes outside guests that the kernel had ended for want of memory; null: it did not say. */
  oom_kills: v.nullable(COUNT),
});

export type LastKnown = v.InferOutput<typeof LAST_KNOWN>;

/** As a file. */
export function renderLastKnown(known: LastKnown): string {
  return `${JSON.stringify(known)}\n`;
}

/** What a file says of that boot; null where it is none of ours, or another boot's. */
export function readLastKnown(text: string | null, bootId: string): LastKnown | null {
  if (text === null || text.length > MAX_LAST_KNOWN_BYTES) return null;
  try {
    const parsed = v.safeParse(LAST_KNOWN, JSON.parse(text));
    return parsed.success && parsed.output.boot_id === bootId ? parsed.output : null;
  } catch {
    return null;
  }
}

/**
 * How many processes the kernel ended for want of memory that were none of a guest's: the program, or what it
 * started.
 *
 * @param vmstat /proc/vmstat, which counts all of them
 * @param events memory.events of the cgroup above guests and what serves them, which counts those
 */
export function oomKills(vmstat: string | null, events: string | null): number | null {
  const count = (text: string | null) => /^oom_kill (\d+)$/mu.exec(text ?? "")?.[1];
  const [all, guests] = [count(vmstat), count(events)];
  if (all === undefined || guests === undefined) return null;
  return Math.max(0, Number(all) - Number(guests));
}
