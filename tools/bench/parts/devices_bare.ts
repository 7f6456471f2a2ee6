/** The guest of `tools/rayos bench devices` that is started by hand (`devices_bare.sh`), by its console. */
import { fileInside, onHost } from "../../../test/boot/inside.ts";
import type { BootRun } from "../../boot_machine.ts";
import type { OverlayFile } from "../../boot_overlay.ts";
import { bareCommand } from "./vm_guests.ts";

/** Its agent and monitor lead nowhere, its console to a pipe. */
const WAYS = {
  agent: "null,id=agent",
  qmp: "null,id=qmp",
  console: "pipe,id=console,path=/s/console",
};
const LIMIT_MS = 600_000;
const START_MS = 180_000;

/** What is added to the host's image for it. */
export async function bareOverlay(argv: readonly string[]): Promise<Record<string, OverlayFile>> {
  return {
    "/usr/lib/bare": await Deno.readTextFile(new URL("devices_bare.sh", import.meta.url)),
    "/etc/bench/qemu": bareCommand(argv, WAYS),
  };
}

/** Has its shell do something and waits until it says that it was done; gives what it wrote meanwhile. */
export async function inBare(run: BootRun, command: string, mark: string): Promise<string> {
  const log = async () => new TextDecoder().decode(await fileInside(run, "/run/bare.log"));
  const before = (await log()).length;
  await onHost(run, `echo 'run ${command}; echo ${mark} over' > /run/bare/s/console.in`);
  const until = performance.now() + LIMIT_MS;
  while (performance.now() < until) {
    const said = (await log()).slice(before);
    if (new RegExp(`^${mark} over`, "mu").test(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  throw new Error(`bench devices: the bare guest did not come to ${mark}: ${await log()}`);
}

/** @param words of `devices_bare.sh` */
export async function startBare(run: BootRun, words: string): Promise<void> {
  await onHost(run, `/usr/lib/bare ${words} > /run/bare.out 2>&1 < /dev/null &`);
  const until = performance.now() + START_MS;
  for (;;) {
    const said = new TextDecoder().decode(await fileInside(run, "/run/bare.log"));
    if (/^guest up/mu.test(said)) return;
    if (performance.now() > until) {
      const out = new TextDecoder().decode(await fileInside(run, "/run/bare.out"));
      throw new Error(`bench devices: the bare guest did not come up: ${out}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}
