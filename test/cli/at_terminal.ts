/**
 * `ray` as main.ts makes it, but with its control socket at the path of the first word: for tests that
 * put it on a pseudo-terminal. With CRASH in the environment it fails a moment later as nobody expects.
 */
import { run } from "@stricli/core";
import { rayApplication } from "../../src/cli/app.ts";
import type { CliContext } from "../../src/cli/context.ts";
import { connect } from "../../src/host/linux_sockets.ts";
import { linuxTerminal } from "../../src/host/terminal.ts";

const [socket = "", ...words] = Deno.args;
const stream = (to: { writeSync(bytes: Uint8Array): number }) => ({
  write: (text: string) => void to.writeSync(new TextEncoder().encode(text)),
});
const process: CliContext["process"] = {
  stdout: stream(Deno.stdout),
  stderr: stream(Deno.stderr),
};
Deno.writeTextFileSync(`${socket}.pid`, String(Deno.pid));
if (Deno.env.has("CRASH")) {
  setTimeout(() => {
    throw new Error("as nobody expects");
  }, 1_000);
}
const context = {
  process,
  terminal: linuxTerminal(),
  host: { connect: (_: string, timeoutMs: number) => connect(socket, timeoutMs) },
} as unknown as CliContext;
await run(rayApplication("1"), words, context);
Deno.exit(Number(process.exitCode ?? 0));
