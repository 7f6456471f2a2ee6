/**
 * What the host lacks while it runs, on a real machine: room on RayOS Data, the KVM node, a limit of its
 * cgroups, a registry that can be read. What needs it is refused with its reason, the guest is in a named
 * state, nothing is lost, and the guest beside it counts on.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import {
  fileInside,
  insideOverlay,
  onHost,
  rayInside,
  seenOnHost,
  statesOf,
  vmCommand,
} from "./inside.ts";
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
const DATA = "/var/rayos";
const GUESTS = "/run/rayos/cg/rayos/guests";
const REGISTRY = `${DATA}/vm/registry.json`;

/** Runs `ray`, which must be refused for that reason; gives the changes of the victim's state by it. */
async function refused(run: BootRun, words: string, reason: RegExp): Promise<string[]> {
  const from = run.lines.length;
  const { code, output } = await rayInside(run, words);
  assert.equal(code, 1, `${words}: ${output}`);
  assert.match(output, reason);
  return statesOf(run, VICTIM, from);
}

fullTest(
  "a host that lacks room, KVM, a limit or its registry refuses what needs it and loses nothing",
  async (t) => {
    await using home = await Home.make();
    const disk = await severalDisk([VICTIM, OTHER], home, { spareMib: 128 });
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      memoryMiB: 3072,
    });
    await showingLines(run, async () => {
      for (const vm of [VICTIM, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 300_000);

      await t.step(
        "a disk without room leaves the guest that was to be saved running",
        async () => {
          await onHost(
            run,
            `$bb dd if=/dev/zero of=${DATA}/fill bs=1M ` +
              `count=$(($($bb stat -f -c %a ${DATA}) * $($bb stat -f -c %S ${DATA}) / 1048576 - 8))`,
          );
          const states = await refused(run, `vm suspend ${VICTIM}`, /saved\.no_room/u);
          assert.deepEqual(states, ["running:suspending", "suspending:paused", "paused:running"]);
          await onHost(run, `$bb rm ${DATA}/fill`);
          const { output } = await rayInside(run, "vm list");
          assert.match(output, new RegExp(`${VICTIM} +linux +0 +(running|paused)`));
          const left = await rayInside(run, `vm reset-state ${VICTIM}`);
          assert.equal(left.code, 1, "no saved state came of it");
        },
      );

      await t.step(
        "a disk that fills up while the guest is saved leaves it running, and nothing of its state",
        async () => {
          const place = `${DATA}/vm/linux/${VICTIM}/state`;
          const free = `$(($($bb stat -f -c %f ${DATA}) * $($bb stat -f -c %S ${DATA}) - 1048576))`;
          await onHost(
            run,
            `( until [ -e ${place}/saved.tmp ]; do $bb usleep 10000; done; ` +
              `$bb fallocate -l ${free} ${DATA}/fill ) &`,
          );
          const states = await refused(
            run,
            `vm suspend ${VICTIM}`,
            /file\.unwritable.*No space left/u,
          );
          assert.deepEqual(states.slice(0, 3), [
            "running:suspending",
            "suspending:paused",
            "paused:running",
          ]);
          const listed = await seenOnHost(run, `$bb ls ${DATA}/fill ${place}`);
          assert.match(listed, /^\/var\/rayos\/fill$/mu, "it was full");
          assert.doesNotMatch(listed, /^saved/mu);
          await onHost(run, `$bb rm ${DATA}/fill`);
          // A guest whose disk found no room meanwhile is held by QEMU, and goes on when it is told to.
          for (const vm of [VICTIM, OTHER]) {
            if (statesOf(run, vm).at(-1)?.endsWith(":paused")) {
              await vmCommand(run, "resume", vm, "running");
            }
          }
          await vmCommand(run, "suspend", VICTIM, "suspended");
          await vmCommand(run, "start", VICTIM, "running");
        },
      );

      await t.step("without /dev/kvm no guest starts, and with it again one does", async () => {
        await rayInside(run, `vm kill ${VICTIM}`);
        await onHost(run, "$bb mv /dev/kvm /dev/away");
        const states = await refused(run, `vm start ${VICTIM}`, /jail\.no_kvm/u);
        assert.deepEqual(states.slice(-1), ["starting:failed"]);
        await onHost(run, "$bb mv /dev/away /dev/kvm");
        await vmCommand(run, "start", VICTIM, "running");
      });

      await t.step(
        "without the memory controller no guest starts, and with it again one does",
        async () => {
          await rayInside(run, `vm kill ${VICTIM}`);
          await onHost(run, `echo -memory > ${GUESTS}/cgroup.subtree_control`);
          const states = await refused(run, `vm start ${VICTIM}`, /jail\.cgroup/u);
          assert.deepEqual(states.slice(-1), ["starting:failed"]);
          await onHost(run, `echo +memory > ${GUESTS}/cgroup.subtree_control`);
          await vmCommand(run, "start", VICTIM, "running");
        },
      );

      await t.step("a registry that was damaged by hand is left as it is", async () => {
        // One at rest: that it runs is no reason then.
        await vmCommand(run, "stop", VICTIM, "stopped");
        await onHost(run, `echo '{"version":0' > ${REGISTRY}`);
        await refused(run, "vm define another --profile tiny", /registry\.unreadable/u);
        await refused(run, `vm remove ${VICTIM}`, /registry\.unreadable/u);
        const text = new TextDecoder().decode(await fileInside(run, REGISTRY));
        assert.equal(text, '{"version":0\n');
        const { output } = await rayInside(run, "vm list");
        assert.match(output, new RegExp(`${VICTIM} +linux .*stopped`));
        assert.match(output, new RegExp(`${OTHER} +linux .*running`));
      });

      assertEndedInOrder(await finish(run));
      assertClean(disk);
      assertCountedOn(countsOf(disk, OTHER, home), OTHER);
      const others = run.lines.filter((line) => line.fields["vm"] === OTHER);
      assert.deepEqual(others.filter((line) => /:failed/u.test(line.event)), []);
    });
  },
);
