/**
 * Keys reach the guest that is presented and no other, on a real machine: two guests write every key they
 * receive to their own disks, and afterwards each has exactly what was typed while it was presented.
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
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { taps } from "./guest_keys.ts";
import { drawn, fontInside, hasBar, partOf, untilScreen, untilStatus } from "./screenshot.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { CODES, keysOf } from "./typing.ts";

const [ONE = "", OTHER = ""] = tinyNames(2);

/** Switches while somebody types at the host's keyboard, and keys for each; `typing_test.ts` has many. */
const SWITCHES = 2;
const KEYS_EACH = 25;
/**
 * Milliseconds from key to key, at least; where this machine is slow, such a part of what a switch took. A
 * keyboard keeps little that its guest has not taken, and drops the rest.
 */
const PACE_MS = 60;
const PACE_PART = 20;
/** So many of them are typed before the next switch is asked for, the others meanwhile. */
const CALM = Math.floor(KEYS_EACH / 2);
/** The grey of the words in which QEMU says that a guest has drawn nothing yet. */
const LETTERS_OF_QEMU = [0xaa, 0xaa, 0xaa] as const;

async function denied(run: BootRun, words: string, rule: string): Promise<void> {
  const { code, output } = await rayInside(run, words);
  assert.equal(code, 1, output);
  assert.ok(output.includes(`denied by ${rule}:`), `${words}: ${output}`);
}

const LETTERS = [...CODES.values()].filter((name) => /^[a-z]$/u.test(name));

/** Types so many letters at the host's own keyboard, beginning with that one of the alphabet's order here. */
async function typeAtHost(
  run: BootRun,
  from: number,
  count: number,
  paceMs = 5 * PACE_MS,
): Promise<void> {
  for (let n = from; n < from + count; n++) {
    const key = { type: "qcode", data: LETTERS[n % LETTERS.length] };
    for (const down of [true, false]) {
      await run.qmp("input-send-event", { events: [{ type: "key", data: { down, key } }] });
    }
    await new Promise((resolve) => setTimeout(resolve, paceMs));
  }
}

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
  await typeAtHost(run, 0, 6);
  await run.qmp("send-key", { keys: [{ type: "qcode", data: "ret" }] });
  await new Promise((resolve) => setTimeout(resolve, 4000));
  return new TextDecoder().decode(await fileInside(run, "/run/typed"));
}

/** A table of keys by which the kernel's own console understands letters and Enter (keymaps(5)). */
function lettersKeymap(): Uint8Array {
  const letters = [...CODES].filter(([, name]) => name.length === 1)
    .map(([code, name]) => [code, 0x0b00 | name.charCodeAt(0)]);
  return voidKeymap(Object.fromEntries([...letters, [28, 0x0201]]));
}

const lettersFrom = (from: number, count: number) =>
  Array.from({ length: count }, (_, n) => `+${LETTERS[(from + n) % LETTERS.length]}`);

/**
 * Holds what two guests received of one typing against how it was switched between them: every key came to
 * one of the two, in order, and each that was typed while nothing was switched to the right one.
 *
 * @param calm keys at the beginning of each turn that were typed before the next switch was asked for
 */
function assertSplit(
  received: readonly (readonly string[])[],
  switches: number,
  calm: number,
): void {
  const next = [0, 0];
  let typed = 0;
  for (let turn = 0; turn < switches; turn++) {
    for (let n = 0; n < KEYS_EACH; n++, typed++) {
      const [key] = lettersFrom(typed, 1);
      const own = turn % 2;
      // In the window of a switch either of them may have it.
      const takers = n < calm ? [own] : [own, 1 - own];
      const taker = takers.find((one) => received[one]?.[next[one] ?? 0] === key);
      assert.ok(taker !== undefined, `key ${n} of turn ${turn} came to nobody who was presented`);
      next[taker] = (next[taker] ?? 0) + 1;
    }
  }
  assert.deepEqual(next, received.map((one) => one.length), "and nothing came besides");
}

const shownIn = (run: BootRun, from = 0) =>
  run.lines.slice(from).flatMap((line) =>
    line.event.startsWith("RAYOS_PRESENTATION:")
      ? [`${line.event.split(":")[1]} ${line.fields["vm"]}`]
      : []
  );

