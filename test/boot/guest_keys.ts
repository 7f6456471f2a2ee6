/** What a test types at the host's own keyboard, and what a guest says of it. */
import { chordsOf } from "../../src/presentation/keys.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { strike } from "./typing.ts";

/** Milliseconds from key to key: a keyboard keeps little that the host has not taken yet. */
const PACE_MS = 60;

/** What is said of letters that are typed one after the other. */
export const taps = (text: string) => [...text].flatMap((one) => [`+${one}`, `-${one}`]);

/** Presses keys of the host's keyboard together, and lets go of them. */
export async function tapAtHost(run: BootRun, ...names: string[]): Promise<void> {
  for (const name of names) await strike(run, [true, name]);
  for (const name of names.toReversed()) await strike(run, [false, name]);
  await new Promise((resolve) => setTimeout(resolve, PACE_MS));
}

/** Types a text at the host's keyboard, which is a US one. */
export async function typeAtKeyboard(run: BootRun, text: string): Promise<void> {
  const chords = chordsOf(text);
  if (chords === null) throw new Error(`no key has a character of ${text}`);
  for (const chord of chords) {
    await tapAtHost(run, ...chord.map((key) => key.slice("key:".length)));
  }
}
