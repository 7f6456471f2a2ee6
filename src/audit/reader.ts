/**
 * Reads an audit log back, for a person: its files one after the other, the records that are asked for, and
 * a verification in words. For display only: nothing decides by it.
 */

import { auditFiles } from "./audit_log.ts";
import { linesOf } from "./lines_of.ts";
import { type AuditRecord, readRecord } from "./record.ts";
import { MAX_FILE_BYTES } from "./retention.ts";
import type { AuditReport, Head, LogPart } from "./verify.ts";

/** Of one file of the log; the batch that filled it may go beyond. */
const MAX_PART_BYTES = MAX_FILE_BYTES + 1024 * 1024;

/** A folder as far as it is read. */
export interface Folder {
  list(path: string): string[];
  read(path: string, limit: number): Uint8Array | null;
}

/** The log's files, oldest first, each read when it is its turn. */
export function* partsIn(folder: Folder, path: string): Generator<LogPart> {
  for (const name of auditFiles(folder.list(path))) {
    const bytes = folder.read(`${path}/${name}`, MAX_PART_BYTES);
    if (bytes !== null) yield { name, bytes };
  }
}

/** Which records are asked for; what is null is no condition. */
export interface Filter {
  readonly vm: string | null;
  /** From then on; records of a time when the clock was not trusted count with the one before them. */
  readonly since: Date | null;
  /** A rule, an event, or the first part of either: `network` for `network.off`. */
  readonly rule: string | null;
  /** The last so many. */
  readonly limit: number;
}

/** A record as its line has it. */
export type ShownRecord = Omit<AuditRecord, "unsealed">;

const BREATH = 400;

/** The last records that match, oldest first. Lines that are no record are left out. */
export function* matching(
  parts: Iterable<LogPart>,
  filter: Filter,
): Generator<void, ShownRecord[]> {
  const found: ShownRecord[] = [];
  let time = -Infinity;
  let lines = 0;
  for (const { bytes } of parts) {
    for (const piece of linesOf(bytes)) {
      if (++lines % BREATH === 0) yield;
      const record = readRecord(piece.bytes);
      if (record === null) continue;
      const own = Date.parse(record.time);
      if (!Number.isNaN(own)) time = own;
      if (filter.since !== null && time < filter.since.getTime()) continue;
      if (filter.vm !== null && record.data["vm"] !== filter.vm) continue;
      if (filter.rule !== null && !hasRule(record, filter.rule)) continue;
      const { unsealed: _, ...shown } = record;
      found.push(shown);
      if (found.length > 2 * filter.limit) found.splice(0, found.length - filter.limit);
    }
  }
  return found.slice(-filter.limit);
}

function hasRule({ event, data }: AuditRecord, rule: string): boolean {
  return [data["rule"], ...event.split(":")].some((word) =>
    word === rule || typeof word === "string" && word.startsWith(`${rule}.`)
  );
}

/** `<seq>:<sha256>`, as `ray audit head` prints it; null where it is none. */
export function readHead(text: unknown): Head | null {
  const match = typeof text === "string" ? text.trim().match(/^(\d{1,15}):([0-9a-f]{64})$/) : null;
  return match === null ? null : { seq: Number(match[1]), hash: match[2] ?? "" };
}

/** What was found, what is wrong, and what that rests on, in words. */
export function reportText(report: AuditReport): string {
  const { ok, bad, records, first, last, lastTime, files, sealedAfter, anchor } = report;
  const span = last === null ? "no record" : `records ${first} to ${last}, the last of ${lastTime}`;
  const lines = [`${files} ${files === 1 ? "file" : "files"}, ${span}`];
  if (bad !== null) {
    const place = bad.line === null ? bad.file || "the log" : `${bad.file}, line ${bad.line}`;
    const which = bad.seq === null ? "" : `, record ${bad.seq}`;
    lines.push(`BAD: ${bad.rule} at ${place}${which}: ${bad.what}`);
    lines.push(
      records === 0
        ? "nothing before it can be believed"
        : `the ${records} records from ${first} to ${last} follow each other${ANCHORED[anchor]}`,
    );
    if (sealedAfter > 0) {
      lines.push(
        `behind it ${sealedAfter} records are the host's own each for itself, ` +
          "but something may be missing between them",
      );
    }
  } else if (ok) lines.push(`good: they follow each other without a gap${ANCHORED[anchor]}`);
  if (anchor === "none") {
    lines.push(
      "NOT ANCHORED: whoever could write to the disk could have made such a log. Verify a copy",
      "on another machine with the verification key (--key) or an exported head (--head).",
    );
  }
  return [...lines, ...report.notes.map((note) => `note: ${note}`)].map((line) => `${line}\n`).join(
    "",
  );
}

const ANCHORED: Readonly<Record<AuditReport["anchor"], string>> = {
  key: ", each made with the key that only the host of its time had",
  head: ", and up to the given head nothing was changed",
  tpm: ", and up to the head that this machine's TPM was given last nothing was changed",
  none: "",
};
