/**
 * A network for the first set-up of a guest, on a real machine: it is on the disk before it is given, it
 * ends by itself, by command, by a save and by the guest's word, also where the program is dead or the guest
 * deaf, and there is no second one, in this boot or the next.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import { askInside, fileInside, killProgram, rayInside, vmCommand } from "./inside.ts";
import { inGuest, internetOverlay, networkedDisk, reached, TWO_NICS } from "./internet.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { assertReset, startsOf } from "./network/state.ts";

/**
 * Its lease runs out, its lease is ended, it says itself that it is set up, it is held, it does not listen,
 * it is saved.
 */
const [EXPIRES, ENDED, SAYS, HELD, DEAF, SAVED] = [
  ...["net-0", "net-1", "net-2", "net-3", "net-4", "net-5"] as const,
];
const PUBLIC = "/probe try 4 public=tcp:93.184.216.34:80";
const SPENT = (vm: string) => `vm/linux/${vm}/state/network_lease`;

const networkLines = (run: BootRun, vm: string) =>
  run.lines.filter((line) => line.fields["vm"] === vm && line.event.startsWith("RAYOS_NETWORK"))
    .map((line) => `${line.event.split(":")[1]} ${line.fields["reason"]}`);

async function assertNothingLeft(run: BootRun, slot: string): Promise<void> {
  await askInside(
    run,
    "do ls /run/rayos/netns /run/rayos/cg/rayos/net > /run/left",
    /inside done/u,
  );
  const left = new TextDecoder().decode(await fileInside(run, "/run/left"));
  assert.doesNotMatch(left, new RegExp(`^${slot}$`, "mu"));
}

// It waits for minutes until leases are over.
fullTest("a lease is spent before it is given, ends however it ends, and is given once", leases);

