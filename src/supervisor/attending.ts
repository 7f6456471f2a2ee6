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

/** A guest that is attended to, and what is told of it. */
export interface Attended {
  readonly host: Host;
  readonly qmp: QmpClient;
  readonly plan: LaunchPlan;
  readonly takeConsole: (plan: LaunchPlan, connection: Connection) => void;
  /** Sets its clock, with its agent's help once that answers; null where it did not stand still. */
  readonly correctClock: ((agent: AgentClient | null) => Promise<unknown>) | null;
  /** Whether its agent answered before. */
  readonly answered: boolean;
  /** Whether any of it still matters. */
  readonly wanted: () => boolean;
  readonly onSilence: () => Promise<void>;
  readonly onAgent: () => Promise<void>;
  /** A stream of the guest's that could not be had. */
  readonly onLost: (what: string, error: unknown) => void;
}

/** Begins all of it; none holds anything up. */
export function attendGuest(of: Attended): void {
  const { host, qmp, plan, correctClock: correct, wanted } = of;
  const lost = (what: string) => (error: unknown) => of.onLost(what, error);
  if (correct !== null) void correct(null).catch(lost("clock"));
  void watchQmp(host, qmp, wanted).then((silent) => silent ? of.onSilence() : undefined);
  void attendConsole(host, plan, of.takeConsole).catch(lost("console"));
  if (of.answered) return;
  // A clock that is late is told of; the guest is ready all the same.
  const first = async (agent: AgentClient) => {
    await correct?.(agent).catch(lost("clock"));
  };
  void awaitAgent(host, plan, wanted, first)
    .then((answered) => answered ? of.onAgent() : undefined).catch(lost("agent"));
}

/** Connects to the guest's console and hands it over. */
async function attendConsole(
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
async function awaitAgent(
  host: Host,
  plan: LaunchPlan,
  wanted: () => boolean,
  first: (agent: AgentClient) => Promise<unknown>,
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
async function watchQmp(
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
      // An answer of another form is none.
      return wanted() && !(error instanceof Fault && error.code === "qmp.closed");
    }
  }
}
