/**
 * What goes wrong with one guest, on a real machine: its QEMU killed, stopped, or out of memory, the
 * host's clock moved. Each ends in a named state and a line, and the guest beside it counts on.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
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
