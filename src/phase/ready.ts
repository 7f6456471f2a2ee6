/**
 * Phase `ready`: the control socket answers, and every guest was decided on. It depends on the host
 * alone, never on a guest.
 */

import { renderStarts } from "../boot/session.ts";
import { serveControl } from "../control/server.ts";
import type { Runtime } from "../runtime.ts";
import { STARTS_FILE } from "./session.ts";

export async function phaseReady(runtime: Runtime): Promise<void> {
  const { host, bootId, starts } = runtime;
  runtime.control = await serveControl(host, (op, args) => runtime.handle("socket", op, args));
  runtime.ready = true;
  host.replace(STARTS_FILE, renderStarts(bootId, starts, true));
  const guests = [...runtime.guests.values()].filter((guest) => guest.state === "running").length;
  runtime.emit({ type: "ready", mode: runtime.mode, guests });
  runtime.recordBoot(null);
}
