/**
 * The program killed with SIGKILL while somebody types at the host's keyboard: whatever moment it is, no
 * guest gets a key of another one's, the next program presents nobody, and what is typed from then on is
 * nobody's until somebody is presented again.
 */
import assert from "node:assert/strict";
import type { LogLine } from "../../tools/boot_log.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, insideOverlay } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { denied } from "./request.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { keysOf, Typing } from "./typing.ts";

const GUESTS = tinyNames(2);
const LIMIT_MS = 120_000;
/** What was typed so long before a kill may not have reached anybody yet. */
const ON_ITS_WAY_MS = 3_000;

/** What is done just before the kill; the first guest is presented then. */
interface Moment {
  readonly name: string;
  readonly before?: (typing: Typing) => Promise<void>;
  /** What is asked of the host, and how many microseconds later it is killed. */
  readonly asked?: readonly [op: string, guest: number, delayUs: number];
}
const hurried = (typing: Typing) => typing.tap(6, 0);
const MOMENTS: readonly Moment[] = [
  { name: "between two keys" },
  { name: "with keys waiting at the gate", before: (typing) => typing.tap(10, 0) },
  { name: "with a key held", before: (typing) => typing.press() },
  ...[0, 30_000, 80_000, 200_000].map((us): Moment => ({
    name: `${us / 1000} ms after another guest is asked for`,
    before: hurried,
    asked: ["present", 1, us],
  })),
  {
    name: "with a key held, as everybody is hidden",
    before: async (typing) => {
      await typing.press();
      await hurried(typing);
    },
    asked: ["hide", 0, 40_000],
  },
];

/** Kills the program, types until the next one has been up for a while, and presents the other guest. */
async function killedAt(run: BootRun, typing: Typing, moment: Moment): Promise<void> {
  await askInside(run, "do victims=$(program)", /inside done/u);
  await typing.tap(10);
  const from = run.lines.length;
  await moment.before?.(typing);
  const [op, guest = 0, delayUs] = moment.asked ?? [];
  const asking = op === undefined
    ? ""
    : `/usr/lib/request ${op} '{"vm":"${GUESTS[guest]}"}' & $bb usleep ${delayUs}; `;
  await run.typeSerial(`do ${asking}kill -9 $victims\r`);
  let isReady = false;
  const ready = run.waitFor("RAYOS_READY mode=normal", LIMIT_MS, from).finally(() =>
    isReady = true
  );
  ready.catch(() => {});
  // Not a moment of rest at the keyboard, and far more than the kernel keeps for a reader.
  while (!isReady) await typing.tap(2, 50);
  await ready;
  await typing.release();
  await typing.tap(12);
  const start = run.lines.findIndex((line, n) => n >= from && line.event === "RAYOS_INIT_START");
  assert.ok(start > 0, "another program was started");
  const told = run.lines.slice(start).filter((one) => one.event.startsWith("RAYOS_PRESENTATION:"));
  assert.deepEqual(told, [], "the next program presents nobody");
  for (const vm of GUESTS) {
    await denied(run, "input.text", { vm, text: "x" }, "input.not_presented");
  }
  noteEnd(run, typing, from, start);
  // A guest that was there before the program was is told of each key that it is up, before anything else: on an
  // emulated machine that takes longer than what is typed may wait.
  await typing.switchTo(1, 0);
}

/**
 * The killed program's end as a switch to nobody: some time between its last line before the kill, less what
 * may have been on its way then, and the next program's first line with a time.
 */
function noteEnd(run: BootRun, typing: Typing, from: number, start: number): void {
  const dated = (line: LogLine) => !line.ts.startsWith("mono:");
  const before = run.lines.slice(0, from).findLast(dated);
  const first = run.lines.slice(start).find(dated);
  assert.ok(before !== undefined && first !== undefined);
  const earliest = Date.parse(before.ts) - ON_ITS_WAY_MS;
  // The other one may have been presented for an instant.
  const shown = run.lines.slice(from, start).find((one) => one.event === "RAYOS_PRESENTATION:on");
  if (shown !== undefined) typing.note(1, earliest, Date.parse(shown.ts));
  typing.note(null, shown === undefined ? earliest : Date.parse(shown.ts), Date.parse(first.ts));
}

fullTest(
  "a program killed while somebody types brings no key to another guest, and the next one presents nobody",
  async () => {
    await using home = await Home.make();
    const disk = await severalDisk(GUESTS, home, { screen: true, presented: true });
    await using run = await startMachine({
      disks: [{ path: disk }],
      extra: ["-device", "virtio-keyboard-pci"],
      overlay: await insideOverlay(),
    });
    const typing = new Typing(run, GUESTS);
    await showingLines(run, async () => {
      for (const vm of GUESTS) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
      // By the policy, at boot: that is not to come again with the next program.
      await run.waitFor(`RAYOS_PRESENTATION:on vm=${GUESTS[0]}`);
      await typing.begin();
      for (const moment of MOMENTS) {
        console.log(`killed ${moment.name}`);
        // The other one has what is typed after it; then the first one again.
        await killedAt(run, typing, moment);
        await typing.tap(10);
        await typing.switchTo(0, 0);
      }
      await typing.tap(10);
      await typing.end();
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    const { wrong, counted } = typing.judge(disk, GUESTS.map((vm) => keysOf(disk, vm, home)));
    assert.deepEqual(wrong, []);
    console.log(
      `${MOMENTS.length} kills, ${counted.keys} keys, ${counted.unseen} of them for nobody`,
    );
    assert.ok(counted.unseen >= 12 * MOMENTS.length);
  },
);
