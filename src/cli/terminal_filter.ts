/**
 * What a guest may have a person's terminal do: text, colours, and moving the cursor within the screen,
 * by a closed list. Everything else is left out: whatever would make the terminal answer (and so type
 * into the guest's shell), change its title, its keys, its mouse or its clipboard, or outlive the
 * session. Pure and incremental: bytes may be split anywhere. It never reads what the guest means.
 *
 * Source: ECMA-48; xterm's ctlseqs; the state machine of DEC's terminals as Paul Williams describes it.
 */

const BS = 0x08;
const TAB = 0x09;
const LF = 0x0a;
const CR = 0x0d;
const CAN = 0x18;
const SUB = 0x1a;
const ESC = 0x1b;
const BEL = 0x07;

/** Control characters that pass. BEL does not: a guest could ring without end. */
const PASSING: ReadonlySet<number> = new Set([BS, TAB, LF, CR]);

/** Escape sequences of one character that pass. */
export const ESCAPES: Readonly<Record<string, string>> = {
  "7": "save the cursor",
  "8": "restore the cursor",
  "D": "one line down, scrolling",
  "E": "to the next line",
  "M": "one line up, scrolling",
};

/**
 * Control sequences that pass, by their last character, with the parameters that each may have. A number
 * has at most four digits, so that no sequence keeps a terminal busy.
 */
export const SEQUENCES: Readonly<Record<string, { readonly form: RegExp; readonly does: string }>> =
  (() => {
    const none = /^$/;
    const one = /^\d{0,4}$/;
    const two = /^\d{0,4}(;\d{0,4})?$/;
    return {
      "m": { form: /^[\d;:]*$/, does: "colours and faces (SGR)" },
      "A": { form: one, does: "cursor up" },
      "B": { form: one, does: "cursor down" },
      "C": { form: one, does: "cursor right" },
      "D": { form: one, does: "cursor left" },
      "E": { form: one, does: "cursor to a following line" },
      "F": { form: one, does: "cursor to a line before" },
      "G": { form: one, does: "cursor to a column" },
      "H": { form: two, does: "cursor to a place" },
      "I": { form: one, does: "cursor to a following tab stop" },
      "Z": { form: one, does: "cursor to a tab stop before" },
      "`": { form: one, does: "cursor to a column" },
      "a": { form: one, does: "cursor right" },
      "d": { form: one, does: "cursor to a line" },
      "e": { form: one, does: "cursor down" },
      "f": { form: two, does: "cursor to a place" },
      "s": { form: none, does: "save the cursor" },
      "u": { form: none, does: "restore the cursor" },
      // Not 3: that erases what the person's own terminal keeps of earlier lines.
      "J": { form: /^[012]?$/, does: "erase the screen or a part of it" },
      "K": { form: /^[012]?$/, does: "erase a line or a part of it" },
      "L": { form: one, does: "insert lines" },
      "M": { form: one, does: "delete lines" },
      "P": { form: one, does: "delete characters" },
      "@": { form: one, does: "insert blanks" },
      "X": { form: one, does: "erase characters" },
      "S": { form: one, does: "scroll up" },
      "T": { form: one, does: "scroll down" },
      "r": { form: two, does: "which lines scroll" },
    };
  })();

/** Modes that may be set (`h`) and reset (`l`), and what brings the terminal back to its own. */
export const MODES: Readonly<Record<string, { readonly does: string; readonly own: "h" | "l" }>> = {
  "4": { does: "insert rather than overwrite", own: "l" },
  "?1": { does: "which form the cursor keys have", own: "l" },
  "?7": { does: "go on in the next line at the margin", own: "h" },
  "?25": { does: "show the cursor", own: "h" },
  "?1049": { does: "another screen, as editors use it", own: "l" },
};

/** Bytes of a sequence that are kept to look at; a longer one is left out. */
const MOST_SEQUENCE = 64;
/** A string that is not ended by then was none: what follows is shown as text. */
const MOST_STRING = 4096;
/** As `escape.ts`: what is invisible, reorders text, or is no character. */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/u;
// A byte order mark is a character like any other here, and one of those that are not shown.
const DECODER = new TextDecoder("utf-8", { ignoreBOM: true });
const REPLACEMENT = [0xef, 0xbf, 0xbd];

type Where = "text" | "escape" | "charset" | "sequence" | "string";

export class TerminalFilter {
  #where: Where = "text";
  /** Of a control sequence, after `ESC [`. */
  #sequence = "";
  #stringLength = 0;
  /** A character of UTF-8 of which the first bytes came. */
  #character: number[] = [];
  #missing = 0;
  /** Modes that are not the terminal's own now, and whether a part of the screen scrolls. */
  readonly #modes = new Map<string, "h" | "l">();
  #region = false;
  #out: number[] = [];

