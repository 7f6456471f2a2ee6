/**
 * As many guests at once as the policy lets run (sixteen, which is the default), and one
 * more that is refused until another one ended; then all of them ended in order.
 */
import assert from "node:assert/strict";
import { insideOverlay, rayInside, vmCommand } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  eventsNamed,
  finish,
  fullTest,
  guestProcessesEver,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { assertCountedOn, countsOf, severalDisk, tinyNames } from "./several.ts";

const COUNT = 16;
const START_LIMIT_MS = 600_000;

fullTest(
  "as many guests as the policy lets run do so at once, one more is refused, and all end in order",
  async () => {
    await using home = await Home.make();
    const names = tinyNames(COUNT + 1);
    const disk = await severalDisk(names, home, { autoboot: false, vms: COUNT, every: 10 });
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      memoryMiB: 6144,
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal");
      const last = names.at(-1) ?? "";
      const up = names.slice(0, -1);
      // One after the other: an emulated CPU that begins them all at once answers none of them in time.
      for (const vm of up) {
        await vmCommand(run, "start", vm, "running");
        await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, START_LIMIT_MS);
      }
      const denied = await rayInside(run, `vm start ${last}`);
      assert.equal(denied.code, 1);
      assert.match(
        denied.output,
        new RegExp(`denied by vm\\.limit_vms: ${COUNT} of ${COUNT} guests are running`),
      );
      await vmCommand(run, "stop", up[0] ?? "", "stopped");
      await vmCommand(run, "start", last, "running");
      const boot = await finish(run, `RAYOS_LINUX_VM_READY vm=${last}`);
      assert.ok(guestProcessesEver(boot.lines) >= COUNT);
      const ends = eventsNamed(boot.lines, "RAYOS_VM_STATE").filter((event) =>
        event === "RAYOS_VM_STATE:stopping:stopped"
      );
      assert.equal(ends.length, COUNT + 1);
      assertEndedInOrder(boot);
      assertClean(disk);
      for (const name of up) assertCountedOn(countsOf(disk, name, home), name);
    });
  },
);
