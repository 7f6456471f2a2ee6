/**
 * What the host says on the harness port: bytes in, log lines out. Each line begins with the run
 * number of this boot; a line with another one is counted and otherwise ignored, so nothing that
 * merely looks like a log line is taken for one. This module never looks at console text.
 */

/** One line of the host's log (contract: `<ts> <LEVEL> <component> <EVENT> <k=v …>`). */
export interface LogLine {
  /** Milliseconds from the start of the outer machine to the arrival of the line. */
  readonly at: number;
  readonly ts: string;
  readonly level: string;
  readonly component: string;
  /** A marker such as `RAYOS_READY`, with its `:` parts, or a lower_snake_case word. */
  readonly event: string;
  readonly fields: Readonly<Record<string, string>>;
  /** Whether all of the line follows the grammar; false also where it was cut at its limit. */
  readonly whole: boolean;
  /** The line as it was written, without the run number. */
  readonly text: string;
}

const HEAD =
  /^(mono:\d+|\d{4}-\d{2}-\d{2}T[0-9:.]+Z) (ERROR|WARN|INFO|DEBUG|TRACE) ([a-z0-9_.-]+) ([A-Za-z0-9_]+(?::[A-Za-z0-9._/+%-]*)*)(?: (.*))?$/u;
const FIELD = /^([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)/u;

/** The fields of a line's tail; `whole` is false where what follows them is no `k=v`. */
function parseFields(tail: string): { fields: Record<string, string>; whole: boolean } {
  const fields: Record<string, string> = {};
  let rest = tail;
  while (rest !== "") {
    const [found, key = "", value = ""] = FIELD.exec(rest) ?? [];
    if (found === undefined) return { fields, whole: false };
    try {
      fields[key] = value.startsWith('"') ? String(JSON.parse(value)) : value;
    } catch {
      return { fields, whole: false };
    }
    rest = rest.slice(found.length);
  }
  return { fields, whole: true };
}

/**
 * The text as a log line, or null where it does not begin as one. A line that was cut inside a field
 * keeps the fields before it: a refused marker is seen all the same.
 * @param text one line without run number and line end
 * @param at milliseconds since the machine was started
 */
export function parseLogLine(text: string, at: number): LogLine | null {
  const head = HEAD.exec(text);
  if (head === null) return null;
  const [, ts = "", level = "", component = "", event = "", tail = ""] = head;
  const { fields, whole } = parseFields(tail);
  return { at, ts, level, component, event, fields, whole, text };
}

/** Milliseconds since the kernel started, where the line was written before the clock was trusted. */
export function monoOf(line: LogLine): number | null {
  return line.ts.startsWith("mono:") ? Number(line.ts.slice(5)) : null;
}

/** A line's EVENT with its fields, as the report and `--json` show markers. */
export function markerText(line: LogLine): string {
  return line.text.slice(line.ts.length + line.level.length + line.component.length + 3);
}

/** Whether the line is one of the contract's markers. */
export function isMarker(line: LogLine): boolean {
  return line.event.startsWith("RAYOS_");
}

/** A line longer than this is cut off; the contract's own limit is 4 KiB. */
const LINE_LIMIT = 16 * 1024;

/** Reads the bytes of the harness port. Keeps nothing but an unfinished line and its counts. */
export class PortReader {
  /** Lines that began with another run number or none. */
  foreign = 0;
  /** Lines with the right run number that do not follow the grammar. */
  malformed = 0;
  #rest = "";
  readonly #decoder = new TextDecoder();

  /** @param run the 16 hex digits of this boot */
  constructor(readonly run: string) {}

  /**
   * The lines that these bytes complete, in order.
   * @param at milliseconds since the machine was started
   */
  feed(bytes: Uint8Array, at: number): LogLine[] {
    const pieces = (this.#rest + this.#decoder.decode(bytes, { stream: true })).split("\n");
    this.#rest = (pieces.pop() ?? "").slice(0, LINE_LIMIT);
    const lines: LogLine[] = [];
    for (const piece of pieces) {
      const text = piece.replace(/\r$/u, "");
      if (!text.startsWith(`${this.run} `)) {
        this.foreign += 1;
        continue;
      }
      const line = parseLogLine(text.slice(this.run.length + 1), at);
      if (line === null || !line.whole) this.malformed += 1;
      if (line !== null) lines.push(line);
    }
    return lines;
  }
}
