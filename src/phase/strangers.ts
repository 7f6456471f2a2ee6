/**
 * Ends what runs in slots of which there is no guest here, and takes away what no guest's end will: its
 * network and its shares.
 */

import type { Outcome } from "../control/protocol.ts";
import type { Slot } from "../id.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { Runtime } from "../runtime.ts";
import { ENDING, type Ending, endStranger, killGuest } from "../supervisor/ending.ts";
import type { Stranger } from "../supervisor/strangers.ts";
import { takeLeft } from "./network.ts";
import { takeLeftShares } from "./share_rights.ts";

/** Each is asked like any other, then told, then killed. @returns what became of each */
export async function endStrangers(runtime: Runtime, slots: readonly Slot[]): Promise<Ending[]> {
  const endings = await Promise.all(slots.map((slot) => endStranger(runtime.host, slot)));
  await takeWhatIsLeft(runtime, slots);
  return endings;
}

/** What a person may have done to one that this start knows nothing of: its end, and nothing else. */
export async function commandStranger(
  runtime: Runtime,
  { op, vm }: Allowed,
  { slot }: Stranger,
): Promise<Outcome> {
  let ending: Ending | undefined;
  if (op === "vm.stop") [ending] = await endStrangers(runtime, [slot]);
  else if (op === "vm.kill") {
    const gone = await killGuest(runtime.host, slot, ENDING.killMs);
    await takeWhatIsLeft(runtime, [slot]);
    ending = gone ? "killed" : "still_there";
  } else {
    const detail = `${vm} was begun by an earlier start: \`vm stop\` or \`vm kill\` ends it`;
    return { ok: false, rule: "guest.stranger", detail };
  }
  return ending === "still_there"
    ? { ok: false, rule: "guest.unkillable", detail: `${vm} does not end; see the kernel's log` }
    : { ok: true, result: { state: "stopped", ending } };
}

async function takeWhatIsLeft(runtime: Runtime, slots: readonly Slot[]): Promise<void> {
  await takeLeft(runtime, slots);
  await takeLeftShares(runtime);
}
