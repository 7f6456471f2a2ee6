/**
 * A program without a compiler: an x86-64 executable that makes the system calls of a table, one after
 * the other, and writes what the kernel returned, eight bytes each, to its standard error. It goes where
 * QEMU stands in a jail.
 *
 * Sources: elf(5); Intel SDM volume 2 for the encodings.
 */

export interface ProbeCall {
  readonly nr: number;
  /** A text is given as a pointer to it. */
  readonly args: readonly (number | string)[];
}

const BASE = 0x400000;
const HEADERS = 64 + 56;
const ROW = 7 * 8;
/** How a call is made: the native way, or i386's. */
export type Gate = "syscall" | "int80";
const GATES: Record<Gate, number[]> = { syscall: [0x0f, 0x05], int80: [0xcd, 0x80] };

const le32 = (value: number): number[] => [0, 8, 16, 24].map((shift) => (value >> shift) & 0xff);

/** The executable's bytes. */
export function probeElf(calls: readonly ProbeCall[], gate: Gate = "syscall"): Uint8Array {
  const table = calls.length * ROW;
  const results = calls.length * 8;
  const code = codeOf(calls.length, gate);
  const tableAt = HEADERS + code.length;
  const textsAt = tableAt + table + results;
  const texts: number[] = [];
  const values = calls.flatMap(({ nr, args }) => {
    const words = args.map((arg) => {
      if (typeof arg === "number") return BigInt(arg);
      const at = BASE + textsAt + texts.length;
      texts.push(...new TextEncoder().encode(arg), 0);
      return BigInt(at);
    });
    return [BigInt(nr), ...words, ...Array<bigint>(6 - words.length).fill(0n)];
  });
  const image = new Uint8Array(textsAt + texts.length);
  const view = new DataView(image.buffer);
  image.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
  view.setUint16(16, 2, true);
  view.setUint16(18, 62, true);
  view.setUint32(20, 1, true);
  view.setBigUint64(24, BigInt(BASE + HEADERS), true);
  view.setBigUint64(32, 64n, true);
  view.setUint16(52, 64, true);
  view.setUint16(54, 56, true);
  view.setUint16(56, 1, true);
  // One segment, read, write and execute: the table is written over.
  view.setUint32(64, 1, true);
  view.setUint32(68, 7, true);
  view.setBigUint64(80, BigInt(BASE), true);
  view.setBigUint64(88, BigInt(BASE), true);
  view.setBigUint64(96, BigInt(image.length), true);
  view.setBigUint64(104, BigInt(image.length), true);
  view.setBigUint64(112, 4096n, true);
  image.set(code, HEADERS);
  values.forEach((value, n) => view.setBigUint64(tableAt + 8 * n, BigInt.asUintN(64, value), true));
  image.set(texts, textsAt);
  return image;
}

function codeOf(count: number, gate: Gate): number[] {
  const results = count * 8;
  const make = (tableAt: number): number[] => {
    const code: number[] = [];
    const relative = (opcode: number[], target: number) =>
      code.push(...opcode, ...le32(target - (code.length + opcode.length + 4)));
    relative([0x48, 0x8d, 0x1d], tableAt); // lea rbx, [table]
    relative([0x4c, 0x8d, 0x2d], tableAt + count * ROW); // lea r13, [results]
    code.push(0x41, 0xbc, ...le32(count)); // mov r12d, count
    const loop = code.length;
    code.push(0x48, 0x8b, 0x03); // mov rax, [rbx]
    if (gate === "syscall") {
      code.push(0x48, 0x8b, 0x7b, 0x08); // mov rdi, [rbx+8]
      code.push(0x48, 0x8b, 0x73, 0x10); // mov rsi, [rbx+16]
      code.push(0x48, 0x8b, 0x53, 0x18); // mov rdx, [rbx+24]
      code.push(0x4c, 0x8b, 0x53, 0x20); // mov r10, [rbx+32]
      code.push(0x4c, 0x8b, 0x43, 0x28); // mov r8, [rbx+40]
      code.push(0x4c, 0x8b, 0x4b, 0x30); // mov r9, [rbx+48]
    }
    code.push(...GATES[gate]);
    code.push(0x49, 0x89, 0x45, 0x00); // mov [r13], rax
    code.push(0x49, 0x83, 0xc5, 0x08); // add r13, 8
    code.push(0x48, 0x83, 0xc3, ROW); // add rbx, ROW
    code.push(0x41, 0xff, 0xcc); // dec r12d
    code.push(0x75, (loop - (code.length + 2)) & 0xff); // jnz loop
    code.push(0xb8, ...le32(1), 0xbf, ...le32(2)); // write(2,
    relative([0x48, 0x8d, 0x35], tableAt + count * ROW); // results,
    code.push(0xba, ...le32(results), 0x0f, 0x05); // length)
    code.push(0xb8, ...le32(231), 0x31, 0xff, 0x0f, 0x05); // exit_group(0)
    return code;
  };
  // The length does not depend on where the table is.
  return make(make(0).length);
}

/** What the program wrote, as numbers: a negative one is an errno. */
export function probeResults(hex: string): number[] {
  const words = hex.match(/[0-9a-f]{16}/g) ?? [];
  return words.map((word) => {
    const bytes = word.match(/../g) ?? [];
    return Number(BigInt.asIntN(64, BigInt(`0x${bytes.reverse().join("")}`)));
  });
}
