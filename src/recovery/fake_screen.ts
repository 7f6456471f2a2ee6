// deno-lint-ignore-file no-control-regex -- a terminal's own characters are what this is about
/**
 * A terminal of the least kind, for tests: it knows characters, a line end, a carriage return and, unless
 * it is plain, the three sequences that the shell uses. It fails on any other byte that is no character.
 */
import assert from "node:assert/strict";
import { clustersOf, widthOf } from "./text_width.ts";

export class FakeScreen {
  /** One entry a column; an empty one belongs to the wide character before it. */
  #rows: string[][] = [[]];
  #column = 0;

  constructor(readonly columns: number, readonly plain: boolean) {}

  /** All rows so far, without blanks at their ends. */
  get text(): string {
    return this.#rows.map((row) => row.join("").trimEnd()).join("\n");
  }

  /** The row that is written on. */
  get row(): string {
    return (this.#rows.at(-1) ?? []).join("").trimEnd();
  }

  get column(): number {
    return this.#column;
  }

  write(text: string): void {
    const pieces = text.split(/(\x1b\[[0-9;?]*[A-Za-z]|[\r\n])/u);
    for (const piece of pieces) {
      if (piece === "\r") this.#column = 0;
      else if (piece === "\n") this.#newRow();
      else if (piece.startsWith("\x1b")) this.#sequence(piece);
      else this.#put(piece);
    }
  }

  #newRow(): void {
    this.#rows.push([]);
    this.#column = 0;
  }

  #sequence(piece: string): void {
    assert.ok(!this.plain, `a plain terminal got ${JSON.stringify(piece)}`);
    if (piece === "\x1b[K") (this.#rows.at(-1) ?? []).length = this.#column;
    else if (piece === "\x1b[2J") this.#rows = [[]];
    else if (piece === "\x1b[H") this.#column = 0;
    else assert.match(piece, /^\x1b\[\?2004[hl]$/u);
  }

  #put(text: string): void {
    assert.doesNotMatch(text, /[\p{Cc}\p{Cf}]/u);
    const row = this.#rows.at(-1) ?? [];
    for (const cluster of clustersOf(text)) {
      const width = widthOf(cluster);
      while (row.length < this.#column) row.push(" ");
      if (width === 0) {
        row[this.#column - 1] += cluster;
        continue;
      }
      row[this.#column] = cluster;
      if (width === 2) row[this.#column + 1] = "";
      this.#column += width;
      assert.ok(this.#column < this.columns, `column ${this.#column} of ${this.columns}`);
    }
  }
}
