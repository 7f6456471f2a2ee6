/**
 * As many guests at once as the policy lets run (sixteen, which is the default), and one
 * more that is refused until another one ended; then all of them ended in order.
 */
import assert from "node:assert/strict";
import { insideOverlay, rayInside } from "./inside.ts";
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
    const disk = await severalDisk(names, home, { vms: COUNT, every: 10 });
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      // Sixteen launches one after the other take an emulated machine more than the two minutes of a usual boot.
      append: "rayos.ready_timeout=600",
      memoryMiB: 6144,
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal", START_LIMIT_MS);
      const refused = run.lines.filter((line) => /:vm\.limit_vms:/u.test(line.event));
      assert.equal(refused.length, 1, "one was more than the policy lets run");
      const last = String(refused[0]?.fields["vm"]);
      const up = names.filter((name) => name !== last);
      for (const name of up) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${name}`, START_LIMIT_MS);
      const denied = await rayInside(run, `vm start ${last}`);
      assert.equal(denied.code, 1);
      assert.match(
        denied.output,
        new RegExp(`denied by vm\\.limit_vms: ${COUNT} of ${COUNT} guests are running`),
      );
      await rayInside(run, `vm stop ${up[0]}`);
      const started = await rayInside(run, `vm start ${last}`);
      assert.equal(started.code, 0, started.output);
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
