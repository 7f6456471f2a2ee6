/**
 * A line of the host's log taken apart (contract §5), so that `ray logs` can show a part of them. It is for
 * display: what a line says decides nothing.
 */

const HEAD = /^(\S+) (ERROR|WARN|INFO|DEBUG|TRACE) ([a-z0-9_.-]+) (\S+)(?: (.*))?$/;
const FIELD = /^([A-Za-z0-9_.-]+)=("(?:[^"\\]|\\.)*"|[^\s"]*)(?: |$)/;

export const LEVELS = ["error", "warn", "info", "debug", "trace"] as const;
export type Level = typeof LEVELS[number];

export interface LogLine {
  readonly ts: string;
  readonly level: Level;
  readonly component: string;
  readonly event: string;
  readonly fields: Readonly<Record<string, string>>;
}

/** The line's parts; null where it does not begin as one. */
export function parseLogLine(line: string): LogLine | null {
  const [, ts, level, component, event, tail = ""] = HEAD.exec(line) ?? [];
  if (ts === undefined || level === undefined || component === undefined || event === undefined) {
    return null;
  }
  const fields: Record<string, string> = {};
  let rest = tail;
  while (rest !== "") {
    const [found, key = "", value = ""] = FIELD.exec(rest) ?? [];
    // What is cut at the end of a line too long has no whole field any more.
    if (found === undefined) break;
    rest = rest.slice(found.length);
    fields[key] = value.startsWith('"') ? unquoted(value) : value;
  }
  return { ts, level: level.toLowerCase() as Level, component, event, fields };
}

function unquoted(value: string): string {
  try {
    return String(JSON.parse(value));
  } catch {
    return value;
  }
}

/** What of the log is asked for. */
export interface LogFilter {
  readonly vm?: string;
  /** This one and the graver ones. */
  readonly level?: Level;
}

/** Whether a line is among what is asked for. A line that is none of the grammar's is, without a filter. */
export function isAskedFor(line: string, { vm, level }: LogFilter): boolean {
  if (vm === undefined && level === undefined) return true;
  const parsed = parseLogLine(line);
  if (parsed === null) return false;
  const target = /^RAYOS_HOST_EVENT_V0:[^:]*:(.*)$/.exec(parsed.event)?.[1];
  return (vm === undefined || parsed.fields["vm"] === vm || target === vm) &&
    (level === undefined || LEVELS.indexOf(parsed.level) <= LEVELS.indexOf(level));
}
