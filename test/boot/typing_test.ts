/**
 * What is typed at the host's keyboard without a pause while two guests are presented in turns, on a real machine:
 * afterwards each has exactly what was typed while it was presented (`presentation_test.ts` has few keys of each
 * kind, in every run).
 */
import assert from "node:assert/strict";
import { insideOverlay, rayDoes } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { typeAtKeyboard } from "./guest_keys.ts";
import { assertPointed, pointOverSwitches } from "./pointing.ts";
import { fontInside, untilStatus } from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { keysOf, requestOverlay, strike, Typing } from "./typing.ts";

const [ONE = "", OTHER = ""] = tinyNames(2);

/** What is typed at the host's keyboard over switches, and what that must come to, as it is counted afterwards. */
const RUNS = [
  { amounts: { switches: 20, calm: 8, before: 5, during: 12 }, least: { keys: 500, held: 5 } },
  {
    amounts: { switches: 200, calm: 23, before: 7, during: 20 },
    least: { keys: 10_000, held: 50 },
  },
] as const;

for (const { amounts, least } of RUNS) {
  const name =
    `${least.keys} keys over ${amounts.switches} switches, the pointer and the chord reach who is presented, and nobody else`;
  fullTest(name, async () => {
    await using home = await Home.make();
    const disk = await severalDisk([ONE, OTHER], home, { screen: true });
    await using run = await startMachine({
      disks: [{ path: disk }],
      // This keyboard keeps more of what the host has not taken yet than a PS/2 one.
      extra: ["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci", "-device", "VGA"],
      overlay: {
        ...await insideOverlay(),
        ...await requestOverlay(home),
      },
    });
    let typing: Typing | undefined;
    await showingLines(run, async () => {
      for (const vm of [ONE, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
      const font = await fontInside(run);
      await untilStatus(run, font);
      await rayDoes(run, `present ${ONE}`);
      typing = new Typing(run, [ONE, OTHER]);
      await typing.begin();
      await typing.overSwitches(amounts);
      await typing.end();
      await pointOverSwitches(run, ONE, OTHER);
      await rayDoes(run, `present ${ONE}`);
      // The chord takes whoever is presented off the screen, who is told that Ctrl and Alt are up.
      const told = run.lines.length;
      for (const down of [true, false]) {
        for (const name of ["ctrl", "alt", "pause"]) await strike(run, [down, name]);
      }
      await run.waitFor("RAYOS_PRESENTATION:off", 60_000, told);
      await untilStatus(run, font);
      await typeAtKeyboard(run, "abcde");
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    const all = [keysOf(disk, ONE, home), keysOf(disk, OTHER, home)];
    const chord = ["+ctrl", "+alt", "-alt", "-ctrl"];
    assert.deepEqual(all[0]?.splice(-chord.length), chord);
    assert.ok(typing !== undefined);
    const { wrong, counted } = typing.judge(disk, all);
    assert.deepEqual(wrong, []);
    const { keys, switches, near, held, unseen } = counted;
    const said =
      `${keys} keys over ${switches} switches, ${near} near one, ${held} with a key held, ${unseen} for nobody`;
    console.log(`${said}; the slowest switch took ${counted.slowestMs} ms`);
    assert.ok(
      keys >= least.keys && switches === amounts.switches,
      `${keys} keys, ${switches} switches`,
    );
    assert.ok(near * 5 >= keys, `${near} of ${keys} keys near a switch`);
    assert.ok(held >= least.held, `${held} switches with a key held`);
    assert.ok(unseen > 0, "some were typed while nobody was presented");
    assertPointed(disk, [ONE, OTHER], home);
  });
}
