/**
 * What goes wrong with one guest, on a real machine: its QEMU killed, stopped, or out of memory, the
 * host's clock moved, its disk without room. Each ends in a named state and a line, and the guest beside it counts on.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, insideOverlay, linesInside, rayDoes, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { assertCountedOn, countsOf, severalDisk, tinyNames } from "./several.ts";

const [VICTIM = "", OTHER = ""] = tinyNames(2);
const READY_MS = 300_000;

/** Makes one fault and waits for what must follow, in this order. */
async function fault(run: BootRun, word: string, ...wanted: string[]): Promise<void> {
  const from = run.lines.length;
  await askInside(run, word, /inside done/u);
  let at = from;
  for (const text of wanted) {
    at = run.lines.indexOf(await run.waitFor(text, READY_MS, at)) + 1;
  }
}

Deno.test("a guest's QEMU that is killed, stopped or out of memory fails alone and is begun again", async () => {
  await using home = await Home.make();
  const disk = await severalDisk([VICTIM, OTHER], home);
  const overlay = await insideOverlay();
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay,

    memoryMiB: 3072,
  });
  await showingLines(run, async () => {
    for (const vm of [VICTIM, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, READY_MS);
    const failed = `RAYOS_VM_STATE:running:failed vm=${VICTIM} kind=linux reason=qemu_gone`;
    const again = `RAYOS_VM_STATE:starting:running vm=${VICTIM}`;
    await fault(run, "signal 00 KILL", failed, `vm_restart vm=${VICTIM}`, again);
    await fault(run, "memory 00 8M", failed, `vm_restart vm=${VICTIM}`, again);
    for (const year of [2037, 2016]) {
      await fault(run, `clock ${year}-01-01`);
      const status = await rayInside(run, "status");
      assert.equal(status.code, 0, "the host answers ten years later, and ten years earlier");
    }
    // A stopped QEMU answers nothing: the command that it was asked to obey says so.
    await fault(run, "signal 00 STOP");
    const paused = await rayInside(run, `vm pause ${VICTIM}`);
    assert.equal(paused.code, 1);
    assert.match(paused.output, /qmp\.silent/u);
    await run.waitFor(`RAYOS_VM_STATE:running:failed vm=${VICTIM} kind=linux reason=qmp.silent`);
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assertClean(disk);
    assertCountedOn(countsOf(disk, OTHER, home), OTHER);
    const others = boot.lines.filter((line) => line.fields["vm"] === OTHER);
    assert.equal(others.filter((line) => /:failed/u.test(line.event)).length, 0);
  });
});

fullTest(
  "a guest whose disk finds no room on RayOS Data is paused by name, and goes on once there is room",
  async () => {
    await using home = await Home.make();
    const disk = await severalDisk([VICTIM], home);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      memoryMiB: 2048,
    });
    await showingLines(run, async () => {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${VICTIM}`, READY_MS);
      await askInside(run, `attach ${VICTIM} ${VICTIM}`, /inside done/u);
      // As somebody who may not take what the file system keeps for root, like a QEMU.
      const user =
        "/usr/bin/setpriv --reuid 61001 --regid 61001 --clear-groups --bounding-set=-all";
      const fill = "/var/rayos/vm/linux/fill";
      const from = run.lines.length;
      await askInside(
        run,
        `do ${user} /bin/busybox dd if=/dev/zero bs=64k > ${fill} 2> /dev/null`,
        /inside done/u,
      );
      // Its own disk is a file with holes.
      await askInside(
        run,
        `type ${VICTIM} run dd if=/dev/zero of=/mnt/large bs=64k count=64`,
        /inside done/u,
      );
      await run.waitFor(
        `RAYOS_VM_STATE:running:paused vm=${VICTIM} kind=linux reason=io-error`,
        READY_MS,
        from,
      );
      await askInside(run, `do /bin/busybox rm ${fill}`, /inside done/u);
      await rayDoes(run, `vm resume ${VICTIM}`);
      const counted = `/var/rayos/vm/linux/${VICTIM}/logs/console.log`;
      const before = await linesInside(run, counted, "^count");
      const until = Date.now() + READY_MS;
      while (await linesInside(run, counted, "^count") < before + 3) {
        assert.ok(Date.now() < until, "it does not count any more");
      }
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    assertCountedOn(countsOf(disk, VICTIM, home), VICTIM);
  },
);
