/**
 * A program in QEMU's place, in the jail as the launcher builds it, whose guest has captured it: what it
 * says over QMP and over VNC ends in a fault with a name, with its guest hidden or ended, while the program
 * that listens to it and another guest beside it go on.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { MONITORS, PICTURES } from "../hostile/qemu_attacks.ts";
import { attackWith, capturedOverlay, captureQemu } from "./captured_qemu.ts";
import { askInside, insideOverlay, rayInside } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  fullTest,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { assertCountedOn, countedPast, countsOf, severalDisk, tinyNames } from "./several.ts";
import { request } from "./request.ts";

const [OTHER = "", HOSTILE = ""] = tinyNames(2);
/** Of the hostile guest, which is in the second slot. */
const SLOT = "01";
/** The longest of them is a QEMU that falls silent: asked after 15 s, given up 60 s later. */
const LIMIT_MS = 240_000;

/** The number that the other guest has counted to. */
async function counted(run: BootRun): Promise<number> {
  const { output } = await rayInside(run, `vm log ${OTHER} --lines 20`);
  return Number([...output.matchAll(/count (\d+)/gu)].at(-1)?.[1] ?? 0);
}

async function attackPicture(run: BootRun, mode: string, code: string): Promise<void> {
  await attackWith(run, mode);
  const from = run.lines.length;
  await request(run, "present", { vm: HOSTILE });
  await run.waitFor(`RAYOS_PRESENTATION:on vm=${HOSTILE} surface=fb`, LIMIT_MS, from);
  await run.waitFor(`fault stage=screen code=${code}`, LIMIT_MS, from);
  await run.waitFor(`RAYOS_PRESENTATION:off vm=${HOSTILE}`, LIMIT_MS, from);
  const faults = run.lines.slice(from).filter((line) => line.event === "fault");
  assert.deepEqual(faults.map((line) => line.fields["code"]), [code], mode);
}

/** Bells as fast as it can are no fault: it is shown until somebody hides it, which works at once. */
async function attackWithBells(run: BootRun): Promise<void> {
  await attackWith(run, "vnc-bells");
  const from = run.lines.length;
  await request(run, "present", { vm: HOSTILE });
  await run.waitFor(`RAYOS_PRESENTATION:on vm=${HOSTILE}`, LIMIT_MS, from);
  await countedPast(run, OTHER, await counted(run) + 2);
  await request(run, "hide", { vm: HOSTILE });
  const off = await run.waitFor(`RAYOS_PRESENTATION:off vm=${HOSTILE}`, LIMIT_MS, from);
  const asked = await run.waitFor(`RAYOS_HOST_EVENT_V0:hide:${HOSTILE}`, LIMIT_MS, from);
  assert.ok(Date.parse(off.ts) - Date.parse(asked.ts) < 5_000, `${asked.text}; ${off.text}`);
  assert.ok(run.lines.slice(from).every((line) => line.event !== "fault"));
}

async function attackMonitor(run: BootRun, mode: string, ending: string): Promise<void> {
  await attackWith(run, mode);
  const from = run.lines.length;
  await rayInside(run, `vm start ${HOSTILE}`);
  if (mode === "qmp-input") {
    assert.equal((await rayInside(run, `present ${HOSTILE}`)).code, 0);
    assert.notEqual((await rayInside(run, `input key ${HOSTILE} a`)).code, 0);
    await run.waitFor("fault code=input.silent", LIMIT_MS, from);
    await run.waitFor(`RAYOS_PRESENTATION:off vm=${HOSTILE}`, LIMIT_MS, from);
  }
  await run.waitFor(`${ending} vm=${HOSTILE}`, LIMIT_MS, from);
  await askInside(run, `qemus ${SLOT}`, /inside qemus 0 end/u);
}

fullTest(
  "a hostile program in QEMU's place ends in a named fault of its own guest, whatever it says",
  async (t) => {
    await using home = await Home.make();
    const disk = await severalDisk([OTHER, HOSTILE], home, { screen: true, autoboot: false });
    await using run = await startMachine({
      disks: [{ path: disk }],
      extra: ["-device", "VGA"],
      overlay: {
        ...await insideOverlay(),
        ...await capturedOverlay(home),
      },
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal", 120_000);
      await rayInside(run, `vm start ${OTHER}`);
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${OTHER}`, 240_000);
      await captureQemu(run);
      const began = run.lines.length;
      await attackWith(run, "none");
      const { code: started, output } = await rayInside(run, `vm start ${HOSTILE}`);
      assert.equal(started, 0, output);
      await run.waitFor(`RAYOS_VM_STATE:starting:running vm=${HOSTILE}`, LIMIT_MS, began);
      for (const [mode, code] of PICTURES) {
        const held = await t.step(`${mode} ends in ${code}`, () => attackPicture(run, mode, code));
        assert.ok(held, mode);
      }
      await attackWithBells(run);
      const states = run.lines.slice(began).filter((line) =>
        line.event.startsWith("RAYOS_VM_STATE:") && line.fields["vm"] === HOSTILE
      ).map((line) => line.event.split(":").slice(1).join(":"));
      assert.deepEqual(
        states,
        ["defined:starting", "starting:running"],
        "its guest ran on, hidden",
      );
      await rayInside(run, `vm kill ${HOSTILE}`);
      for (const [mode, ending] of MONITORS) {
        const before = await counted(run);
        const held = await t.step(
          `${mode} ends in ${ending}`,
          () => attackMonitor(run, mode, ending),
        );
        assert.ok(held, mode);
        await countedPast(run, OTHER, before);
      }
      const starts = run.lines.filter((line) => line.event === "RAYOS_INIT_START");
      assert.equal(starts.length, 1, "the program that listened to all of it is the first one");
      const others = run.lines.slice(began).filter((line) =>
        line.event.startsWith("RAYOS_VM_STATE:") && line.fields["vm"] === OTHER
      );
      assert.deepEqual(others, [], "the other guest is what it was");
      assertEndedInOrder(await finish(run));
    });
    assertClean(disk);
    assertCountedOn(countsOf(disk, OTHER, home), OTHER);
  },
);
