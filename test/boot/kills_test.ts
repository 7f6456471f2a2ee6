/**
 * The program killed with SIGKILL in the middle of each named step of a guest's life, while other guests
 * count on. Afterwards each guest is in a state that the kernel confirms, none runs twice, the
 * others never notice, and nothing is reported as if it had happened again.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import type { Step } from "../../src/supervisor/record.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import { askInside, insideOverlay, vmCommand } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  FULL,
  Home,
  repeats,
  showingLines,
  startMachine,
} from "./machine.ts";
import { done, request } from "./request.ts";
import {
  assertCountedOn,
  countedPast,
  countsOf,
  severalDisk,
  startsIn,
  tinyNames,
} from "./several.ts";

/** One guest that it happens to, and two that it must not touch; one where time is short. */
const [VICTIM = "", ...OTHERS] = tinyNames(FULL ? 3 : 2);
const SLOT = "00";
/** Saving and loading a guest's memory take their time here. */
const LIMIT_MS = 240_000;
/** So often is each step hit; where time is short, some of them once. */
const ROUNDS = FULL ? repeats(10) : 1;
const QUICK: readonly Step[] = ["launching", "saving"];

/** A step, what leads to it from which state, and what may have become of the guest. */
interface Row {
  readonly step: Step;
  readonly from: "running" | "stopped" | "suspended";
  readonly verb: string;
  readonly becomes: readonly string[];
}
/** In an order in which most of them begin where the one before ended. */
const ROWS: readonly Row[] = [
  // Killed before a word of the start was written it is what it was; the kernel is asked in any case.
  { step: "launching", from: "stopped", verb: "start", becomes: ["running", "defined", "stopped"] },
  { step: "pausing", from: "running", verb: "pause", becomes: ["running", "paused"] },
  { step: "paused", from: "running", verb: "pause", becomes: ["paused"] },
  { step: "stopping", from: "running", verb: "stop", becomes: ["stopped", "defined"] },
  { step: "confining", from: "stopped", verb: "start", becomes: ["running"] },
  { step: "saving", from: "running", verb: "suspend", becomes: ["running", "suspended"] },
  { step: "loading", from: "suspended", verb: "start", becomes: ["suspended"] },
  { step: "loaded", from: "suspended", verb: "start", becomes: ["running"] },
  { step: "releasing", from: "stopped", verb: "start", becomes: ["running"] },
  { step: "running", from: "stopped", verb: "start", becomes: ["running"] },
];

/**
 * Where the log says that it stands; the kernel is asked besides. A program that finds nothing of a guest
 * says nothing of it: it is defined, whatever the one before had said last.
 */
function stateOf(run: BootRun, vm: string): string {
  const began = run.lines.findLastIndex((line) => line.event === "RAYOS_INIT_START");
  const last = run.lines.slice(began).findLast((line) =>
    line.fields["vm"] === vm && line.event.startsWith("RAYOS_VM_STATE:")
  );
  return last?.event.split(":")[2] ?? "defined";
}

const ON_ITS_WAY = ["starting", "stopping", "suspending", "resuming"];

