/**
 * Crash reports: written where something ended that should not have, found again by the next start of the
 * program or the next boot, said once in `RAYOS_CRASH`. Whatever goes wrong here is a line, and stops
 * nothing: a host that cannot write a report still has to run.
 */

import { tailOfBootLog } from "../audit/boot_log.ts";
import {
  ASKED,
  type CrashReport,
  LAST_WORD,
  MAX_CRASHED_BOOTS,
  MAX_REPORT_BYTES,
  MAX_REPORTS,
  panicLines,
  readReport,
  renderReport,
  REPORT_LINES,
  reportName,
  restartedByWatchdog,
  TAIL_BYTES,
  waitingReport,
} from "../audit/crash.ts";
import type { LastKnown } from "../audit/last_known.ts";
import { isBootId } from "../boot/session.ts";
import { escapeUnsafe } from "../escape.ts";
import type { CrashCause } from "../event.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Crashed, Runtime } from "../runtime.ts";
import { reportsOf } from "./boot_view.ts";
import { textOrDamaged } from "./damaged_text.ts";
import { knownNow, knownOfBoot, oomKillsNow } from "./last_known.ts";
import { isStandIn } from "./stand_in.ts";

const CRASH = `${PATHS.dataRoot}/crash`;
/** Those that know what became of the start before them. */
const collected = new WeakSet<Runtime>();
/** Which boot RayOS Data had last. */
const BOOT_ID_FILE = `${PATHS.dataRoot}/boot/current_boot_id`;
/** Left by the watchdog's loop when it ends a program that no longer shows that it is alive. */
const HANG_NOTE = `${PATHS.run}/hang`;
/** Where stage 0 shows what the kernel kept of a panic, and what the watchdog's driver says. */
const PSTORE = `${PATHS.run}/pstore`;
const BOOT_STATUS = `${PATHS.run}/watchdog_status`;
const MAX_PSTORE_FILES = 64;

type Facts = Pick<CrashReport, keyof LastKnown & keyof CrashReport>;

/** @param facts of what crashed, which need not be those of now */
function reportOf(
  { sinks }: Runtime,
  { boot_id, phase, program, kernel, mode, policy, guests }: Facts,
  given: Pick<CrashReport, "cause" | "message" | "last_lines">,
): CrashReport {
  const facts = { boot_id, phase, program, kernel, mode, policy, guests };
  return { version: 0, time: sinks.now(), ...facts, ...given };
}

/** Of a boot that left nothing of itself: nothing of this one's is said for it. */
function unknownOf(bootId: string): Facts {
  const unknown = "unknown";
  return {
    version: 0,
    boot_id: bootId,
    phase: unknown,
    program: { version: unknown, build_id: unknown, form: unknown, runtime: unknown, start: null },
    kernel: unknown,
    mode: unknown,
    policy: null,
    guests: [],
  };
}

/** Of the start before this one; image and kernel are the boot's. */
function ofStartBefore(runtime: Runtime): Facts {
  const { before, bootId, starts } = runtime;
  const start = starts.start - 1;
  if (before?.program.start === start) return before;
  const { program, kernel } = knownNow(runtime);
  return { ...unknownOf(bootId), program: { ...program, start }, kernel };
}

/** The program ends by an error that nobody caught. Never throws. */
export function reportUncaught(runtime: Runtime, message: string): void {
  fileNow(runtime, "uncaught", message);
}

/** The boot counts as failed: it was not ready in time. */
export function reportNotReady(runtime: Runtime, message: string): void {
  fileNow(runtime, "not_ready", message);
}

/**
 * RayOS Data did not come up: what the log has until then waits with what else is for the disk, once in a
 * boot. Never throws.
 */
export function reportNoData(runtime: Runtime, message: string): void {
  if (waiting(runtime).some(({ report }) => report?.cause === "no_data")) return;
  const last_lines = runtime.sinks.lastLines(Infinity);
  const report = reportOf(runtime, knownNow(runtime), { cause: "no_data", message, last_lines });
  done(runtime, () => keepForDisk(runtime, report));
}

