import assert from "node:assert/strict";
import type { QmpClient } from "../guest/qmp.ts";
import type { Clock } from "../host/port.ts";
import { takeCard } from "./taking.ts";

interface Guest {
  /** Looks at the tree until a guest that helps has let go; never where it is deaf. */
  readonly helpsAfter: number;
  readonly resetHelps: boolean;
}

/** A QEMU of which the words are kept in order. */
function qemu({ helpsAfter, resetHelps }: Guest) {
  const said: string[] = [];
  let card = true;
  let looks = 0;
  let asked = false;
  const command = (name: string): Promise<unknown> => {
    if (name !== "qom-list") said.push(name);
    if (name === "device_del") asked = true;
    if (name === "system_reset" && resetHelps) card = false;
    if (name === "qom-list") {
      if (asked && ++looks > helpsAfter) card = false;
      return Promise.resolve(
        card ? [{ name: "nic0" }, { name: "serial0" }] : [{ name: "serial0" }],
      );
    }
    return Promise.resolve({});
  };
  return { qmp: { command } as unknown as QmpClient, said };
}

function clock(): Clock {
  let now = 0;
  const sleep = (ms: number) => Promise.resolve(void (now += ms));
  return { monoMs: () => now, wall: () => new Date(0), sleep };
}

/** What is said before anybody is waited for. */
const CUT = ["device_del", "set_link", "netdev_del"];
const RUNS = { force: true, held: false, emulated: false };

Deno.test("takeCard of a guest that helps unplugs the card and deletes the netdev", async () => {
  const { qmp, said } = qemu({ helpsAfter: 2, resetHelps: false });
  assert.equal(await takeCard(qmp, clock(), RUNS), true);
  assert.deepEqual(said, CUT);
});

Deno.test("takeCard of a deaf guest cuts it off before it waits, and resets it then", async () => {
  const { qmp, said } = qemu({ helpsAfter: Infinity, resetHelps: true });
  const time = clock();
  const waited: string[][] = [];
  const sleep = (ms: number) => (waited.push([...said]), time.sleep(ms));
  assert.equal(await takeCard(qmp, { ...time, sleep }, RUNS), true);
  assert.deepEqual(waited[0], CUT);
  assert.deepEqual(said, [...CUT, "system_reset"]);
});

Deno.test("takeCard says so where nothing helps", async () => {
  const { qmp } = qemu({ helpsAfter: Infinity, resetHelps: false });
  assert.equal(await takeCard(qmp, clock(), RUNS), false);
});

Deno.test("takeCard does not wait for a guest whose vCPUs are held", async () => {
  const { qmp, said } = qemu({ helpsAfter: Infinity, resetHelps: true });
  const time = clock();
  assert.equal(await takeCard(qmp, time, { ...RUNS, held: true }), true);
  assert.deepEqual(said, [...CUT, "system_reset"]);
  assert.ok(time.monoMs() < 1_000);
});

Deno.test("takeCard before a save resets nobody: a guest that is held is let go for a moment", async () => {
  const helpful = qemu({ helpsAfter: 2, resetHelps: false });
  assert.equal(await takeCard(helpful.qmp, clock(), { ...RUNS, force: false, held: true }), true);
  assert.deepEqual(helpful.said, [...CUT, "cont", "stop"]);
  const deaf = qemu({ helpsAfter: Infinity, resetHelps: true });
  assert.equal(await takeCard(deaf.qmp, clock(), { ...RUNS, force: false }), false);
  assert.ok(!deaf.said.includes("system_reset"));
});

Deno.test("takeCard never sets a link up, and where no card is deletes what may stand behind it", async () => {
  const { qmp, said } = qemu({ helpsAfter: 0, resetHelps: false });
  await qmp.command("device_del", undefined, { kind: "network" });
  assert.equal(await takeCard(qmp, clock(), RUNS), true);
  assert.deepEqual(said, ["device_del", "netdev_del"]);
});

Deno.test("takeCard gives an emulated guest ten times as long, before its reset and after it", async () => {
  const slow = { helpsAfter: 200, resetHelps: false };
  for (const emulated of [false, true]) {
    const { qmp, said } = qemu(slow);
    const asked = { force: false, held: false, emulated };
    assert.equal(await takeCard(qmp, clock(), asked), emulated);
    assert.deepEqual(said, CUT);
  }
  const time = clock();
  const { qmp } = qemu({ helpsAfter: Infinity, resetHelps: false });
  assert.equal(await takeCard(qmp, time, { ...RUNS, emulated: true }), false);
  assert.ok(time.monoMs() >= 180_000, `${time.monoMs()} ms`);
});
