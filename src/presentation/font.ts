/**
 * A bitmap font from the bytes of a file of the Linux console's (PSF 1 or 2) that says which letter each
 * of its pictures is. Everything that the file says of itself is held against what it holds. Pure.
 *
 * Source: psf(5) of kbd; the two formats' headers are there and in the kernel's
 * include/uapi/linux/kd.h no more.
 */

import { Fault } from "../fault.ts";

export interface Font {
  /** Pixels of each letter. */
  readonly width: number;
  readonly height: number;
  /**
   * The picture of a letter: rows from above, each of whole bytes, the leftmost pixel first. One that
   * the font has not is shown as a question mark.
   */
  readonly pictureOf: (letter: string) => Uint8Array;
}

/** What is believed of a font file. */
const MOST = { width: 32, height: 64, pictures: 4096, bytes: 512 * 1024 } as const;

const MAGIC_1 = 0x0436;
const MAGIC_2 = 0x864ab572;
/** Flags of both formats. */
const MODE_1 = { twice: 1, table: 2 } as const;
const FLAGS_2 = { table: 1 } as const;
/** What ends a picture's letters, and what begins sequences of letters, which nobody here writes. */
const WORDS_1 = { end: 0xffff, sequence: 0xfffe } as const;
const BYTES_2 = { end: 0xff, sequence: 0xfe } as const;

const ASCII = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n));
const UNKNOWN = "?";

interface Header {
  readonly width: number;
  readonly height: number;
  readonly pictures: number;
  /** Bytes of one picture. */
  readonly size: number;
  /** Bytes before the first one. */
  readonly start: number;
  readonly letters: (table: Uint8Array) => string[][];
}

/**
 * The font that these bytes are.
 *
 * @throws Fault `font.form` where they are none, `font.letters` where printable ASCII is not in it
 */
export function fontOf(bytes: Uint8Array): Font {
  const header = headerOf(bytes);
  const { width, height, pictures, size, start } = header;
  const end = start + pictures * size;
  if (end > bytes.length) throw broken("it ends within its pictures");
  const letters = header.letters(bytes.subarray(end));
  if (letters.length < pictures) throw broken("it ends within its table of letters");
  const found = new Map<string, Uint8Array>();
  for (const [n, own] of letters.slice(0, pictures).entries()) {
    const picture = bytes.slice(start + n * size, start + (n + 1) * size);
    for (const letter of own) if (!found.has(letter)) found.set(letter, picture);
  }
  const unknown = found.get(UNKNOWN);
  const lacking = ASCII.filter((letter) => !found.has(letter));
  if (unknown === undefined || lacking.length > 0) {
    const why = `font: it lacks ${lacking.length} letters of ASCII; package another one`;
    throw new Fault("screen", "font.letters", why);
  }
  return { width, height, pictureOf: (letter) => found.get(letter) ?? unknown };
}

function headerOf(bytes: Uint8Array): Header {
  if (bytes.length > MOST.bytes) throw broken("it is too large");
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (bytes.length >= 4 && view.getUint16(0, true) === MAGIC_1) return headerOne(view);
  if (bytes.length >= 32 && view.getUint32(0, true) === MAGIC_2) return headerTwo(view);
  throw broken("it is no PSF");
}

function headerOne(view: DataView): Header {
  const mode = view.getUint8(2);
  const height = view.getUint8(3);
  if ((mode & MODE_1.table) === 0) throw broken("it has no table of letters");
  const pictures = (mode & MODE_1.twice) === 0 ? 256 : 512;
  return checked({ width: 8, height, pictures, size: height, start: 4, letters: wordsOf });
}

function headerTwo(view: DataView): Header {
  const [version, start, flags, pictures, size, height, width] = [4, 8, 12, 16, 20, 24, 28]
    .map((at) => view.getUint32(at, true)) as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
  if (version !== 0) throw broken("its version is not known");
  if ((flags & FLAGS_2.table) === 0) throw broken("it has no table of letters");
  if (start < 32) throw broken("its header is too short");
  return checked({ width, height, pictures, size, start, letters: bytesOf });
}

function checked(header: Header): Header {
  const { width, height, pictures, size } = header;
  if (width < 1 || width > MOST.width || height < 1 || height > MOST.height) {
    throw broken("its letters have no size to be drawn in");
  }
  if (pictures < 1 || pictures > MOST.pictures) throw broken("it has no such count of pictures");
  if (size !== Math.ceil(width / 8) * height) throw broken("its pictures have another size");
  return header;
}

/** PSF 1: two bytes a letter. */
function wordsOf(table: Uint8Array): string[][] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const all: string[][] = [];
  let own: string[] = [];
  let alone = true;
  for (let at = 0; at + 2 <= table.length; at += 2) {
    const word = view.getUint16(at, true);
    if (word === WORDS_1.end) {
      all.push(own);
      own = [];
      alone = true;
    } else if (word === WORDS_1.sequence) alone = false;
    else if (alone) own.push(String.fromCharCode(word));
  }
  return all;
}

/** PSF 2: UTF-8. */
function bytesOf(table: Uint8Array): string[][] {
  const all: string[][] = [];
  let from = 0;
  for (const [at, byte] of table.entries()) {
    if (byte !== BYTES_2.end) continue;
    const own = table.subarray(from, at);
    const sequence = own.indexOf(BYTES_2.sequence);
    // What is no UTF-8 becomes a letter that nobody asks for.
    all.push([...new TextDecoder().decode(sequence < 0 ? own : own.subarray(0, sequence))]);
    from = at + 1;
  }
  return all;
}

function broken(why: string): Fault {
  return new Fault("screen", "font.form", `font: ${why}; rebuild the image`);
}
