/**
 * A guest's life by command, on a real machine: paused and let go on, killed, started again, ended; what
 * its log says of it, and what a program that was killed in between makes of it.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { insideOverlay, killProgram, rayInside, statesOf, vmCommand } from "./inside.ts";
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

const command = (run: BootRun, verb: string, state: string) => vmCommand(run, verb, GUEST, state);

fullTest(
  "a guest is paused, adopted as paused, resumed, killed and started again by command",
  async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, {
      ...guestFiles(GUEST, home),
      ...await signedPolicy(await defaultPolicy()),
    });
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
    });
    await showingLines(run, async () => {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);
      await command(run, "pause", "paused");
      const refused = await rayInside(run, `vm pause ${GUEST}`);
      assert.equal(refused.code, 1);
      assert.match(refused.output, /denied by vm\.state/u);
      const adopted = await killProgram(run);
      assert.deepEqual(statesOf(run, GUEST, adopted), ["defined:paused"]);
      await command(run, "resume", "running");
      await command(run, "kill", "stopped");
      const log = await rayInside(run, `vm log ${GUEST} --lines 5`);
      assert.equal(log.code, 0);
      assert.ok(log.output.trim().length > 0, "it wrote something to its console");
      const again = run.lines.length;
      await command(run, "start", "running");
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`, 120_000, again);
      const told = run.lines.length;
      await killProgram(run);
      await command(run, "stop", "stopped");
      assert.ok(!run.lines.slice(told).some((line) => /VM_READY/u.test(line.event)), "told once");
      const boot = await finish(run);
      assertEndedInOrder(boot);
      assertClean(disk);
    });
  },
);
