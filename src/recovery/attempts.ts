/**
 * Failed attempts at the recovery passphrase: counted over reboots, and each one makes the next answer
 * wait longer. Pure; the count lies in a file of root's that no jail is given.
 */

import * as v from "valibot";

/** The wait before the answer, by the attempts that failed before it. */
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 300_000;
/** So many may be mistyped without a wait. */
const FREE = 2;
/** Beyond this the count says nothing more. */
const MOST = 1_000_000;

const ATTEMPTS = v.strictObject({
  version: v.literal(0),
  failed: v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(MOST)),
});

/**
 * How many attempts failed since the last one that did not.
 *
 * @param text the file; null where there is none. One that cannot be read counts as many: whoever
 *   damaged it gains no attempt by it
 */
export function failedAttempts(text: string | null): number {
  if (text === null) return 0;
  try {
    const parsed = v.safeParse(ATTEMPTS, JSON.parse(text));
    if (parsed.success) return parsed.output.failed;
  } catch {
    // As damaged as one of another shape.
  }
  return MOST;
}

/** The file's text. */
export function renderAttempts(failed: number): string {
  return `${JSON.stringify({ version: 0, failed: Math.min(MOST, failed) })}\n`;
}

/** How long the answer waits after so many failed attempts. */
export function waitAfter(failed: number): number {
  if (failed < FREE) return 0;
  return Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(20, failed - FREE));
}
