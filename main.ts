/**
 * The program. `init`: the boot, as PID 1 starts it. Anything else: one command of `ray`. It makes the
 * real host and hands over.
 */

import { proposeCompletions, run } from "@stricli/core";
import project from "./deno.json" with { type: "json" };
import { rayApplication } from "./src/cli/app.ts";
import type { CliContext, CliProcess } from "./src/cli/context.ts";
import { linuxDesk } from "./src/host/desk.ts";
import { list, readText } from "./src/host/linux_files.ts";
import { linuxHost } from "./src/host/linux_host.ts";
import { connect } from "./src/host/linux_sockets.ts";
import { probePermissions } from "./src/host/probes.ts";
import { linuxTerminal } from "./src/host/terminal.ts";
import { init } from "./src/init.ts";

if (Deno.args[0] === "init") {
  await init(linuxHost());
} else {
  const encoder = new TextEncoder();
  const stream = (to: { writeSync(bytes: Uint8Array): number }) => ({
    write(text: string) {
      const bytes = encoder.encode(text);
      for (let at = 0; at < bytes.length;) at += to.writeSync(bytes.subarray(at));
    },
  });
  const process: CliProcess = { stdout: stream(Deno.stdout), stderr: stream(Deno.stderr) };
  const app = rayApplication(project.version);
  const context: CliContext = {
    process,
    desk: linuxDesk(),
    host: { connect, readText, list },
    terminal: linuxTerminal(),
    probe: probePermissions,
    propose: async (words) =>
      (await proposeCompletions(app, words, context)).map((one) => one.completion),
  };
  await run(app, Deno.args, context);
  const code = Number(process.exitCode ?? 0);
  // What the parser refuses is negative there and 2 in the contract (§9).
  Deno.exit(code < 0 ? 2 : code);
}
