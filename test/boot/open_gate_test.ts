/**
 * The twin of `presentation_test.ts`: with a gate that is open, the same typing and the same judgement must
 * find keys at guests that were not presented.
 */
import assert from "node:assert/strict";
import { askInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { openGate, PROGRAM } from "./open_gate.ts";
import { severalDisk, tinyNames } from "./several.ts";
import { type Amounts, keysOf, Typing, USUAL } from "./typing.ts";

const GUESTS = tinyNames(2);
/**
 * Few switches and much between them: what may have been typed for either around a switch must be less than
 * what an open gate brings it besides.
 */
const AMOUNTS: Amounts = { ...USUAL, switches: 10, calm: 40 };

fullTest("a gate that is open is found by what it brings to hidden guests", async () => {
  await using home = await Home.make();
  const { overlay, hash } = await openGate(home);
  const disk = await severalDisk(GUESTS, home, { screen: true });
  await using run = await startMachine({
    form: "bundled",
    disks: [{ path: disk }],
    extra: ["-device", "virtio-keyboard-pci"],
    overlay: { ...await insideOverlay(), ...overlay },
  });
  const typing = new Typing(run, GUESTS);
  await showingLines(run, async () => {
    for (const vm of GUESTS) await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000);
    const sum = await askInside(run, `do $bb sha256sum ${PROGRAM}`, /[0-9a-f]{64}/u);
    assert.equal(sum, hash, "the altered program is the one that runs");
    // Both were presented once: from then on this gate leaves neither out.
    for (const vm of [...GUESTS].reverse()) {
      assert.equal((await rayInside(run, `present ${vm}`)).code, 0);
      await rayInside(run, `input key ${vm} ctrl`);
    }
    await typing.begin();
    await typing.overSwitches(AMOUNTS);
    await typing.end();
    assertEndedInOrder(await finish(run));
  });
  const lists = GUESTS.map((vm) =>
    keysOf(disk, vm, home).filter((key) => !key.slice(1).startsWith("ctrl"))
  );
  const { wrong, counted } = typing.judge(disk, lists);
  console.log(`the open gate, over ${counted.switches} switches: ${wrong.join("; ")}`);
  for (const [n] of GUESTS.entries()) {
    // Nothing but keys of others brings a list beyond all that was typed while its guest can have been presented.
    const overfull = new RegExp(`^guest ${n} has \\d+ keys, and \\d+ at most`, "u");
    assert.ok(
      wrong.some((one) => overfull.test(one)),
      `what guest ${n} has is found wrong: ${wrong.join("; ")}`,
    );
  }
});
