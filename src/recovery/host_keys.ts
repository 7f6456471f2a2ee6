/**
 * What the host's own keyboard means to the recovery shell on the screen: a key and what is held with it
 * become the bytes that a terminal would send (`keys.ts` reads them). The keyboard is a US one, as the
 * console of a host without a locale has it; Caps Lock and Num Lock mean nothing. Pure, and it remembers
 * nothing.
 */

import type { Key } from "../guest/input.ts";
import { characterOn } from "../presentation/keys.ts";
import { CONFIRMATION } from "../presentation/status_text.ts";

const SHIFT: readonly Key[] = ["key:shift", "key:shift_r"];
const CTRL: readonly Key[] = ["key:ctrl", "key:ctrl_r"];
const ALT: readonly Key[] = ["key:alt", "key:alt_r"];
const META: readonly Key[] = ["key:meta_l", "key:meta_r"];

/** Keys without a character, as xterm's ctlseqs has them. */
const NAMED: ReadonlyMap<Key, string> = new Map<Key, string>([
  ["key:ret", "\r"],
  ["key:kp_enter", "\r"],
  ["key:tab", "\t"],
  ["key:backspace", "\x7f"],
  ["key:delete", "\x1b[3~"],
  ["key:up", "\x1b[A"],
  ["key:down", "\x1b[B"],
  ["key:right", "\x1b[C"],
  ["key:left", "\x1b[D"],
  ["key:home", "\x1b[H"],
  ["key:end", "\x1b[F"],
]);
/** The same while Ctrl is held: from word to word. */
const NAMED_CTRL: ReadonlyMap<Key, string> = new Map<Key, string>([
  ["key:right", "\x1b[1;5C"],
  ["key:left", "\x1b[1;5D"],
]);
const KEYPAD = new Map<Key, string>([
  ...Array.from({ length: 10 }, (_, n): [Key, string] => [`key:kp_${n}`, String(n)]),
  ["key:kp_add", "+"],
  ["key:kp_subtract", "-"],
  ["key:kp_multiply", "*"],
  ["key:kp_divide", "/"],
  ["key:kp_decimal", "."],
]);
/** What looks at what was shown before, by pages. */
const LOOKING_BACK: ReadonlyMap<Key, "page_up" | "page_down"> = new Map<
  Key,
  "page_up" | "page_down"
>([
  ["key:pgup", "page_up"],
  ["key:pgdn", "page_down"],
  ["button:wheel-up", "page_up"],
  ["button:wheel-down", "page_down"],
]);

/** A key of the host's keyboard that goes down, with those that are held already. */
export interface Pressed {
  readonly key: Key;
  readonly held: readonly Key[];
}

/** The bytes of a terminal; an empty text where the key means nothing there. */
export function bytesOf({ key, held }: Pressed): string {
  const holds = (keys: readonly Key[]) => held.some((one) => keys.includes(one));
  const [ctrl, alt] = [holds(CTRL), holds(ALT)];
  // Ctrl+Alt and what a desktop would keep for itself are no way to type.
  if (holds(META) || ctrl && alt) return "";
  const named = (ctrl ? NAMED_CTRL.get(key) : undefined) ?? NAMED.get(key);
  if (named !== undefined) return named;
  const character = KEYPAD.get(key) ?? characterOn(key, holds(SHIFT));
  if (character === null) return "";
  if (alt) return /^[a-z]$/u.test(character) ? `\x1b${character}` : "";
  if (!ctrl) return character;
  const letter = characterOn(key, false) ?? "";
  return /^[a-z]$/u.test(letter) ? String.fromCharCode(letter.charCodeAt(0) & 0x1f) : "";
}

/** Whether the key looks back at what was shown before, or forth again. */
export function lookingBackOf({ key }: Pressed): "page_up" | "page_down" | null {
  return LOOKING_BACK.get(key) ?? null;
}

/** Whether the shell is wanted: a line that is exactly the word. It keeps no more of what is typed than its length. */
export class Question {
  /** Characters of the word that were typed, from the line's start; null: something else was. */
  #typed: number | null = 0;

  /** @returns whether that key confirmed it */
  take(pressed: Pressed): boolean {
    const bytes = bytesOf(pressed);
    if (bytes === "\r") {
      const whole = this.#typed === CONFIRMATION.length;
      this.#typed = 0;
      return whole;
    }
    // Shift by itself is no character.
    if (bytes === "" && isModifier(pressed.key)) return false;
    const next = this.#typed === null ? null : CONFIRMATION[this.#typed];
    this.#typed = this.#typed !== null && bytes === next ? this.#typed + 1 : null;
    return false;
  }
}

function isModifier(key: Key): boolean {
  return [SHIFT, CTRL, ALT].some((keys) => keys.includes(key));
}
