/**
 * Phase `data`: finds RayOS Data, has it checked and mounted, makes the directories, opens the logs and
 * decides whether the wall clock can be believed. Whatever goes wrong ends in an empty data root in
 * memory and a fault, so that a person can still look and act; a damaged disk is not touched again.
 */

import { type LogFile, MAX_FILES, surplus, toFree } from "../audit/retention.ts";
import { bootLogs, removableLogs } from "../audit/sinks.ts";
import { mountedAt } from "../boot/mount_table.ts";
import { whyNotTrusted } from "../boot/session.ts";
import type { BlockSource } from "../boot/cmdline.ts";
import { asFault, Fault } from "../fault.ts";
import { collectCrashes, reportNoData } from "./crash.ts";
import type { LauncherResult } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { openAudit } from "./audit.ts";
import { recordBoot } from "./boot_record.ts";
import { noteKnown } from "./last_known.ts";
import { takeOver } from "./stand_in.ts";

/** What the mount launcher calls a data root in memory. */
const TMPFS_SOURCE = "rayos-data";
const DIRECTORIES = [
  "policy",
  "vm",
  "vm/linux",
  "vm/windows",
  "logs",
  "logs/audit",
  "logs/boot",
  "crash",
  "boot",
  "boot/history",
] as const;
/** The host writes on only with so much room, root's reserve included. */
const LEAST_FREE_BYTES = 4 * 1024 * 1024;
/** Real disks can come up later than the program. */
const FIND_PATIENCE_MS = 3_000;
const FIND_PAUSE_MS = 250;
const MOUNT_TIMEOUT_MS = 60_000;
/** A check of a large file system takes its time; a machine that hangs here is the watchdog's. */
const FSCK_TIMEOUT_MS = 600_000;

export async function phaseData(runtime: Runtime): Promise<void> {
  const { host, emit, cmdline } = runtime;
  const mounted = mountedAt(
    host.readText(`${PATHS.proc}/1/mountinfo`, 256 * 1024) ?? "",
    PATHS.dataRoot,
  );
  if (mounted !== null && (mounted.source !== TMPFS_SOURCE || cmdline.data.by === "tmpfs")) {
    // The program was started again; what was checked and mounted then still is.
    settle(runtime, mounted.source, "already_mounted", null);
    return;
  }
  if (mounted !== null) {
    takeOver(runtime);
    await release(runtime);
  }
  if (cmdline.data.by === "tmpfs") {
    await ask(runtime, "tmpfs");
    settle(runtime, "tmpfs", "none", "asked");
    return;
  }
  try {
    const device = await findData(runtime, cmdline.data);
    const check = await checkDisk(runtime, device);
    await ask(runtime, "data", [device]);
    await makeRoom(runtime);
    settle(runtime, device, check, null);
  } catch (error) {
    const fault = asFault(error, "data", "data.failed");
    emit({ type: "data_fault", code: fault.code, detail: fault.message });
    reportNoData(runtime, fault.message);
    // Not mounted, or not fit for use: either way it is let go before memory takes its place.
    await release(runtime);
    await ask(runtime, "tmpfs");
    settle(runtime, "tmpfs", "none", fault.code);
    throw fault;
  }
}

const HINTS: Record<string, string> = {
  "data.not_found": "attach the disk, or name it with rayos.data= on the kernel command line",
  "data.ambiguous": "name one of them by UUID= or /dev/ with rayos.data=, or detach the other",
  "data.read_only": "make the disk writable and boot again",
  "data.unrepairable": "it was not mounted; save a copy, then `data repair` in the recovery shell",
  "data.damaged": "save a copy of the disk, then say `data repair`",
  "data.unchecked": "it was not mounted; the image's own checker did not run, rebuild the image",
  "data.full": "free space on the disk from another system, then boot again",
  "data.mount_failed": "check that it is ext4 and what the kernel log says",
};

/** Lets go of what is mounted there, which the host's own open files would keep (umount(2), EBUSY). */
async function release(runtime: Runtime): Promise<void> {
  runtime.audit.close();
  runtime.sinks.closeFiles();
  // Nothing is written there from here on.
  runtime.dataDevice = null;
  await ask(runtime, "release");
}

async function ask(
  runtime: Runtime,
  verb: string,
  args: readonly string[] = [],
): Promise<string[]> {
  return read(await runtime.host.launch("mount", [verb, ...args], MOUNT_TIMEOUT_MS));
}

/** The words after `ok`. @throws Fault with the launcher's own code */
function read(result: LauncherResult): string[] {
  const [kind, ...rest] = result.words;
  if (result.code === 0 && kind === "ok") return rest;
  const [code = "data.launcher", ...detail] = kind === "fault" ? rest : [];
  const why = detail.join(" ") || `the launcher ended with ${result.code}`;
  throw new Fault(
    "data",
    code,
    `RayOS Data: ${why}; ${HINTS[code] ?? "see the kernel's log, then boot again"}`,
  );
}

