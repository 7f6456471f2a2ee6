/**
 * Gives a saved state to a QEMU that waits for it (`-incoming defer`), once. It sends nothing unless
 * QEMU says that it is the one, with the CPU, that the state was saved with; what it sends is hashed
 * again on the way, so that QEMU never runs on other bytes than those that were checked.
 *
 * A state is retired here, on the disk, after QEMU took all of it and before anyone can send `cont`.
 * A power cut before that leaves a state that nobody has run from and disks that nobody has written
 * since; one after it leaves a guest that starts from its disks. Never both.
 */

import { createHash } from "node:crypto";
import { asFault, Fault } from "../fault.ts";
import type { AgentClient } from "../guest/agent.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Connection, Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { within } from "../within.ts";
import { type GoodState, otherStream, READ_CHUNK } from "./check.ts";
import { retireSaved } from "./generation.ts";
import { savedPlaces } from "./places.ts";
import { qemuDifferences, qemuFacts } from "./present.ts";

/** Milliseconds in which {@link READ_CHUNK} must have moved, or QEMU have come to an answer. */
const STALL_MS = 20_000;
const POLL_MS = 20;
const AGENT_MS = 10_000;

export interface LoadRequest {
  readonly host: Host;
  readonly qmp: QmpClient;
  readonly plan: LaunchPlan;
  readonly saved: GoodState;
  /** Whether the guest may still run once it is loaded; where not, the state stays as good as before. */
  readonly mayRun?: () => boolean;
  readonly stallMs?: number;
}

export type LoadResult =
  /** QEMU is paused with the guest's memory; `cont` lets it go on. */
  | { readonly ok: true; readonly bytes: number; readonly ms: number }
  /** This QEMU must be killed; the issues are for `setAside`. */
  | { readonly ok: false; readonly issues: readonly Issue[] };

/** Loads and retires the state. Never throws. */
export async function loadSaved(request: LoadRequest): Promise<LoadResult> {
  const { host, qmp, plan, saved, mayRun = () => true } = request;
  const start = host.clock.monoMs();
  try {
    const others = qemuDifferences(saved.state, await qemuFacts(qmp, plan));
    if (others.length > 0) return { ok: false, issues: others };
    const sent = await send(request);
    const { stream } = saved.state;
    if (sent !== stream.sha256) return { ok: false, issues: [otherStream(stream.sha256, sent)] };
    await awaitLoaded(request);
    if (!mayRun()) throw failure("the host has left normal mode");
    if (!retireSaved(host, plan)) throw failure("the state is gone from the disk");
    return { ok: true, bytes: stream.bytes, ms: Math.round(host.clock.monoMs() - start) };
  } catch (error) {
    const fault = asFault(error, "guest", "saved.load");
    return {
      ok: false,
      issues: [issue("vm.saved_load", {
        path: fault.code,
        expected: "a saved state that QEMU takes",
        found: fault.message,
        hint: "the guest starts from its disks instead",
      })],
    };
  }
}

function failure(why: string): Fault {
  return new Fault("guest", "saved.load", `loading a guest: ${why}; see the guest's state`);
}

/** Sends the stream and gives the hash of what was sent. */
async function send({ host, qmp, plan, saved, stallMs = STALL_MS }: LoadRequest): Promise<string> {
  const path = socketPath(plan.slot, "state");
  const file = host.open(savedPlaces(plan).state);
  let connection: Connection | null = null;
  try {
    if (file === null || file.inode !== saved.inode) throw failure("another file lies there now");
    await qmp.command("migrate-incoming");
    connection = await host.connect(path, stallMs);
    const hash = createHash("sha256");
    const { bytes } = saved.state.stream;
    for (let at = 0; at < bytes;) {
      const piece = await file.read(at, Math.min(READ_CHUNK, bytes - at));
      if (piece.length === 0) break;
      hash.update(piece);
      await within(stallMs, "QEMU's taking of its memory", connection.write(piece));
      at += piece.length;
    }
    return hash.digest("hex");
  } finally {
    connection?.close();
    file?.close();
    host.remove(path);
  }
}

/** A `cont` before this would be answered with yes and do nothing. */
async function awaitLoaded({ host, qmp, stallMs = STALL_MS }: LoadRequest): Promise<void> {
  const late = host.clock.monoMs() + stallMs;
  while (true) {
    const { status } = await qmp.command("query-status");
    if (status === "paused") return;
    if (status !== "inmigrate") throw failure(`QEMU is ${status}`);
    if (host.clock.monoMs() >= late) throw failure("QEMU does not come to an end");
    await host.clock.sleep(POLL_MS);
  }
}

/**
 * Sets the clock of a guest that was resumed, after `cont`: its monotonic clock goes on where it was,
 * and its wall clock would be late by the time it lay on the disk. Timer ticks that the guest did not
 * get meanwhile are not made up for.
 *
 * @param agent null where the guest has none: then its clock is its own affair
 * @param wall null where the host does not trust its own clock: then nothing is set
 * @throws Fault `guest.clock` where the agent was asked and does not say so
 */
export async function correctClock(
  qmp: QmpClient,
  agent: Pick<AgentClient, "setTime"> | null,
  wall: Date | null,
): Promise<void> {
  await qmp.command("rtc-reset-reinjection");
  if (agent === null || wall === null || await agent.setTime(wall, AGENT_MS)) return;
  throw new Fault(
    "guest",
    "guest.clock",
    "its agent did not say that it set the clock, which may be late by the time that its memory lay on " +
      "the disk; the agent needs hwclock in the guest (Debian 12: package util-linux-extra)",
  );
}
