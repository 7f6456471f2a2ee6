/**
 * What a boot's run is shown as: the table of phases, the markers, the JSON and JUnit forms. Values
 * in, text out; writes nothing.
 */
import type { Verdict } from "./boot_judge.ts";
import { isMarker, type LogLine, markerText } from "./boot_log.ts";
import { type JunitSuite, renderJunit } from "./junit.ts";

export interface PhaseTime {
  readonly name: string;
  readonly ms: number;
  readonly result: string;
}

/** What comes before the host's own phases, by the names that its `before_program` line has. */
const BEFORE = ["kernel", "stage0", "program"] as const;

/**
 * How long each part of the boot took, in milliseconds: kernel, stage 0 and the program's start,
 * the host's own phases by their names, `guests` (from the end of the last phase until the last
 * guest was ready) and `shutdown` (from the power button to the end of the machine).
 */
export function phaseTimes(
  lines: readonly LogLine[],
  times: { readonly pressedAt: number | null; readonly endedAt: number | null },
): PhaseTime[] {
  const rows: PhaseTime[] = [];
  const before = lines.find((line) => line.event === "before_program");
  for (const name of BEFORE) {
    const ms = before?.fields[`${name}_ms`];
    if (ms !== undefined) rows.push({ name, ms: Number(ms), result: "ok" });
  }
  const ends = lines.filter((line) => line.event === "phase_end");
  for (const { fields } of ends) {
    rows.push({
      name: fields["phase"] ?? "?",
      ms: Number(fields["ms"] ?? 0),
      result: fields["result"] ?? "?",
    });
  }
  const guest = lines.findLast((line) => /^RAYOS_(LINUX|WINDOWS)_VM_READY$/u.test(line.event));
  const lastPhase = ends.at(-1);
  if (guest !== undefined && lastPhase !== undefined && guest.at > lastPhase.at) {
    rows.push({ name: "guests", ms: Math.round(guest.at - lastPhase.at), result: "ok" });
  }
  if (times.pressedAt !== null && times.endedAt !== null) {
    rows.push({
      name: "shutdown",
      ms: Math.round(times.endedAt - times.pressedAt),
      result: "ok",
    });
  }
  return rows;
}

/** The table of phases: name, milliseconds, share of all. */
export function phaseTable(times: readonly PhaseTime[]): string {
  const total = times.reduce((sum, { ms }) => sum + ms, 0);
  const share = (ms: number) => total === 0 ? "" : `${(100 * ms / total).toFixed(1)} %`;
  const rows = [
    ["phase", "ms", "share", ""],
    ...times.map(({ name, ms, result }) => [
      name,
      String(ms),
      share(ms),
      result === "ok" ? "" : result,
    ]),
    ["all", String(Math.round(total * 10) / 10), share(total), ""],
  ];
  return rows.map(([name = "", ms = "", part = "", result = ""]) =>
    `  ${name.padEnd(16)}${ms.padStart(8)}${part.padStart(10)}  ${result}`.trimEnd()
  ).join("\n");
}

/** The markers of a run in order, each an EVENT with its fields. */
export function markersOf(lines: readonly LogLine[]): string[] {
  return lines.filter(isMarker).map(markerText);
}

/** The last line of a run: whether it worked. */
export function finalLine(verdict: Verdict, seconds: number): string {
  return `boot ${verdict.ok ? "worked" : "failed"} after ${seconds.toFixed(1)} s: ` +
    verdict.summary;
}

/** The document of `--json`. */
export function bootJson(
  verdict: Verdict,
  lines: readonly LogLine[],
  times: { readonly pressedAt: number | null; readonly endedAt: number | null },
  console: string | null,
): string {
  const document = {
    ok: verdict.ok,
    summary: verdict.summary,
    markers: markersOf(lines),
    phases: phaseTimes(lines, times).map(({ name, ms }) => ({ name, ms })),
    console,
  };
  return `${JSON.stringify(document, null, 2)}\n`;
}

/** The document of `--junit`: a test case for each thing that was asked of the boot. */
export function bootJunit(verdict: Verdict, seconds: number): string {
  const suite: JunitSuite = {
    name: "rayos boot",
    cases: verdict.checks.map((check) => ({
      classname: "boot",
      name: check.name,
      seconds: 0,
      outcome: check.ok ? "passed" : "failed",
      detail: check.detail,
    })),
    seconds,
  };
  return renderJunit([suite]);
}
