/**
 * The program. `init`: the boot, as PID 1 starts it. Anything else: one command of `ray`. It makes the
 * real host and hands over.
 */

import { linuxHost } from "./src/host/linux_host.ts";
import { init } from "./src/init.ts";

if (Deno.args[0] === "init") {
  await init(linuxHost());
} else {
  console.error("rayos: command line: not there yet");
  Deno.exit(2);
}
