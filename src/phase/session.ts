/**
 * Phase `session`: which start of the program this is. Starts that keep dying before they are ready end
 * in safe mode, where guests that run are left alone.
 */

import { CRASH_LOOP, renderStarts } from "../boot/session.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { followKernel } from "./kernel_log.ts";

export const STARTS_FILE = `${PATHS.run}/starts.json`;
const PID_FILE = `${PATHS.run}/init.pid`;
/** Left by the power button's handler, so that a press is not lost while the program is started. */
export const POWER_BUTTON_NOTE = `${PATHS.run}/power_button`;

export function phaseSession(runtime: Runtime): void {
  const { host, starts, bootId } = runtime;
  host.replace(STARTS_FILE, renderStarts(bootId, starts, false));
  host.put(PID_FILE, `${host.pid}\n`);
  followKernel(runtime);
  if (starts.diedBeforeReady >= CRASH_LOOP) {
    runtime.troubles.push({
      code: "init.crash_loop",
      text: `the program died ${starts.diedBeforeReady} times in a row before it was ready`,
      hint: "read `log`; `retry` starts it once more; guests that run are left alone",
    });
    runtime.enterSafeMode("crash_loop");
  }
}
