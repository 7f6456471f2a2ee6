/**
 * Phase `control`: the control socket answers, so that a boot that takes its time can be looked at. What
 * would change something waits for the end of the boot (`op.not_ready`).
 */

import { serveControl } from "../control/server.ts";
import type { Runtime } from "../runtime.ts";

export async function phaseControl(runtime: Runtime): Promise<void> {
  runtime.control = await serveControl(
    runtime.host,
    (op, args) => runtime.handle("socket", op, args),
  );
}
