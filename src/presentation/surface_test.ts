import assert from "node:assert/strict";
import fc from "fast-check";
import { type Area, common, Surface } from "./surface.ts";

/** The picture as one number a pixel. */
const shown = (surface: Surface) =>
  Array.from(
    { length: surface.height },
    (_, y) => Array.from({ length: surface.width }, (_, x) => surface.row(x, y, 1)[0] ?? -1),
  );

const pixels = (...values: number[]) => Uint8Array.from(values.flatMap((one) => [one, 0, 0, 0]));

Deno.test("Surface leaves out what lies outside, on every side", () => {
  const surface = new Surface(3, 2);
  surface.put(-1, 0, pixels(9, 1, 2));
  surface.put(2, 1, pixels(3, 9, 9));
  surface.put(0, 2, pixels(9));
  surface.put(0, -1, pixels(9));
  surface.put(3, 0, pixels(9));
  assert.deepEqual(shown(surface), [[1, 2, 0], [0, 0, 3]]);
  surface.fill({ x: -5, y: 1, width: 6, height: 90 }, [7, 0, 0, 0]);
  assert.deepEqual(shown(surface), [[1, 2, 0], [7, 0, 3]]);
});

Deno.test("Surface copies what overlaps itself as if through another picture, and what was outside not at all", () => {
  const side = fc.integer({ min: -3, max: 8 });
  const length = fc.integer({ min: 0, max: 9 });
  fc.assert(
    fc.property(side, side, side, side, length, length, (fromX, fromY, x, y, width, height) => {
      const surface = new Surface(5, 4);
      for (let row = 0; row < 4; row++) {
        surface.put(0, row, pixels(...[0, 1, 2, 3, 4].map((n) => row * 5 + n + 1)));
      }
      const before = shown(surface);
      surface.copy(fromX, fromY, { x, y, width, height });
      const expected = before.map((row, atY) =>
        row.map((value, atX) => {
          const inside = atX >= x && atX < x + width && atY >= y && atY < y + height;
          return inside ? before[atY - y + fromY]?.[atX - x + fromX] ?? value : value;
        })
      );
      assert.deepEqual(shown(surface), expected);
    }),
  );
});

Deno.test("Surface tells of everything that changed, within itself, once, in a bounded number of parts", () => {
  const number = fc.integer({ min: -4, max: 20 });
  const put = fc.record({ x: number, y: number, width: fc.integer({ min: 0, max: 20 }) });
  fc.assert(fc.property(fc.array(put, { maxLength: 200, size: "max" }), (puts) => {
    const surface = new Surface(16, 12);
    for (const { x, y, width } of puts) {
      surface.put(x, y, pixels(...new Array<number>(width).fill(5)));
    }
    const areas = surface.takeChanged();
    assert.ok(areas.length <= 32);
    const holds = (one: Area, x: number, y: number) =>
      x >= one.x && x < one.x + one.width && y >= one.y && y < one.y + one.height;
    for (const [y, row] of shown(surface).entries()) {
      for (const [x, value] of row.entries()) {
        if (value === 5) assert.ok(areas.some((one) => holds(one, x, y)), `${x},${y}`);
      }
    }
    for (const one of areas) assert.deepEqual(common(one, surface.area), one);
    assert.deepEqual(surface.takeChanged(), []);
  }));
});

Deno.test("Surface makes one part of the rows of one picture, and keeps two places apart", () => {
  const surface = new Surface(16, 12);
  for (let y = 2; y < 6; y++) surface.put(3, y, pixels(1, 1));
  surface.put(10, 10, pixels(1));
  assert.deepEqual(surface.takeChanged(), [
    { x: 3, y: 2, width: 2, height: 4 },
    { x: 10, y: 10, width: 1, height: 1 },
  ]);
});
