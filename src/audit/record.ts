/**
 * One record of the audit log: its members, its one text (canonical JSON, RFC 8785, on one line), and
 * that text read back strictly. It knows no key and no file.
 */

import { canonicalJson, type Json } from "../json.ts";

/** What a record says; everything else in it is the chain's. */
export interface Content {
  /** A marker, a word of the log, or one of the chain's own words (`file`, `seal`, `torn`, `folded`). */
  readonly event: string;
  /** As a log line shows it: RFC 3339, or `mono:<ms>` while the clock is not trusted. */
  readonly time: string;
  readonly data: Readonly<Record<string, string | number | boolean | null>>;
}

export interface AuditRecord extends Content {
  /** The text that is sealed, as {@link unsealedText} gives it; known of a record that was read. */
  readonly unsealed: string;
  /** 1 for the first of a chain, then one more for each. */
  readonly seq: number;
  /** Of the key: which seal's, and the how manieth record under it. */
  readonly epoch: number;
  readonly index: number;
  /** SHA-256 of the line before, in hex; zeroes before the first. */
  readonly prev: string;
  /** HMAC-SHA-256 over {@link unsealedText} with the record's own key, in hex. */
  readonly mac: string;
}

/** No line is longer, its newline not counted. */
const MAX_RECORD_BYTES = 32 * 1024;
/** What is kept of one value. */
const MAX_VALUE_CHARS = 512;

const HASH = /^[0-9a-f]{64}$/;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The text that is sealed: the record without its `mac`. */
export function unsealedText(record: Omit<AuditRecord, "mac" | "unsealed">): string {
  const { data, epoch, event, index, prev, seq, time } = record;
  return `{"data":${canonicalJson({ ...data })},"epoch":${epoch},"event":${
    JSON.stringify(event)
  },` +
    `"index":${index},"prev":"${prev}","seq":${seq},"time":${JSON.stringify(time)}}`;
}

/** The record's line, without its newline. Members stand in the order of RFC 8785. */
export function sealedText(unsealed: string, mac: string): string {
  // `prev` is of fixed length and behind everything that a value could imitate.
  const at = unsealed.lastIndexOf(',"prev":"');
  return `${unsealed.slice(0, at)},"mac":"${mac}"${unsealed.slice(at)}`;
}

/** Text and numbers as a record can hold them: well-formed, finite, of bounded length. */
export function tidy(
  fields: Readonly<Record<string, string | number | boolean | null>>,
): Record<string, string | number | boolean | null> {
  const out: Record<string, string | number | boolean | null> = {};
  for (const [name, value] of Object.entries(fields)) {
    if (typeof value === "string") out[name] = value.slice(0, MAX_VALUE_CHARS).toWellFormed();
    else if (typeof value === "number") out[name] = Number.isFinite(value) ? value : String(value);
    else if (value !== null) out[name] = value;
  }
  return out;
}

/**
 * The record in a line; null where the line is not the one text that such a record has, so that no two
 * lines say the same.
 */
export function readRecord(line: Uint8Array): AuditRecord | null {
  if (line.length > MAX_RECORD_BYTES) return null;
  let text: string;
  let value: unknown;
  try {
    text = decoder.decode(line);
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isRecord(value)) return null;
  const unsealed = unsealedText(value);
  return sealedText(unsealed, value.mac) === text ? { ...value, unsealed } : null;
}

function isRecord(value: unknown): value is Omit<AuditRecord, "unsealed"> {
  if (typeof value !== "object" || value === null) return false;
  const one = value as Partial<Record<keyof AuditRecord, unknown>>;
  const count = (of: unknown) => typeof of === "number" && Number.isSafeInteger(of) && of >= 0;
  return typeof one.event === "string" && typeof one.time === "string" &&
    count(one.seq) && count(one.epoch) && count(one.index) &&
    typeof one.prev === "string" && HASH.test(one.prev) &&
    typeof one.mac === "string" && HASH.test(one.mac) && isData(one.data);
}

function isData(value: unknown): boolean {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return false;
  return Object.values(value).every((one: Json) => one === null || typeof one !== "object");
}
