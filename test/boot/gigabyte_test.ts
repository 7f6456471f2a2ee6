/**
 * A gigabyte on a guest's console, every line of it in the host's own grammar: none of it is a line of the host's,
 * what is kept of it is bounded, and the program neither grows nor stops answering. A program in QEMU's place writes it,
 * as fast as the host takes it: an emulated guest itself has a few kilobytes a second.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { attackWith, capturedOverlay, captureQemu } from "./captured_qemu.ts";
import { askInside, insideOverlay, linesInside, rayInside, vmCommand } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const LOGS = `/var/rayos/vm/linux/${GUEST}/logs`;
const LIMIT_MS = 3_000_000;
/** Whoever asks takes from the same CPU. */
const LOOK_MS = 15_000;
/** What the program may have more of afterwards: nothing that it reads is kept. */
const GROWTH_MIB = 64;

/** A number that the machine's shell says. */
async function number(run: BootRun, words: string): Promise<number> {
  const said = await askInside(
    run,
    `do echo inside number $(${words}) end`,
    /inside number \d+ end/u,
  );
  return Number(/number (\d+) end/u.exec(said)?.[1]);
}
const residentMiB = async (run: BootRun) =>
  await number(
    run,
    "while read -r key value unit; do case $key in VmRSS:) echo $value ;; esac; done < /proc/$(program)/status",
  ) / 1024;

fullTest(
  "a gigabyte of the host's own lines on a guest's console adds none to them, and the host goes on",
  async () => {
    await using home = await Home.make();
    // As fast as the policy can let a console be; its limit is another test's matter.
    const policy = (await defaultPolicy()).replace("autoboot = true", "autoboot = false")
      .replace("cpus = 1", "cpus = 1\nconsole_kib_s = 65536");
    const disk = dataDisk(home, {
      ...guestFiles(GUEST, home),
      ...await signedPolicy(policy),
    }, 256);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: { ...await insideOverlay(), ...await capturedOverlay(home) },
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal");
      const before = await residentMiB(run);
      await captureQemu(run);
      await attackWith(run, "console-gigabyte");
      await vmCommand(run, "start", GUEST, "running");
      const until = performance.now() + LIMIT_MS;
      let looks = 0;
      for (;;) {
        const { code, output } = await rayInside(run, "status");
        assert.equal(code, 0, output);
        looks++;
        if (await linesInside(run, `${LOGS}/console.log`, "gigabyte over") > 0) break;
        assert.ok(performance.now() < until, "the guest came to no end of it");
        await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
      }
      const kept = await number(run, `set -- $($bb du -ck ${LOGS} | $bb tail -n 1); echo $1`);
      const after = await residentMiB(run);
      console.log(
        `${looks} looks meanwhile, ${kept} KiB kept, the program ${before.toFixed(0)} MiB and ${
          after.toFixed(0)
        } MiB`,
      );
      assert.ok(kept <= 21 * 1024, `${kept} KiB kept`);
      assert.ok(after - before < GROWTH_MIB, `${before} MiB, then ${after} MiB`);
      assert.ok(run.lines.every((line) => line.fields["mode"] !== "gigabyte"));
      assert.ok(!run.console.includes("mode=gigabyte"));
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
  },
);
