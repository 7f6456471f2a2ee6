/**
 * The host's screen: the bar, and below it either a guest's picture or the host's own text. It draws into
 * a picture in memory, of which whoever writes to the framebuffer takes what changed. The two parts have
 * no pixel in common. Pure but for that picture.
 */

import type { Font } from "./font.ts";
import type { Cursor as Picture } from "./rfb.ts";
import { STRIP_COLUMNS, STRIP_GAP, type StripText } from "./strip.ts";
import { type Area, common, PIXEL_BYTES, Surface, wordOf } from "./surface.ts";

/** The framebuffer: pixels of four bytes, in rows of so many bytes. */
export interface Layout {
  readonly width: number;
  readonly height: number;
  readonly stride: number;
}

/** A guest's own pointer, and the pixel of its picture at which it points. */
export interface Pointer {
  readonly cursor: Picture;
  readonly x: number;
  readonly y: number;
}

/** A place of the host's own text. */
export interface Cursor {
  readonly column: number;
  readonly line: number;
}

const NOTHING: Area = { x: 0, y: 0, width: 0, height: 0 };

/** A pixel's bytes: blue, green, red, nothing. */
type Pixel = readonly [number, number, number, number];

const BLACK: Pixel = [0, 0, 0, 0];
const PAPER: Pixel = [24, 24, 24, 0];
const INK: Pixel = [220, 220, 220, 0];
const BAR: Pixel = [96, 48, 16, 0];
const BAR_INK: Pixel = [255, 255, 255, 0];
const NOTICE: Pixel = [0, 200, 255, 0];
const NOTICE_INK: Pixel = [0, 0, 0, 0];
const LINE: Pixel = [0, 160, 255, 0];

/** Pixels above and below the bar's letters, of the line that ends it, and left of the host's own text. */
const BAR_SPACE = 4;
const LINE_HEIGHT = 2;
const MARGIN = 8;

/** Lines of text below the bar that a screen must have room for. */
const FEWEST_LINES = 12;

export class Composition {
  readonly canvas: Surface;
  readonly bar: Area;
  /** Where guests and the host's own text are. */
  readonly stage: Area;
  /** Letters and lines that the host's own text has room for. */
  readonly columns: number;
  readonly lines: number;
  /** The host's own text as it stands there; null: something else does. */
  #text: readonly string[] | null = null;
  #cursor: Cursor | null = null;
  /** Where the guest's pointer stands on its picture. */
  #pointer: Area | null = null;

  constructor(layout: Layout, readonly font: Font) {
    const { width, height } = layout;
    this.canvas = new Surface(width, height);
    this.bar = { x: 0, y: 0, width, height: font.height + 2 * BAR_SPACE + LINE_HEIGHT };
    this.stage = { x: 0, y: this.bar.height, width, height: height - this.bar.height };
    this.columns = Math.floor((width - 2 * MARGIN) / font.width);
    this.lines = Math.floor((this.stage.height - 2 * MARGIN) / font.height);
  }

  /** Whether there is room for what must be told apart. */
  get isLargeEnough(): boolean {
    return this.columns >= STRIP_COLUMNS && this.lines >= FEWEST_LINES;
  }

  /** Draws the bar. */
  drawBar({ text, notice }: StripText): void {
    const { bar, canvas, font } = this;
    canvas.fill({ ...bar, height: bar.height - LINE_HEIGHT }, BAR);
    canvas.fill({ ...bar, y: bar.height - LINE_HEIGHT, height: LINE_HEIGHT }, LINE);
    this.#write(MARGIN, BAR_SPACE, text, BAR_INK, BAR);
    const at = MARGIN + (text.length + STRIP_GAP.length) * font.width;
    this.#write(at, BAR_SPACE, notice, NOTICE_INK, NOTICE);
  }

  /** Nothing below the bar. */
  clear(): void {
    this.canvas.fill(this.stage, BLACK);
    this.#text = null;
    this.#cursor = null;
    this.#pointer = null;
  }

  /**
   * Draws the host's own text: lines that are too long go on below, and what has no room is left out.
   *
   * @param cursor where the next letter comes, for a text without such lines
   */
  drawText(text: string, cursor: Cursor | null = null): void {
    const lines = wrapped(text, this.columns).slice(0, this.lines);
    const before = this.#text;
    if (before === null) this.canvas.fill(this.stage, PAPER);
    for (let n = 0; n < Math.max(lines.length, before?.length ?? 0); n++) {
      this.#redraw(n, [...before?.[n] ?? ""], [...lines[n] ?? ""]);
    }
    this.#text = lines;
    const old = before === null ? null : this.#cursor;
    this.#cursor = cursor;
    if (old !== null) this.#drawCell(old, false);
    if (cursor !== null) this.#drawCell(cursor, true);
  }

