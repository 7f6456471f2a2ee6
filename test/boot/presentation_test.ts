/**
 * Keys reach the guest that is presented and no other, on a real machine: two guests write every key they
 * receive to their own disks, and afterwards each has exactly what was typed while it was presented
 * (`typing_test.ts` has 10,000 keys).
 */
import assert from "node:assert/strict";
import type { VmId } from "../../src/id.ts";
import type { Font } from "../../src/presentation/font.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { voidKeymap } from "../../tools/void_keymap.ts";
import { listDataDisk, readDataDisk } from "../../tools/data_disk.ts";
import { askInside, fileInside, insideOverlay, killProgram, rayDoes, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  FULL,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { taps, typeAtKeyboard } from "./guest_keys.ts";
import { denied, done } from "./request.ts";
import { drawn, fontInside, hasBar, partOf, untilScreen, untilStatus } from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { assertTyped, CODES, keysOf, strikeChord, Typing, USUAL, withoutChord } from "./typing.ts";

const [ONE = "", OTHER = ""] = tinyNames(2);

/** What {@link USUAL} comes to; `typing_test.ts` has more of it. */
const LEAST = { keys: 500, switches: 20, held: 5 };
/** The grey of the words in which QEMU says that a guest has drawn nothing yet. */
const LETTERS_OF_QEMU = [0xaa, 0xaa, 0xaa] as const;

/** Waits until the screen has the bar that names the guest, and below it what QEMU shows without a driver. */
async function untilShown(run: BootRun, font: Font, vm: string): Promise<void> {
  await untilScreen(run, `the picture of ${vm}`, (screen) => {
    const own = drawn(screen, font, { vm: vm as VmId, kind: "linux", input: true });
    return hasBar(screen, own) && partOf(screen, own.bar.height, LETTERS_OF_QEMU) > 0;
  });
}

/** Types a line at the host's keyboard; gives what the kernel's own console has of it. */
async function typedAtKernelConsole(run: BootRun): Promise<string> {
  const reading = "do $bb timeout 10 $bb cat /dev/tty1 > /run/typed &";
  await askInside(run, reading, /inside done/u);
  await typeAtKeyboard(run, "qwerty\n");
  await new Promise((resolve) => setTimeout(resolve, 4000));
  return new TextDecoder().decode(await fileInside(run, "/run/typed"));
}

/** A table of keys by which the kernel's own console understands letters and Enter (keymaps(5)). */
function lettersKeymap(): Uint8Array {
  const letters = [...CODES].filter(([, name]) => name.length === 1)
    .map(([code, name]) => [code, 0x0b00 | name.charCodeAt(0)]);
  return voidKeymap(Object.fromEntries([...letters, [28, 0x0201]]));
}

const shownIn = (run: BootRun, from = 0) =>
  run.lines.slice(from).flatMap((line) =>
    line.event.startsWith("RAYOS_PRESENTATION:")
      ? [`${line.event.split(":")[1]} ${line.fields["vm"]}`]
      : []
  );

/** What is typed by command, and must stand nowhere afterwards but with its guest. */
const SECRET = "hunter2";

Deno.test("500 keys over 20 switches, a pause and a killed program reach the guest that is presented and no other; the screen says who that is", async () => {
  await using home = await Home.make();
  const disk = await severalDisk([ONE, OTHER], home, { screen: true, level: "trace" });
  await using run = await startMachine({
    disks: [{ path: disk }],
    // This keyboard keeps more of what the host has not taken yet than a PS/2 one.
    extra: ["-device", "virtio-keyboard-pci", "-device", "VGA"],
    overlay: {
      ...await insideOverlay(),
      "/usr/lib/letters.kmap": lettersKeymap(),
    },
  });
  const typing = new Typing(run, [ONE, OTHER]);
  let held = "";
  await showingLines(run, async () => {
    for (const vm of [ONE, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
    const font = await fontInside(run);
    await untilStatus(run, font);
    const present = (vm: string) => done(run, "present", { vm });
    const key = (vm: string, act: string) => ({ vm, keys: ["ctrl"], act });
    const notPresented = (op: string, args: object) => denied(run, op, args, "input.not_presented");
    const { code, output } = await rayInside(run, `input text ${ONE} abc`);
    assert.equal(code, 1, output);
    assert.match(output, /denied by input\.not_presented:/u);
    await rayDoes(run, `present ${ONE}`);
    await untilShown(run, font, ONE);
    await rayDoes(run, `input text ${ONE} ${SECRET}`);
    await notPresented("input.text", { vm: OTHER, text: SECRET });
    // A key that is held is let go of before the other one is shown, which never sees it.
    await done(run, "input.key", key(ONE, "press"));
    await present(OTHER);
    await untilShown(run, font, OTHER);
    await done(run, "input.text", { vm: OTHER, text: "xyz" });
    await notPresented("input.key", key(ONE, "release"));
    await done(run, "input.key", key(OTHER, "press"));
    await done(run, "vm.pause", { vm: OTHER });
    assert.deepEqual(shownIn(run), [`on ${ONE}`, `off ${ONE}`, `on ${OTHER}`, `off ${OTHER}`]);
    await done(run, "vm.resume", { vm: OTHER });
    await notPresented("input.text", { vm: OTHER, text: "abc" });
    await present(ONE);
    await done(run, "input.key", key(ONE, "press"));
    // Whoever was shown is not shown to a program that was started again.
    const from = await killProgram(run);
    await notPresented("input.text", { vm: ONE, text: "abc" });
    assert.deepEqual(shownIn(run, from), []);
    // What it held is let go of before anything else.
    await present(ONE);
    await done(run, "input.text", { vm: ONE, text: "p" });
    await done(run, "hide", { vm: ONE });

    // From here on somebody types at the host's own keyboard. Nobody is presented: nobody gets it, and the
    // kernel's own console gives it no meaning.
    assert.equal(await typedAtKernelConsole(run), "");
    if (FULL) {
      // Control: with a table that knows the letters it would have come there.
      await askInside(run, "do $bb loadkmap < /usr/lib/letters.kmap", /inside done/u);
      assert.match(await typedAtKernelConsole(run), /qwerty/u);
      await askInside(run, "do $bb loadkmap < /etc/rayos/void.kmap", /inside done/u);
    }
    await present(ONE);
    await typing.begin();
    await typing.overSwitches(USUAL);
    await typing.end();
    // What the program holds of its log, as it stands in its memory.
    held = (await rayInside(run, "logs --lines 500")).output;
    assert.match(held, /RAYOS_PRESENTATION:on/u);
    // The chord takes whoever is presented off the screen, who is told that Ctrl and Alt are up.
    await present(ONE);
    const told = run.lines.length;
    await strikeChord(run);
    await run.waitFor("RAYOS_PRESENTATION:off", 60_000, told);
    await untilStatus(run, font);
    await typeAtKeyboard(run, "abcde");
    assertEndedInOrder(await finish(run));
    assertClean(disk);
    assertUntold(disk, run, typing.typed, held);
    const all = [keysOf(disk, ONE, home), keysOf(disk, OTHER, home)];
    const first = [...taps(SECRET), "+ctrl", "-ctrl", "+ctrl", "-ctrl", ...taps("p")];
    const second = [...taps("xyz"), "+ctrl", "-ctrl"];
    assert.deepEqual(all[0]?.splice(0, first.length), first);
    assert.deepEqual(all[1]?.splice(0, second.length), second);
    const rest = [withoutChord(all[0] ?? []), all[1] ?? []];
    assertTyped(typing.judge(disk, rest), LEAST);
  });
});

/** Nothing that the host wrote has what was typed, in letters, names or codes. */
function assertUntold(
  disk: string,
  run: BootRun,
  typed: readonly string[],
  held: string,
): void {
  const written = listDataDisk(disk).filter((one) =>
    one.kind === "file" && /^\/(logs|boot|crash|policy)\//u.test(one.path)
  ).map((one) => new TextDecoder().decode(readDataDisk(disk, one.path.slice(1)) ?? undefined));
  assert.ok(
    written.some((text) => text.includes("RAYOS_PRESENTATION:on")),
    "the log is among them",
  );
  const names = typed.slice(0, 6);
  const codes = names.map((name) => [...CODES].find(([, one]) => one === name)?.[0]);
  const lists = [names, codes].flatMap((list) => ["", " ", ",", ":"].map((sep) => list.join(sep)));
  // Its command stands in the test's own console, which asked for it there.
  for (const secret of [SECRET, ...lists, `key:${names[0]}`]) {
    assert.ok(!written.some((text) => text.includes(secret)), secret);
  }
  const said = [run.console, held, ...run.lines.map((line) => line.text)];
  assert.ok(!held.includes(SECRET), "the log in memory");
  for (const secret of [...lists, `key:${names[0]}`]) {
    assert.ok(!said.some((text) => text.includes(secret)), secret);
  }
}
