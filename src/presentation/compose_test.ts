import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import fc from "fast-check";
import type { VmId } from "../id.ts";
import { Composition } from "./compose.ts";
import { fontOf } from "./font.ts";
import { psf1 } from "./sample_font.ts";
import { stripText } from "./strip.ts";
import { Surface } from "./surface.ts";

const FONT = fontOf(Uint8Array.from(psf1(16)));
const make = (width = 960, height = 400) =>
  new Composition({ width, height, stride: width * 4 }, FONT);
const ONE = stripText({ vm: "a" as VmId, kind: "linux", input: true });
const OTHER = stripText({ vm: "b" as VmId, kind: "linux", input: false });

const hash = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
/** The pixels of the bar. */
const barOf = ({ bar, canvas }: Composition) =>
  hash(canvas.pixels.subarray(0, bar.height * canvas.width * 4));
/** The pixels below it. */
const stageOf = ({ bar, canvas }: Composition) =>
  hash(canvas.pixels.subarray(bar.height * canvas.width * 4));

function guestOf(width: number, height: number, pixel: readonly number[]): Surface {
  const guest = new Surface(width, height);
  guest.fill(guest.area, pixel);
  return guest;
}

function showGuest(screen: Composition, guest: Surface): void {
  screen.drawGuest(guest, guest.takeChanged(), null);
}

