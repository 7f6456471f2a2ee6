/**
 * The keys and buttons that can be sent to a guest, by QEMU's names for them, and how a text is typed. A
 * closed list: nothing of a request becomes a word of QMP's. Data and pure functions.
 *
 * Source: QEMU 7.2, qapi/ui.json (QKeyCode, InputButton).
 */

import type { Key } from "../guest/input.ts";

const LETTERS = [..."abcdefghijklmnopqrstuvwxyz"] as const;
const DIGITS = [..."0123456789"] as const;
const FUNCTION_KEYS = Array.from({ length: 12 }, (_, n) => `f${n + 1}`);
const KEYPAD = [...DIGITS, "add", "subtract", "multiply", "divide", "decimal", "enter"]
  .map((one) => `kp_${one}`);

/** Keys, without those that mean something to a machine or a kernel itself (`power`, `sleep`, `wake`, `sysrq`). */
export const KEYS: ReadonlySet<string> = new Set([
  ...[...LETTERS, ...DIGITS, ...FUNCTION_KEYS, ...KEYPAD],
  ...[
    "shift",
    "shift_r",
    "ctrl",
    "ctrl_r",
    "alt",
    "alt_r",
    "meta_l",
    "meta_r",
    "menu",
    "compose",
    "caps_lock",
  ],
  ...["esc", "tab", "ret", "spc", "backspace", "delete", "insert", "home", "end", "pgup", "pgdn"],
  ...["up", "down", "left", "right", "print", "scroll_lock", "num_lock", "pause"],
  ...["minus", "equal", "bracket_left", "bracket_right", "backslash", "semicolon", "apostrophe"],
  ...["grave_accent", "comma", "dot", "slash", "less"],
]);

/** Buttons of the pointer; the wheel's turns are buttons too. */
export const BUTTONS: ReadonlySet<string> = new Set([
  "left",
  "middle",
  "right",
  "wheel-up",
  "wheel-down",
]);

/** All of them that can be held down. */
export const EVERY_KEY: readonly Key[] = [
  ...[...KEYS].map((name): Key => `key:${name}`),
  ...["left", "middle", "right"].map((name): Key => `button:${name}`),
];

/** The key or button of that name; null: there is none, or none that a guest may be sent. */
export function keyOf(kind: "key" | "button", name: string): Key | null {
  return (kind === "key" ? KEYS : BUTTONS).has(name) ? `${kind}:${name}` : null;
}

/** What stands on the keys of a US keyboard, without and with shift. */
const SIGNS: readonly (readonly [name: string, plain: string, shifted: string])[] = [
  ["spc", " ", ""],
  ["ret", "\n", ""],
  ["tab", "\t", ""],
  ["minus", "-", "_"],
  ["equal", "=", "+"],
  ["bracket_left", "[", "{"],
  ["bracket_right", "]", "}"],
  ["backslash", "\\", "|"],
  ["semicolon", ";", ":"],
  ["apostrophe", "'", '"'],
  ["grave_accent", "`", "~"],
  ["comma", ",", "<"],
  ["dot", ".", ">"],
  ["slash", "/", "?"],
  ...DIGITS.map((digit, n) => [digit, digit, [...")!@#$%^&*("][n] ?? ""] as const),
  ...LETTERS.map((letter) => [letter, letter, letter.toUpperCase()] as const),
];
const TYPED = new Map<string, readonly Key[]>(
  SIGNS.flatMap(([name, plain, shifted]) => {
    const key: Key = `key:${name}`;
    const chords: [string, readonly Key[]][] = [[plain, [key]]];
    if (shifted !== "") chords.push([shifted, ["key:shift", key]]);
    return chords;
  }),
);

const SHOWN = new Map(
  SIGNS.map(([name, plain, shifted]): [Key, readonly [string, string]] => [
    `key:${name}`,
    [plain, shifted === "" ? plain : shifted],
  ]),
);

/** What stands on that key of a US keyboard; null: nothing that is a character. */
export function characterOn(key: Key, shifted: boolean): string | null {
  return SHOWN.get(key)?.[shifted ? 1 : 0] ?? null;
}

/**
 * The chords, each of which is pressed in order and released in the other one, that type a text on a US
 * keyboard.
 *
 * @returns null where a character of it stands on no key
 */
export function chordsOf(text: string): readonly (readonly Key[])[] | null {
  const chords: (readonly Key[])[] = [];
  for (const character of text) {
    const chord = TYPED.get(character);
    if (chord === undefined) return null;
    chords.push(chord);
  }
  return chords;
}
