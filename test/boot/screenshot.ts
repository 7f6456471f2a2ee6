/**
 * The outer machine's screen as pixels, and what it is compared with: the program's own drawing of the same
 * content, in memory.
 */
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import type { BootRun } from "../../tools/boot_machine.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { readManifest } from "../../tools/build_manifest.ts";
import { debianPackages } from "../../tools/debian_packages.ts";
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

/** The same, from the package that the image has it of: where nobody can ask inside. */
export async function fontOfPackage(): Promise<Font> {
  const name = "console-setup-linux";
  const pin = readManifest(join(PROJECT, "initramfs/manifest.jsonc")).debian[name];
  if (pin === undefined) throw new Error(`${name} has no pin`);
  const packages = debianPackages(new Map([[name, pin]]), join(PROJECT, ".cache/debs"), () => {});
  const file = "usr/share/consolefonts/Uni2-Terminus16.psf.gz";
  return fontOf(gunzipSync(await Deno.readFile(join(packages.get(name)?.dir ?? "", file))));
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
function hasAllBut(screen: Screenshot, composition: Composition, line: number): boolean {
  const { y, height } = composition.lineArea(line);
  return same(screen, composition, { from: 0, to: y }) &&
    same(screen, composition, { from: y + height, to: screen.height });
}

/** The letters on the host's own screen below the bar, where each is one of ASCII's; null: something else is there. */
function textOn(screen: Screenshot, font: Font): string | null {
  const place = drawn(screen, font, null);
  const letters = new Map(
    Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)).toReversed()
      .map((letter) => [shapeOf(font.pictureOf(letter), font), letter]),
  );
  const lines: string[] = [];
  for (let line = 0; line < place.lines; line++) {
    let text = "";
    for (let column = 0; column < place.columns; column++) {
      const { x, y } = place.lineArea(line);
      const seen = shapeAt(screen, x + column * font.width, y, font);
      // The cursor is a letter the other way round.
      const letter = letters.get(seen) ??
        letters.get(seen.replace(/./gu, (one) => one === "1" ? "0" : "1"));
      if (letter === undefined) return null;
      text += letter;
    }
    lines.push(text.trimEnd());
  }
  return lines.join("\n").trimEnd();
}

/** A letter's pixels, one character each. */
function shapeOf(picture: Uint8Array, { width, height }: Font): string {
  const rowBytes = Math.ceil(width / 8);
  return Array.from({ length: width * height }, (_, n) => {
    const [x, y] = [n % width, Math.floor(n / width)];
    return ((picture[y * rowBytes + (x >> 3)] ?? 0) & (0x80 >> (x & 7))) === 0 ? "0" : "1";
  }).join("");
}

function shapeAt(screen: Screenshot, left: number, top: number, { width, height }: Font): string {
  return Array.from({ length: width * height }, (_, n) => {
    const at = ((top + Math.floor(n / width)) * screen.width + left + n % width) * 3;
    return (screen.pixels[at] ?? 0) > 127 ? "1" : "0";
  }).join("");
}

/** Waits until the screen has the bar of the host's shell, and that below it. */
export async function untilShell(run: BootRun, font: Font, wanted: RegExp): Promise<string> {
  let text: string | null = null;
  await untilScreen(run, `the shell with ${wanted}`, (screen) => {
    const own = drawn(screen, font, null);
    own.drawBar(stripText(null, true));
    text = hasBar(screen, own) ? textOn(screen, font) : null;
    return text !== null && wanted.test(text);
  });
  return text ?? "";
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
