/**
 * How a guest's processes come to an end: asked, told, killed, each with a limit of its own. It knows a
 * slot and nothing of policy; the kernel's list of the slot's processes says whether it worked.
 */

import { QmpClient } from "../guest/qmp.ts";
import type { Host } from "../host/port.ts";
import { type Slot, socketPath } from "../id.ts";
import { guestCgroup } from "../permissions.ts";

/**
 * Milliseconds for each step; an ACPI power-down is the guest's own shutdown and takes its time. Where sixteen guests end
 * at once on one CPU, QEMU takes seconds to hear of it, and the kernel to clear a killed one away.
 */
export interface EndingLimits {
  readonly askMs: number;
  readonly powerDownMs: number;
  readonly quitMs: number;
  readonly killMs: number;
}
export const ENDING: EndingLimits = {
  askMs: 15_000,
  powerDownMs: 30_000,
  quitMs: 5_000,
  killMs: 30_000,
};

const POLL_MS = 50;
/** Between two looks at what was killed long ago. */
const LINGER_MS = 500;
const EVENTS_LIMIT = 4096;

export type Ending = "powered_down" | "quit" | "killed" | "still_there";

/** ACPI power-down, then QMP quit, then the cgroup is killed. */
export async function endGuest(
  host: Host,
  slot: Slot,
  qmp: QmpClient | null,
  limits: EndingLimits = ENDING,
): Promise<Ending> {
  if (qmp !== null) {
    try {
      await qmp.command("system_powerdown", limits.askMs);
      if (await isGone(host, slot, limits.powerDownMs)) return "powered_down";
      await qmp.command("quit", limits.quitMs);
      if (await isGone(host, slot, limits.quitMs)) return "quit";
    } catch {
      // A QEMU that is gone or does not answer: the kernel is asked and told instead.
      if (await isGone(host, slot, POLL_MS)) return "powered_down";
    }
  }
  return await killGuest(host, slot, limits.killMs) ? "killed" : "still_there";
}

const beingEnded = new WeakMap<Host, Map<Slot, Promise<Ending>>>();

/**
 * Ends what runs in a slot that no plan of this start is about: it is asked like any other. Who asks for it again
 * meanwhile waits for the same end: its QEMU talks to one at a time.
 */
export function endStranger(host: Host, slot: Slot): Promise<Ending> {
  const under = beingEnded.get(host) ?? new Map<Slot, Promise<Ending>>();
  beingEnded.set(host, under);
  const already = under.get(slot);
  if (already !== undefined) return already;
  const ending = askStranger(host, slot).finally(() => under.delete(slot));
  under.set(slot, ending);
  return ending;
}

async function askStranger(host: Host, slot: Slot): Promise<Ending> {
  let qmp: QmpClient | null = null;
  try {
    const connection = await host.connect(socketPath(slot, "qmp"), ENDING.quitMs);
    try {
      qmp = await QmpClient.open(connection, () => {}, ENDING.quitMs);
    } catch (error) {
      connection.close();
      throw error;
    }
  } catch {
    // Nobody to ask: what is there is killed.
  }
  const ending = await endGuest(host, slot, qmp);
  qmp?.close();
  return ending;
}

/**
 * Kills everything in the slot's cgroup (cgroup.kill) and waits until it is gone.
 *
 * @returns whether no process is left
 */
export async function killGuest(host: Host, slot: Slot, timeoutMs: number): Promise<boolean> {
  // A guest's TPM has a cgroup of its own below, which ends with it.
  if (isInhabited(host, slot)) {
    host.put(`${guestCgroup(slot)}/cgroup.kill`, "1");
  }
  return await isGone(host, slot, timeoutMs);
}

/**
 * Whether anything is left in the slot's cgroup. The list of processes is empty a moment before the last one
 * has let go of its files; `populated` (cgroup-v2.rst) says when that is over, KVM's own threads included.
 */
export function isInhabited(host: Host, slot: Slot): boolean {
  if (host.processesOf(slot).length > 0) return true;
  const events = host.readText(`${guestCgroup(slot)}/cgroup.events`, EVENTS_LIMIT) ?? "";
  return /^populated 1$/m.test(events);
}

/** Waits until nothing is left in the slot's cgroup, however long that takes. */
export async function untilGone(host: Host, slot: Slot): Promise<void> {
  while (isInhabited(host, slot)) await host.clock.sleep(LINGER_MS);
}

/** Waits until nothing is left in the slot's cgroup. @returns whether it came to that in time */
async function isGone(host: Host, slot: Slot, timeoutMs: number): Promise<boolean> {
  const end = host.clock.monoMs() + timeoutMs;
  while (isInhabited(host, slot)) {
    if (host.clock.monoMs() >= end) return false;
    await host.clock.sleep(POLL_MS);
  }
  return true;
}
