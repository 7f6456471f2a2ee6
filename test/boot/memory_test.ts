/**
 * Memory that is saved and comes back, on a real machine: by command, across a reboot of the whole host,
 * and not when the state, or a disk, is another one than was saved.
 */
import assert from "node:assert/strict";
import { listDataDisk, readDataDisk, writeDataDisk } from "../../tools/data_disk.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import {
  askInside,
  insideOverlay,
  killProgram,
  seenOnHost,
  statesOf,
  vmCommand,
} from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  FULL,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { inGuest } from "./internet.ts";
import { assertCountedOn, countedPast, countsOf, severalDisk, tinyNames } from "./several.ts";

const [FIRST = "", SECOND = ""] = tinyNames(2);
/** For a guest to count on its own disk; its seconds are long ones here. */
const COUNTING_MS = 45_000;
const STATE = (id: string) => `vm/linux/${id}/state`;

function bootOf(disk: string, overlay: Awaited<ReturnType<typeof insideOverlay>>) {
  return startMachine({ disks: [{ path: disk }], overlay, memoryMiB: 3072 });
}

/** Asserts that a guest's clock says what the host's does. */
async function assertOnTime(run: BootRun, vm: string): Promise<void> {
  const host = async () => Number(await seenOnHost(run, "$bb date +%s"));
  await askInside(run, `attach ${vm} ${vm}`, /inside done/u);
  const before = await host();
  const said = await inGuest(run, vm, "date +guest_%s", "clock");
  const guest = Number(/guest_(\d+)/u.exec(said)?.[1]);
  const after = await host();
  assert.ok(before - 2 <= guest && guest <= after + 2, `${before} ≤ ${guest} ≤ ${after}`);
}

Deno.test("a guest's memory is saved by command and by shutdown, and comes back after a reboot", async (t) => {
  await using home = await Home.make();
  const disk = await severalDisk([FIRST, SECOND], home, { onShutdown: "suspend" });
  const overlay = await insideOverlay();
  {
    await using run = await bootOf(disk, overlay);
    await showingLines(run, async () => {
      for (const vm of [FIRST, SECOND]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 300_000);
      await vmCommand(run, "suspend", FIRST, "suspended");
      await vmCommand(run, "start", FIRST, "running");
      await run.waitFor(`vm_loaded vm=${FIRST}`);
      await vmCommand(run, "pause", SECOND, "paused");
      // Found as it was: held, and still so.
      await killProgram(run);
      await vmCommand(run, "resume", SECOND, "running");
      assertEndedInOrder(await finish(run));
      for (const vm of [FIRST, SECOND]) {
        assert.deepEqual(statesOf(run, vm).slice(-2), [
          "running:suspending",
          "suspending:suspended",
        ]);
      }
    });
  }
  const before = countsOf(disk, FIRST, home);
  {
    await using run = await bootOf(disk, overlay);
    await showingLines(run, async () => {
      for (const vm of [FIRST, SECOND]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 300_000);
      for (const vm of [FIRST, SECOND]) {
        assert.deepEqual(statesOf(run, vm).slice(0, 3), [
          "defined:suspended",
          "suspended:resuming",
          "resuming:running",
        ]);
      }
      // It stood still while the whole host was booted.
      if (FULL) await assertOnTime(run, SECOND);
      // A number is on the disk once the next one is on the console.
      await countedPast(run, FIRST, (before.at(-1) ?? 0) + 1);
      assertEndedInOrder(await finish(run));
    });
  }
  assertClean(disk);
  for (const vm of [FIRST, SECOND]) assertCountedOn(countsOf(disk, vm, home), vm);
  assert.ok(
    countsOf(disk, FIRST, home).length > before.length,
    "it went on counting where it was",
  );

  await t.step({
    name: "a flipped bit, and a disk that was written since, set the state aside",
    // A third boot of two guests; what is checked of a state has unit tests.
    ignore: !FULL,
    fn: async () => {
      const saved = readDataDisk(disk, `${STATE(FIRST)}/saved`);
      assert.ok(saved !== null && saved.length > 1024 * 1024);
      const place = Math.floor(saved.length / 2);
      saved[place] = (saved[place] ?? 0) ^ 1;
      writeDataDisk(disk, `${STATE(FIRST)}/saved`, saved);
      const root = readDataDisk(disk, `vm/linux/${SECOND}/rootfs.ext4`);
      writeDataDisk(disk, `vm/linux/${SECOND}/rootfs.ext4`, root ?? new Uint8Array());
      await using run = await bootOf(disk, overlay);
      await showingLines(run, async () => {
        for (const vm of [FIRST, SECOND]) {
          await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 300_000);
          const why = run.lines.filter((line) =>
            line.event === "state_aside" && line.fields["vm"] === vm
          );
          const rule = vm === FIRST ? "vm.saved_damaged" : "vm.saved_disk";
          assert.equal(why[0]?.fields["rule"], rule, vm);
          assert.deepEqual(statesOf(run, vm).slice(0, 3), [
            "defined:suspended",
            "suspended:starting",
            "starting:running",
          ]);
        }
        // What the console showed before the restore can come again: its numbers tell nothing here.
        await new Promise((resolve) => setTimeout(resolve, COUNTING_MS));
        assertEndedInOrder(await finish(run));
      });
      const kept = listDataDisk(disk, STATE(FIRST)).map((entry) => entry.path);
      assert.ok(kept.some((path) => path.endsWith("aside/1/saved")), kept.join(" "));
      const counts = countsOf(disk, FIRST, home);
      const begun = counts.filter((count, n) => count < (counts[n - 1] ?? 0));
      assert.equal(
        begun.length,
        1,
        `begun anew once, on the disk that it had: ${counts.join(" ")}`,
      );
    },
  });
});
