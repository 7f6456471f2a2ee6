// deno-lint-ignore-file no-control-regex -- a terminal's own characters are what this is about
/**
 * The terminal of the recovery shell on the host's screen: a grid of characters, and what has scrolled out
 * of it. It knows what the shell itself sends and nothing else: line end, carriage return, and four escape
 * sequences. Whatever else is no character is shown escaped, so that no text can do anything here but stand
 * there. It draws nothing.
 */

import { escapeUnsafe } from "../escape.ts";
import { clustersOf, widthOf } from "./text_width.ts";

/** Rows that are kept, with those on the screen. */
const MOST_ROWS = 1000;

const PIECES = /(\x1b\[K|\x1b\[H|\x1b\[2J|\x1b\[\?2004[hl]|[\r\n])/u;

export class TextGrid {
  /** One code point a column; a wide character has a blank after it. */
  #rows: string[][] = [[]];
  /** The row at the top of the screen, and the one that is written on. */
  #top = 0;
  #row = 0;
  #column = 0;
  /** Rows by which somebody looks back; 0: at what is written now. */
  #back = 0;

  /** @param columns of which each row has so many, and @param lines that the screen has */
  constructor(readonly columns: number, readonly lines: number) {}

  /** What stands on the screen, each row without the blanks at its end. */
  get text(): string {
    const from = this.#top - this.#back;
    return this.#rows.slice(from, from + this.lines)
      .map((row) => Array.from(row, (one) => one ?? " ").join("").trimEnd()).join("\n");
  }

  /** Where the next character comes; null: that is not on the screen now. */
  get cursor(): { readonly column: number; readonly line: number } | null {
    const line = this.#row - this.#top + this.#back;
    if (line >= this.lines) return null;
    return { column: Math.min(this.#column, this.columns - 1), line };
  }

  /** Shows text where the cursor is. */
  put(text: string): void {
    this.#back = 0;
    for (const piece of text.split(PIECES)) {
      if (piece === "\r") this.#column = 0;
      else if (piece === "\n") this.#newRow();
      else if (piece === "\x1b[K") this.#current().length = this.#column;
      else if (piece === "\x1b[H") [this.#row, this.#column] = [this.#top, 0];
      else if (piece === "\x1b[2J") this.#newPage();
      // What says that a paste comes in brackets means nothing to a keyboard.
      else if (piece !== "\x1b[?2004h" && piece !== "\x1b[?2004l") this.#write(escapeUnsafe(piece));
    }
  }

  /** Looks at a page before, or after. */
  look(way: "page_up" | "page_down"): void {
    const page = Math.max(1, this.lines - 1) * (way === "page_up" ? 1 : -1);
    this.#back = Math.max(0, Math.min(this.#top, this.#back + page));
  }

  #current(): string[] {
    return this.#rows[this.#row] ??= [];
  }

  #newRow(): void {
    this.#row++;
    this.#column = 0;
    this.#current();
    this.#settle();
  }

  /** What stood there stays above. */
  #newPage(): void {
    const line = this.#row - this.#top;
    this.#top = this.#rows.length;
    this.#row = this.#top + line;
    for (let n = 0; n <= line; n++) this.#rows.push([]);
    this.#settle();
  }

  #settle(): void {
    this.#top = Math.max(this.#top, this.#row - this.lines + 1);
    const over = Math.max(0, this.#rows.length - Math.max(MOST_ROWS, this.lines));
    this.#rows.splice(0, over);
    this.#top -= over;
    this.#row -= over;
  }

  #write(text: string): void {
    for (const cluster of clustersOf(text)) {
      const width = widthOf(cluster);
      // The font has no accents by themselves.
      if (width === 0) continue;
      if (this.#column + width > this.columns) this.#newRow();
      const row = this.#current();
      while (row.length < this.#column) row.push(" ");
      row[this.#column] = String.fromCodePoint(cluster.codePointAt(0) ?? 0x20);
      for (let n = 1; n < width; n++) row[this.#column + n] = " ";
      this.#column += width;
    }
  }
}
