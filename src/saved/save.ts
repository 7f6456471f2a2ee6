/**
 * Saves a running or paused guest to its state file and ends it: QEMU sends its stream to a socket of
 * the host, which hashes and writes it. A save that fails leaves the guest paused and whole, so that
 * `cont` brings it back, and leaves no file.
 *
 * The order is what makes a power cut, or the program's death, harmless at any point:
 *
 * 1. The guest is stopped, then QEMU sends everything and gives its disks back (`postmigrate`): from
 *    here on nothing writes them unless `cont` is sent.
 * 2. The files' identity is taken, the trailer written, all of it brought to the disk.
 * 3. The file gets its name. Until this moment there is no saved state, and a cold boot finds the disks
 *    as the guest left them. From this moment there is one, and the disks are those it was saved with.
 * 4. QEMU is ended. If the program dies before this, whoever finds QEMU alive either ends it or calls
 *    `retireSaved` before `cont`; after it, a guest that was not resumed has not run.
 * 5. The files are looked at once more. A QEMU that wrote after it had given its disks back is not
 *    trusted, and the state is set aside.
 */

import { createHash } from "node:crypto";
import { asFault, Fault } from "../fault.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Connection, Host, NewFile } from "../host/port.ts";
import { socketPath } from "../id.ts";
import { issue } from "../issue.ts";
import { guestCgroup, PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { within } from "../within.ts";
import { checkAsides, setAside } from "./aside.ts";
import { nextGeneration, retireSaved } from "./generation.ts";
import { savedPlaces } from "./places.ts";
import { fileDifferences, filesOf, presentOf, qemuFacts } from "./present.ts";
import { renderTrailer, type SavedState } from "./trailer.ts";

/** Limits that a test makes shorter. */
export interface SaveLimits {
  /** Milliseconds in which {@link STEP_BYTES} must have moved, or QEMU have ended the stream. */
  readonly stallMs: number;
  readonly quitMs: number;
  /** Milliseconds for the whole stream, beside those that its least speed gives. */
  readonly wholeMs: number;
  /** Slower over the whole is a QEMU that drips, and a power-off waits for it. */
  readonly leastBytesS: number;
}
const SAVE_LIMITS: SaveLimits = {
  stallMs: 20_000,
  quitMs: 10_000,
  wholeMs: 120_000,
  leastBytesS: 4 * 1024 * 1024,
};

/** Less than this in the time of a stall is no progress: a drip would hold a suspend up for ever. */
const STEP_BYTES = 1024 * 1024;
const POLL_MS = 20;
const MIB = 1024 * 1024;
const PAGE = 4096;
/** QEMU sends 9 bytes for a page of zeros and 8 more than a page for any other. */
const BYTES_PER_PAGE = PAGE + 64;
/** Devices and firmware: some 350 KiB measured; video memory would be 16 MiB. */
const DEVICES_BYTES = 64 * MIB;
/** Bytes a second that QEMU takes for no limit. */
const NO_LIMIT = Number.MAX_SAFE_INTEGER;
/** What `query-migrate` says when nothing moves any more. */
const SETTLED = new Set(["none", "completed", "failed", "cancelled"]);
const STALE = issue("vm.saved_used", {
  expected: "no saved state of a guest that runs",
  found: "one",
  hint: "the guest has run since; its memory is saved anew",
});

export interface SuspendRequest {
  readonly host: Host;
  readonly qmp: QmpClient;
  readonly plan: LaunchPlan;
  readonly key: Uint8Array;
  /** What `hostCpu` gives. */
  readonly cpu: string;
  /** Ends whatever is left in the guest's slot; resolves whether nothing is. */
  readonly kill: () => Promise<boolean>;
  /** Gives the save up; the guest stays paused. */
  readonly signal?: AbortSignal;
  /** Told how far it is, for a person: about so many hundredths of what the guest ever touched are written. */
  readonly onPercent?: (percent: number) => void;
  readonly limits?: SaveLimits;
}

/** A QEMU that is sending its memory. */
type Sending = Pick<SuspendRequest, "host" | "qmp" | "limits">;

export type SuspendResult =
  | { readonly ok: true; readonly bytes: number; readonly ms: number }
  | { readonly ok: false; readonly fault: Fault; readonly guest: "paused" | "gone" | "ended" };

/**
 * Saves the guest and ends its QEMU. Never throws. Where it fails, `paused` says that QEMU answers and
 * `cont` (after `retireSaved`) lets the guest go on; `gone` that no QEMU answers or it does not let go of the memory, and `ended` that it was told
 * to end before: what is left of it is to be killed, and the guest starts from its disks.
 */
export async function suspendGuest(request: SuspendRequest): Promise<SuspendResult> {
  const { host, qmp } = request;
  const start = host.clock.monoMs();
  let byHost = false;
  try {
    const state = await save(request);
    byHost = true;
    await end(request, state);
    return { ok: true, bytes: state.stream.bytes, ms: Math.round(host.clock.monoMs() - start) };
  } catch (error) {
    const isFree = await giveUp(request);
    const fault = asFault(error, "guest", "saved.failed");
    return {
      ok: false,
      fault,
      guest: isFree && await answers(qmp) ? "paused" : byHost ? "ended" : "gone",
    };
  }
}

function failure(code: string, why: string): Fault {
  return new Fault("guest", code, `saving a guest: ${why}; see the guest's state`);
}

/** Everything up to the moment in which there is a saved state. */
async function save(request: SuspendRequest): Promise<SavedState> {
  const { host, plan, qmp, key, cpu } = request;
  const places = savedPlaces(plan);
  // What a TPM has in memory would have to be saved with the machine's, to the same instant.
  if (plan.tpm !== null) throw failure("saved.tpm", "one with a TPM cannot be saved; shut it down");
  checkAsides(host, plan);
  const expected = checkRoom(host, plan);
  await qmp.command("stop");
  for (const folder of [places.guest, places.folder]) host.makeDirectory(folder);
  host.syncDirectory(places.guest);
  setAside(host, plan, [STALE]);
  nextGeneration(host, plan);
  const facts = await qemuFacts(qmp, plan);
  const file = host.create(places.unfinished);
  try {
    const sha256 = await receive(request, file, expected);
    const present = presentOf(host, plan, cpu);
    const state: SavedState = {
      ...present,
      cpu: { ...present.cpu, guest: facts.cpu },
      qemu: facts.qemu,
      stream: { bytes: file.size, sha256 },
      saved_at: host.clock.wall().toISOString(),
    };
    await file.append(renderTrailer(state, key));
    await file.finish();
    host.rename(places.unfinished, places.state);
    host.syncDirectory(places.folder);
    return state;
  } finally {
    file.abandon();
  }
}

/** The most that QEMU may send. */
function mostBytes(plan: LaunchPlan): number {
  return Math.ceil(plan.memoryMiB * MIB / PAGE) * BYTES_PER_PAGE + DEVICES_BYTES;
}

/**
 * A save that would fill the disk is not begun: every other guest would be held by its next write.
 *
 * @returns about how many bytes it takes
 * @throws Fault `saved.no_room`
 */
function checkRoom(host: Host, plan: LaunchPlan): number {
  const stat = host.readText(`${guestCgroup(plan.slot)}/memory.stat`, 64 * 1024) ?? "";
  const of = (name: string) => Number(stat.match(new RegExp(`^${name} (\\d+)$`, "m"))?.[1] ?? NaN);
  // What the guest has ever touched is in memory, swapped by nobody (cgroup-v2.rst, memory.stat); QEMU's
  // own memory is in it too, and devices are less than that.
  const touched = of("anon") + of("shmem");
  const most = mostBytes(plan);
  const needed = Number.isNaN(touched) ? most : Math.min(most, touched);
  const free = host.freeBytes(PATHS.dataRoot);
  if (free >= needed) return needed;
  const mib = (bytes: number) => `${Math.ceil(bytes / MIB)} MiB`;
  throw failure(
    "saved.no_room",
    `it takes ${mib(needed)}, and RayOS Data has room for ${mib(free)}`,
  );
}

/** Takes QEMU's stream into the file and gives its hash. */
async function receive(
  request: SuspendRequest,
  file: NewFile,
  expected: number,
): Promise<string> {
  const { host, plan, qmp, signal, limits = SAVE_LIMITS } = request;
  const most = mostBytes(plan);
  const listener = await host.listen(socketPath(plan.slot, "state"), plan.uid);
  let connection: Connection | null = null;
  try {
    await qmp.command("migrate-set-parameters", qmp.timeoutMs, { "max-bandwidth": NO_LIMIT });
    await qmp.command("migrate");
    connection = await unless(signal, limits.stallMs, "QEMU's connection", listener.accept());
    if (connection === null) throw failure("saved.stream", "QEMU did not connect");
    const hash = createHash("sha256");
    const late = host.clock.monoMs() + limits.wholeMs + most / limits.leastBytesS * 1000;
    let due = host.clock.monoMs() + limits.stallMs;
    let step = 0;
    while (true) {
      const left = Math.min(due, late) - host.clock.monoMs();
      if (left <= 0) {
        throw failure("saved.stream", `QEMU gave ${file.size} bytes, then too little for too long`);
      }
      const piece = await unless(signal, left, "QEMU's stream", connection.read());
      if (piece === null) break;
      if (file.size + piece.length > most) {
        throw failure("saved.too_large", `more than ${most} bytes for ${plan.memoryMiB} MiB`);
      }
      hash.update(piece);
      await file.append(piece);
      // What is left when all is written takes its time, too.
      request.onPercent?.(Math.min(99, Math.floor(file.size * 100 / Math.max(1, expected))));
      step += piece.length;
      if (step < STEP_BYTES) continue;
      step = 0;
      due = host.clock.monoMs() + limits.stallMs;
    }
    const { status } = await settled(request);
    if (status !== "completed") throw failure("saved.stream", `QEMU says ${status}`);
    return hash.digest("hex");
  } finally {
    connection?.close();
    listener.close();
  }
}

/** A wait with a limit that also ends when the save is given up. */
async function unless<T>(
  signal: AbortSignal | undefined,
  ms: number,
  what: string,
  work: Promise<T>,
): Promise<T> {
  work.catch(() => {});
  const stopped = Promise.withResolvers<never>();
  stopped.promise.catch(() => {});
  const stop = () => stopped.reject(failure("saved.given_up", "it was given up"));
  if (signal?.aborted) stop();
  signal?.addEventListener("abort", stop);
  try {
    return await within(ms, what, Promise.race([stopped.promise, work]));
  } finally {
    signal?.removeEventListener("abort", stop);
  }
}

/** How the migration ended, in QEMU's words, or what it was at when the time was over. */
async function settled(
  { host, qmp, limits = SAVE_LIMITS }: Sending,
): Promise<{ readonly isSettled: boolean; readonly status: string }> {
  const late = host.clock.monoMs() + limits.stallMs;
  while (true) {
    const { status = "none", "error-desc": why } = await qmp.command("query-migrate");
    const isSettled = SETTLED.has(status);
    if (isSettled || host.clock.monoMs() >= late) {
      return { isSettled, status: why === undefined ? status : `${status} (${why})` };
    }
    await host.clock.sleep(POLL_MS);
  }
}

/** Ends QEMU; the state is named already, so nothing of the guest is lost by it. */
async function end(request: SuspendRequest, state: SavedState): Promise<void> {
  const { host, plan, qmp, kill, limits = SAVE_LIMITS } = request;
  const late = host.clock.monoMs() + limits.quitMs;
  // A QEMU that does not answer is killed below.
  await qmp.command("quit", limits.quitMs).catch(() => {});
  while (host.processesOf(plan.slot).length > 0 && host.clock.monoMs() < late) {
    await host.clock.sleep(POLL_MS);
  }
  if (host.processesOf(plan.slot).length > 0 && !await kill()) {
    throw failure("saved.still_there", "its QEMU cannot be ended");
  }
  const changed = fileDifferences(state.files, filesOf(host, plan));
  if (changed.length === 0) return;
  setAside(host, plan, changed);
  throw failure("saved.disk", `${changed[0]?.path} changed after QEMU had let go of it`);
}

/**
 * Has QEMU send no more of its memory, and waits until it has let go of it: a `cont` before that could come in
 * the middle of a send.
 *
 * @throws Fault `saved.stream` where it does not let go of it
 */
export async function cancelSave(sending: Sending): Promise<void> {
  await sending.qmp.command("migrate_cancel");
  const { status, isSettled } = await settled(sending);
  if (!isSettled) throw failure("saved.stream", `QEMU says ${status} and goes on with it`);
}

/**
 * Leaves a guest that `cont` brings back, and no file of this try.
 *
 * @returns whether QEMU says that it has let go of the guest's memory
 */
async function giveUp(request: SuspendRequest): Promise<boolean> {
  const { host, plan } = request;
  const { unfinished } = savedPlaces(plan);
  const isFree = await cancelSave(request).then(() => true, () => false);
  try {
    if (host.lstat(unfinished) !== null) host.remove(unfinished);
    retireSaved(host, plan);
  } catch {
    // The disk is failing; an unfinished file is never loaded, and `retireSaved` comes again before `cont`.
  }
  return isFree;
}

async function answers(qmp: QmpClient): Promise<boolean> {
  return await qmp.command("query-status").then(() => true, () => false);
}