function fileNow(runtime: Runtime, cause: CrashCause, message: string): void {
  const { host, sinks } = runtime;
  const report = reportOf(runtime, knownNow(runtime), {
    cause,
    message,
    last_lines: sinks.lastLines(REPORT_LINES),
  });
  const filed = runtime.dataDevice !== null && file(runtime, report);
  done(runtime, () => {
    if (!filed && !isStandIn(runtime)) keepForDisk(runtime, report);
  });
  // The next start is told that this one did not die without a word.
  if (cause === "uncaught") done(runtime, () => host.put(LAST_WORD, ASKED));
}

/** @returns whether nothing failed; what did is a line */
function done(runtime: Runtime, work: () => void): boolean {
  try {
    work();
    return true;
  } catch (error) {
    tellUnwritable(runtime, error);
    return false;
  }
}

/** @returns whether it is on the disk */
function file(runtime: Runtime, report: CrashReport): boolean {
  return done(runtime, () => {
    // Memory goes; the report is for the disk that is to come.
    if (isStandIn(runtime)) keepForDisk(runtime, report);
    write(runtime, report);
    const { boot_id: bootId, cause, phase } = report;
    runtime.emit({ type: "crash", bootId, cause, phase });
  });
}

/** @throws where the boot has as many as it may have, and what the file system says */
function write(runtime: Runtime, report: CrashReport): void {
  const { host } = runtime;
  const folder = `${CRASH}/${report.boot_id}`;
  const there = host.list(CRASH).includes(report.boot_id);
  if (!there) host.makeDirectory(folder);
  const names = host.list(folder);
  if (names.length >= MAX_REPORTS) {
    throw new Error(
      `this boot has ${MAX_REPORTS} reports already; this one is on the console only`,
    );
  }
  let n = 1;
  while (names.includes(reportName(n))) n++;
  host.replace(`${folder}/${reportName(n)}`, renderReport(report));
  runtime.crashed = crashedBy(report.boot_id, n, report);
  trim(runtime, report.boot_id);
}

function crashedBy(boot: string, n: number, report: CrashReport | null): Crashed {
  const { cause = null, phase = null, time = null } = report ?? {};
  return { boot, n, cause, phase, time };
}

/** What a boot left before this start, so that a person is told of it. */
function rememberOf(runtime: Runtime, boot: string): void {
  const last = reportsOf(runtime, boot).at(-1);
  if (last !== undefined) runtime.crashed = crashedBy(boot, last.n, last.report);
}

/** @throws where as many wait as one boot may have */
function keepForDisk({ host }: Runtime, report: CrashReport): void {
  for (let n = 1; n <= MAX_REPORTS; n++) {
    if (host.lstat(waitingReport(n)) !== null) continue;
    return host.put(waitingReport(n), renderReport(report));
  }
  throw new Error(`${MAX_REPORTS} reports wait for the disk already`);
}

/** What waits for the disk; null: it was cut. */
function waiting({ host }: Runtime): { path: string; report: CrashReport | null }[] {
  return Array.from({ length: MAX_REPORTS }, (_, at) => waitingReport(at + 1)).flatMap((path) => {
    const text = textOrDamaged(host, path, MAX_REPORT_BYTES);
    return text === null ? [] : [{ path, report: readReport(text) }];
  });
}

/** Files what waited for the disk, which is there now; new memory in its place shows it alone. */
function collectWaiting(runtime: Runtime): void {
  for (const { path, report } of waiting(runtime)) {
    if (isStandIn(runtime)) {
      if (report !== null) done(runtime, () => write(runtime, report));
    } else if (report === null || file(runtime, report)) runtime.host.remove(path);
  }
}

/** The oldest boots' reports go when there are too many; only what has a report's name is removed. */
function trim({ host }: Runtime, current: string): void {
  const boots = host.list(CRASH).filter((name) => isBootId(name) && name !== current)
    .map((name) => ({ name, at: host.lstat(`${CRASH}/${name}`)?.modifiedMs ?? 0 }))
    .toSorted((a, b) => a.at - b.at);
  for (const { name } of boots.slice(0, Math.max(0, boots.length + 1 - MAX_CRASHED_BOOTS))) {
    for (let n = 1; n <= MAX_REPORTS; n++) {
      const path = `${CRASH}/${name}/${reportName(n)}`;
      if (host.lstat(path)?.type === "file") host.remove(path);
    }
    if (host.list(`${CRASH}/${name}`).length === 0) host.remove(`${CRASH}/${name}`);
  }
}

