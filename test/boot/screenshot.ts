/**
 * The outer machine's screen as pixels, and what it is compared with: the program's own drawing of the same
 * content, in memory.
 */
import { gunzipSync } from "node:zlib";
import type { BootRun } from "../../tools/boot_machine.ts";
import { Composition } from "../../src/presentation/compose.ts";
import { type Font, fontOf } from "../../src/presentation/font.ts";
import { type Shown, stripText } from "../../src/presentation/strip.ts";
import { fileInside } from "./inside.ts";

/** Three bytes a pixel: red, green, blue. */
export interface Screenshot {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

type Colour = readonly [red: number, green: number, blue: number];

/** What the machine's screen shows now. */
export async function screenshot(run: BootRun): Promise<Screenshot> {
  const file = `${run.directory}/screen.ppm`;
  await run.qmp("screendump", { filename: file });
  return ppmOf(await Deno.readFile(file));
}

/** The same as a PNG file. */
export async function writePng(run: BootRun, file: string): Promise<void> {
  await run.qmp("screendump", { filename: file, format: "png" });
}

/** A picture as ppm(5) has it, in its binary form. */
function ppmOf(bytes: Uint8Array): Screenshot {
  const head = /^P6\s+(\d+)\s+(\d+)\s+255\s/u.exec(
    new TextDecoder("latin1").decode(bytes.subarray(0, 64)),
  );
  if (head === null) throw new Error("the screen is no PPM");
  const [width, height] = [Number(head[1]), Number(head[2])];
  const pixels = bytes.subarray(head[0].length);
  if (pixels.length !== width * height * 3) throw new Error("the screen is cut");
  return { width, height, pixels };
}

/** The font of the running image. */
export async function fontInside(run: BootRun): Promise<Font> {
  return fontOf(gunzipSync(await fileInside(run, "/etc/rayos/font.psf.gz")));
}

/** What the host draws for that guest, or for nobody, on a screen of that size. */
export function drawn({ width, height }: Screenshot, font: Font, shown: Shown | null): Composition {
  const composition = new Composition({ width, height, stride: width * 4 }, font);
  composition.drawBar(stripText(shown));
  return composition;
}

/** Whether the bar on the screen is that one, to the pixel. */
export function hasBar(screen: Screenshot, { bar, canvas }: Composition): boolean {
  for (let n = 0; n < bar.width * bar.height; n++) {
    for (let colour = 0; colour < 3; colour++) {
      // Red, green, blue there; blue, green, red here.
      if (screen.pixels[n * 3 + colour] !== canvas.pixels[n * 4 + 2 - colour]) return false;
    }
  }
  return true;
}

/** Which part of the pixels below that row is of that colour, 0 to 1. */
export function partOf({ width, pixels }: Screenshot, fromRow: number, colour: Colour): number {
  const from = fromRow * width * 3;
  let found = 0;
  for (let at = from; at < pixels.length; at += 3) {
    if (colour.every((value, n) => pixels[at + n] === value)) found++;
  }
  return found / ((pixels.length - from) / 3);
}
