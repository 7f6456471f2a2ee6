/**
 * The judge of a boot: log lines and expectations in, a verdict out. Pure; it holds no clock, reads
 * no console and knows nothing of QEMU.
 */
import { isMarker, type LogLine } from "./boot_log.ts";

/** What `--expect` and `--refuse` name: an EVENT or its first `:` parts, and fields it must have. */
export interface MarkerPattern {
  readonly text: string;
  readonly parts: readonly string[];
  readonly fields: Readonly<Record<string, string>>;
}

/** What a boot has to show. */
export interface Expectation {
  /** Each must be seen at least once, in any order. */
  readonly expect: readonly MarkerPattern[];
  /** None may be seen from the first line to the last. */
  readonly refuse: readonly MarkerPattern[];
}

/** How the outer machine's run ended, as its conductor saw it. */
export type Ending =
  | { readonly kind: "ended" }
  | { readonly kind: "timeout"; readonly seconds: number }
  | { readonly kind: "interrupted" };

/** One thing that was asked of the boot, and whether it held. */
export interface Check {
  readonly name: string;
  readonly ok: boolean;
  /** Why it does not hold; empty where it does. */
  readonly detail: string;
}

export interface Verdict {
  readonly ok: boolean;
  readonly checks: readonly Check[];
  /** One line: why it failed, or that it did not. */
  readonly summary: string;
}

/**
 * The pattern that a text such as `RAYOS_POLICY_VIOLATION:sig.mismatch vm=a` stands for, or null
 * where the text does not begin with a marker's name or a field has no `=`.
 */
export function parsePattern(text: string): MarkerPattern | null {
  const [event = "", ...rest] = text.trim().split(/\s+/u);
  if (!/^[A-Za-z][A-Za-z0-9_]*(:[^:]*)*$/u.test(event)) return null;
  const fields: Record<string, string> = {};
  for (const word of rest) {
    const at = word.indexOf("=");
    if (at < 1) return null;
    fields[word.slice(0, at)] = word.slice(at + 1);
  }
  return { text: text.trim(), parts: event.split(":"), fields };
}

/** Like `parsePattern`, for patterns written in the program. */
export function pattern(text: string): MarkerPattern {
  const parsed = parsePattern(text);
  if (parsed === null) throw new TypeError(`marker pattern: "${text}" is none`);
  return parsed;
}

/** Whether a line is what the pattern names: same first `:` parts, and every field equal. */
export function matches(wanted: MarkerPattern, line: LogLine): boolean {
  const parts = line.event.split(":");
  return wanted.parts.every((part, n) => parts[n] === part) &&
    Object.entries(wanted.fields).every(([key, value]) => line.fields[key] === value);
}

/** The expected markers that no line has shown yet. */
export function missing(expectation: Expectation, lines: readonly LogLine[]): MarkerPattern[] {
  return expectation.expect.filter((wanted) => !lines.some((line) => matches(wanted, line)));
}

/** The refused markers that were seen, each with the first line that showed it. */
export function refused(
  expectation: Expectation,
  lines: readonly LogLine[],
): { wanted: MarkerPattern; line: LogLine }[] {
  return expectation.refuse.flatMap((wanted) => {
    const line = lines.find((one) => matches(wanted, one));
    return line === undefined ? [] : [{ wanted, line }];
  });
}

const SHUTDOWN = "RAYOS_SHUTDOWN";

/** Whether only what the end of the boot writes is still missing, so that it may be asked for. */
export function readyToEnd(expectation: Expectation, lines: readonly LogLine[]): boolean {
  return missing(expectation, lines).every((wanted) => wanted.parts[0] === SHUTDOWN);
}

/**
 * What a good boot shows: ready in normal mode, each guest that the policy starts confined and
 * ready, the end in order, and nothing denied.
 * @param guests the guests that start at boot
 */
export function goodBoot(
  guests: readonly { readonly id: string; readonly kind: "linux" | "windows" }[],
): Expectation {
  return {
    expect: [
      "RAYOS_INIT_START",
      "RAYOS_READY mode=normal",
      ...guests.flatMap(({ id, kind }) => [
        `RAYOS_VM_CONFINED vm=${id}`,
        `RAYOS_${kind.toUpperCase()}_VM_READY vm=${id}`,
      ]),
      SHUTDOWN,
    ].map(pattern),
    refuse: ["RAYOS_POLICY_VIOLATION", "RAYOS_SAFE_MODE", "RAYOS_CRASH"].map(pattern),
  };
}

/** The phase that was begun last and not ended, or null where there is none. */
export function openPhase(lines: readonly LogLine[]): string | null {
  let open: string | null = null;
  for (const line of lines) {
    if (line.event === "phase_start") open = line.fields["phase"] ?? null;
    if (line.event === "phase_end" && line.fields["phase"] === open) open = null;
  }
  return open;
}

/** In words, where the boot was when it hung. */
export function whereItHung(expectation: Expectation, lines: readonly LogLine[]): string {
  if (lines.length === 0) {
    return "before the host's first line (kernel, stage 0, or a program that cannot start)";
  }
  const open = openPhase(lines);
  if (open !== null) return `in phase ${open}`;
  const ended = lines.findLast((line) => line.event === "phase_end");
  const after = ended === undefined ? "" : ` after phase ${ended.fields["phase"] ?? "?"}`;
  const left = missing(expectation, lines).map((wanted) => wanted.text).join(", ");
  return left === "" ? `during the end${after}` : `waiting for ${left}${after}`;
}

/** Judges a whole run: all its lines, what was asked of it, and how it ended. */
export function judge(
  lines: readonly LogLine[],
  expectation: Expectation,
  ending: Ending,
): Verdict {
  const seen = refused(expectation, lines);
  const checks: Check[] = [
    ...expectation.expect.map((wanted) => {
      const ok = lines.some((line) => matches(wanted, line));
      return { name: `expect ${wanted.text}`, ok, detail: ok ? "" : "not seen" };
    }),
    ...expectation.refuse.map((wanted) => {
      const found = seen.find((one) => one.wanted === wanted);
      return {
        name: `refuse ${wanted.text}`,
        ok: found === undefined,
        detail: found === undefined ? "" : `seen: ${found.line.text}`,
      };
    }),
    endCheck(lines, expectation, ending),
  ];
  const failed = checks.filter((check) => !check.ok);
  const count = lines.filter(isMarker).length;
  return {
    ok: failed.length === 0,
    checks,
    summary: failed.length === 0
      ? `all ${expectation.expect.length} expected markers seen, none of ` +
        `${expectation.refuse.length} refused, ${count} markers in all`
      : failed.toReversed().map((check) => `${check.name}: ${check.detail}`).join("; "),
  };
}

function endCheck(
  lines: readonly LogLine[],
  expectation: Expectation,
  ending: Ending,
): Check {
  const name = "the machine ended by itself";
  switch (ending.kind) {
    case "ended":
      return { name, ok: true, detail: "" };
    case "interrupted":
      return { name, ok: false, detail: "interrupted" };
    case "timeout":
      return {
        name,
        ok: false,
        detail: `hung ${whereItHung(expectation, lines)}, stopped after ${ending.seconds} s`,
      };
  }
}
