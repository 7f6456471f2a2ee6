/**
 * A list of system calls becomes a seccomp filter: classic BPF, as bubblewrap's `--add-seccomp-fd`
 * takes it. What the list does not name is refused, whatever it is, also calls that a newer kernel
 * brings. Pure; it installs nothing.
 *
 * Refused means EPERM, not a signal: QEMU and its libraries try calls that they can do without
 * (io_uring, NUMA policy) and go on, and a guest gains nothing by making QEMU try one. A call by
 * another architecture's numbers (i386, x32) ends the process: nothing in the image makes one, and
 * the list says nothing about those numbers.
 *
 * Sources: seccomp(2), linux/filter.h, linux/seccomp.h, linux/audit.h; Documentation/userspace-api/
 * seccomp_filter.rst for the order of checks.
 */

import { syscallNumber } from "./syscall.ts";
import { sha256Hex } from "../sha256.ts";

/**
 * A test of one argument. Only its low 32 bits are looked at, for these are what the kernel itself
 * uses of an `int` or of clone's flags: bits above them change neither the call nor this answer.
 */
export interface ArgumentTest {
  readonly argument: 0 | 1 | 2 | 3 | 4 | 5;
  /** Bits that are compared; all 32 where absent. */
  readonly mask?: number;
  readonly equals: number;
}

export interface AllowedCall {
  readonly name: string;
  /** What it is needed for. */
  readonly why: string;
  /** The call is allowed where one of these holds; without tests it always is. */
  readonly when?: readonly ArgumentTest[];
  /** Only where something goes wrong or a guest is large, so that no recording shows it. */
  readonly rare?: true;
}

/** What one kind of program may call. */
export interface CallList {
  readonly allowed: readonly AllowedCall[];
  /** Answered with ENOSYS, so that libc falls back to an older call whose arguments can be tested. */
  readonly absent: readonly string[];
  /**
   * Answered with success and not carried out: steps of a sandbox of its own that the jail stands for.
   * With tests only where one of these holds; the call may then stand among the allowed ones as well.
   */
  readonly pretended?: readonly Omit<AllowedCall, "rare">[];
  /** Refused like all that is not named, and known: seen to be tried, and done without. */
  readonly without: readonly { readonly name: string; readonly why: string }[];
}