/** Waits until it is on its way nowhere. */
async function settled(run: BootRun): Promise<string> {
  const end = performance.now() + LIMIT_MS;
  while (ON_ITS_WAY.includes(stateOf(run, VICTIM)) && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  return stateOf(run, VICTIM);
}

async function bring(run: BootRun, verb: string): Promise<string> {
  await done(run, `vm.${verb}`, { vm: VICTIM }, LIMIT_MS);
  return await settled(run);
}

/** Brings the victim into the state that a row begins from. */
async function prepare(run: BootRun, from: Row["from"]): Promise<void> {
  let state = stateOf(run, VICTIM);
  if (state === "paused") state = await bring(run, "resume");
  if (state === "suspended" && from !== "suspended") state = await bring(run, "start");
  if (state === "running" && from === "stopped") await bring(run, "stop");
  if (["defined", "stopped"].includes(state) && from !== "stopped") {
    state = await bring(run, "start");
  }
  // Saved in its first seconds for good, it would have nothing on its disk to be judged by.
  if (from === "running") await countedPast(run, VICTIM, 0);
  if (state === "running" && from === "suspended") await bring(run, "suspend");
}

async function killAt(run: BootRun, row: Row): Promise<string> {
  await prepare(run, row.from);
  await askInside(run, `killat ${SLOT} ${row.step}`, /inside armed/u);
  const from = run.lines.length;
  const console = run.console.length;
  await request(run, `vm.${row.verb}`, { vm: VICTIM });
  const said = await run.waitForConsole(/inside killed at \w+ \w+\r?\n/u, LIMIT_MS, console);
  assert.match(said, new RegExp(`killed at ${row.step} yes`), "the step was there to be hit");
  await run.waitFor("RAYOS_READY mode=normal", LIMIT_MS, from);
  const state = await settled(run);
  const qemus = await askInside(run, `qemus ${SLOT}`, /inside qemus \d+ end/u);
  const running = ["running", "paused"].includes(state) ? 1 : 0;
  assert.match(
    qemus,
    new RegExp(`qemus ${running} end`),
    `${row.step}: ${state}; last lines:\n${run.tail(40)}`,
  );
  for (const other of OTHERS) {
    const told = run.lines.slice(from).filter((line) => line.fields["vm"] === other)
      .map((line) => line.event);
    assert.deepEqual(told, ["vm_adopted", "RAYOS_VM_STATE:defined:running"], other);
  }
  return state;
}

/** The one that it happens to: no run of it has a gap, begins unasked, or is reported a second time. */
function assertVictim(run: BootRun, disk: string, home: Home): void {
  const said = (event: RegExp) =>
    run.lines.filter((line) => event.test(line.event) && line.fields["vm"] === VICTIM).length;
  const image = readDataDisk(disk, `vm/linux/${VICTIM}/rootfs.ext4`) ?? new Uint8Array();
  const starts = startsIn(image, home).filter((counts) => counts.length > 0);
  for (const counts of starts) assertCountedOn(counts, VICTIM);
  const asked = run.lines.filter((line) => line.event === `RAYOS_HOST_EVENT_V0:vm.start:${VICTIM}`);
  assert.ok(starts.length > 0 && starts.length <= asked.length, `${starts.length} starts`);
  const began = said(/^RAYOS_VM_STATE:\w+:(?:starting|resuming)$/u);
  const ready = said(/^RAYOS_LINUX_VM_READY$/u);
  assert.ok(ready <= began, `${ready} times ready, begun ${began} times`);
}

const TRIED = FULL ? ROWS : ROWS.filter((row) => QUICK.includes(row.step));
const HOW_MANY = `${TRIED.length} of ${ROWS.length} steps, ${ROUNDS} times each`;

Deno.test(`the program killed in a step of a guest's life loses no guest and starts none twice (${HOW_MANY})`, async (t) => {
  await using home = await Home.make();
  const names = [VICTIM, ...OTHERS];
  const disk = await severalDisk(names, home, {
    autoboot: false,
    spareMib: 400,
    // Who counts each second takes the machine's time from what is tried in it a hundred times.
    every: FULL ? 5 : 1,
  });
  const histogram = new Map<string, number>();
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
    memoryMiB: 3072,
  });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal");
    for (const vm of OTHERS) await vmCommand(run, "start", vm, "running");
    for (const vm of OTHERS) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
    for (let round = 0; round < ROUNDS; round++) {
      for (const row of TRIED) {
        const held = await t.step(`killed at ${row.step}, round ${round + 1}`, async () => {
          const state = await killAt(run, row);
          assert.ok(row.becomes.includes(state), `${state}; last lines:\n${run.tail(40)}`);
          const key = `${row.step} → ${state}`;
          histogram.set(key, (histogram.get(key) ?? 0) + 1);
        });
        // What follows would begin in a state that nobody expected, and hide the first fault.
        assert.ok(held, `killed at ${row.step}, round ${round + 1}`);
      }
    }
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assertClean(disk);
    for (const vm of OTHERS) assertCountedOn(countsOf(disk, vm, home), vm);
    assertVictim(run, disk, home);
  });
  const total = [...histogram.values()].reduce((sum, count) => sum + count, 0);
  assert.equal(total, ROUNDS * TRIED.length);
  console.log(`killed ${total} times:`);
  for (const [key, count] of histogram) console.log(`  ${key}: ${count}`);
});
