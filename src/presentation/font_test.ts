import assert from "node:assert/strict";
import fc from "fast-check";
import { Fault } from "../fault.ts";
import { fontOf } from "./font.ts";
import { psf1, psf2, psf2Header, samplePicture } from "./sample_font.ts";

/** The code of the fault that these bytes are, or null: a font. */
function faultOf(bytes: readonly number[]): string | null {
  try {
    fontOf(Uint8Array.from(bytes));
    return null;
  } catch (error) {
    assert.ok(error instanceof Fault && error.stage === "screen", String(error));
    return error.code;
  }
}

Deno.test("fontOf finds each letter's own picture in both formats", () => {
  const one = fontOf(Uint8Array.from(psf1(16)));
  assert.deepEqual([one.width, one.height], [8, 16]);
  assert.deepEqual([...one.pictureOf("A")], samplePicture(65, 16));
  assert.deepEqual([...one.pictureOf("é")], samplePicture(0xe9, 16));
  const two = fontOf(Uint8Array.from(psf2(12, 20)));
  assert.deepEqual([two.width, two.height], [12, 20]);
  assert.deepEqual([...two.pictureOf("z")], samplePicture(122, 20, 2));
});

Deno.test("fontOf shows a letter that it has not as a question mark", () => {
  const font = fontOf(Uint8Array.from(psf1()));
  for (const letter of ["漢", "😀", "ab", ""]) {
    assert.deepEqual(font.pictureOf(letter), font.pictureOf("?"));
  }
});

Deno.test("fontOf refuses a font that is cut, at every byte", () => {
  for (const whole of [psf1(8), psf2(8, 8)]) {
    assert.equal(faultOf(whole), null);
    for (let length = 0; length < whole.length; length++) {
      assert.equal(faultOf(whole.slice(0, length)), "font.form", `cut at ${length}`);
    }
    assert.equal(faultOf([...whole, 1, 2, 3]), null, "what follows is nobody's");
  }
});

Deno.test("fontOf refuses a header that says what cannot be", () => {
  const rest = psf2(8, 8).slice(32);
  const header = (...parts: Parameters<typeof psf2Header>) =>
    faultOf([...psf2Header(...parts), ...rest]);
  assert.equal(header(256, 8, 8), null);
  const most = 0xffffffff;
  for (
    const parts of [
      [0, 8, 8],
      [most, 8, 8],
      [4097, 8, 8],
      [256, 0, 8],
      [256, most, 8],
      [256, 33, 8],
      [256, 8, 0],
      [256, 8, 65],
      [256, 8, 8, { size: 9 }],
      [256, 8, 8, { size: 0 }],
      [256, 8, 8, { start: 31 }],
      [256, 8, 8, { start: most }],
      [256, 8, 8, { flags: 0 }],
      [256, 8, 8, { version: 1 }],
    ] as Parameters<typeof psf2Header>[]
  ) assert.equal(header(...parts), "font.form", JSON.stringify(parts));
  assert.equal(faultOf([0x36, 0x04, 0, 8, ...psf1(8).slice(4)]), "font.form", "no table");
  assert.equal(faultOf([0x36, 0x04, 2, 0, ...psf1(8).slice(4)]), "font.form", "no height");
  assert.equal(faultOf(new Array<number>(600_000).fill(0x36)), "font.form", "too large");
  assert.equal(faultOf([0x1f, 0x8b, 8, 0, ...psf1(8)]), "font.form", "packed");
});

Deno.test("fontOf refuses a font without a letter of ASCII", () => {
  const whole = psf1(8);
  const table = 4 + 256 * 8;
  // The picture of "A" says that it is the one of "B".
  const other = whole.with(table + 65 * 4, 66);
  assert.equal(faultOf(other), "font.letters");
});

Deno.test("fontOf takes no part of a sequence for a letter", () => {
  const whole = psf1(8);
  const table = 4 + 256 * 8;
  // Picture 1 stands for "A" followed by an accent, not for "A".
  const sequence = [1, 0, 0xfe, 0xff, 65, 0, 1, 3, 0xff, 0xff];
  const bytes = [...whole.slice(0, table + 4), ...sequence, ...whole.slice(table + 8)];
  const font = fontOf(Uint8Array.from(bytes));
  assert.deepEqual([...font.pictureOf("A")], samplePicture(65, 8));
});

Deno.test("fontOf ends any bytes in a font or in a fault", () => {
  const base = fc.constantFrom(psf1(8), psf2(8, 8));
  const changes = fc.array(fc.tuple(fc.nat({ max: 3000 }), fc.integer({ min: 0, max: 255 })), {
    minLength: 1,
    maxLength: 20,
  });
  fc.assert(fc.property(base, changes, (whole, all) => {
    const bytes = [...whole];
    for (const [at, value] of all) bytes[at % bytes.length] = value;
    faultOf(bytes);
  }));
});
