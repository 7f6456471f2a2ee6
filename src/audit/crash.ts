/**
 * A crash report as a document: what is in it, how it is written and read back. Pure. It holds facts of
 * the host and lines of its log, which have no key presses and no guest memory in them; a report is for
 * people and decides nothing.
 */

import * as v from "valibot";
import type { CrashCause } from "../event.ts";
import { PATHS } from "../permissions.ts";

/** What a start of the program has to say at its end to the next one: {@link ASKED}, or nothing. */
export const LAST_WORD = `${PATHS.run}/last_word.json`;
/** The end was asked for, or there is a report of it, on the disk or waiting for it. */
export const ASKED = '{"asked":true}\n';

/** Where the n-th report waits, from 1 on, while the disk that it belongs on is not there. */
export function waitingReport(n: number): string {
  return `${PATHS.run}/crash-${n}.json`;
}

/** What each cause means, for a person. */
const CAUSES: Readonly<Record<CrashCause, string>> = {
  uncaught: "the program ended by an error that nobody had foreseen",
  died: "the program was gone without a word: killed, out of memory, or by a signal",
  hang: "the program no longer showed that it was alive, and was ended for it",
  not_ready: "the host was not ready within rayos.ready_timeout",
  no_data: "RayOS Data did not come up; these are the lines until then",
  panic: "the kernel panicked; these are its last lines",
  watchdog: "the machine's watchdog restarted it, since nobody fed it any more",
};

/** Lines of the log that a report holds. */
export const REPORT_LINES = 200;
/** Bytes that are looked through for them: as many lines at their longest would be four times this. */
export const TAIL_BYTES = 200 * 1024;
/** A report is not larger; what is read as one is not either. */
export const MAX_REPORT_BYTES = 1024 * 1024;
/** Reports of one boot, and boots that have any: what comes after that is said and not kept. */
export const MAX_REPORTS = 10;
export const MAX_CRASHED_BOOTS = 10;

/** Whoever had the disk may have written it, and it is shown unasked: nothing of it is longer than we write it. */
const WORD = v.pipe(v.string(), v.maxLength(256));
const TEXT = v.pipe(v.string(), v.maxLength(16 * 1024));

const REPORT = v.strictObject({
  version: v.literal(0),
  boot_id: WORD,
  /** When it was written, as a line of the log says it. */
  time: WORD,
  cause: v.picklist(Object.keys(CAUSES) as CrashCause[]),
  /** A phase of the boot, or `serving` after the last one; `unknown` where nobody could say. */
  phase: WORD,
  message: TEXT,
  program: v.strictObject({
    version: WORD,
    build_id: WORD,
    form: WORD,
    runtime: WORD,
    /** Which start of it within its boot. */
    start: v.nullable(v.number()),
  }),
  kernel: WORD,
  mode: WORD,
  /** SHA-256 of the policy in force, where there was one. */
  policy: v.nullable(WORD),
  guests: v.array(v.strictObject({ vm: WORD, state: WORD })),
  last_lines: v.array(TEXT),
});

export type CrashReport = v.InferOutput<typeof REPORT>;

/** As a file. Where that would be too large, the oldest lines are left out. */
export function renderReport(report: CrashReport): string {
  const text = `${JSON.stringify(report, null, 2)}\n`;
  const { last_lines } = report;
  const fits = new TextEncoder().encode(text).length <= MAX_REPORT_BYTES;
  if (fits || last_lines.length === 0) return text;
  return renderReport({
    ...report,
    last_lines: last_lines.slice(Math.ceil(last_lines.length / 8)),
  });
}

/** What a file says; null where it is none of ours. */
export function readReport(text: string | null): CrashReport | null {
  if (text === null || text.length > MAX_REPORT_BYTES) return null;
  try {
    const parsed = v.safeParse(REPORT, JSON.parse(text));
    return parsed.success ? parsed.output : null;
  } catch {
    return null;
  }
}

/** Name of the n-th report of a boot, from 1 on. */
export function reportName(n: number): string {
  return n === 1 ? "report.json" : `report-${n}.json`;
}

/** The last lines of a log's end; the first of its bytes may be the middle of a line. */
export function lastLines(
  bytes: Uint8Array | null,
  whole: boolean,
  most = REPORT_LINES,
): string[] {
  if (bytes === null) return [];
  const lines = new TextDecoder().decode(bytes).split("\n");
  if (lines.at(-1) === "") lines.pop();
  if (!whole) lines.shift();
  return lines.slice(-most);
}

/** A file that the kernel left of a panic (pstore). */
export interface KernelRecord {
  readonly name: string;
  readonly text: string;
}

/** `Panic#2 Part3` stands first in each part; part 1 is the newest (Linux, fs/pstore/platform.c). */
const PART = /^(\w+)#(\d+) Part(\d+)\n/;

/**
 * A panic's lines in the order in which the kernel said them.
 *
 * @param records in any order; what has no such head comes last, as it is
 */
export function panicLines(records: readonly KernelRecord[]): string[] {
  const parts = records.map(({ name, text }) => {
    const [head = "", , count = "0", part = "0"] = text.match(PART) ?? [];
    return { name, count: Number(count), part: Number(part), body: text.slice(head.length) };
  });
  parts.sort((a, b) => a.count - b.count || b.part - a.part || (a.name < b.name ? -1 : 1));
  return parts.flatMap(({ body }) => body.trimEnd().split("\n")).slice(-REPORT_LINES);
}

/** What the kernel says of why a watchdog's machine started (linux/watchdog.h, WDIOF_CARDRESET). */
const CARD_RESET = 0x20;

/** Whether the machine was restarted by its watchdog, by the bits that its driver reports. */
export function restartedByWatchdog(bootstatus: string | null): boolean {
  const bits = Number(bootstatus?.trim() || "0");
  return Number.isInteger(bits) && (bits & CARD_RESET) !== 0;
}
