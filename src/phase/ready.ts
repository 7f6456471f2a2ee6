/**
 * Phase `ready`: every guest was decided on, and from here on every request is taken. It depends on the
 * host alone, never on a guest.
 */

import { CRASH_LOOP, renderStarts } from "../boot/session.ts";
import { Fault } from "../fault.ts";
import { watchHealth } from "./alive.ts";
import { keepAudit } from "./audit.ts";
import { recordBoot } from "./boot_record.ts";
import { beginInput } from "./input.ts";
import type { Runtime } from "../runtime.ts";
import { STARTS_FILE } from "./session.ts";

/** @throws Fault `control.closed` where nobody could ask the host anything */
export function phaseReady(runtime: Runtime): void {
  const { host, bootId, starts } = runtime;
  if (runtime.control === null) {
    throw new Fault("ready", "control.closed", "ready: the control socket is not there; see above");
  }
  void beginInput(runtime);
  runtime.ready = true;
  // Whoever got so far has one more try before it counts as a loop.
  const diedBeforeReady = Math.min(starts.diedBeforeReady, CRASH_LOOP - 1);
  host.replace(STARTS_FILE, renderStarts(bootId, { ...starts, diedBeforeReady }, true));
  void watchHealth(runtime);
  const guests = [...runtime.guests.values()].filter((guest) => guest.state === "running").length;
  runtime.emit({ type: "ready", mode: runtime.mode, guests });
  recordBoot(runtime, null);
  keepAudit(runtime);
}
