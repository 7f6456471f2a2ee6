/**
 * What a classic BPF program answers to a system call, worked out instruction by instruction as the
 * kernel does, and whether the kernel would take the program at all. For tests and the recorder; it
 * runs nothing.
 *
 * Sources: linux/filter.h; kernel/seccomp.c, seccomp_check_filter; net/core/filter.c,
 * bpf_check_classic.
 */
import { CODE, DATA, INSTRUCTION_BYTES } from "../src/seccomp/filter.ts";

/** A system call as the filter sees it. */
export interface Call {
  readonly nr: number;
  readonly arch: number;
  /** Up to six; the others are 0. */
  readonly args: readonly bigint[];
}

/** `struct seccomp_data`. */
function dataOf(call: Call): DataView {
  const data = new DataView(new ArrayBuffer(DATA.size));
  data.setUint32(DATA.nr, call.nr >>> 0, true);
  data.setUint32(DATA.arch, call.arch >>> 0, true);
  call.args.forEach((value, index) => data.setBigUint64(DATA.args + 8 * index, value, true));
  return data;
}

/**
 * The filter's answer.
 *
 * @throws RangeError where the program leaves its own end
 * @throws TypeError for an instruction that no filter of ours has
 */
export function answerOf(filter: Uint8Array, call: Call): number {
  const data = dataOf(call);
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  let accumulator = 0;
  for (let at = 0;; at++) {
    const base = at * INSTRUCTION_BYTES;
    const code = program.getUint16(base, true);
    const k = program.getUint32(base + 4, true);
    const skip = (holds: boolean) => program.getUint8(base + (holds ? 2 : 3));
    switch (code) {
      case CODE.load:
        accumulator = data.getUint32(k, true);
        break;
      case CODE.and:
        accumulator = (accumulator & k) >>> 0;
        break;
      case CODE.equal:
        at += skip(accumulator === k);
        break;
      case CODE.atLeast:
        at += skip(accumulator >= k);
        break;
      case CODE.answer:
        return k;
      default:
        throw new TypeError(`instruction ${at}: code ${code} is unknown`);
    }
  }
}

/** Why the kernel would refuse the program; empty where it would not. */
export function faultsOf(filter: Uint8Array): string[] {
  const count = filter.length / INSTRUCTION_BYTES;
  if (!Number.isInteger(count) || count < 1 || count > 4096) return [`${count} instructions`];
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const known: readonly number[] = Object.values(CODE);
  const faults: string[] = [];
  for (let at = 0; at < count; at++) {
    const base = at * INSTRUCTION_BYTES;
    const code = program.getUint16(base, true);
    const k = program.getUint32(base + 4, true);
    if (!known.includes(code)) faults.push(`${at}: code ${code}`);
    if (code === CODE.load && (k % 4 !== 0 || k >= DATA.size)) {
      faults.push(`${at}: loads from ${k}`);
    }
    if (code !== CODE.equal && code !== CODE.atLeast) continue;
    for (const jump of [program.getUint8(base + 2), program.getUint8(base + 3)]) {
      if (at + 1 + jump >= count) faults.push(`${at}: jumps past the end`);
    }
  }
  if (program.getUint16((count - 1) * INSTRUCTION_BYTES, true) !== CODE.answer) {
    faults.push("the last instruction is no answer");
  }
  return faults;
}
