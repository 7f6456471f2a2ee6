/**
 * How many columns of a terminal a text takes, and where a person's cursor may stand in it. Pure.
 *
 * A character is a grapheme cluster (UAX #29): an accent goes with its letter. Its width is the sum of
 * its code points', as terminals without a table of clusters of their own count: 0 for what is put on the
 * character before, 2 for what UAX #11 calls wide, else 1.
 */

const ON_THE_ONE_BEFORE = /^[\p{Mn}\p{Me}\p{Cf}\u1160-\u11ff]$/u;
/** East Asian Width W and F (UAX #11), without the emoji, which a property names. */
const WIDE: readonly (readonly [from: number, to: number])[] = [
  [0x1100, 0x115f],
  [0x2329, 0x232a],
  [0x2e80, 0x303e],
  [0x3041, 0x33ff],
  [0x3400, 0x4dbf],
  [0x4e00, 0xa4cf],
  [0xa960, 0xa97f],
  [0xac00, 0xd7a3],
  [0xf900, 0xfaff],
  [0xfe10, 0xfe19],
  [0xfe30, 0xfe6f],
  [0xff00, 0xff60],
  [0xffe0, 0xffe6],
  [0x16fe0, 0x18cff],
  [0x1b000, 0x1b2ff],
  [0x1f200, 0x1f2ff],
  [0x20000, 0x3fffd],
];
const EMOJI = /^\p{Emoji_Presentation}$/u;

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" });

/** The characters of a text, as a person counts them. */
export function clustersOf(text: string): string[] {
  return Array.from(segmenter.segment(text), (one) => one.segment);
}

/** Columns of a text without control characters. */
export function widthOf(text: string): number {
  let width = 0;
  for (const char of text) width += widthOfCodePoint(char);
  return width;
}

function widthOfCodePoint(char: string): number {
  const code = char.codePointAt(0) ?? 0;
  // Most of what is typed.
  if (code < 0x300) return 1;
  if (ON_THE_ONE_BEFORE.test(char)) return 0;
  return EMOJI.test(char) || WIDE.some(([from, to]) => code >= from && code <= to) ? 2 : 1;
}

/** As many of a text's characters as fit into so many columns. */
export function fitting(clusters: readonly string[], columns: number): string {
  let text = "";
  let left = columns;
  for (const one of clusters) {
    left -= widthOf(one);
    if (left < 0) break;
    text += one;
  }
  return text;
}
