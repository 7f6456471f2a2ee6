/**
 * What serves a guest's network dies, is stopped, is pulled out, or is misused by the guest, on a real
 * machine: each ends in a line with a name, in bounded time, with nothing left behind, and no other guest
 * notices.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import {
  askInside,
  fileInside,
  onHost,
  rayInside,
  seenOnHost,
  statesOf,
  vmCommand,
} from "./inside.ts";
import {
  inGuest,
  internetOverlay,
  NEAR_NIC,
  networkedDisk,
  TWO_NICS,
  TWO_NICS_ONE_LOOSE,
  UPLINK_ADDRESS,
} from "./internet.ts";
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
  assertReset,
  assertUnnoticed,
  assertWhole,
  bystander,
  networkFaults,
  networkWords,
  NS,
  processesOf,
  reachesPublic,
  signalProcesses,
  startsOf,
} from "./network/state.ts";

/** It happens to the first; the second must not notice. */
const [VICTIM, OTHER, DEAF, DEAD] = ["net-0", "net-1", "net-2", "net-3"] as const;
const FACTS = "/run/rayos/uplink/u0/facts";

async function attach(run: BootRun, vm: string): Promise<void> {
  await run.waitFor(`RAYOS_NETWORK:on vm=${vm} reason=policy`, 240_000);
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
  await askInside(run, `attach ${vm} ${vm}`, /inside done/u);
}

/** passt gets a signal: the network goes, provably, and another one comes. */
async function lostPasst(run: BootRun, signal: "KILL" | "STOP", code: string): Promise<void> {
  const before = await bystander(run, OTHER, "01");
  const from = run.lines.length;
  const old = await processesOf(run, "00");
  await signalProcesses(run, "00", signal);
  await run.waitFor(`RAYOS_NETWORK:on vm=${VICTIM} reason=policy`, 120_000, from);
  assert.deepEqual(networkWords(run, VICTIM, from), ["off stopped", "on policy"]);
  assert.deepEqual(networkFaults(run, from), [code]);
  assert.deepEqual(statesOf(run, VICTIM, from), []);
  assert.equal(await startsOf(run, VICTIM), 1, "the guest itself goes on");
  await assertWhole(run, "00");
  assert.notDeepEqual(await processesOf(run, "00"), old);
  assert.equal(await reachesPublic(run, VICTIM, `after${signal}`, "/card; "), true);
  await assertUnnoticed(run, before, `unnoticed${signal}`);
}

