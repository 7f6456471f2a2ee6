/**
 * One QEMU of one slot, as the host deals with it: the launcher is asked for it, its QMP socket is
 * reached and must be that guest's, and what the kernel says of it is held against the plan. It keeps
 * no state of a guest and lets none go.
 */

import { Fault } from "../fault.ts";
import { QmpClient, type QmpEvent } from "../guest/qmp.ts";
import type { Connection, FileFacts, Host } from "../host/port.ts";
import { type Slot, slotName, socketPath } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import type { Verdict } from "../jail/confinement.ts";
import { renderPlan } from "../jail/render.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { keepNewTpm } from "./lasting.ts";
import { readBack } from "./read_back.ts";
import type { RunRecord } from "./record.ts";

/** Milliseconds. A launch is slow on an emulated host. */
const LAUNCH_TIMEOUT_MS = 60_000;
export const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_PAUSE_MS = 20;
/** The size of the file system that a guest's errors go to. */
const ERRORS_LIMIT = 64 * 1024;

/**
 * Has the launcher start it, paused.
 *
 * @throws Fault with the launcher's own code, `jail.silent` where it said nothing
 */
export async function launchMachine(host: Host, plan: LaunchPlan): Promise<void> {
  host.put(`${PATHS.plans}/${slotName(plan.slot)}`, renderPlan(plan));
  const result = await host.launch("jail", [String(plan.slot)], LAUNCH_TIMEOUT_MS);
  if (result.code === 0 && result.words[0] === "ok") return;
  const [, code = "jail.silent", ...detail] = result.words;
  const why = detail.join(" ") || "nothing";
  const message = `start of ${plan.vm}: the launcher says ${why}; see what it refuses`;
  throw new Fault("launch", code, message);
}

/** The denial of a guest that was begun in a mode in which guests run, which the host has left meanwhile. */
export function mayNotRun(plan: LaunchPlan): Issue {
  return issue("vm.safe_mode", {
    path: plan.vm,
    expected: "normal mode until the guest runs",
    found: "another mode, which began meanwhile",
    hint: "it ran no instruction; see why the host left normal mode",
  });
}

/** What the launcher says where the host lacks something; every other code names a value of the plan's. */
const LACKING: readonly string[] = [
  "jail.cgroup",
  "jail.errors",
  "jail.exited",
  "jail.io",
  "jail.no_kvm",
  "jail.running",
  "jail.silent",
  "jail.sockets",
];

/** The denial that a launcher's refusal of a value is; null where it says that the host lacks something. */
export function refusedValue(plan: LaunchPlan, { code, message }: Fault): Issue | null {
  if (!code.startsWith("jail.") || LACKING.includes(code)) return null;
  return issue(code, {
    path: plan.vm,
    expected: "a plan that the launcher accepts",
    found: message,
  });
}

/**
 * Connects to its QMP and asks who it is.
 *
 * @throws Fault `launch.impostor` where another guest answers
 */
async function connectMachine(
  host: Host,
  plan: LaunchPlan,
  onEvent: (event: QmpEvent) => void,
): Promise<QmpClient> {
  const qmp = await QmpClient.open(await reach(host, plan.slot), onEvent);
  const { UUID } = await qmp.command("query-uuid");
  const { name = "" } = await qmp.command("query-name");
  if (UUID.toLowerCase() === plan.uuid.toLowerCase() && name === plan.vm) return qmp;
  qmp.close();
  const message = `QMP of slot ${plan.slot}: another guest answers (${UUID}); it is killed`;
  throw new Fault("launch", "launch.impostor", message);
}

/** QEMU binds its socket a moment before it listens: a refusal while it lives is asked again. */
async function reach(host: Host, slot: Slot): Promise<Connection> {
  const end = host.clock.monoMs() + CONNECT_TIMEOUT_MS;
  while (true) {
    try {
      return await host.connect(socketPath(slot, "qmp"), CONNECT_TIMEOUT_MS);
    } catch (error) {
      const gone = host.processesOf(slot).length === 0;
      if (gone || host.clock.monoMs() >= end) throw error;
    }
    await host.clock.sleep(RECONNECT_PAUSE_MS);
  }
}

/**
 * Waits until one process is left of a launch whose program died: the launcher, which may still be alone
 * there, leaves the cgroup and ends bubblewrap's own process a moment after QEMU listens.
 *
 * @returns the ids of what is there after the wait
 */
export async function settle(host: Host, slot: Slot): Promise<number[]> {
  const end = host.clock.monoMs() + LAUNCH_TIMEOUT_MS;
  // A guest's own process is never root's.
  const isLaunchers = (pid: number) =>
    host.processFacts(pid)?.tasks.some((task) => /^Uid:\s+0\s/m.test(task.status)) ?? false;
  let there = host.processesOf(slot);
  while ((there.length > 1 || there.some(isLaunchers)) && host.clock.monoMs() < end) {
    await host.clock.sleep(RECONNECT_PAUSE_MS);
    there = host.processesOf(slot);
  }
  return there;
}

/** A machine that was reached and read back. */
export interface Confined {
  readonly qmp: QmpClient;
  readonly verdict: Verdict;
  /** QEMU's one process; null where it is gone by now. */
  readonly process: RunRecord["process"];
}

/** Connects to a machine that is there and reads it back; the connection is open afterwards. */
export async function confineMachine(
  host: Host,
  plan: LaunchPlan,
  files: Readonly<Record<string, FileFacts>>,
  onEvent: (event: QmpEvent) => void,
): Promise<Confined> {
  const qmp = await connectMachine(host, plan, onEvent);
  const verdict = readBack(host, plan, files);
  if (verdict.issues.length === 0) keepNewTpm(host, plan);
  const [pid] = host.processesOf(plan.slot);
  const facts = pid === undefined ? null : host.processFacts(pid);
  const process = facts === null ? null : { pid: facts.pid, startTicks: facts.startTicks };
  return { qmp, verdict, process };
}

/** What QEMU wrote to its standard error last: shown to a person, never decided by. */
export function lastWords(host: Host, slot: Slot): string {
  try {
    const path = `${PATHS.run}/err/${slotName(slot)}/qemu`;
    return host.readText(path, ERRORS_LIMIT)?.trim().split("\n").at(-1) ?? "";
  } catch {
    return "";
  }
}