  /** One letter as it stands there, or as the place of the next one. */
  #drawCell({ column, line }: Cursor, marked: boolean): void {
    if (column >= this.columns || line >= this.lines) return;
    const letter = [...this.#text?.[line] ?? ""][column] ?? " ";
    const { x, y } = this.lineArea(line);
    const [ink, paper] = marked ? [PAPER, INK] : [INK, PAPER];
    this.#write(x + column * this.font.width, y, [letter], ink, paper);
  }

  /** Where a line of the host's own text is. */
  lineArea(line: number): Area {
    const { font, stage } = this;
    const y = stage.y + MARGIN + line * font.height;
    return { x: MARGIN, y, width: this.columns * font.width, height: font.height };
  }

  /** Only from the first letter that is another one than before to the last. */
  #redraw(line: number, before: readonly string[], now: readonly string[]): void {
    const end = Math.max(before.length, now.length);
    const columns = Array.from({ length: end }, (_, n) => n)
      .filter((n) => (now[n] ?? " ") !== (before[n] ?? " "));
    const [first = 0] = columns;
    const last = columns.at(-1);
    if (last === undefined) return;
    const letters = Array.from({ length: last + 1 - first }, (_, n) => now[first + n] ?? " ");
    const { x, y } = this.lineArea(line);
    this.#write(x + first * this.font.width, y, letters, INK, PAPER);
  }

  /**
   * Draws parts of a guest's picture, as far as there is room, and its pointer above them.
   *
   * @returns the parts of the screen that are others than before
   */
  drawGuest(guest: Surface, changed: readonly Area[], pointer: Pointer | null): Area[] {
    const { stage, canvas } = this;
    const now = pointer === null ? null : pointerArea(pointer);
    const parts = [...changed, ...[this.#pointer, now].filter((one) => one !== null)];
    this.#pointer = now;
    this.#text = null;
    this.#cursor = null;
    const drawn: Area[] = [];
    for (const part of parts) {
      const seen = common(common(part, guest.area) ?? NOTHING, { ...stage, x: 0, y: 0 });
      if (seen === null) continue;
      for (let y = seen.y; y < seen.y + seen.height; y++) {
        canvas.put(stage.x + seen.x, stage.y + y, guest.row(seen.x, y, seen.width));
      }
      drawn.push({ ...seen, x: stage.x + seen.x, y: stage.y + seen.y });
    }
    if (pointer !== null) this.#drawPointer(pointer, guest.area);
    return drawn;
  }

  #drawPointer(pointer: Pointer, guest: Area): void {
    const { cursor: { width, pixels, mask } } = pointer;
    const { stage, canvas } = this;
    const whole = pointerArea(pointer);
    const seen = common(common(whole, guest) ?? NOTHING, { ...stage, x: 0, y: 0 });
    if (seen === null) return;
    for (let y = seen.y - whole.y; y < seen.y - whole.y + seen.height; y++) {
      for (let x = seen.x - whole.x; x < seen.x - whole.x + seen.width; x++) {
        const bits = mask[y * Math.ceil(width / 8) + (x >> 3)] ?? 0;
        if ((bits & (0x80 >> (x & 7))) === 0) continue;
        const at = (y * width + x) * PIXEL_BYTES;
        const place = [stage.x + whole.x + x, stage.y + whole.y + y] as const;
        canvas.put(...place, pixels.subarray(at, at + PIXEL_BYTES));
      }
    }
  }

  #write(left: number, top: number, letters: Iterable<string>, ink: Pixel, paper: Pixel): void {
    const { width, height } = this.font;
    const rowBytes = Math.ceil(width / 8);
    const [front, back] = [wordOf(ink), wordOf(paper)];
    const pictures = [...letters].map((letter) => this.font.pictureOf(letter));
    for (let y = 0; y < height; y++) {
      const row = new Uint32Array(pictures.length * width);
      for (const [n, picture] of pictures.entries()) {
        for (let x = 0; x < width; x++) {
          const bits = picture[y * rowBytes + (x >> 3)] ?? 0;
          row[n * width + x] = (bits & (0x80 >> (x & 7))) === 0 ? back : front;
        }
      }
      this.canvas.put(left, top + y, new Uint8Array(row.buffer));
    }
  }
}

/** Where a pointer's picture is in its guest's. */
function pointerArea({ cursor, x, y }: Pointer): Area {
  const { width, height, hotX, hotY } = cursor;
  return { x: x - hotX, y: y - hotY, width, height };
}

/** Lines of at most so many letters. */
function wrapped(text: string, columns: number): string[] {
  return text.trimEnd().split("\n").flatMap((line) => {
    const letters = [...line];
    const parts: string[] = [];
    for (let at = 0; at === 0 || at < letters.length; at += columns) {
      parts.push(letters.slice(at, at + columns).join(""));
    }
    return parts;
  });
}
