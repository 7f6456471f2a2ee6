/**
 * What is typed at the host's keyboard without a pause while two guests are presented in turns, on a real machine:
 * afterwards each has exactly what was typed while it was presented (`presentation_test.ts` has 500 of them, in every
 * run).
 */
import { insideOverlay } from "./inside.ts";
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
import { done } from "./request.ts";
import { fontInside, untilStatus } from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { assertTyped, keysOf, strikeChord, Typing, USUAL, withoutChord } from "./typing.ts";

const [ONE = "", OTHER = ""] = tinyNames(2);

/** As in the usual run, and so many times as often; what that must come to, as it is counted afterwards. */
const AMOUNTS = { ...USUAL, switches: 400 };
const LEAST = { keys: 10_000, switches: 400, held: 50 };

fullTest(
  "10,000 keys over 400 switches, the pointer and the chord reach who is presented, and nobody else",
  async () => {
    await using home = await Home.make();
    const disk = await severalDisk([ONE, OTHER], home, { screen: true });
    await using run = await startMachine({
      disks: [{ path: disk }],
      // This keyboard keeps more of what the host has not taken yet than a PS/2 one.
      extra: ["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci", "-device", "VGA"],
      overlay: await insideOverlay(),
    });
    const typing = new Typing(run, [ONE, OTHER]);
    await showingLines(run, async () => {
      for (const vm of [ONE, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
      const font = await fontInside(run);
      await untilStatus(run, font);
      await done(run, "present", { vm: ONE });
      await typing.begin();
      await typing.overSwitches(AMOUNTS);
      await typing.end();
      await pointOverSwitches(run, ONE, OTHER);
      await done(run, "present", { vm: ONE });
      // The chord takes whoever is presented off the screen, who is told that Ctrl and Alt are up.
      const told = run.lines.length;
      await strikeChord(run);
      await run.waitFor("RAYOS_PRESENTATION:off", 60_000, told);
      await untilStatus(run, font);
      await typeAtKeyboard(run, "abcde");
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    const lists = [withoutChord(keysOf(disk, ONE, home)), keysOf(disk, OTHER, home)];
    assertTyped(typing.judge(disk, lists), LEAST);
    assertPointed(disk, [ONE, OTHER], home);
  },
);
