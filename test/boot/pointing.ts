/**
 * Somebody who points and clicks at the host while guests are switched: what each guest's kernel said of
 * its pointer is held against what was done while it was presented.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import type { Home } from "./machine.ts";
import { denied, done } from "./request.ts";
import { fileOf } from "./typing.ts";

/** Milliseconds after which what was pointed at the host has reached the gate. */
const REACHED_MS = 1500;
const BUTTONS = new Map([[0x110, "left"], [0x111, "right"]]);

async function atHost(run: BootRun, ...events: readonly object[]): Promise<void> {
  await run.qmp("input-send-event", { events });
  await new Promise((resolve) => setTimeout(resolve, REACHED_MS));
}

/** Moves the host's own tablet to a place, then clicks there. */
async function pointAtHost(run: BootRun, x: number, y: number, button: string): Promise<void> {
  const at = (axis: string, value: number) => ({ type: "abs", data: { axis, value } });
  await atHost(run, at("x", x), at("y", y));
  const click = (down: boolean) => ({ type: "btn", data: { down, button } });
  await atHost(run, click(true));
  await atHost(run, click(false));
}

/** Points while one is presented, then the other, then nobody; by the host's tablet and by command. */
export async function pointOverSwitches(run: BootRun, one: string, other: string): Promise<void> {
  await done(run, "present", { vm: one });
  await pointAtHost(run, 1000, 2000, "left");
  await done(run, "input.pointer", { vm: one, x: 5000, y: 6000 });
  await denied(run, "input.pointer", { vm: other, x: 1, y: 1 }, "input.not_presented");
  await done(run, "present", { vm: other });
  await pointAtHost(run, 30000, 100, "right");
  await denied(run, "input.pointer", { vm: one, button: "left" }, "input.not_presented");
  await done(run, "input.pointer", { vm: other, button: "left" });
  await done(run, "hide", { vm: other });
  await pointAtHost(run, 12345, 23456, "left");
}

/** Every movement and button that a guest's kernel had, as it said them. */
function pointedAt(disk: string, vm: string, home: Home): string[] {
  const bytes = fileOf(disk, vm, "pointer", home);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const said: string[] = [];
  // struct input_event of a 64-bit machine: two times, type, code, value.
  for (let at = 0; at + 24 <= bytes.length; at += 24) {
    const [type, code] = [view.getUint16(at + 16, true), view.getUint16(at + 18, true)];
    const value = view.getInt32(at + 20, true);
    if (type === 1) said.push(`${value === 0 ? "-" : "+"}${BUTTONS.get(code) ?? code}`);
    if (type === 3) said.push(`${code === 0 ? "x" : "y"}${value}`);
  }
  return said;
}

/** Asserts that each has what was pointed while it was presented, and the other's nothing. */
export function assertPointed(
  disk: string,
  [one, other]: readonly [string, string],
  home: Home,
): void {
  assert.deepEqual(pointedAt(disk, one, home), [
    ...["x1000", "y2000", "+left", "-left"],
    ...["x5000", "y6000"],
  ]);
  assert.deepEqual(pointedAt(disk, other, home), [
    // The host's pointer moves in one direction first: it stood there.
    ...["x30000", "y2000", "y100", "+right", "-right"],
    ...["+left", "-left"],
  ]);
}
