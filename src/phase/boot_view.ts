/**
 * What this boot and earlier ones left for a person to look at: their records, the course of this one, and
 * the reports of what ended that should not have. It reads, and nothing is decided by it.
 */

import * as v from "valibot";
import {
  type CrashReport,
  MAX_REPORT_BYTES,
  MAX_REPORTS,
  readReport,
  reportName,
  waitingReport,
} from "../audit/crash.ts";
import type { Outcome } from "../control/protocol.ts";
import { PATHS } from "../permissions.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { textOrDamaged } from "./damaged_text.ts";

const CRASH = `${PATHS.dataRoot}/crash`;
const RECORD_LIMIT = 64 * 1024;

const RECORD = v.looseObject({
  boot_id: v.string(),
  start: v.optional(v.number()),
  wall: v.optional(v.string()),
  mode: v.optional(v.string()),
  ready: v.optional(v.boolean()),
  uptime_ms: v.optional(v.number()),
  ended: v.optional(v.nullable(v.string())),
  troubles: v.optional(v.array(v.string()), []),
});

export function bootViewOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["crash.list", () => ({ ok: true, result: listCrashes(runtime) })],
    ["crash.show", (_, args) => showCrash(runtime, args.boot, args.n)],
    ["boot.history", () => ({ ok: true, result: history(runtime) })],
    ["boot.timeline", () => ({ ok: true, result: timeline(runtime) })],
  ];
}

/** Boots that have reports; while nothing is mounted, those of this one wait for the disk. */
function crashedBoots({ host, bootId, dataDevice }: Runtime): string[] {
  return dataDevice === null ? [bootId] : host.list(CRASH);
}

/** A boot's reports, in their order. */
export function reportsOf(
  { host, dataDevice }: Runtime,
  boot: string,
): { n: number; report: CrashReport | null }[] {
  const waiting = dataDevice === null;
  if (!waiting && host.lstat(`${CRASH}/${boot}`)?.type !== "directory") return [];
  return Array.from({ length: MAX_REPORTS }, (_, at) => at + 1).flatMap((n) => {
    const path = waiting ? waitingReport(n) : `${CRASH}/${boot}/${reportName(n)}`;
    const text = textOrDamaged(host, path, MAX_REPORT_BYTES);
    return text === null ? [] : [{ n, report: readReport(text) }];
  });
}

/** All reports, the newest boot first. */
function listCrashes(runtime: Runtime): Record<string, unknown>[] {
  const rows = crashedBoots(runtime).flatMap((boot) =>
    reportsOf(runtime, boot).map(({ n, report }) => ({
      boot,
      n,
      time: report?.time ?? null,
      cause: report?.cause ?? "a report that cannot be read",
      phase: report?.phase ?? null,
      message: report?.message ?? null,
    }))
  );
  return rows.sort((a, b) => String(b.time).localeCompare(String(a.time)) || b.n - a.n);
}

/**
 * One report in whole.
 *
 * @param asked a boot's id, or the beginning of one
 * @param n which of that boot's; the last one where it is left out
 */
function showCrash(runtime: Runtime, asked: unknown, n: unknown): Outcome {
  const begun = typeof asked === "string" ? asked : "";
  const boots = crashedBoots(runtime).filter((boot) => begun !== "" && boot.startsWith(begun));
  const [boot] = boots;
  if (boot === undefined || boots.length > 1) {
    const detail = boot === undefined ? "no report of that boot" : "more than one boot begins so";
    return { ok: false, rule: "crash.unknown", detail };
  }
  const reports = reportsOf(runtime, boot);
  const found = n === undefined ? reports.at(-1) : reports.find((one) => one.n === n);
  return found?.report
    ? { ok: true, result: { n: found.n, ...found.report } }
    : { ok: false, rule: "crash.unknown", detail: "no such report that can be read" };
}

/** What each boot wrote of itself, the oldest first. */
function history({ host }: Runtime): unknown[] {
  const folder = `${PATHS.dataRoot}/boot/history`;
  const records = host.list(folder).filter((name) => name.endsWith(".json")).flatMap((name) => {
    const parsed = v.safeParse(
      RECORD,
      readJson(textOrDamaged(host, `${folder}/${name}`, RECORD_LIMIT)),
    );
    return parsed.success ? [parsed.output] : [];
  });
  return records.sort((a, b) => (a.wall ?? "").localeCompare(b.wall ?? ""));
}

/** The course of this boot since this start of the program. */
function timeline({ bootId, starts, counters, image, host }: Runtime): Record<string, unknown> {
  return {
    boot_id: bootId,
    start: starts.start,
    version: image.version,
    now_ms: Math.round(host.clock.monoMs()),
    before: counters.before,
    marks: counters.marks,
  };
}

function readJson(text: string | null): unknown {
  try {
    return text === null ? null : JSON.parse(text);
  } catch {
    return null;
  }
}
