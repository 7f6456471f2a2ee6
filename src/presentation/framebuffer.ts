/**
 * The host's framebuffer: what it is, from the kernel's own words in sysfs, and how what changed of a
 * picture gets there. It knows no way to ask the driver anything: neither ioctl(2) nor mmap(2).
 *
 * Source: the kernel's Documentation/fb/api.rst, drivers/video/fbdev/core/fbsysfs.c.
 */

import { Fault } from "../fault.ts";
import type { FrameDevice } from "../host/port.ts";
import type { Layout } from "./compose.ts";
import { type Area, PIXEL_BYTES, type Surface } from "./surface.ts";

/** What is believed of a driver. */
const MOST_PIXELS = 8192 * 4320;
/** Bytes that are written before anything else has its turn: a few milliseconds. */
const TURN_BYTES = 512 * 1024;
/** Rows that are, where each is written by itself. */
const TURN_ROWS = 64;

/**
 * The framebuffer's layout.
 *
 * @param read a file of its folder in sysfs; null: it has none
 * @throws Fault `screen.format` where it is none that can be drawn on
 */
export function layoutOf(read: (name: string) => string | null): Layout {
  const number = (text: string | undefined) => /^\d{1,6}$/.test(text ?? "") ? Number(text) : 0;
  const [width = 0, height = 0] = (read("virtual_size") ?? "").trim().split(",").map(number);
  const bits = number(read("bits_per_pixel")?.trim());
  const stride = number(read("stride")?.trim());
  const fits = width > 0 && height > 0 && width * height <= MOST_PIXELS &&
    bits === 8 * PIXEL_BYTES && stride >= width * PIXEL_BYTES && stride <= 4 * width * PIXEL_BYTES;
  if (!fits) {
    const found = `${width}x${height}, ${bits} bits, rows of ${stride} bytes`;
    throw new Fault(
      "screen",
      "screen.format",
      `framebuffer: ${found}; nothing is drawn, use a driver with 32 bits a pixel`,
    );
  }
  return { width, height, stride };
}

/** Writes a part of a picture at once. */
export function paintNow(frame: FrameDevice, layout: Layout, canvas: Surface, area: Area): void {
  const each = liesWhole(layout, canvas, area) ? Math.max(1, area.height) : 1;
  for (let row = 0; row < area.height; row += each) {
    frame.write(...pieceOf(layout, canvas, area, row, each));
  }
}

/** Whether its rows lie one behind the other there as here, so that many are one piece. */
function liesWhole(layout: Layout, canvas: Surface, { width }: Area): boolean {
  return width === canvas.width && layout.stride === width * PIXEL_BYTES;
}

/** Where some rows of an area go, and their bytes. */
function pieceOf(
  layout: Layout,
  canvas: Surface,
  { x, y, width }: Area,
  row: number,
  count: number,
): [position: number, bytes: Uint8Array] {
  const from = canvas.row(x, y + row, width).byteOffset - canvas.pixels.byteOffset;
  const piece = canvas.pixels.subarray(from, from + count * width * PIXEL_BYTES);
  return [(y + row) * layout.stride + x * PIXEL_BYTES, piece];
}

/**
 * Writes what changed of a picture, in turns: whatever else waits goes on between them.
 *
 * @param wanted asked before each piece; where not, the rest is given up
 */
export async function paint(
  frame: FrameDevice,
  layout: Layout,
  canvas: Surface,
  pause: () => Promise<void>,
  wanted: () => boolean,
): Promise<void> {
  let bytes = 0;
  let rows = 0;
  for (const area of canvas.takeChanged()) {
    const { height } = area;
    const most = Math.max(1, Math.floor(TURN_BYTES / 2 / layout.stride));
    const each = liesWhole(layout, canvas, area) ? most : 1;
    for (let row = 0; row < height; row += each) {
      if (!wanted()) return;
      const [position, piece] = pieceOf(layout, canvas, area, row, Math.min(each, height - row));
      frame.write(position, piece);
      bytes += piece.length;
      rows++;
      if (bytes + piece.length <= TURN_BYTES && rows < TURN_ROWS) continue;
      bytes = 0;
      rows = 0;
      await pause();
    }
  }
}