/** One `struct sock_filter`. */
interface Instruction {
  readonly code: number;
  /** Instructions to skip where a comparison holds, and where it does not. */
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

/** `struct seccomp_data`: offsets of the number, the architecture, and the low half of argument 0. */
export const DATA = { nr: 0, arch: 4, args: 16, size: 64 } as const;
/** AUDIT_ARCH_X86_64: EM_X86_64, 64 bits, little endian. */
export const ARCH_X86_64 = 0xc000003e;
/** __X32_SYSCALL_BIT; numbers from here on are x32's, or none at all. */
export const X32_BIT = 0x40000000;

/** BPF_LD|BPF_W|BPF_ABS and so on (linux/bpf_common.h): the only instructions that are used. */
export const CODE = { load: 0x20, and: 0x54, equal: 0x15, atLeast: 0x35, answer: 0x06 } as const;

/** What a filter answers (linux/seccomp.h). */
export const ANSWER = {
  allow: 0x7fff0000,
  /** Allowed, and written to the kernel's log: for recording what a list lacks. */
  log: 0x7ffc0000,
  /** SECCOMP_RET_ERRNO with EPERM. */
  refuse: 0x00050001,
  /** SECCOMP_RET_ERRNO with ENOSYS. */
  absent: 0x00050026,
  /** SECCOMP_RET_ERRNO with 0: the call returns success and did nothing. */
  pretend: 0x00050000,
  endProcess: 0x80000000,
} as const;

/** BPF_MAXINSNS. */
const MAX_INSTRUCTIONS = 4096;
/** A jump's distance is one byte. */
const MAX_JUMP = 255;

const load = (offset: number): Instruction => ({ code: CODE.load, jt: 0, jf: 0, k: offset });
const answer = (k: number): Instruction => ({ code: CODE.answer, jt: 0, jf: 0, k });
const ifEqual = (k: number, jt: number, jf: number): Instruction => ({
  code: CODE.equal,
  jt,
  jf,
  k: k >>> 0,
});

/**
 * The filter of a list.
 *
 * @param otherwise what is answered to a call that the list does not allow: EPERM, or `log` to record
 * it; then a call that the list does without is still refused, so that the log has news alone
 * @returns an array of `struct sock_filter`, little endian
 * @throws TypeError where a name is no system call, a name is listed twice, or the list is too long
 */
export function seccompFilter(
  list: CallList,
  otherwise: "refuse" | "log" = "refuse",
): Uint8Array<ArrayBuffer> {
  const without = list.without.map((call) => call.name);
  const partly = (list.pretended ?? []).filter((call) => call.when !== undefined);
  const pretended = (list.pretended ?? []).filter((call) => !partly.includes(call))
    .map((call) => call.name);
  const allowed = list.allowed.map((call) => call.name);
  const names = [...allowed, ...list.absent, ...pretended, ...without];
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) throw new TypeError(`seccomp list: ${twice} stands in it twice`);
  const program: Instruction[] = [
    load(DATA.arch),
    ifEqual(ARCH_X86_64, 1, 0),
    answer(ANSWER.endProcess),
    load(DATA.nr),
    { code: CODE.atLeast, jt: 0, jf: 1, k: X32_BIT },
    answer(ANSWER.endProcess),
  ];
  for (const call of partly) program.push(...pretendedWhere(call.name, call.when ?? []));
  // Calls with tests first: all others are answered from the kernel's table of constant answers
  // without running the program at all (since Linux 5.11).
  for (const call of list.allowed) {
    if (call.when !== undefined) program.push(...tested(call, call.when, ANSWER[otherwise]));
  }
  for (const name of list.absent) {
    program.push(ifEqual(syscallNumber(name), 0, 1), answer(ANSWER.absent));
  }
  for (const name of pretended) {
    program.push(ifEqual(syscallNumber(name), 0, 1), answer(ANSWER.pretend));
  }
  if (otherwise === "log") {
    for (const name of without) {
      program.push(ifEqual(syscallNumber(name), 0, 1), answer(ANSWER.refuse));
    }
  }
  const plain = list.allowed.filter((call) => call.when === undefined);
  if (plain.length > MAX_JUMP) {
    throw new TypeError(`seccomp list: more than ${MAX_JUMP} calls without a test; split it`);
  }
  plain.forEach((call, index) =>
    program.push(ifEqual(syscallNumber(call.name), plain.length - index, 0))
  );
  program.push(answer(ANSWER[otherwise]), answer(ANSWER.allow));
  if (program.length > MAX_INSTRUCTIONS) {
    throw new TypeError(`seccomp list: more than ${MAX_INSTRUCTIONS} instructions; shorten it`);
  }
  return encode(program);
}

function tested(
  call: AllowedCall,
  tests: readonly ArgumentTest[],
  otherwise: number,
): Instruction[] {
  const body = tests.flatMap(({ argument, mask, equals }): Instruction[] => [
    load(DATA.args + 8 * argument),
    ...(mask === undefined ? [] : [{ code: CODE.and, jt: 0, jf: 0, k: mask >>> 0 }]),
    ifEqual(equals, 0, 1),
    answer(ANSWER.allow),
  ]);
  body.push(answer(otherwise));
  if (body.length > MAX_JUMP) {
    throw new TypeError(`seccomp list: ${call.name} has too many tests; shorten them`);
  }
  return [ifEqual(syscallNumber(call.name), 0, body.length), ...body];
}

/** Where none of the tests holds, the program goes on behind it, with the call's number loaded again. */
function pretendedWhere(name: string, tests: readonly ArgumentTest[]): Instruction[] {
  const body = tests.flatMap(({ argument, mask, equals }): Instruction[] => [
    load(DATA.args + 8 * argument),
    ...(mask === undefined ? [] : [{ code: CODE.and, jt: 0, jf: 0, k: mask >>> 0 }]),
    ifEqual(equals, 0, 1),
    answer(ANSWER.pretend),
  ]);
  body.push(load(DATA.nr));
  if (body.length > MAX_JUMP) {
    throw new TypeError(`seccomp list: ${name} has too many tests; shorten them`);
  }
  return [ifEqual(syscallNumber(name), 0, body.length), ...body];
}

/** Bytes of one instruction. */
export const INSTRUCTION_BYTES = 8;

function encode(program: readonly Instruction[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(program.length * INSTRUCTION_BYTES);
  const view = new DataView(bytes.buffer);
  program.forEach(({ code, jt, jf, k }, index) => {
    const at = index * INSTRUCTION_BYTES;
    view.setUint16(at, code, true);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, true);
  });
  return bytes;
}

/** A filter's SHA-256 in hexadecimal: what a plan names and the launcher compares. */
export function filterHash(filter: Uint8Array): string {
  return sha256Hex(filter);
}