Deno.test("keys reach the guest that is presented and no other, over switches, a pause and a killed program; the screen says who that is", async () => {
  await using home = await Home.make();
  const disk = await severalDisk([ONE, OTHER], home, { screen: true });
  await using run = await startMachine({
    disks: [{ path: disk }],
    // This keyboard keeps more of what the host has not taken yet than a PS/2 one.
    extra: ["-device", "virtio-keyboard-pci", "-device", "VGA"],
    overlay: { ...await insideOverlay(), "/usr/lib/letters.kmap": lettersKeymap() },
  });
  await showingLines(run, async () => {
    for (const vm of [ONE, OTHER]) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
    const font = await fontInside(run);
    await untilStatus(run, font);
    await denied(run, `input text ${ONE} abc`, "input.not_presented");
    await rayDoes(run, `present ${ONE}`);
    await untilShown(run, font, ONE);
    await rayDoes(run, `input text ${ONE} abc`);
    await denied(run, `input text ${OTHER} abc`, "input.not_presented");
    // A key that is held is let go of before the other one is shown, which never sees it.
    await rayDoes(run, `input key ${ONE} ctrl --act press`);
    await rayDoes(run, `present ${OTHER}`);
    await untilShown(run, font, OTHER);
    await rayDoes(run, `input text ${OTHER} xyz`);
    await denied(run, `input key ${ONE} ctrl --act release`, "input.not_presented");
    await rayDoes(run, `input key ${OTHER} ctrl --act press`);
    await rayDoes(run, `vm pause ${OTHER}`);
    assert.deepEqual(shownIn(run), [`on ${ONE}`, `off ${ONE}`, `on ${OTHER}`, `off ${OTHER}`]);
    await rayDoes(run, `vm resume ${OTHER}`);
    await denied(run, `input text ${OTHER} abc`, "input.not_presented");
    await rayDoes(run, `present ${ONE}`);
    await rayDoes(run, `input key ${ONE} ctrl --act press`);
    // Whoever was shown is not shown to a program that was started again.
    const from = await killProgram(run);
    await denied(run, `input text ${ONE} abc`, "input.not_presented");
    assert.deepEqual(shownIn(run, from), []);
    // What it held is let go of before anything else.
    await rayDoes(run, `present ${ONE}`);
    await rayDoes(run, `input text ${ONE} p`);
    await rayDoes(run, `hide ${ONE}`);

    // From here on somebody types at the host's own keyboard. Nobody is presented: nobody gets it, and the
    // kernel's own console gives it no meaning.
    assert.equal(await typedAtKernelConsole(run), "");
    // Control: with a table that knows the letters it would have come there.
    await askInside(run, "do $bb loadkmap < /usr/lib/letters.kmap", /inside done/u);
    assert.match(await typedAtKernelConsole(run), /qwerty/u);
    await askInside(run, "do $bb loadkmap < /etc/rayos/void.kmap", /inside done/u);
    // Half of each turn is typed while the next switch is asked for.
    let took = performance.now();
    await rayDoes(run, `present ${ONE}`);
    took = performance.now() - took;
    for (let turn = 0; turn < SWITCHES; turn++) {
      const pace = Math.max(PACE_MS, took / PACE_PART);
      await typeAtHost(run, turn * KEYS_EACH, CALM, pace);
      const began = performance.now();
      const switched = rayDoes(run, `present ${turn % 2 === 0 ? OTHER : ONE}`)
        .then(() => took = performance.now() - began);
      await typeAtHost(run, turn * KEYS_EACH + CALM, KEYS_EACH - CALM, pace);
      await switched;
    }
    // The chord takes whoever is presented off the screen, who is told that Ctrl and Alt are up.
    const told = run.lines.length;
    for (const down of [true, false]) {
      for (const data of ["ctrl", "alt", "pause"]) {
        const key = { type: "qcode", data };
        await run.qmp("input-send-event", { events: [{ type: "key", data: { down, key } }] });
      }
    }
    await run.waitFor("RAYOS_PRESENTATION:off", 60_000, told);
    await untilStatus(run, font);
    await typeAtHost(run, 0, 5);
    assertEndedInOrder(await finish(run));
  });
  assertClean(disk);
  // Nothing that the host wrote has what was typed, in letters, names or codes.
  const written = listDataDisk(disk).filter((one) =>
    one.kind === "file" && /^\/(logs|boot|crash|policy)\//u.test(one.path)
  ).map((one) => new TextDecoder().decode(readDataDisk(disk, one.path.slice(1)) ?? undefined));
  assert.ok(
    written.some((text) => text.includes("RAYOS_PRESENTATION:on")),
    "the log is among them",
  );
  const order = LETTERS.slice(0, 6);
  for (
    const secret of [
      order.join(""),
      order.join(" "),
      order.join(","),
      `key:${order[0]}`,
      "16,17,18,19",
    ]
  ) {
    assert.ok(![...written, run.console].some((text) => text.includes(secret)), secret);
  }
  const all = [keysOf(disk, ONE, home), keysOf(disk, OTHER, home)];
  const first = [...taps("abc"), "+ctrl", "-ctrl", "+ctrl", "-ctrl", ...taps("p")];
  const second = [...taps("xyz"), "+ctrl", "-ctrl"];
  assert.deepEqual(all[0]?.slice(0, first.length), first);
  assert.deepEqual(all[1]?.slice(0, second.length), second);
  const rest = [all[0]?.slice(first.length) ?? [], all[1]?.slice(second.length) ?? []];
  const chord = ["+ctrl", "+alt", "-alt", "-ctrl"];
  assert.deepEqual(rest[SWITCHES % 2]?.splice(-chord.length), chord);
  assertSplit(rest.map((one) => one.filter((key) => key.startsWith("+"))), SWITCHES, CALM);
  for (const one of rest) {
    assert.equal(one.filter((key) => key.startsWith("-")).length * 2, one.length, "each came up");
  }
});
