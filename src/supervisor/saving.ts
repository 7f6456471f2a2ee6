/**
 * A running machine that is to be saved: its network and its shares are taken away first, since no lease
 * and no card outlives a save and a share stands against one, then its memory is written. What becomes of
 * the guest is the machine's matter.
 */

import { Fault } from "../fault.ts";
import type { QmpClient } from "../guest/qmp.ts";
import { suspendGuest, type SuspendResult } from "../saved/save.ts";
import type { Given } from "./given.ts";
import type { Keeping, KeepingOf } from "./keeping.ts";

export interface SavingOf extends KeepingOf {
  readonly qmp: QmpClient | null;
  readonly keeping: Keeping;
  readonly given: Given;
  readonly kill: () => Promise<boolean>;
  /** Gives the save up; the guest stays paused. */
  readonly signal: AbortSignal;
  readonly onPercent: (percent: number) => void;
}

/**
 * Saves it.
 *
 * @throws Fault `guest.no_monitor`; whatever the keys and facts of the host throw
 */
export async function saveMachine(of: SavingOf): Promise<SuspendResult> {
  const { host, plan, qmp, keeping, given, kill, signal, onPercent } = of;
  if (qmp === null) {
    throw new Fault("guest", "guest.no_monitor", "save: nobody to ask; start it anew");
  }
  const fault = await given.endForSave();
  if (fault !== null) {
    await qmp.command("stop");
    return { ok: false, fault, guest: "paused" };
  }
  return await suspendGuest({
    host,
    qmp,
    plan,
    key: keeping.key(),
    cpu: keeping.cpu(),
    kill,
    signal,
    onPercent,
  });
}