/** The device of that name, which may take its time to come up. @throws Fault with the launcher's own code */
export async function findData(runtime: Runtime, source: BlockSource): Promise<string> {
  const { clock } = runtime.host;
  const spec = source.by === "label"
    ? `LABEL=${source.label}`
    : source.by === "uuid"
    ? `UUID=${source.uuid}`
    : source.path;
  const end = clock.monoMs() + FIND_PATIENCE_MS;
  while (true) {
    try {
      const [device = ""] = await ask(runtime, "find", [spec]);
      return device;
    } catch (error) {
      const again = error instanceof Fault && error.code === "data.not_found";
      if (!again || clock.monoMs() >= end) throw error;
    }
    await clock.sleep(FIND_PAUSE_MS);
  }
}

/**
 * @param how as at a boot (what can be mended safely is) where it is left out; `check`: nothing is written;
 *   `repair`: everything that the checker proposes
 * @throws Fault with the launcher's own code
 */
export async function checkDisk(
  runtime: Runtime,
  device: string,
  ...how: ["check" | "repair"] | []
): Promise<string> {
  const [state = ""] = read(await runtime.host.launch("fsck", [device, ...how], FSCK_TIMEOUT_MS));
  return state;
}

/** Old logs go until the host can write; nothing else is ever removed. */
async function makeRoom(runtime: Runtime): Promise<void> {
  const free = async () => Number((await ask(runtime, "space"))[0] ?? 0);
  const missing = LEAST_FREE_BYTES - await free();
  let removed = surplus(bootLogs(runtime.host, PATHS.dataRoot, null));
  if (missing > 0) {
    const files = removableLogs(runtime.host, PATHS.dataRoot, null);
    removed = toFree(files, missing) ?? files;
  }
  for (const file of removed) runtime.host.remove(file.path);
  for (const [category, gone] of Map.groupBy(removed, (file) => file.category)) {
    const bytes = gone.reduce((sum, file) => sum + file.size, 0);
    runtime.emit({ type: "retention", removed: gone.length, bytes, category });
  }
  if (missing > 0 && await free() < LEAST_FREE_BYTES) {
    throw new Fault(
      "data",
      "data.full",
      `RayOS Data: less than ${
        LEAST_FREE_BYTES / 1024 / 1024
      } MiB free after old logs were removed; ` +
        HINTS["data.full"],
    );
  }
}

/** The logs of earlier boots. */
function oldLogs(runtime: Runtime): LogFile[] {
  const directory = "boot/history";
  const files: LogFile[] = [];
  for (const name of runtime.host.list(`${PATHS.dataRoot}/${directory}`)) {
    const facts = runtime.host.lstat(`${PATHS.dataRoot}/${directory}/${name}`);
    if (facts?.type === "file") {
      files.push({ path: `${directory}/${name}`, size: facts.size, modifiedMs: facts.modifiedMs });
    }
  }
  return files;
}

/** The data root is there: directories, logs, history, clock. */
function settle(runtime: Runtime, device: string, check: string, why: string | null): void {
  const { host, sinks, emit, bootId } = runtime;
  for (const directory of DIRECTORIES) host.makeDirectory(`${PATHS.dataRoot}/${directory}`);
  runtime.dataDevice = device;
  emit({ type: "data_mounted", device, check, why });
  trustClock(runtime);
  sinks.openFiles(PATHS.dataRoot, bootId);
  collectCrashes(runtime);
  openAudit(runtime);
  host.replace(`${PATHS.dataRoot}/boot/current_boot_id`, `${bootId}\n`);
  trimHistory(runtime);
  recordBoot(runtime, null);
  noteKnown(runtime, true);
}

function trustClock(runtime: Runtime): void {
  const { host, sinks, emit, image } = runtime;
  const why = whyNotTrusted(host.clock.wall(), image.built, lastBoot(runtime));
  if (why === null) {
    sinks.trustWallClock();
    runtime.timeTrusted = true;
    emit({ type: "time_sync", monoMs: Math.round(host.clock.monoMs()), source: "rtc" });
  } else emit({ type: "time_untrusted", reason: why });
}

/** When the last remembered boot wrote its history. */
function lastBoot(runtime: Runtime): Date | null {
  const times = oldLogs(runtime)
    .filter((file) => file.path !== `boot/history/${runtime.bootId}.json`)
    .map((file) => file.modifiedMs);
  return times.length === 0 ? null : new Date(Math.max(...times));
}

function trimHistory(runtime: Runtime): void {
  const old = oldLogs(runtime);
  // Room for this boot's own record.
  const most = MAX_FILES * 10 - 1;
  const removed = old.toSorted((a, b) => a.modifiedMs - b.modifiedMs).slice(
    0,
    Math.max(0, old.length - most),
  );
  for (const file of removed) runtime.host.remove(`${PATHS.dataRoot}/${file.path}`);
}
