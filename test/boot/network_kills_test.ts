/**
 * The program killed with SIGKILL in the middle of giving a network, and of taking it away: afterwards
 * there is a whole one or nothing of it, a lease is never given twice, and the other guest does not notice.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import { askInside, rayInside, seenOnHost, vmCommand } from "./inside.ts";
import { inGuest, internetOverlay, networkedDisk, TWO_NICS } from "./internet.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import {
  assertNothing,
  assertWhole,
  networkWords,
  NS,
  processesOf,
  reachesPublic,
} from "./network/state.ts";

const [VICTIM, OTHER, LEASED, LEASED_TOO, ENDED] = [
  ...["net-0", "net-1", "net-2", "net-3", "net-4"] as const,
];
const CGROUP = "/run/rayos/cg/rayos/net/00";

/** A moment of giving or taking: a word for the script inside that kills the program in it. */
interface Moment {
  readonly name: string;
  readonly word: string;
}
const step = (slot: string, name: string): Moment => ({ name, word: `killat ${slot} ${name} net` });
const when = (name: string, condition: string): Moment => ({
  name,
  word: `killwhen ${name} ${condition}`,
});
const GIVING: readonly Moment[] = [
  step("00", "giving"),
  when("namespace", `[ -e ${NS}/00 ]`),
  when("cgroup", `[ -e ${CGROUP}/cgroup.procs ]`),
  when("socket", "[ -S /run/rayos/n/00/passt.sock ]"),
  step("00", "on"),
];
const TAKING: readonly Moment[] = [
  step("00", "taking"),
  when("no_socket", "[ ! -e /run/rayos/n/00/passt.sock ]"),
  when("no_cgroup", `[ ! -e ${CGROUP} ]`),
  when("no_record", "[ ! -e /run/rayos/net/00.json ]"),
];

/** Has the program killed at that moment of what the words ask; gives where the next one's lines begin. */
async function killed(run: BootRun, moment: Moment, words: string): Promise<number> {
  await askInside(run, moment.word, /inside armed/u);
  const from = run.lines.length;
  const console = run.console.length;
  await run.typeSerial(`ray ${words}\r`);
  const said = await run.waitForConsole(/inside killed at \w+ (yes|never)/u, 240_000, console);
  assert.match(said, new RegExp(`killed at ${moment.name} yes`), "the moment was there to be hit");
  await run.waitFor("RAYOS_READY mode=normal", 240_000, from);
  // Whoever was attached to a console was so by the one that died.
  await run.waitFor(`vm_adopted vm=${OTHER}`, 60_000, from);
  return from;
}