async function leases(t: Deno.TestContext): Promise<void> {
  await using home = await Home.make();
  const guests = [
    { networking: "provisioning_only", minutes: 1, autoboot: false },
    { networking: "provisioning_only", minutes: 30, autoboot: false },
    { networking: "provisioning_only", minutes: 30, autoboot: false },
    { networking: "provisioning_only", minutes: 30, autoboot: false },
    // Its kernel takes part in no hot-plugging.
    {
      networking: "provisioning_only",
      minutes: 30,
      autoboot: false,
      cmdline: "acpiphp.disable=1",
    },
    { networking: "provisioning_only", minutes: 30, autoboot: false },
  ] as const;
  const disk = await networkedDisk(home, guests, "suspend");
  const overlay = await internetOverlay(home);
  const boot = () =>
    startMachine({ disks: [{ path: disk }], overlay, memoryMiB: 3072, extra: TWO_NICS });
  await firstBoot(t, await boot());
  assertClean(disk);
  for (const vm of [EXPIRES, ENDED, DEAF, SAVED]) {
    assert.ok(readDataDisk(disk, SPENT(vm)) !== null, vm);
  }

  await t.step("nor does one in the next boot, whether it begins again or goes on", async () => {
    await using run = await boot();
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal");
      // It was saved at the end of the first boot, and goes on by itself.
      await run.waitFor(`RAYOS_VM_STATE:resuming:running vm=${SAVED}`, 240_000);
      await vmCommand(run, "start", EXPIRES, "running");
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${EXPIRES}`, 240_000);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      for (const vm of [EXPIRES, SAVED]) assert.deepEqual(networkLines(run, vm), [], vm);
      for (const slot of ["00", "05"]) await assertNothingLeft(run, slot);
      assertEndedInOrder(await finish(run));
    });
  });
  assertClean(disk);
}

async function firstBoot(t: Deno.TestContext, machine: BootRun): Promise<void> {
  await using run = machine;
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal");

    await t.step("one ends by command, and the card is gone from the guest", async () => {
      await vmCommand(run, "start", ENDED, "running");
      await run.waitFor(`RAYOS_NETWORK:on vm=${ENDED} reason=provisioning`, 240_000);
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${ENDED}`, 240_000);
      const spent = await fileInside(run, `/var/rayos/${SPENT(ENDED)}`);
      assert.equal(JSON.parse(new TextDecoder().decode(spent)).serial, 7);
      await askInside(run, `attach ${ENDED} ${ENDED}`, /inside done/u);
      const said = await inGuest(run, ENDED, `/card; ${PUBLIC}`, "leased");
      assert.equal(reached(said).get("public"), true);
      const { code, output } = await rayInside(run, `network end-provisioning ${ENDED}`);
      assert.deepEqual([code, output.trim()], [0, `${ENDED}: network off`]);
      assert.deepEqual(networkLines(run, ENDED), ["on provisioning", "off provisioned"]);
      await assertNothingLeft(run, "01");
      assert.match(
        await inGuest(run, ENDED, "echo devices $(ls /sys/class/net) end", "links"),
        /^devices lo end/mu,
      );
      const registry = await fileInside(run, "/var/rayos/vm/registry.json");
      const { vms } = JSON.parse(new TextDecoder().decode(registry));
      assert.match(vms[ENDED].provisioned_at, /^20/u);
      await vmCommand(run, "stop", ENDED, "stopped");
    });

    await t.step("a guest that begins again gets no second one", async () => {
      const from = run.lines.length;
      await vmCommand(run, "start", ENDED, "running");
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${ENDED}`, 240_000, from);
      assert.deepEqual(networkLines(run, ENDED), ["on provisioning", "off provisioned"]);
      await assertNothingLeft(run, "01");
      await vmCommand(run, "stop", ENDED, "stopped");
    });

    await t.step(
      "the kernel ends one while no program lives, and the next finds it over",
      async () => {
        const began = run.lines.length;
        await vmCommand(run, "start", EXPIRES, "running");
        await run.waitFor(`RAYOS_NETWORK:on vm=${EXPIRES} reason=provisioning`, 240_000);
        // Stopped, not killed: PID 1 would start another one, which takes the lease away at once. Nor is
        // the guest waited for before: it may take as long to come up here as its lease lasts.
        // Late, and not for a minute: a program that shows nothing new for so long is ended too.
        await new Promise((resolve) => setTimeout(resolve, 35_000));
        await askInside(run, "do for p in $(program); do kill -STOP $p; done", /inside done/u);
        await new Promise((resolve) => setTimeout(resolve, 40_000));
        const nft =
          "do /bin/busybox nsenter --net=/run/rayos/netns/00 /usr/sbin/nft list set inet rayos lease > /run/lease";
        await askInside(run, nft, /inside done/u);
        const set = new TextDecoder().decode(await fileInside(run, "/run/lease"));
        assert.match(set, /flags timeout/u);
        assert.doesNotMatch(set, /elements/u, "no element is left, so nothing passes");
        const from = await killProgram(run);
        await run.waitFor(`RAYOS_NETWORK:off vm=${EXPIRES} reason=lease_expired`, 240_000, from);
        await assertNothingLeft(run, "00");
        // Said once, before or after.
        await run.waitFor(`RAYOS_LINUX_VM_READY vm=${EXPIRES}`, 240_000, began);
        await vmCommand(run, "stop", EXPIRES, "stopped");
      },
    );

    await t.step("nor does one whose lease the kernel has ended", async () => {
      await vmCommand(run, "start", EXPIRES, "running");
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${EXPIRES}`, 240_000, run.lines.length);
      assert.deepEqual(networkLines(run, EXPIRES), ["on provisioning", "off lease_expired"]);
      await assertNothingLeft(run, "00");
      await vmCommand(run, "stop", EXPIRES, "stopped");
    });

    await t.step("a guest says by its agent that it is set up, and loses it", async () => {
      await vmCommand(run, "start", SAYS, "running");
      await run.waitFor(`RAYOS_NETWORK:on vm=${SAYS} reason=provisioning`, 240_000);
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${SAYS}`, 240_000);
      await askInside(run, `attach ${SAYS} ${SAYS}`, /inside done/u);
      await inGuest(run, SAYS, "mkdir /run/rayos; echo > /run/rayos/provisioned", "said");
      await run.waitFor(`RAYOS_NETWORK:off vm=${SAYS} reason=provisioned`, 120_000);
      await vmCommand(run, "stop", SAYS, "stopped");
    });

    await t.step("one that is held loses it too", async () => {
      await vmCommand(run, "start", HELD, "running");
      await run.waitFor(`RAYOS_NETWORK:on vm=${HELD} reason=provisioning`, 240_000);
      await vmCommand(run, "pause", HELD, "paused");
      const { code } = await rayInside(run, `network end-provisioning ${HELD}`);
      assert.equal(code, 0);
      await run.waitFor(`RAYOS_NETWORK:off vm=${HELD} reason=provisioned`, 60_000);
      await assertNothingLeft(run, "03");
      await vmCommand(run, "kill", HELD, "stopped");
    });

    await t.step("a guest that ignores the request is reset", async () => {
      await vmCommand(run, "start", DEAF, "running");
      await run.waitFor(`RAYOS_NETWORK:on vm=${DEAF} reason=provisioning`, 240_000);
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${DEAF}`, 240_000);
      await askInside(run, `attach ${DEAF} ${DEAF}`, /inside done/u);
      assert.equal(await startsOf(run, DEAF), 1);
      const { code } = await rayInside(run, `network end-provisioning ${DEAF}`);
      assert.equal(code, 0);
      assert.deepEqual(networkLines(run, DEAF), ["on provisioning", "off provisioned"]);
      await assertNothingLeft(run, "04");
      await assertReset(run, DEAF);
      await vmCommand(run, "kill", DEAF, "stopped");
    });

    await t.step("a save ends one, and what goes on from it has none", async () => {
      await vmCommand(run, "start", SAVED, "running");
      await run.waitFor(`RAYOS_NETWORK:on vm=${SAVED} reason=provisioning`, 240_000);
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${SAVED}`, 240_000);
      await vmCommand(run, "suspend", SAVED, "suspended");
      assert.deepEqual(networkLines(run, SAVED), ["on provisioning", "off stopped"]);
      await assertNothingLeft(run, "05");
      await vmCommand(run, "start", SAVED, "running");
      await run.waitFor(`vm_loaded vm=${SAVED}`);
      await new Promise((resolve) => setTimeout(resolve, 10_000));
      assert.deepEqual(networkLines(run, SAVED), ["on provisioning", "off stopped"]);
      await assertNothingLeft(run, "05");
    });
    // The policy has it saved again at the end of the machine.
    assertEndedInOrder(await finish(run));
  });
}