  /** What may go to the terminal of these bytes and of what was still open before them. */
  take(bytes: Uint8Array): Uint8Array {
    this.#out = [];
    for (const byte of bytes) this.#byte(byte);
    return Uint8Array.from(this.#out);
  }

  /** What makes the terminal a person's own again: plain colours, cursor shown, own modes. */
  reset(): string {
    // The other screen last of all: what was set on it is of no use on the first one.
    const last = ["?1049", "?25"];
    const first = [...this.#modes.keys()].filter((mode) => !last.includes(mode));
    const modes = this.#modes.has("?1049") ? [...first, "?1049"] : first;
    const back = modes.map((mode) => `\x1b[${mode}${MODES[mode]?.own}`).join("");
    this.#modes.clear();
    // Setting the region moves the cursor.
    const region = this.#region ? "\x1b7\x1b[r\x1b8" : "";
    this.#region = false;
    return `\x1b[0m${region}${back}\x1b[?25h`;
  }

  #byte(byte: number): void {
    if (this.#missing > 0) {
      if (this.#continues(byte)) return;
      this.#character = [];
      this.#missing = 0;
      this.#out.push(...REPLACEMENT);
    }
    // These two end whatever is open, on every terminal.
    if (byte === CAN || byte === SUB) this.#where = "text";
    else if (byte === ESC) this.#where = "escape";
    else this.#in(byte);
  }

  #in(byte: number): void {
    switch (this.#where) {
      case "text":
        return this.#text(byte);
      case "escape":
        return this.#escape(byte);
      case "charset":
        // `ESC ( 0` and its like: left out to the last byte.
        if (byte >= 0x20 && byte <= 0x2f) return;
        if (byte < 0x30 || byte > 0x7e) return this.#again(byte);
        this.#where = "text";
        return;
      case "sequence":
        return this.#inSequence(byte);
      case "string":
        this.#stringLength++;
        if (byte === BEL || this.#stringLength >= MOST_STRING) this.#where = "text";
        return;
    }
  }

  /** The byte belongs to nothing that is open: that is dropped, and the byte is text. */
  #again(byte: number): void {
    this.#where = "text";
    this.#text(byte);
  }

  #text(byte: number): void {
    if (byte < 0x20 || byte === 0x7f) {
      if (PASSING.has(byte)) this.#out.push(byte);
    } else if (byte < 0x80) this.#out.push(byte);
    else {
      // RFC 3629: C0, C1 and F5 to FF begin no character.
      this.#missing = byte < 0xc2 || byte > 0xf4 ? 0 : byte < 0xe0 ? 1 : byte < 0xf0 ? 2 : 3;
      if (this.#missing === 0) this.#out.push(...REPLACEMENT);
      else this.#character = [byte];
    }
  }

  /** @returns whether the byte goes on with the character that is open */
  #continues(byte: number): boolean {
    const [first = 0] = this.#character;
    const second = this.#character.length === 1;
    // No longer form than needed, no surrogate, nothing beyond U+10FFFF.
    const low = second && first === 0xe0 ? 0xa0 : second && first === 0xf0 ? 0x90 : 0x80;
    const high = second && first === 0xed ? 0x9f : second && first === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return false;
    this.#character.push(byte);
    this.#missing--;
    if (this.#missing > 0) return true;
    const character = DECODER.decode(Uint8Array.from(this.#character));
    this.#out.push(...(UNSAFE.test(character) ? REPLACEMENT : this.#character));
    this.#character = [];
    return true;
  }

  #escape(byte: number): void {
    const character = String.fromCharCode(byte);
    this.#where = "text";
    if (character === "[") {
      this.#sequence = "";
      this.#where = "sequence";
    } else if ("]P_^X".includes(character)) {
      this.#stringLength = 0;
      this.#where = "string";
    } else if (byte >= 0x20 && byte <= 0x2f) this.#where = "charset";
    else if (Object.hasOwn(ESCAPES, character)) this.#out.push(ESC, byte);
    else if (byte < 0x30 || byte > 0x7e) this.#text(byte);
  }

  #inSequence(byte: number): void {
    if (byte < 0x20 || byte > 0x7e) return this.#again(byte);
    if (byte < 0x40) {
      // One that is too long is still followed to its end, and its length says that it is left out.
      if (this.#sequence.length <= MOST_SEQUENCE) this.#sequence += String.fromCharCode(byte);
      return;
    }
    this.#where = "text";
    const last = String.fromCharCode(byte);
    const passing = this.#sequence.length > MOST_SEQUENCE ? null : this.#passing(last);
    if (passing === null) return;
    this.#out.push(ESC, 0x5b);
    for (const character of passing + last) this.#out.push(character.charCodeAt(0));
  }

  /** The parameters that pass; null where the sequence does not. */
  #passing(last: string): string | null {
    if (last === "h" || last === "l") return this.#passingModes(last);
    const row = Object.hasOwn(SEQUENCES, last) ? SEQUENCES[last] : undefined;
    if (row === undefined || !row.form.test(this.#sequence)) return null;
    if (last === "r") this.#region = true;
    return this.#sequence;
  }

  #passingModes(last: "h" | "l"): string | null {
    const parts = /^(\??)([\d;]+)$/.exec(this.#sequence);
    const kind = parts?.[1] ?? "";
    const passing = (parts?.[2] ?? "").split(";").filter((one) =>
      Object.hasOwn(MODES, `${kind}${one}`)
    );
    if (passing.length === 0) return null;
    for (const one of passing) {
      const mode = `${kind}${one}`;
      if (MODES[mode]?.own === last) this.#modes.delete(mode);
      else this.#modes.set(mode, last);
    }
    return `${kind}${passing.join(";")}`;
  }
}
