/**
 * What goes on beside a running guest and holds nothing up: its console is copied to its log, its agent
 * is asked whether it is up, and QEMU whether it still answers. All end with the guest; none of them
 * decides what follows.
 */

import { Fault } from "../fault.ts";
import { AgentClient } from "../guest/agent.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Connection, Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { CONNECT_TIMEOUT_MS } from "./machine.ts";

/** Milliseconds. */
const AGENT_ANSWER_MS = 2_000;
/** A guest without KVM is some thirty times as slow, and a late answer is none. */
const EMULATED_ANSWER_MS = 30_000;
const AGENT_PAUSE_MS = 300;
/** A QEMU that is starved of CPU answers late; one that was stopped never does. */
const WATCH_PAUSE_MS = 15_000;
const WATCH_ANSWER_MS = 60_000;

/** Connects to the guest's console and hands it over. */
export async function attendConsole(
  host: Host,
  plan: LaunchPlan,
  take: (plan: LaunchPlan, connection: Connection) => void,
): Promise<void> {
  take(plan, await host.connect(socketPath(plan.slot, "console"), CONNECT_TIMEOUT_MS));
}

/**
 * Asks the agent until it answers.
 *
 * @param wanted whether the answer still matters
 * @param first what is done with the agent before anybody hears that it answered
 * @returns whether it answered while it mattered
 */
export async function awaitAgent(
  host: Host,
  plan: LaunchPlan,
  wanted: () => boolean,
  first: (agent: AgentClient) => Promise<unknown> = () => Promise.resolve(),
): Promise<boolean> {
  if (!plan.devices.some((one) => one.device === "agent")) return false;
  const path = socketPath(plan.slot, "agent");
  const patienceMs = plan.emulated ? EMULATED_ANSWER_MS : AGENT_ANSWER_MS;
  const agent = new AgentClient(await host.connect(path, CONNECT_TIMEOUT_MS));
  try {
    while (wanted()) {
      if (await agent.answers(patienceMs)) {
        await first(agent);
        return wanted();
      }
      await host.clock.sleep(AGENT_PAUSE_MS);
    }
    return false;
  } finally {
    agent.close();
  }
}

/**
 * Asks QEMU from time to time whether it still answers.
 *
 * @param wanted whether it still matters
 * @returns whether it fell silent while it mattered; a closed connection is told by `closed` instead
 */
export async function watchQmp(
  host: Host,
  qmp: QmpClient,
  wanted: () => boolean,
): Promise<boolean> {
  while (true) {
    await host.clock.sleep(WATCH_PAUSE_MS);
    if (!wanted()) return false;
    try {
      await qmp.command("query-status", WATCH_ANSWER_MS);
    } catch (error) {
      return wanted() && error instanceof Fault && error.code === "qmp.silent";
    }
  }
}
