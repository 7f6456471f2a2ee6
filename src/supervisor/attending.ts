/**
 * What goes on beside a running guest and holds nothing up: its console is copied to its log, and its
 * agent is asked whether it is up. Both end with the guest; neither decides anything.
 */

import { AgentClient } from "../guest/agent.ts";
import type { Connection, Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { CONNECT_TIMEOUT_MS } from "./machine.ts";

/** Milliseconds. */
const AGENT_ANSWER_MS = 2_000;
const AGENT_PAUSE_MS = 300;

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
  const agent = new AgentClient(await host.connect(path, CONNECT_TIMEOUT_MS));
  try {
    while (wanted()) {
      if (await agent.answers(AGENT_ANSWER_MS)) {
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