Deno.test("a guest's picture of any size never changes the bar", () => {
  const size = fc.integer({ min: 1, max: 1400 });
  fc.assert(
    fc.property(size, size, (width, height) => {
      const screen = make();
      screen.drawBar(ONE);
      const before = barOf(screen);
      screen.canvas.takeChanged();
      showGuest(screen, guestOf(width, height, [1, 2, 3, 0]));
      assert.equal(barOf(screen), before);
      for (const changed of screen.canvas.takeChanged()) {
        assert.ok(changed.y >= screen.bar.height);
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("a guest's picture stands below the bar, as far as there is room", () => {
  const screen = make(960, 400);
  const { canvas, bar } = screen;
  showGuest(screen, guestOf(2000, 2000, [1, 2, 3, 0]));
  assert.deepEqual([...canvas.row(0, bar.height, 1)], [1, 2, 3, 0]);
  assert.deepEqual([...canvas.row(959, 399, 1)], [1, 2, 3, 0]);
  const small = make(960, 400);
  showGuest(small, guestOf(10, 5, [1, 2, 3, 0]));
  assert.deepEqual([...small.canvas.row(9, bar.height + 4, 2)], [1, 2, 3, 0, 0, 0, 0, 0]);
  assert.deepEqual([...small.canvas.row(0, bar.height + 5, 1)], [0, 0, 0, 0]);
});

Deno.test("the bar is another picture for each guest, and the same wherever it is drawn again", () => {
  const pictures = [ONE, OTHER, stripText(null)].map((text) => {
    const screen = make();
    screen.drawBar(text);
    return barOf(screen);
  });
  assert.equal(new Set(pictures).size, 3);
  const again = make();
  for (const text of [OTHER, stripText(null), ONE]) again.drawBar(text);
  assert.equal(barOf(again), pictures[0]);
});

Deno.test("nothing of a guest is left after the stage was cleared", () => {
  const screen = make();
  showGuest(screen, guestOf(2000, 2000, [1, 2, 3, 0]));
  screen.clear();
  assert.equal(stageOf(screen), stageOf(make()));
  showGuest(screen, guestOf(2000, 2000, [1, 2, 3, 0]));
  screen.clear();
  screen.drawText("the host's own");
  const other = make();
  other.clear();
  other.drawText("the host's own");
  assert.equal(stageOf(screen), stageOf(other));
});

Deno.test("the host's text drawn over an older one is the same as drawn anew, and only its changes change", () => {
  const letters = fc.constantFrom(..."ab 1\n");
  const text = fc.array(letters, { maxLength: 400 }).map((all) => all.join(""));
  fc.assert(
    fc.property(text, text, (before, now) => {
      const screen = make();
      screen.drawText(before);
      screen.drawText(now);
      const anew = make();
      anew.drawText(now);
      assert.equal(stageOf(screen), stageOf(anew));
      screen.canvas.takeChanged();
      screen.drawText(now);
      assert.deepEqual(screen.canvas.takeChanged(), []);
    }),
    { numRuns: 40 },
  );
  const screen = make();
  screen.drawText("up 1 s");
  screen.canvas.takeChanged();
  screen.drawText("up 2 s");
  const changed = screen.canvas.takeChanged();
  assert.deepEqual(changed.map((one) => [one.width, one.height]), [[8, 16]]);
});

Deno.test("text that is too long goes on below, and what has no room is left out", () => {
  const long = make();
  long.drawText("x".repeat(3000));
  const wrapped = make();
  wrapped.drawText(Array.from({ length: 30 }, () => "x".repeat(118)).join("\n").slice(0, 3025));
  assert.equal(stageOf(long), stageOf(wrapped));
  const full = make();
  full.drawBar(ONE);
  const before = barOf(full);
  full.drawText("line\n".repeat(10_000));
  assert.equal(barOf(full), before);
});

Deno.test("a screen that has no room for every bar is too small", () => {
  assert.ok(make(800, 600).isLargeEnough);
  assert.ok(!make(640, 480).isLargeEnough);
  assert.ok(!make(800, 100).isLargeEnough);
  assert.ok(!make(1, 1).isLargeEnough);
});

/** A pointer of two by two pixels, of which the last one is not there. */
const CURSOR = {
  width: 2,
  height: 2,
  hotX: 1,
  hotY: 0,
  pixels: new Uint8Array(16).fill(9),
  mask: Uint8Array.of(0xc0, 0x80),
};

Deno.test("a guest's pointer stands above its picture, and leaves nothing where it was", () => {
  const screen = make();
  const guest = guestOf(20, 20, [1, 2, 3, 0]);
  screen.drawGuest(guest, guest.takeChanged(), null);
  const before = stageOf(screen);
  const first = screen.drawGuest(guest, guest.takeChanged(), { cursor: CURSOR, x: 5, y: 6 });
  const at = (x: number, y: number) => screen.canvas.row(x, screen.bar.height + y, 1)[0];
  assert.deepEqual([at(4, 6), at(5, 6), at(4, 7), at(5, 7), at(3, 6)], [9, 9, 9, 1, 1]);
  assert.deepEqual(first, [{ x: 4, y: screen.bar.height + 6, width: 2, height: 2 }]);
  screen.drawGuest(guest, guest.takeChanged(), { cursor: CURSOR, x: 12, y: 12 });
  assert.deepEqual([at(4, 6), at(11, 12)], [1, 9]);
  screen.drawGuest(guest, guest.takeChanged(), null);
  assert.equal(stageOf(screen), before);
});

Deno.test("a pointer of any size and place reaches neither the bar nor what is no picture", () => {
  const place = fc.integer({ min: -10, max: 1300 });
  const size = fc.integer({ min: 1, max: 300 });
  const cursors = fc.record({ x: place, y: place, width: size, height: size });
  fc.assert(
    fc.property(cursors, ({ x, y, width, height }) => {
      const screen = make();
      screen.drawBar(ONE);
      const guest = guestOf(200, 100, [1, 1, 1, 0]);
      screen.drawGuest(guest, guest.takeChanged(), null);
      const before = barOf(screen);
      const mask = new Uint8Array(Math.ceil(width / 8) * height).fill(0xff);
      const pixels = new Uint8Array(width * height * 4).fill(9);
      const cursor = { width, height, hotX: width - 1, hotY: height - 1, pixels, mask };
      screen.drawGuest(guest, guest.takeChanged(), { cursor, x, y });
      assert.equal(barOf(screen), before);
      for (let row = 0; row < screen.stage.height; row++) {
        const beside = screen.canvas.row(200, screen.stage.y + row, 760);
        assert.ok(beside.every((byte) => byte === 0));
      }
    }),
    { numRuns: 30 },
  );
});

Deno.test("the host's own text and its cursor stand there as if nothing had been there before, whatever was", () => {
  const texts = fc.record({
    text: fc.stringMatching(/^[a-c \n]{0,60}$/),
    cursor: fc.option(fc.record({ column: fc.nat(130), line: fc.nat(25) })),
  });
  const last = (one: { text: string; cursor: Parameters<Composition["drawText"]>[1] }) => {
    const screen = make();
    screen.drawText(one.text, one.cursor);
    return stageOf(screen);
  };
  fc.assert(
    fc.property(fc.array(texts, { minLength: 2, maxLength: 5 }), (all) => {
      const screen = make();
      for (const { text, cursor } of all) screen.drawText(text, cursor);
      assert.equal(stageOf(screen), last(all.at(-1) ?? { text: "", cursor: null }));
    }),
    { numRuns: 60 },
  );
});

Deno.test("a letter that is typed changes its own place and the next one, and no more of the screen", () => {
  const screen = make();
  screen.drawText("one\n> a", { column: 3, line: 1 });
  screen.canvas.takeChanged();
  screen.drawText("one\n> ab", { column: 4, line: 1 });
  const row = screen.lineArea(1);
  const left = row.x + 3 * FONT.width;
  for (const part of screen.canvas.takeChanged()) {
    assert.ok(part.x >= left && part.x + part.width <= left + 2 * FONT.width);
    assert.ok(part.y >= row.y && part.y + part.height <= row.y + row.height);
  }
});