function tellUnwritable({ emit }: Runtime, error: unknown): void {
  const message = `crash report: ${reasonOf(error)}; read the lines before this one`;
  emit({ type: "fault", stage: "data", code: "crash.unwritable", message });
}

/**
 * Files what earlier starts and the boot before left: called once RayOS Data is there, and before this
 * boot calls it its own.
 */
export function collectCrashes(runtime: Runtime): void {
  const { host, bootId } = runtime;
  const before = textOrDamaged(host, BOOT_ID_FILE, 256)?.trim() ?? "";
  try {
    if (isBootId(before)) rememberOf(runtime, before);
    if (isBootId(before) && before !== bootId) collectOfBoot(runtime, before);
    collectWaiting(runtime);
    // Once: a disk that comes up later in this start has what waited for it.
    if (!collected.has(runtime)) collectOfStart(runtime);
    collected.add(runtime);
  } catch (error) {
    tellUnwritable(runtime, error);
  }
}

/** The boot before this one. A data root in memory knows of none, and leaves the kernel's record alone. */
function collectOfBoot(runtime: Runtime, before: string): void {
  const { host, emit } = runtime;
  const told = host.list(`${CRASH}/${before}`).length > 0;
  if (told) emit({ type: "crash", bootId: before, cause: "earlier", phase: "unknown" });
  // What is left of more than so many is the next boot's.
  const names = host.list(PSTORE).filter((name) => name.startsWith("dmesg-"))
    .slice(0, MAX_PSTORE_FILES);
  const facts = knownOfBoot(host, before) ?? unknownOf(before);
  if (names.length > 0) {
    const records = names.map((name) => {
      const bytes = host.head(`${PSTORE}/${name}`, 64 * 1024) ?? new Uint8Array();
      return { name, text: new TextDecoder().decode(bytes) };
    });
    const last_lines = panicLines(records).map(escapeUnsafe);
    const message = last_lines.find((line) => line.includes("Kernel panic")) ??
      "see the last lines";
    const report = reportOf(runtime, facts, { cause: "panic", message, last_lines });
    // The kernel's record goes only once ours is on the disk.
    if (!file(runtime, report)) return;
    for (const name of names) host.remove(`${PSTORE}/${name}`);
  } else if (restartedByWatchdog(host.readText(BOOT_STATUS, 256))) {
    file(
      runtime,
      reportOf(runtime, facts, {
        cause: "watchdog",
        message: "the watchdog's driver says that it restarted the machine",
        last_lines: tailOfBoot(runtime, before),
      }),
    );
  }
}

function tailOfBoot({ host }: Runtime, bootId: string): string[] {
  return tailOfBootLog(host, { root: `${PATHS.dataRoot}/logs`, bootId }, TAIL_BYTES);
}

/** The start before this one, within this boot. */
function collectOfStart(runtime: Runtime): void {
  const { host, starts, bootId } = runtime;
  if (starts.start === 1) return;
  const word = textOrDamaged(host, LAST_WORD, 256);
  host.remove(LAST_WORD);
  // Any other word was cut: whoever wrote it died of it.
  if (word === ASKED) return;
  const hang = host.readText(HANG_NOTE, 256);
  const filed = file(
    runtime,
    reportOf(runtime, ofStartBefore(runtime), {
      cause: hang === null ? "died" : "hang",
      message: hang?.trim() ?? messageOfDeath(runtime),
      last_lines: tailOfBoot(runtime, bootId),
    }),
  );
  if (filed && hang !== null) host.remove(HANG_NOTE);
}

function messageOfDeath({ host, before }: Runtime): string {
  const [then, now] = [before?.oom_kills ?? null, oomKillsNow(host)];
  return then !== null && now !== null && now > then
    ? "the program was gone; the kernel ended a process of the host's for want of memory then"
    : "the program was gone; the kernel's lines may say more";
}
