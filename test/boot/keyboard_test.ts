/**
 * A keyboard that is plugged into the running host: nobody reads it until it is accepted, and one that takes
 * its place afterwards is not read either.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertEndedInOrder,
  dataDisk,
  finish,
  fullTest,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const PORTS = ["-device", "pcie-root-port,id=one,chassis=1"];
const PATIENCE_MS = 60_000;

/** Device nodes of the input folder that the program has open. */
async function readByProgram(run: BootRun): Promise<string> {
  const look = "do for one in /proc/$(program)/fd/*; do $bb readlink $one; done | " +
    "$bb grep /run/rayos/input/ | $bb sort -u | $bb wc -l";
  return /(\d+)\s/u.exec(await askInside(run, look, /\n\d+\r?\ninside done/u))?.[1] ?? "";
}

async function devices(run: BootRun): Promise<{ event: string; accepted: boolean }[]> {
  const { code, output } = await rayInside(run, "input devices --json");
  assert.equal(code, 0, output);
  return JSON.parse(output).devices;
}

/** Plugs one in and waits until the kernel has made an input device of it. */
async function plug(run: BootRun): Promise<{ event: string; accepted: boolean }> {
  const before = (await devices(run)).length;
  await run.qmp("device_add", { driver: "virtio-keyboard-pci", id: "later", bus: "one" });
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) {
    const now = await devices(run);
    const last = now.at(-1);
    if (now.length > before && last !== undefined) return last;
  }
  throw new Error("the kernel made no input device of it; is hotplug in the image's kernel?");
}

async function unplug(run: BootRun): Promise<void> {
  const before = (await devices(run)).length;
  await run.qmp("device_del", { id: "later" });
  const end = performance.now() + PATIENCE_MS;
  while (performance.now() < end) if ((await devices(run)).length < before) return;
  throw new Error("it was not unplugged");
}

fullTest(
  "a keyboard that is plugged in later is read once it is accepted, and its successor is not",
  async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, await signedPolicy("version = 0\nserial = 1\n"));
    const overlay = await insideOverlay();
    await using run = await startMachine({ disks: [{ path: disk }], overlay, extra: PORTS });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal");
      const own = await readByProgram(run);
      const { event, accepted } = await plug(run);
      assert.equal(accepted, false);
      assert.equal(await readByProgram(run), own, "nobody reads it");
      const answer = await rayInside(run, `input accept ${event}`);
      assert.equal(answer.code, 0, answer.output);
      await run.waitFor(`input_accepted event=${event}`);
      assert.equal(await readByProgram(run), String(Number(own) + 1));
      await unplug(run);
      await run.waitFor("fault stage=input code=device.gone");
      // The same kind of device at the same place, with the same name, and most likely the same number.
      assert.equal((await plug(run)).accepted, false);
      assert.equal(await readByProgram(run), own);
      assertEndedInOrder(await finish(run));
    });
  },
);
