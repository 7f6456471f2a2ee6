/**
 * What a running guest is given besides its machine, and loses with it: its network and its shared
 * folders. One call each for all of it; what each of them does stands in `network/` and `share/`.
 */

import type { Subject } from "../event.ts";
import { Fault } from "../fault.ts";
import type { QmpClient } from "../guest/qmp.ts";
import { GuestNetwork } from "../network/guest_network.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { GuestShares } from "../share/guest_shares.ts";
import type { GuestSurroundings } from "./surroundings.ts";

/** The guest, as far as they ask. */
export interface GivenTo {
  readonly subject: Subject;
  readonly plan: () => LaunchPlan;
  readonly held: () => boolean;
  readonly answered: () => boolean;
  readonly kill: () => Promise<boolean>;
}

export class Given {
  readonly network: GuestNetwork;
  readonly shares: GuestShares;

  constructor({ host, emit, keeping, networkOf, sharesOf }: GuestSurroundings, to: GivenTo) {
    const { vm } = to.plan();
    this.network = new GuestNetwork({ ...networkOf(vm), host, emit, key: keeping.key, ...to });
    this.shares = new GuestShares({ ...sharesOf(vm), host, emit, ...to });
  }

  /** Gives what the policy says; nothing holds the guest up. */
  begin(qmp: QmpClient): void {
    this.network.begin(qmp);
    this.shares.begin(qmp);
  }

  /** Takes up what was there before the program was started again. */
  async adopt(qmp: QmpClient): Promise<void> {
    await Promise.all([this.network.adopt(qmp), this.shares.adopt(qmp)]);
  }

  /** The guest's process is gone. */
  async gone(): Promise<void> {
    await this.network.gone();
    await this.shares.gone();
  }

  /** Takes what does not outlive a save; the guest's memory is not to be lost by it. */
  async endForSave(): Promise<Fault | null> {
    if (!await this.shares.end("suspending", true)) {
      const why = "save: the guest does not let a shared folder go; unmount it, or shut it down";
      return new Fault("guest", "share.unproved", why);
    }
    if (await this.network.end("stopped", true)) return null;
    const why = "its network card does not go; shut it down instead";
    return new Fault("guest", "network.unproved", why);
  }
}
