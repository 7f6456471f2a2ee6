/** Asks a guest's agent whether the guest is set up, over a connection of its own. */

import { AgentClient } from "../guest/agent.ts";
import type { Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

/** Milliseconds. */
const ANSWER_MS = 3_000;

/** The guest, as far as it is asked. */
export interface AskedGuest {
  readonly host: Host;
  readonly plan: () => LaunchPlan;
  readonly answered: () => boolean;
}

export class ProvisioningAgent {
  #agent: AgentClient | null = null;
  #said = false;

  constructor(readonly guest: AskedGuest) {}

  /** Whether it says so now; once. */
  async saysSo(): Promise<boolean> {
    const { host, plan, answered } = this.guest;
    const { slot, kind } = plan();
    if (this.#said || !answered()) return false;
    try {
      this.#agent ??= new AgentClient(await host.connect(socketPath(slot, "agent"), ANSWER_MS));
      // A guest that began anew has another agent at the other end.
      if (!await this.#agent.answers(ANSWER_MS)) this.close();
      else this.#said = await this.#agent.isProvisioned(kind, ANSWER_MS);
    } catch {
      this.close();
    }
    return this.#said;
  }

  close(): void {
    this.#agent?.close();
    this.#agent = null;
  }
}
