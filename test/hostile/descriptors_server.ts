/**
 * The control server by itself, for a test that takes its descriptors away: `fill` opens files until there
 * is no descriptor left, `free` closes them.
 */
import { serveControl } from "../../src/control/server.ts";
import type { Host } from "../../src/host/port.ts";
import { listen } from "../../src/host/linux_sockets.ts";

const [socket = ""] = Deno.args;
const host: Pick<Host, "listen"> = { listen: () => listen(socket) };
await serveControl(host as Host, () => ({ ok: true, result: "here" }));
// As the program does at its start: the runtime takes the descriptors for its signals when it first needs them.
Deno.addSignalListener("SIGUSR1", () => {});
console.log("listens");
const opened: Deno.FsFile[] = [];
const words = Deno.stdin.readable.pipeThrough(new TextDecoderStream());
for await (const word of words) {
  if (word.startsWith("fill")) {
    try {
      while (true) opened.push(Deno.openSync("/dev/null"));
    } catch {
      console.log("full");
    }
  } else {
    for (const file of opened.splice(0)) file.close();
    console.log("free");
  }
}
