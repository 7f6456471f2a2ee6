/** Asks a guest's agent whether the guest is set up, over a connection of its own. */

import { AgentClient } from "../guest/agent.ts";
import type { Host } from "../host/port.ts";
import { socketPath } from "../id.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

/** Milliseconds. */
const ANSWER_MS = 3_000;
/** A guest without KVM is some thirty times as slow, and a late answer is none. */
const EMULATED_ANSWER_MS = 30_000;

/** The guest, as far as it is asked. */
export interface AskedGuest {
  readonly host: Host;
  readonly plan: () => LaunchPlan;
  readonly answered: () => boolean;
}

export class ProvisioningAgent {
  #agent: AgentClient | null = null;
  #said = false;
  #closed = false;

  constructor(readonly guest: AskedGuest) {}

  /** Whether it says so now; once. */
  async saysSo(): Promise<boolean> {
    const { host, plan, answered } = this.guest;
    const { slot, kind, emulated } = plan();
    if (this.#said || this.#closed || !answered()) return false;
    const patienceMs = emulated ? EMULATED_ANSWER_MS : ANSWER_MS;
    try {
      this.#agent ??= new AgentClient(await host.connect(socketPath(slot, "agent"), patienceMs));
      // Nobody wants to know any more.
      if (this.#closed) this.#drop();
      // A guest that began anew has another agent at the other end.
      else if (!await this.#agent.answers(patienceMs)) this.#drop();
      else this.#said = await this.#agent.isProvisioned(kind, patienceMs);
    } catch {
      this.#drop();
    }
    return this.#said;
  }

  close(): void {
    this.#closed = true;
    this.#drop();
  }

  #drop(): void {
    this.#agent?.close();
    this.#agent = null;
  }
}