/** Waits until a client has an address again. */
async function addressAgain(run: BootRun): Promise<void> {
  const end = performance.now() + 120_000;
  while ((await fileInside(run, FACTS)).length === 0) {
    assert.ok(performance.now() < end, "no address again");
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  const facts = new TextDecoder().decode(await fileInside(run, FACTS));
  assert.match(facts, new RegExp(`^${UPLINK_ADDRESS}/24 `, "u"));
}

/** It is told before it is done. */
async function addressForgotten(run: BootRun): Promise<void> {
  const end = performance.now() + 60_000;
  while ((await fileInside(run, FACTS)).length > 0) {
    assert.ok(performance.now() < end, "its address is not forgotten");
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
}

async function lostClient(run: BootRun, signal: "KILL" | "STOP", code: string): Promise<void> {
  const from = run.lines.length;
  const passts = [await processesOf(run, "00"), await processesOf(run, "01")];
  const old = await processesOf(run, "u0");
  await signalProcesses(run, "u0", signal);
  await run.waitFor("uplink_back nic=u0", 180_000, from);
  assert.deepEqual(networkFaults(run, from), [code]);
  const now = await processesOf(run, "u0");
  // bubblewrap's own process and the client, as before; a script of the client may be there for a moment.
  assert.ok(now.length >= old.length && !now.some((one) => old.includes(one)), now.join(" "));
  await addressAgain(run);
  for (const vm of [VICTIM, OTHER]) {
    assert.deepEqual(networkWords(run, vm, from), []);
    assert.equal(await reachesPublic(run, vm, `client${signal}`), true, vm);
  }
  assert.deepEqual([await processesOf(run, "00"), await processesOf(run, "01")], passts);
}

fullTest(
  "a passt or a DHCP client that dies, and a cable that is pulled, cost nobody more than a moment",
  async (t) => {
    await using home = await Home.make();
    const disk = await networkedDisk(home, [{ networking: "on" }, { networking: "on" }]);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await internetOverlay(home),
      extra: TWO_NICS,
    });
    await showingLines(run, async () => {
      for (const vm of [VICTIM, OTHER]) await attach(run, vm);
      for (const vm of [VICTIM, OTHER]) await inGuest(run, vm, "/card", "card");
      await t.step("passt is killed", () => lostPasst(run, "KILL", "network.passt"));
      await t.step(
        "the DHCP client is killed",
        () => lostClient(run, "KILL", "network.dhcp_ended"),
      );
      await t.step("the cable is pulled and put in again", async () => {
        const from = run.lines.length;
        await run.qmp("set_link", { name: "near", up: false });
        assert.equal(await reachesPublic(run, VICTIM, "pulled"), false);
        await run.qmp("set_link", { name: "near", up: true });
        assert.equal(await reachesPublic(run, VICTIM, "back"), true);
        assert.equal(await reachesPublic(run, OTHER, "back"), true);
        assert.deepEqual(networkFaults(run, from), []);
      });
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
  },
);

/** Frames that a guest's card sends each second, over five of them. */
async function sentEachSecond(run: BootRun, vm: string, mark: string): Promise<number> {
  const count = "$(cat /sys/class/net/eth0/statistics/tx_packets)";
  const said = await inGuest(
    run,
    vm,
    `a=${count}; sleep 5; b=${count}; echo sent $((b - a)) end`,
    mark,
  );
  const [, sent] = /^sent (\d+) end/mu.exec(said) ?? [];
  assert.ok(sent !== undefined, said);
  return Math.round(Number(sent) / 5);
}

/** Milliseconds that `ray network disable` took, which is proof of the removal. */
async function disabled(run: BootRun, vm: string): Promise<number> {
  const began = performance.now();
  const { code, output } = await rayInside(run, `network disable ${vm}`);
  assert.deepEqual([code, output.trim()], [0, `${vm}: network off`]);
  return performance.now() - began;
}

fullTest(
  "a network is taken from a guest that floods, lies, does not listen or does not run",
  async (t) => {
    await using home = await Home.make();
    const disk = await networkedDisk(home, [
      { networking: "on" },
      { networking: "on" },
      // Its kernel takes part in no hot-plugging: it finds a card where it looks, and lets go of none.
      { networking: "on", cmdline: "acpiphp.disable=1" },
      { networking: "on", autoboot: false },
    ]);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await internetOverlay(home),
      memoryMiB: 3072,
      extra: TWO_NICS_ONE_LOOSE,
    });
    // What follows would begin in a state that nobody expected, and hide the first fault.
    const step = async (name: string, work: () => Promise<void>) =>
      assert.ok(await t.step(name, work), name);
    await showingLines(run, async () => {
      for (const vm of [VICTIM, OTHER, DEAF]) await attach(run, vm);
      for (const vm of [VICTIM, OTHER]) await inGuest(run, vm, "/card", "card");

      await step("passt is stopped", () => lostPasst(run, "STOP", "network.passt_stopped"));
      await step(
        "the DHCP client is stopped",
        () => lostClient(run, "STOP", "network.dhcp_stopped"),
      );

      await step("it sends under false names, and reaches nobody by it", async () => {
        const watched = ["/run/internet wan", `${NS}/uplink g01`, `${NS}/01 x0`];
        for (const [n, place] of watched.entries()) {
          const [at, nic] = place.split(" ");
          const watch = `/usr/lib/raw watch ${nic}`;
          await onHost(
            run,
            `$bb nsenter --net=${at} ${watch} > /run/watched${n} 2>&1 < /dev/null &`,
          );
        }
        // Apart from what it sends itself, it sees its own passt's answers.
        const spies = "(/raw watch eth0 > /run/saw 2>&1 < /dev/null &)";
        assert.equal(await reachesPublic(run, OTHER, "spies", `${spies}; `), true);
        const targets =
          "93.184.216.34 198.18.1.2 198.18.1.1 198.19.0.2 198.19.0.1 192.168.77.1 169.254.169.254 10.1.2.3 255.255.255.255";
        const said = await inGuest(run, VICTIM, `/raw spoof eth0 ${targets}`, "spoofed");
        assert.match(said, /raw spoof router (?!00:00:00)\S+ sent \d{3}/u);
        await onHost(run, "$bb killall raw; $bb sleep 2");
        const seen = async (n: number) =>
          new TextDecoder().decode(await fileInside(run, `/run/watched${n}`));
        const [far, link, way] = [await seen(0), await seen(1), await seen(2)];
        const other = await inGuest(run, OTHER, "killall raw; sleep 2; cat /run/saw", "spied");
        const saw = (text: string) =>
          [...text.matchAll(/^raw saw (.*?)\r?$/gmu)].map(([, one]) => one);
        // One of them does get out, under the host's own name, which shows that the watchers see.
        assert.deepEqual(saw(far), [`datagram ${UPLINK_ADDRESS} 93.184.216.34`]);
        for (const [place, text] of Object.entries({ link, way, other })) {
          assert.deepEqual(saw(text), [], place);
          assert.match(text, /^raw watched [1-9]\d* frames/mu, `${place} saw frames at all`);
        }
      });

      await step("it floods while its network is taken", async () => {
        const before = await bystander(run, OTHER, "01");
        const quiet = await sentEachSecond(run, VICTIM, "quiet");
        await inGuest(run, VICTIM, "(/raw flood eth0 > /run/flood 2>&1 < /dev/null &)", "flooding");
        const sent = await sentEachSecond(run, VICTIM, "rate");
        const from = run.lines.length;
        const took = await disabled(run, VICTIM);
        const said = await inGuest(
          run,
          VICTIM,
          "cat /run/flood",
          "flooded",
        );
        const counts = [...said.matchAll(/^raw flood (\d+)/gmu)].map(([, count]) => Number(count));
        console.log(
          `flood: ${sent} frames/s left the guest (${Math.max(...counts)} in its best second), ` +
            `${quiet} in a quiet one; taken after ${took.toFixed(0)} ms`,
        );
        assert.ok(sent >= 10 * (quiet + 1), `${sent} frames/s are no flood`);
        assert.deepEqual(networkWords(run, VICTIM, from), ["off stopped"]);
        assert.deepEqual([...networkFaults(run, from), ...statesOf(run, VICTIM, from)], []);
        await assertNothing(run, "00");
        await assertUnnoticed(run, before, "unflooded");
      });

      await step("its kernel does not listen: it is cut off, and reset", async () => {
        const before = await bystander(run, OTHER, "01");
        const first = "echo 1 > /sys/bus/pci/rescan; /card; ";
        assert.equal(await reachesPublic(run, DEAF, "deaf", first), true);
        const from = run.lines.length;
        const took = await disabled(run, DEAF);
        console.log(`deaf guest: taken after ${took.toFixed(0)} ms`);
        assert.ok(took < 60_000);
        assert.deepEqual(networkWords(run, DEAF, from), ["off stopped"]);
        await assertNothing(run, "02");
        await assertReset(run, DEAF);
        await assertUnnoticed(run, before, "undeaf");
      });

      await step("its kernel stands still: it is cut off, and reset", async () => {
        await vmCommand(run, "start", DEAD, "running");
        await attach(run, DEAD);
        const before = await bystander(run, OTHER, "01");
        const panic = "echo 0 > /proc/sys/kernel/panic; echo c > /proc/sysrq-trigger";
        await askInside(run, `type ${DEAD} run ${panic}`, /inside done/u);
        // One whose shell has not come to it yet would let go of its card as it is asked to.
        await new Promise((resolve) => setTimeout(resolve, 30_000));
        const from = run.lines.length;
        const took = await disabled(run, DEAD);
        console.log(`panicked guest: taken after ${took.toFixed(0)} ms`);
        assert.ok(took < 60_000);
        assert.deepEqual(networkWords(run, DEAD, from), ["off stopped"]);
        await assertNothing(run, "03");
        await assertReset(run, DEAD);
        await assertUnnoticed(run, before, "undead");
      });

      await step("its QEMU does not answer: it is killed", async () => {
        await rayInside(run, `network enable ${DEAD}`);
        await run.waitFor(`RAYOS_NETWORK:on vm=${DEAD}`, 120_000, run.lines.length);
        const before = await bystander(run, OTHER, "01");
        const from = run.lines.length;
        await askInside(run, "signal 03 STOP", /inside done/u);
        await rayInside(run, `network disable ${DEAD}`);
        await run.waitFor(`RAYOS_NETWORK:off vm=${DEAD}`, 120_000, from);
        assert.ok(networkFaults(run, from).includes("network.unproved"));
        await run.waitFor(/RAYOS_VM_STATE:running:failed .*vm=net-3/u, 60_000, from);
        await assertNothing(run, "03");
        await assertUnnoticed(run, before, "unstopped");
      });
      await step("the NIC is taken out, and another one is put in", async () => {
        const from = run.lines.length;
        await run.qmp("device_del", { id: NEAR_NIC.id });
        await run.waitFor("fault stage=network code=network.no_nic", 120_000, from);
        await addressForgotten(run);
        assert.equal(await reachesPublic(run, OTHER, "without"), false);
        await run.qmp("device_add", NEAR_NIC);
        await run.waitFor("fault stage=network code=network.nic_outside", 120_000, from);
        await run.waitFor("uplink_back nic=u0", 180_000, from);
        await addressAgain(run);
        assert.equal(await reachesPublic(run, OTHER, "another"), true);
        assert.deepEqual(networkWords(run, OTHER, from), []);
        assert.match(await seenOnHost(run, "/usr/bin/ip -o link"), /^1: lo: [^\n]*\n$/u);
      });

      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
  },
);
