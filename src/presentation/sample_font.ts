/** A console font made for a test: every picture is another one, and none is a letter. For tests only. */

const bytes16 = (value: number) => [value & 255, value >> 8];
const bytes32 = (value: number) => [...bytes16(value & 0xffff), ...bytes16(value >>> 16)];

/** The rows of a picture, of so many bytes each; that of a blank is blank. */
export function samplePicture(n: number, height: number, rowBytes = 1): number[] {
  if (n === 32) return new Array<number>(height * rowBytes).fill(0);
  return Array.from({ length: height * rowBytes }, (_, at) => at === 0 ? n & 255 : (n + at) & 255);
}

const LETTERS = Array.from({ length: 256 }, (_, n) => String.fromCharCode(n));

/** PSF 1 with 256 pictures, of which each is the letter of its number. */
export function psf1(height = 16): number[] {
  return [
    ...[0x36, 0x04, 2, height],
    ...LETTERS.flatMap((_, n) => samplePicture(n, height)),
    ...LETTERS.flatMap((letter) => [...bytes16(letter.charCodeAt(0)), ...bytes16(0xffff)]),
  ];
}

/** The header of PSF 2. */
export function psf2Header(
  pictures: number,
  width: number,
  height: number,
  { size = Math.ceil(width / 8) * height, start = 32, flags = 1, version = 0 } = {},
): number[] {
  return [0x864ab572, version, start, flags, pictures, size, height, width].flatMap(bytes32);
}

/** PSF 2 with as many. */
export function psf2(width = 12, height = 20): number[] {
  return [
    ...psf2Header(LETTERS.length, width, height),
    ...LETTERS.flatMap((_, n) => samplePicture(n, height, Math.ceil(width / 8))),
    ...LETTERS.flatMap((letter) => [...new TextEncoder().encode(letter), 0xff]),
  ];
}
