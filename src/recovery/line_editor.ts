/**
 * A line that is typed and edited at a terminal: keys in, bytes for the screen out, and the line when it
 * is whole. It needs nothing of a terminal but that a carriage return goes to the start of the line, so
 * it works at one that knows no escape sequence (TERM=dumb); where there are some, it says less. It
 * reads and writes nothing itself.
 */

import { clustersOf, fitting, widthOf } from "./text_width.ts";
import { type Key, KeyDecoder } from "./keys.ts";

/** The terminal that a person sits at. */
export interface Screen {
  readonly columns: number;
  /** It knows no escape sequence. */
  readonly plain: boolean;
}

/** What could stand at the end of what is typed. */
export interface Completion {
  /** Whole words that could stand in the place of the last one. */
  readonly words: readonly string[];
  /** The beginning of it that is there already. */
  readonly begun: string;
}

/**
 * How a line is read. `hidden`: nothing of it is shown, remembered or completed. `quiet`: nor is its end.
 */
export type Reading = "command" | "hidden" | "quiet";

export type Edited =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "interrupt" }
  /** Ctrl-D on an empty line. */
  | { readonly kind: "end" };

export interface EditorOptions {
  readonly screen: Screen;
  readonly complete: (before: string) => Completion;
}

/** What a key did to what is shown. */
type Change =
  /** These characters come after all that is shown. */
  | { readonly kind: "append"; readonly text: string }
  /** The line is to be drawn again. */
  | { readonly kind: "stale" }
  /** It was drawn by this. */
  | { readonly kind: "drawn"; readonly text: string };
const STALE: Change = { kind: "stale" };

/** Characters of a line; a command is never longer, and each key looks at all of them. */
const LONGEST_LINE = 2048;
/** UTF-16 units of a line together, for each of its characters. */
const UNITS_A_CHARACTER = 4;
const HISTORY_LINES = 200;
/** A pasted line end stands as this: it runs nothing, and a person sees that there was one. */
const PASTED_END = " ";

export class LineEditor {
  readonly #decoder = new KeyDecoder();
  readonly #queue: Key[] = [];
  readonly #history: string[] = [];
  #screen: Screen;
  readonly #complete: (before: string) => Completion;
  #reading: Reading | null = null;
  #prompt = "";
  #line: string[] = [];
  #cursor = 0;
  /** The first character that is shown. */
  #from = 0;
  /** Columns that are drawn on now. */
  #drawn = 0;
  /** Where in the history the line is; the history's length: it is a new one. */
  #at = 0;
  #unsent = "";
  #tabs = 0;

  constructor({ screen, complete }: EditorOptions) {
    this.#screen = screen;
    this.#complete = complete;
  }

  set screen(screen: Screen) {
    this.#screen = screen;
  }

  /** Lines that were entered, the oldest first. */
  get history(): readonly string[] {
    return this.#history;
  }

  /** Begins to read one line. @returns what is to be shown */
  begin(prompt: string, reading: Reading = "command"): string {
    this.#prompt = prompt;
    this.#reading = reading;
    this.#set("");
    this.#at = this.#history.length;
    this.#unsent = "";
    this.#drawn = 0;
    const paste = this.#screen.plain || reading !== "command" ? "" : "\x1b[?2004h";
    return paste + this.paint();
  }

  /** Takes what was typed; {@link next} makes something of it. */
  feed(bytes: Uint8Array): void {
    this.#queue.push(...this.#decoder.take(bytes));
  }

