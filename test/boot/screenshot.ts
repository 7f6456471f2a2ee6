/**
 * The outer machine's screen as pixels, and what it is compared with: the program's own drawing of the same
 * content, in memory.
 */
import { gunzipSync } from "node:zlib";
import type { BootRun } from "../../tools/boot_machine.ts";
import { Composition } from "../../src/presentation/compose.ts";
import { type Font, fontOf } from "../../src/presentation/font.ts";
import { type Shown, stripText } from "../../src/presentation/strip.ts";
import { fileInside, rayInside } from "./inside.ts";

/** Three bytes a pixel: red, green, blue. */
export interface Screenshot {
  readonly width: number;
  readonly height: number;
  readonly pixels: Uint8Array;
}

/** Milliseconds. */
const SHOWN_MS = 60_000;
const LOOK_MS = 200;

type Colour = readonly [red: number, green: number, blue: number];

/** What the machine's screen shows now. */
async function screenshot(run: BootRun): Promise<Screenshot> {
  const file = `${run.directory}/screen.ppm`;
  await run.qmp("screendump", { filename: file });
  return ppmOf(await Deno.readFile(file));
}

/** Names a folder that gets pictures of the screen, for a person and for the documentation. */
const PICTURES = "RAYOS_TEST_PICTURES";

/** Keeps what the screen shows now as a PNG file of that name, where a folder for it is named. */
export async function keepPicture(run: BootRun, name: string): Promise<void> {
  const folder = Deno.env.get(PICTURES);
  if (folder === undefined) return;
  await run.qmp("screendump", { filename: `${folder}/screen-${name}.png`, format: "png" });
}

/** Waits until the screen is as wanted; every screen until then must hold as well. */
export async function untilScreen(
  run: BootRun,
  what: string,
  wanted: (screen: Screenshot) => boolean,
  always: (screen: Screenshot) => void = () => {},
): Promise<void> {
  const end = Date.now() + SHOWN_MS;
  for (;;) {
    const screen = await screenshot(run);
    always(screen);
    if (wanted(screen)) return;
    if (Date.now() > end) {
      await keepPicture(run, "failed");
      throw new Error(`the screen never had ${what}`);
    }
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }
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

/** Whether the screen is the drawn one to the pixel, in those rows. */
function same({ width, pixels }: Screenshot, { canvas }: Composition, rows: RowRange): boolean {
  for (let n = rows.from * width; n < rows.to * width; n++) {
    for (let colour = 0; colour < 3; colour++) {
      // Red, green, blue there; blue, green, red here.
      if (pixels[n * 3 + colour] !== canvas.pixels[n * 4 + 2 - colour]) return false;
    }
  }
  return true;
}

interface RowRange {
  readonly from: number;
  readonly to: number;
}

/** Whether the bar on the screen is that one, to the pixel. */
export function hasBar(screen: Screenshot, composition: Composition): boolean {
  return same(screen, composition, { from: 0, to: composition.bar.height });
}

/** Whether all that is drawn is on the screen, to the pixel, but for one line of the text. */
export function hasAllBut(screen: Screenshot, composition: Composition, line: number): boolean {
  const { y, height } = composition.lineArea(line);
  return same(screen, composition, { from: 0, to: y }) &&
    same(screen, composition, { from: y + height, to: screen.height });
}

/** Waits until the screen has the host's status, to the pixel, as `ray status` prints it. */
export async function untilStatus(run: BootRun, font: Font): Promise<void> {
  await untilScreen(run, "the host's own bar", (one) => hasBar(one, drawn(one, font, null)));
  const end = Date.now() + SHOWN_MS;
  for (;;) {
    const { output } = await rayInside(run, "status");
    const screen = await screenshot(run);
    const composition = drawn(screen, font, null);
    composition.drawText(output);
    const time = output.split("\n").findIndex((line) => line.startsWith("up "));
    if (hasAllBut(screen, composition, time)) return;
    if (Date.now() > end) {
      await keepPicture(run, "failed");
      throw new Error(`the screen never had the status:\n${output}`);
    }
  }
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
