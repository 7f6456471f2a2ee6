/**
 * What is asked of a policy's bytes before the TOML parser sees them: is it UTF-8, does it keep the
 * rules that the parser is lenient about, and is it neither so deep nor so long that parsing it
 * would cost too much. It builds nothing and understands no more of TOML than where strings and
 * comments begin and end.
 */
import { type Issue, issue } from "../issue.ts";

/** Deepest nesting of lists and inline tables; the policy itself needs three. */
const MAX_DEPTH = 16;
/** Longest string in characters; the policy's longest is a kernel command line of 2048. */
const MAX_STRING = 8192;
/** Most dots in one line outside strings: keys are at most five deep. */
const MAX_DOTS = 64;

/**
 * What parsing takes, in KiB of memory as measured: a key with its value, a list, table or element, a
 * part of a dotted key, a comment.
 */
const COSTS: Readonly<Record<string, number>> = {
  "=": 8,
  "[": 6,
  "{": 4,
  ",": 4,
  ".": 2,
  "#": 0.5,
};
/** More than 64 profiles with 16 shares each need; measured at 60 MiB in the worst mixture tried. */
const MAX_COST = 54_000;

/** A text that may be parsed, or the part of it that may. */
export interface Scanned {
  readonly ok: true;
  readonly text: string;
  /** Where there is more than may be parsed; `text` ends before it then. */
  readonly excess: Excess | null;
}

/** What was not parsed. */
export interface Excess {
  readonly issue: Issue;
  /** Keys in it, which nobody looked at. */
  readonly keys: number;
}

/** The text of a policy's bytes, or the one thing that keeps it from being parsed. */
export function scanToml(bytes: Uint8Array): Scanned | { ok: false; issue: Issue } {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    const line = firstBadLine(bytes);
    return {
      ok: false,
      issue: issue("toml.utf8", {
        line,
        column: 1,
        expected: "UTF-8",
        found: "bytes that are not UTF-8",
        hint: "save the file as UTF-8 and sign it again",
      }),
    };
  }
  const found = scan(text);
  if ("issue" in found) {
    return { ok: false, issue: { ...found.issue, ...placeOf(text, found.at) } };
  }
  const { kept } = found;
  if (kept === null) return { ok: true, text, excess: null };
  const { issue: said } = fault(
    kept.at,
    "toml.size",
    `at most ${MAX_COST / 8} keys with their values, or as much of anything else`,
    `${found.keys} keys`,
    "no policy needs so many; only those before this place were looked at",
  );
  return {
    ok: true,
    text: text.slice(0, kept.at),
    excess: {
      issue: { ...said, ...placeOf(text, kept.at) },
      keys: found.keys - kept.keys,
    },
  };
}

/** 1-based line and column (in characters) of an index into the text. */
export function placeOf(text: string, index: number): { line: number; column: number } {
  const before = text.slice(0, index);
  const start = before.lastIndexOf("\n") + 1;
  let line = 1;
  for (let at = before.indexOf("\n"); at !== -1; at = before.indexOf("\n", at + 1)) line++;
  return { line, column: index - start + 1 };
}

/** A place in the text, and the keys before it. */
interface Weight {
  readonly at: number;
  readonly keys: number;
}

/** Keys in all, and where the part that may be parsed ends: null where that is all of it. */
interface Weighed {
  readonly keys: number;
  readonly kept: Weight | null;
}

function scan(text: string): { at: number; issue: Issue } | Weighed {
  if (text.startsWith("\uFEFF")) {
    return fault(0, "toml.bom", "no byte order mark", "U+FEFF", "save the file without one");
  }
  let depth = 0;
  let dots = 0;
  let cost = 0;
  let keys = 0;
  let lastLine: Weight = { at: 0, keys: 0 };
  let kept: Weight | null = null;
  for (let at = 0; at < text.length; at++) {
    const char = text.charAt(at);
    cost += COSTS[char] ?? 0;
    if (cost > MAX_COST) kept ??= lastLine;
    if (char === "=") keys++;
    if (char === "\0") return fault(at, "toml.nul", "text", "a NUL byte", "remove it");
    if (char === "\r" && text[at + 1] !== "\n") return bareReturn(at);
    if (char === "\n") {
      dots = 0;
      if (depth === 0) lastLine = { at: at + 1, keys };
    } else if (char === "#") {
      const end = endOfComment(text, at);
      at = end - 1;
    } else if (char === '"' || char === "'") {
      const end = endOfString(text, at, char);
      const inside = text.slice(at, end);
      const nul = inside.indexOf("\0");
      if (nul !== -1) return fault(at + nul, "toml.nul", "text", "a NUL byte", "remove it");
      const lone = inside.search(/\r(?!\n)/);
      if (lone !== -1) return bareReturn(at + lone);
      if (inside.length > MAX_STRING) {
        const most = `a string of at most ${MAX_STRING} characters`;
        return fault(at, "toml.length", most, `${inside.length} characters`, "shorten it");
      }
      at = end - 1;
    } else if (char === "[" || char === "{") {
      if (++depth > MAX_DEPTH) {
        const most = `nesting of at most ${MAX_DEPTH}`;
        return fault(at, "toml.depth", most, "a deeper one", "no key of a policy needs it");
      }
    } else if (char === "]" || char === "}") depth = Math.max(0, depth - 1);
    else if (char === "." && ++dots > MAX_DOTS) {
      const most = `at most ${MAX_DOTS} dots in a line`;
      return fault(at, "toml.depth", most, "more", "no key of a policy needs them");
    }
  }
  return { keys, kept };
}

function bareReturn(at: number): { at: number; issue: Issue } {
  const hint = "save the file with LF or CR LF line ends";
  return fault(at, "toml.cr", "a line end LF or CR LF", "a CR alone", hint);
}

function fault(at: number, rule: string, expected: string, found: string, hint: string) {
  return { at, issue: issue(rule, { expected, found, hint }) };
}

/** Index of the line end; a NUL or a bare CR on the way ends the skip too, to be looked at. */
function endOfComment(text: string, from: number): number {
  let at = from;
  while (at < text.length && text[at] !== "\n" && text[at] !== "\r" && text[at] !== "\0") at++;
  return at;
}

/** Index after the closing quote, or where the string must end for want of one. */
function endOfString(text: string, from: number, quote: string): number {
  const triple = quote.repeat(3);
  const multiline = text.startsWith(triple, from);
  let at = from + (multiline ? 3 : 1);
  while (at < text.length) {
    if (quote === '"' && text[at] === "\\") at += 2;
    else if (multiline && text.startsWith(triple, at)) {
      at += 3;
      // Up to two quotes may stand before the closing three.
      for (let extra = 0; extra < 2 && text[at] === quote; extra++) at++;
      return at;
    } else if (!multiline && (text[at] === quote || text[at] === "\n")) {
      return text[at] === quote ? at + 1 : at;
    } else at++;
  }
  return text.length;
}

/** The line in which decoding first fails, by decoding ever longer runs of whole lines. */
function firstBadLine(bytes: Uint8Array): number {
  let line = 1;
  let start = 0;
  while (start < bytes.length) {
    const newline = bytes.indexOf(0x0a, start);
    const end = newline === -1 ? bytes.length : newline + 1;
    try {
      new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(start, end));
    } catch {
      return line;
    }
    start = end;
    line++;
  }
  return line;
}
