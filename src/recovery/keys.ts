/**
 * What a person's terminal sends, as keys: bytes in, keys out. UTF-8 may be cut anywhere between two
 * reads, and so may an escape sequence. Whatever is no key that is known here means nothing: no byte on
 * the line can do more than a key does. Pure.
 *
 * Sources: ECMA-48 (control functions), xterm's ctlseqs (cursor and editing keys, bracketed paste).
 */

/** One key. `text`: characters that are put where the cursor is; never a control or format character. */
export type Key =
  | { readonly key: "text"; readonly text: string }
  /** Text that was pasted, as far as it has come; with its line ends. */
  | { readonly key: "paste"; readonly text: string }
  | { readonly key: Named };

export type Named =
  | "enter"
  | "tab"
  | "interrupt"
  | "end_of_input"
  | "left"
  | "right"
  | "up"
  | "down"
  | "home"
  | "end"
  | "word_left"
  | "word_right"
  | "erase"
  | "delete"
  | "erase_word"
  | "erase_to_start"
  | "erase_to_end"
  | "clear";

const CONTROL: Readonly<Record<number, Named>> = {
  0x01: "home",
  0x02: "left",
  0x03: "interrupt",
  0x04: "end_of_input",
  0x05: "end",
  0x06: "right",
  0x08: "erase",
  0x09: "tab",
  0x0a: "enter",
  0x0b: "erase_to_end",
  0x0c: "clear",
  0x0d: "enter",
  0x0e: "down",
  0x10: "up",
  0x15: "erase_to_start",
  0x17: "erase_word",
  0x7f: "erase",
};
/** After `ESC [` or `ESC O`, the parameters before the last character. */
const SEQUENCES: Readonly<Record<string, Named>> = {
  "A": "up",
  "B": "down",
  "C": "right",
  "D": "left",
  "H": "home",
  "F": "end",
  "1~": "home",
  "7~": "home",
  "4~": "end",
  "8~": "end",
  "3~": "delete",
  "1;5C": "word_right",
  "1;5D": "word_left",
  "1;3C": "word_right",
  "1;3D": "word_left",
};
/** After a lone `ESC`: a letter with Alt. */
const ALT: Readonly<Record<string, Named>> = {
  b: "word_left",
  f: "word_right",
  "\x7f": "erase_word",
};
const PASTE_BEGINS = "200~";
const PASTE_ENDS = "201~";
/** No sequence that is known is longer; a longer one is dropped as far as it came. */
const LONGEST_SEQUENCE = 24;
/** A terminal's answer (OSC, DCS) that never ends must not swallow what is typed for ever. */
const LONGEST_STRING = 1024;
/** What could move a cursor or reorder what is shown; what the decoder puts for bytes that are no UTF-8. */
const NO_TEXT = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\p{Zl}\p{Zp}\ufffd]/gu;

type State = "ground" | "escape" | "sequence" | "string" | "string_escape";

/** Bytes of one terminal, in the order in which they come. */
export class KeyDecoder {
  readonly #utf8 = new TextDecoder();
  #state: State = "ground";
  #held = "";
  #pasting = false;
  #afterReturn = false;

  /** The keys that these bytes end. */
  take(bytes: Uint8Array): Key[] {
    const keys: Key[] = [];
    let text = "";
    const flush = () => {
      const clean = text.replace(/[\r\n\t]/g, (one) => this.#pasting ? one : "");
      text = "";
      if (this.#pasting) {
        const pasted = clean.replace(NO_TEXT, (one) => /[\r\n\t]/.test(one) ? one : "");
        if (pasted !== "") keys.push({ key: "paste", text: pasted });
        return;
      }
      const typed = clean.replace(NO_TEXT, "");
      if (typed !== "") keys.push({ key: "text", text: typed });
    };
    for (const char of this.#utf8.decode(bytes, { stream: true })) {
      if (this.#state === "ground" && this.#isText(char)) {
        text += char;
        continue;
      }
      flush();
      const key = this.#step(char);
      if (key !== null) keys.push({ key });
    }
    flush();
    return keys;
  }

  #isText(char: string): boolean {
    if (char === "\x1b" || char === "\x03") return false;
    if (this.#pasting) return true;
    const code = char.codePointAt(0) ?? 0;
    return code >= 0x20 && code !== 0x7f && !(code >= 0x80 && code <= 0x9f);
  }

  #step(char: string): Named | null {
    const code = char.codePointAt(0) ?? 0;
    // Nobody is kept from their line by what came before on it, a paste without an end included.
    if (code === 0x03) this.#pasting = false;
    if (!this.#pasting && (code === 0x03 || code === 0x0d || code === 0x0a)) {
      this.#state = "ground";
      const second = code === 0x0a && this.#afterReturn;
      this.#afterReturn = code === 0x0d;
      return second ? null : CONTROL[code] ?? null;
    }
    this.#afterReturn = false;
    switch (this.#state) {
      case "ground":
        if (char !== "\x1b") return CONTROL[code] ?? null;
        this.#state = "escape";
        return null;
      case "escape":
        return this.#afterEscape(char);
      case "sequence":
        return this.#inSequence(char, code);
      case "string":
      case "string_escape":
        this.#inString(char);
        return null;
    }
  }

  #afterEscape(char: string): Named | null {
    this.#held = "";
    if (char === "[" || char === "O") this.#state = "sequence";
    else if ("]PX^_".includes(char)) this.#state = "string";
    else if (char !== "\x1b") {
      this.#state = "ground";
      return this.#pasting ? null : ALT[char] ?? null;
    }
    return null;
  }

  #inSequence(char: string, code: number): Named | null {
    if (char === "\x1b") {
      this.#state = "escape";
      return null;
    }
    this.#held += char;
    // Parameter and intermediate bytes go on, a final byte ends (ECMA-48, 5.4).
    if (code >= 0x20 && code <= 0x3f && this.#held.length < LONGEST_SEQUENCE) return null;
    this.#state = "ground";
    if (this.#held === PASTE_BEGINS) this.#pasting = true;
    else if (this.#held === PASTE_ENDS) this.#pasting = false;
    else if (!this.#pasting && Object.hasOwn(SEQUENCES, this.#held)) {
      return SEQUENCES[this.#held] ?? null;
    }
    return null;
  }

  #inString(char: string): void {
    this.#held += char;
    const ends = char === "\x07" || char === "\x9c" ||
      (this.#state === "string_escape" && char === "\\");
    if (ends || this.#held.length > LONGEST_STRING) this.#state = "ground";
    else this.#state = char === "\x1b" ? "string_escape" : "string";
  }
}
