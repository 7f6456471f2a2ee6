/**
 * The one grammar of a log line and the one rule of escaping. It renders; it never writes anywhere and
 * never reads a line back.
 *
 * `<ts> <LEVEL> <component> <EVENT> <k=v …>`, one line, UTF-8, at most 4 KiB.
 */

import { escapeUnsafe } from "../escape.ts";

export type Level = "error" | "warn" | "info" | "debug" | "trace";

/** The longest line in bytes, its newline not counted. */
export const MAX_LINE_BYTES = 4096;
/** The longest field inside a marker, in bytes after encoding. */
const MAX_MARKER_FIELD_BYTES = 200;

export type FieldValue = string | number | boolean | null;

/** A line before it is text. */
export interface Line {
  readonly level: Level;
  readonly component: string;
  /** A marker with its fields already encoded by {@link marker}, or a lower_snake_case word. */
  readonly event: string;
  /** In the order in which they are written; null values are left out. */
  readonly fields: Readonly<Record<string, FieldValue>>;
}

const PLAIN_FIELD = /^[A-Za-z0-9._/+-]$/;
const encoder = new TextEncoder();

/** A marker with its fields: everything but `[A-Za-z0-9._/+-]` percent-encoded, 200 bytes each. */
export function marker(name: string, ...fields: (string | number)[]): string {
  return [name, ...fields.map((field) => encodeMarkerField(String(field)))].join(":");
}

function encodeMarkerField(text: string): string {
  let out = "";
  for (const char of text) {
    const piece = PLAIN_FIELD.test(char) ? char : Array.from(
      encoder.encode(char),
      (byte) => `%${byte.toString(16).toUpperCase().padStart(2, "0")}`,
    ).join("");
    if (out.length + piece.length > MAX_MARKER_FIELD_BYTES) break;
    out += piece;
  }
  return out;
}

const NEEDS_QUOTES = /[\s"=\\]/u;

/** A field's value: bare where it is harmless, else a JSON string with the unsafe escaped. */
export function fieldValue(value: string | number | boolean): string {
  const text = String(value);
  const safe = escapeUnsafe(text);
  if (text === "" || safe !== text || NEEDS_QUOTES.test(text)) {
    return escapeUnsafe(JSON.stringify(text));
  }
  return text;
}

/** The whole line without its newline, cut to the limit at a character's border. */
export function renderLine(timestamp: string, line: Line): string {
  const parts = [timestamp, line.level.toUpperCase(), line.component, line.event];
  for (const [key, value] of Object.entries(line.fields)) {
    if (value !== null) parts.push(`${key}=${fieldValue(value)}`);
  }
  return cut(parts.join(" "));
}

function cut(text: string): string {
  if (text.length * 3 <= MAX_LINE_BYTES) return text;
  const bytes = encoder.encode(text);
  if (bytes.length <= MAX_LINE_BYTES) return text;
  const sign = " cut=true";
  let end = MAX_LINE_BYTES - sign.length;
  // 0b10xxxxxx is the inside of a character (RFC 3629).
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end--;
  return new TextDecoder().decode(bytes.subarray(0, end)) + sign;
}

/** `mono:<ms>` until the wall clock is trusted, RFC 3339 UTC with milliseconds after. */
export function timestamp(clock: { wall: Date | null; monoMs: number }): string {
  return clock.wall === null ? `mono:${Math.round(clock.monoMs)}` : clock.wall.toISOString();
}