/** Waits until the slot's network is whole or gone; `ray` itself takes seconds to begin here. */
async function networkSettles(
  run: BootRun,
  slot: string,
  wanted: readonly ("on" | "off")[],
): Promise<"on" | "off"> {
  const end = performance.now() + 120_000;
  for (;;) {
    const record = await seenOnHost(run, `$bb cat /run/rayos/net/${slot}.json 2> /dev/null`);
    const found = record === "" ? "off" : record.includes('"step":"on"') ? "on" : null;
    if (found !== null && wanted.includes(found)) return found;
    assert.ok(performance.now() < end, `${slot}: ${record}, not ${wanted}\n${run.tail(30)}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

async function networkIs(run: BootRun, slot: string, wanted: "on" | "off"): Promise<void> {
  await networkSettles(run, slot, [wanted]);
}

/** Stops the guest and starts it again: it is given nothing. */
async function assertNoSecond(run: BootRun, vm: string, slot: string): Promise<void> {
  await vmCommand(run, "stop", vm, "stopped");
  const again = run.lines.length;
  await vmCommand(run, "start", vm, "running");
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000, again);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  assert.deepEqual(networkWords(run, vm, again), []);
  await assertNothing(run, slot);
  await vmCommand(run, "stop", vm, "stopped");
}

fullTest(
  "the program killed at each step of giving and taking a network leaves a whole one or none",
  async (t) => {
    await using home = await Home.make();
    const disk = await networkedDisk(home, [
      { networking: "on" },
      { networking: "on" },
      { networking: "provisioning_only", minutes: 30, autoboot: false },
      { networking: "provisioning_only", minutes: 30, autoboot: false },
      { networking: "provisioning_only", minutes: 30, autoboot: false },
    ]);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await internetOverlay(home),
      memoryMiB: 3072,
      extra: TWO_NICS,
    });
    const outcomes: string[] = [];
    await showingLines(run, async () => {
      for (const vm of [VICTIM, OTHER]) {
        await run.waitFor(`RAYOS_NETWORK:on vm=${vm} reason=policy`, 240_000);
        await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
      }
      const other = await processesOf(run, "01");
      const unnoticed = async (from: number) => {
        assert.deepEqual(networkWords(run, OTHER, from), []);
        assert.deepEqual(await processesOf(run, "01"), other);
      };
      for (const moment of GIVING) {
        await t.step(`killed while one is given, at ${moment.name}`, async () => {
          await rayInside(run, `network disable ${VICTIM}`);
          await assertNothing(run, "00");
          const from = await killed(run, moment, `network enable ${VICTIM}`);
          await networkIs(run, "00", "on");
          await assertWhole(run, "00");
          outcomes.push(
            `giving, ${moment.name}: on (${networkWords(run, VICTIM, from).join(", ")})`,
          );
          await unnoticed(from);
        });
      }
      await t.step("what was given after all that leads somewhere", async () => {
        await askInside(run, `attach ${VICTIM} ${VICTIM}`, /inside done/u);
        assert.equal(await reachesPublic(run, VICTIM, "given", "/card; "), true);
      });
      for (const moment of TAKING) {
        await t.step(`killed while one is taken, at ${moment.name}`, async () => {
          await rayInside(run, `network enable ${VICTIM}`);
          await networkIs(run, "00", "on");
          const from = await killed(run, moment, `network disable ${VICTIM}`);
          await networkIs(run, "00", "off");
          await assertNothing(run, "00");
          const said = networkWords(run, VICTIM, from);
          outcomes.push(`taking, ${moment.name}: off (${said.join(", ")})`);
          assert.ok(
            said.length <= 1 && said.every((one) => one === "off stopped"),
            said.join(", "),
          );
          await unnoticed(from);
        });
      }
      const leases = [[LEASED, "02", "giving"], [LEASED_TOO, "03", "on"]] as const;
      for (const [vm, slot, at] of leases) {
        await t.step(
          `killed while a lease is given, at ${at}: there is no second one`,
          async () => {
            const from = await killed(run, step(slot, at), `vm start ${vm}`);
            await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000, from);
            // Killed before it is written down that the lease is spent, it is the next program's to give.
            const is = await networkSettles(run, slot, at === "giving" ? ["on", "off"] : ["off"]);
            if (is === "off") await assertNothing(run, slot);
            const said = networkWords(run, vm);
            assert.ok(said.filter((one) => one === "on provisioning").length <= 1, said.join(", "));
            outcomes.push(`lease, ${at}: ${is} (${said.join(", ")})`);
            await assertNoSecond(run, vm, slot);
            await unnoticed(from);
          },
        );
      }
      await t.step("killed while a lease is taken: it is over for the same reason", async () => {
        await vmCommand(run, "start", ENDED, "running");
        await run.waitFor(`RAYOS_NETWORK:on vm=${ENDED} reason=provisioning`, 240_000);
        await run.waitFor(`RAYOS_LINUX_VM_READY vm=${ENDED}`, 240_000);
        const words = `network end-provisioning ${ENDED}`;
        const from = await killed(run, step("04", "taking"), words);
        await networkIs(run, "04", "off");
        await assertNothing(run, "04");
        const said = networkWords(run, ENDED, from);
        outcomes.push(`lease, taking: off (${said.join(", ")})`);
        assert.deepEqual(said, ["off provisioned"]);
        await assertNoSecond(run, ENDED, "04");
        await unnoticed(from);
      });
      await askInside(run, `attach ${OTHER} ${OTHER}`, /inside done/u);
      await inGuest(run, OTHER, "/card", "card");
      assert.equal(await reachesPublic(run, OTHER, "other"), true);
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    for (const vm of [LEASED, LEASED_TOO, ENDED]) {
      assert.ok(readDataDisk(disk, `vm/linux/${vm}/state/network_lease`) !== null, vm);
    }
    console.log(`killed ${outcomes.length} times:\n  ${outcomes.join("\n  ")}`);
  },
);
