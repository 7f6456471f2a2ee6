/**
 * A picture in memory, four bytes a pixel, and what of it changed since it was last asked. Whoever writes
 * to it is not trusted: what lies outside is left out. It knows no protocol and no screen.
 */

/** A part of a picture, in pixels. */
export interface Area {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

export const PIXEL_BYTES = 4;

/** A pixel's bytes as one number of this processor's, whose lowest byte stands first. */
export function wordOf([first = 0, second = 0, third = 0, fourth = 0]: readonly number[]): number {
  return (first | second << 8 | third << 16 | fourth << 24) >>> 0;
}

/** More parts than that are not told apart: what holds all of them has changed. */
const MOST_AREAS = 32;

/** What two areas have in common; null: nothing. */
export function common(one: Area, other: Area): Area | null {
  const x = Math.max(one.x, other.x);
  const y = Math.max(one.y, other.y);
  const width = Math.min(one.x + one.width, other.x + other.width) - x;
  const height = Math.min(one.y + one.height, other.y + other.height) - y;
  return width > 0 && height > 0 ? { x, y, width, height } : null;
}

/** The smallest area that holds both. */
export function around(one: Area, other: Area): Area {
  const x = Math.min(one.x, other.x);
  const y = Math.min(one.y, other.y);
  return {
    x,
    y,
    width: Math.max(one.x + one.width, other.x + other.width) - x,
    height: Math.max(one.y + one.height, other.y + other.height) - y,
  };
}

export class Surface {
  readonly pixels: Uint8Array;
  #changed: Area[] = [];

  constructor(readonly width: number, readonly height: number) {
    this.pixels = new Uint8Array(width * height * PIXEL_BYTES);
  }

  get area(): Area {
    return { x: 0, y: 0, width: this.width, height: this.height };
  }

  /** The pixels of one row within the picture, as they lie in memory. */
  row(x: number, y: number, width: number): Uint8Array {
    const at = (y * this.width + x) * PIXEL_BYTES;
    return this.pixels.subarray(at, at + width * PIXEL_BYTES);
  }

  /** Puts pixels of one row there. */
  put(x: number, y: number, pixels: Uint8Array): void {
    const asked = { x, y, width: Math.floor(pixels.length / PIXEL_BYTES), height: 1 };
    const inside = common(asked, this.area);
    if (inside === null) return;
    const from = (inside.x - x) * PIXEL_BYTES;
    const piece = pixels.subarray(from, from + inside.width * PIXEL_BYTES);
    this.row(inside.x, y, inside.width).set(piece);
    this.#change(inside);
  }

  /** Puts there what stands in another place of the same picture; they may overlap. */
  copy(fromX: number, fromY: number, to: Area): void {
    const source = common({ ...to, x: fromX, y: fromY }, this.area);
    if (source === null) return;
    const moved = { ...source, x: to.x + source.x - fromX, y: to.y + source.y - fromY };
    const inside = common(moved, this.area);
    if (inside === null) return;
    const shiftX = fromX - to.x;
    const shiftY = fromY - to.y;
    for (let n = 0; n < inside.height; n++) {
      // From the end where it goes down: no row is overwritten before it was copied.
      const y = inside.y + (shiftY < 0 ? inside.height - 1 - n : n);
      this.row(inside.x, y, inside.width).set(
        this.row(inside.x + shiftX, y + shiftY, inside.width),
      );
    }
    this.#change(inside);
  }

  /** Fills a part with one pixel. */
  fill(area: Area, pixel: readonly number[]): void {
    const inside = common(area, this.area);
    if (inside === null) return;
    const row = new Uint8Array(new Uint32Array(inside.width).fill(wordOf(pixel)).buffer);
    for (let y = inside.y; y < inside.y + inside.height; y++) {
      this.row(inside.x, y, inside.width).set(row);
    }
    this.#change(inside);
  }

  /** What changed since this was asked last; everything in it, and little besides. */
  takeChanged(): Area[] {
    const changed = this.#changed;
    this.#changed = [];
    return changed;
  }

  #change(area: Area): void {
    const last = this.#changed.at(-1);
    // The next row of the same part, as pictures come.
    if (
      last !== undefined && last.x === area.x && last.width === area.width &&
      area.y >= last.y && area.y <= last.y + last.height
    ) {
      this.#changed[this.#changed.length - 1] = around(last, area);
      return;
    }
    this.#changed.push(area);
    if (this.#changed.length > MOST_AREAS) this.#changed = [this.#changed.reduce(around)];
  }
}
