/**
 * A Debian guest as `tools/rayos guest debian` makes it: systemd, the agent, a shutdown by its power button.
 * It needs root and minutes to be made, so it is a part of the full test.
 */
import assert from "node:assert/strict";
import { buildDebianGuest, DEBIAN_GUEST, debianDataDisk } from "../../tools/build_debian_guest.ts";
import { statesOf } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  FULL,
  Home,
  imageOf,
  showingLines,
  startMachine,
} from "./machine.ts";

/** Systemd under two layers of emulation. */
const READY_LIMIT_MS = 900_000;

Deno.test({
  name: "a Debian guest comes up hidden, is ready by its agent, and ends by its power button",
  // Making it takes minutes and packages of the day: `tools/rayos test full`.
  ignore: !FULL,
  fn: async () => {
    await using home = await Home.make();
    // The developer key, which signs its policy, comes with the image.
    await imageOf("compiled");
    const disk = `${home.path}/data.img`;
    await debianDataDisk(buildDebianGuest(() => {}), disk);
    await using run = await startMachine({ disks: [{ path: disk }] });
    await showingLines(run, async () => {
      const ready = await run.waitFor(`RAYOS_LINUX_VM_READY vm=${DEBIAN_GUEST}`, READY_LIMIT_MS);
      console.log(ready.text);
      const shown = run.lines.filter((line) => line.event.startsWith("RAYOS_PRESENTATION:"));
      assert.deepEqual(shown, [], "nobody sees it");
      assertEndedInOrder(await finish(run));
      assert.deepEqual(statesOf(run, DEBIAN_GUEST).slice(-2), [
        "running:stopping",
        "stopping:stopped",
      ]);
      const ended = run.lines.find((line) => line.event === "RAYOS_VM_STATE:stopping:stopped");
      assert.equal(ended?.fields["reason"], "powered_down");
    });
    assertClean(disk);
  },
});
