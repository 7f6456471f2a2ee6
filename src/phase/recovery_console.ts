/**
 * The recovery shell at the serial console. Log lines that come meanwhile are put above the line that is
 * being typed.
 */

import type { Runtime } from "../runtime.ts";
import { RecoverySession } from "./recovery_session.ts";

/** Serves until the console or the program ends. */
export async function serveRecovery(runtime: Runtime): Promise<void> {
  const { host, sinks } = runtime;
  const keys = host.consoleKeys()[Symbol.asyncIterator]();
  const session = new RecoverySession(runtime, {
    screen: host.consoleScreen(),
    keys,
    isLeft: () => false,
    say: (text) => host.console(text),
    serial: true,
  });
  sinks.toConsole = (text) => session.above(text);
  try {
    await session.serve();
  } finally {
    await keys.return?.();
    sinks.toConsole = (text) => host.console(text);
  }
}