  /**
   * Goes through what was typed, up to the end of the line that is being read. What follows that end
   * waits for the next one.
   */
  next(): { readonly out: string; readonly edited: Edited | null } {
    let out = "";
    let stale = false;
    while (this.#reading !== null) {
      const key = this.#queue.shift();
      if (key === undefined) break;
      const done = this.#step(key);
      if (done === null) continue;
      if (done.kind === "stale") stale = true;
      else if (done.kind === "drawn") {
        out += done.text;
        stale = false;
      } else if (done.kind === "append") out += stale ? "" : done.text;
      else return { out: out + (stale ? this.paint() : "") + this.#end(done), edited: done };
    }
    return { out: stale ? out + this.paint() : out, edited: null };
  }

  /** Takes the line from the screen, so that something else can be shown there. */
  hide(): string {
    if (this.#reading === null || this.#reading === "quiet") return "";
    const out = this.#screen.plain ? `\r${" ".repeat(this.#drawn)}\r` : "\r\x1b[K";
    this.#drawn = 0;
    return out;
  }

  /** Draws the line as it is, over what was drawn of it. */
  paint(): string {
    if (this.#reading === null || this.#reading === "quiet") return "";
    const room = this.#room();
    const line = this.#reading === "command" ? this.#line : [];
    this.#from = widthOf(line.join("")) <= room ? 0 : Math.min(this.#from, this.#cursor);
    while (widthOf(line.slice(this.#from, this.#cursor).join("")) > room) this.#from++;
    const shown = this.#prompt + fitting(line.slice(this.#from), room);
    const width = widthOf(shown);
    const rest = this.#screen.plain ? " ".repeat(Math.max(0, this.#drawn - width)) : "\x1b[K";
    const before = this.#prompt + line.slice(this.#from, this.#cursor).join("");
    this.#drawn = width;
    const back = before === shown && (rest === "\x1b[K" || rest === "") ? "" : `\r${before}`;
    return `\r${shown}${rest}${back}`;
  }

  /** One column stays free: a terminal may go on to the next line once its last one is written. */
  #room(): number {
    return Math.max(8, this.#screen.columns - 1 - widthOf(this.#prompt));
  }

  #step(key: Key): Change | Edited | null {
    if (key.key !== "tab") this.#tabs = 0;
    switch (key.key) {
      case "text":
        return this.#insert(key.text);
      case "paste":
        return this.#insert(key.text.replace(/(\r\n|\r|\n|\t)+/g, PASTED_END));
      case "enter":
        return { kind: "line", text: this.#line.join("") };
      case "interrupt":
        return { kind: "interrupt" };
      case "end_of_input":
        if (this.#line.length === 0) return { kind: "end" };
        return this.#cut(this.#cursor, this.#cursor + 1);
      case "left":
        return this.#move(this.#cursor - 1);
      case "right":
        return this.#move(this.#cursor + 1);
      case "home":
        return this.#move(0);
      case "end":
        return this.#move(this.#line.length);
      case "word_left":
        return this.#move(this.#wordLeft());
      case "word_right":
        return this.#move(this.#wordRight());
      case "erase":
        return this.#cut(this.#cursor - 1, this.#cursor);
      case "delete":
        return this.#cut(this.#cursor, this.#cursor + 1);
      case "erase_word":
        return this.#cut(this.#wordLeft(), this.#cursor);
      case "erase_to_start":
        return this.#cut(0, this.#cursor);
      case "erase_to_end":
        return this.#cut(this.#cursor, this.#line.length);
      case "up":
        return this.#recall(this.#at - 1);
      case "down":
        return this.#recall(this.#at + 1);
      case "clear":
        if (this.#reading !== "command") return null;
        this.#drawn = 0;
        return {
          kind: "drawn",
          text: (this.#screen.plain ? "\n" : "\x1b[H\x1b[2J") + this.paint(),
        };
      case "tab":
        return this.#reading !== "command" ? null : this.#tab();
    }
  }

  #insert(text: string): Change | null {
    const free = LONGEST_LINE - this.#line.length;
    const atEnd = this.#cursor === this.#line.length;
    const before = this.#line.slice(0, this.#cursor).join("");
    const after = this.#line.slice(this.#cursor);
    // An accent that is typed alone goes with the letter before it.
    const added = clustersOf(text).slice(0, Math.max(0, free)).join("");
    // One character may have any number of accents: what stands in memory is bounded as well.
    const room = Math.max(
      0,
      LONGEST_LINE * UNITS_A_CHARACTER - before.length - after.join("").length,
    );
    const taken = clustersOf(before + added.slice(0, room).replace(/[\ud800-\udbff]$/, ""));
    this.#line = [...taken, ...after];
    this.#cursor = taken.length;
    if (this.#reading !== "command") return null;
    const typed = this.#line.join("").slice(before.length);
    const fits = widthOf(this.#line.slice(this.#from).join("")) <= this.#room();
    // At a slow line's end one key costs one character.
    if (!atEnd || !fits || !/^[\x20-\x7e]+$/.test(typed)) return STALE;
    this.#drawn += widthOf(typed);
    return { kind: "append", text: typed };
  }

  #cut(from: number, to: number): Change | null {
    const start = Math.max(0, from);
    if (start >= Math.min(to, this.#line.length)) return null;
    this.#line.splice(start, to - start);
    this.#cursor = start;
    return this.#reading !== "command" ? null : STALE;
  }

  #move(to: number): Change | null {
    this.#cursor = Math.max(0, Math.min(this.#line.length, to));
    return this.#reading !== "command" ? null : STALE;
  }

  #wordLeft(): number {
    let at = this.#cursor;
    while (at > 0 && this.#line[at - 1] === " ") at--;
    while (at > 0 && this.#line[at - 1] !== " ") at--;
    return at;
  }

  #wordRight(): number {
    let at = this.#cursor;
    while (at < this.#line.length && this.#line[at] === " ") at++;
    while (at < this.#line.length && this.#line[at] !== " ") at++;
    return at;
  }

  #recall(to: number): Change | null {
    if (this.#reading !== "command" || to < 0 || to > this.#history.length) return null;
    if (this.#at === this.#history.length) this.#unsent = this.#line.join("");
    this.#at = to;
    this.#set(this.#history[to] ?? this.#unsent);
    return STALE;
  }

  #set(text: string): void {
    this.#line = clustersOf(text);
    this.#cursor = this.#line.length;
    this.#from = 0;
    this.#tabs = 0;
  }

  /** The rest of the only word, or of what all have in common; a second Tab lists them. */
  #tab(): Change | null {
    const before = this.#line.slice(0, this.#cursor).join("");
    const { words, begun } = this.#complete(before);
    const common = words.reduce((one, other) => commonStart(one, other), words[0] ?? "");
    if (words.length === 0) return null;
    const rest = common.slice(begun.length) + (words.length === 1 ? " " : "");
    this.#tabs = rest === "" ? this.#tabs + 1 : 0;
    if (rest !== "") return this.#insert(rest);
    if (this.#tabs < 2) return null;
    const wide = Math.max(...words.map((word) => word.length)) + 2;
    const perLine = Math.max(1, Math.floor((this.#screen.columns - 1) / wide));
    const lines: string[] = [];
    for (let at = 0; at < words.length; at += perLine) {
      lines.push(words.slice(at, at + perLine).map((word) => word.padEnd(wide)).join("").trimEnd());
    }
    this.#drawn = 0;
    return { kind: "drawn", text: `\n${lines.join("\n")}\n${this.paint()}` };
  }

  /** The line is over: the cursor leaves it, and it is remembered where it may be. */
  #end(edited: Edited): string {
    const hidden = this.#reading !== "command";
    const newLine = this.#reading === "quiet" ? "" : "\n";
    const text = this.#line.join("");
    if (edited.kind === "line" && !hidden && text.trim() !== "" && !text.startsWith(" ")) {
      if (this.#history.at(-1) !== text) this.#history.push(text);
      if (this.#history.length > HISTORY_LINES) this.#history.shift();
    }
    let out = "";
    if (!hidden && this.#cursor !== this.#line.length) {
      this.#cursor = this.#line.length;
      out = this.paint();
    }
    const paste = this.#screen.plain || hidden ? "" : "\x1b[?2004l";
    this.#set("");
    this.#reading = null;
    this.#drawn = 0;
    return `${out}${edited.kind === "interrupt" ? "^C" : ""}${paste}${newLine}`;
  }
}

function commonStart(one: string, other: string): string {
  let length = 0;
  while (length < one.length && one[length] === other[length]) length++;
  return one.slice(0, length);
}
