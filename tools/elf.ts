/**
 * What the builder has to know of an ELF file: which libraries it names, where the file proper ends,
 * and what a kernel module says of itself. It reads bytes given to it and never opens a file.
 */

/** The parts of a 64-bit little-endian ELF file that decide what else an image must hold. */
export interface ElfInfo {
  /** DT_NEEDED names, in order. */
  readonly needed: readonly string[];
  /** The loader (PT_INTERP), or null for a static program or a library. */
  readonly interpreter: string | null;
}

const PT_LOAD = 1, PT_DYNAMIC = 2, PT_INTERP = 3;
const DT_NULL = 0, DT_NEEDED = 1, DT_STRTAB = 5;

interface Segment {
  readonly type: number;
  readonly offset: number;
  readonly address: number;
  readonly size: number;
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function segmentsOf(view: DataView): Segment[] {
  const start = Number(view.getBigUint64(0x20, true));
  const entry = view.getUint16(0x36, true);
  return Array.from({ length: view.getUint16(0x38, true) }, (_, n) => {
    const at = start + n * entry;
    return {
      type: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 8, true)),
      address: Number(view.getBigUint64(at + 16, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  });
}

/** The NUL-terminated text at an offset. */
function textAt(bytes: Uint8Array, at: number): string {
  const end = bytes.indexOf(0, at);
  return new TextDecoder().decode(bytes.subarray(at, end < 0 ? bytes.length : end));
}

/** Whether the bytes are a 64-bit little-endian ELF file (man 5 elf). */
export function isElf(bytes: Uint8Array): boolean {
  return bytes.length > 64 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c &&
    bytes[3] === 0x46 && bytes[4] === 2 && bytes[5] === 1;
}

/** The libraries and the loader that a program or library names; throws RangeError on a cut file. */
export function elfInfo(bytes: Uint8Array): ElfInfo {
  const view = viewOf(bytes);
  const segments = segmentsOf(view);
  const interp = segments.find((one) => one.type === PT_INTERP);
  const dynamic = segments.find((one) => one.type === PT_DYNAMIC);
  const names: number[] = [];
  let strings = 0;
  for (let at = dynamic?.offset ?? 0, end = at + (dynamic?.size ?? 0); at < end; at += 16) {
    const tag = Number(view.getBigInt64(at, true));
    const value = Number(view.getBigUint64(at + 8, true));
    if (tag === DT_NULL) break;
    if (tag === DT_NEEDED) names.push(value);
    if (tag === DT_STRTAB) strings = value;
  }
  const home = segments.find((one) =>
    one.type === PT_LOAD && strings >= one.address && strings < one.address + one.size
  );
  const table = home === undefined ? 0 : strings - home.address + home.offset;
  return {
    needed: names.map((name) => textAt(bytes, table + name)),
    interpreter: interp === undefined ? null : textAt(bytes, interp.offset),
  };
}

/**
 * Offset just behind the last byte that the ELF header accounts for. What lies behind it was put
 * there by somebody else, as `deno compile` does with a program's own data.
 */
export function elfEnd(bytes: Uint8Array): number {
  const view = viewOf(bytes);
  const sections = Number(view.getBigUint64(0x28, true));
  const table = sections + view.getUint16(0x3a, true) * view.getUint16(0x3c, true);
  return segmentsOf(view).reduce((end, one) => Math.max(end, one.offset + one.size), table);
}

/** The bytes of a named section, or null where there is none. */
export function elfSection(bytes: Uint8Array, name: string): Uint8Array | null {
  const view = viewOf(bytes);
  const start = Number(view.getBigUint64(0x28, true));
  const size = view.getUint16(0x3a, true);
  const header = (n: number) => {
    const at = start + n * size;
    return {
      name: view.getUint32(at, true),
      offset: Number(view.getBigUint64(at + 24, true)),
      size: Number(view.getBigUint64(at + 32, true)),
    };
  };
  const names = header(view.getUint16(0x3e, true)).offset;
  for (let n = 0; n < view.getUint16(0x3c, true); n++) {
    const one = header(n);
    if (textAt(bytes, names + one.name) === name) {
      return bytes.subarray(one.offset, one.offset + one.size);
    }
  }
  return null;
}

/** The `key=value` pairs of a kernel module's .modinfo; a key may come more than once. */
export function moduleInfo(bytes: Uint8Array): { key: string; value: string }[] {
  const section = elfSection(bytes, ".modinfo");
  if (section === null) return [];
  return new TextDecoder().decode(section).split("\0").filter((one) => one.includes("=")).map(
    (one) => ({ key: one.slice(0, one.indexOf("=")), value: one.slice(one.indexOf("=") + 1) }),
  );
}
