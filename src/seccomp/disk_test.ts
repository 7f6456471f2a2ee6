import assert from "node:assert/strict";
import { answerOf, type Call, faultsOf } from "../../tools/bpf.ts";
import { DISK_CALLS, DISK_FILTER } from "./disk.ts";
import { ANSWER, ARCH_X86_64 } from "./filter.ts";
import { QEMU_CALLS } from "./qemu.ts";
import { syscallNumber } from "./syscall.ts";

const ask = (name: string, ...args: number[]): number =>
  answerOf(
    DISK_FILTER,
    { nr: syscallNumber(name), arch: ARCH_X86_64, args: args.map(BigInt) } satisfies Call,
  );

const RULED: readonly [what: string, answer: number, expected: number][] = [
  ["clone of a thread", ask("clone", 0x3d0f00), ANSWER.allow],
  ["clone of a process", ask("clone", 17), ANSWER.refuse],
  ["clone with a user namespace", ask("clone", 0x3d0f00 | 0x10000000), ANSWER.refuse],
  ["clone3", ask("clone3"), ANSWER.absent],
  ["socket of any family", ask("socket", 1, 1, 0), ANSWER.refuse],
  ["ioctl of any device", ask("ioctl", 3, 0xae80), ANSWER.refuse],
  ["fcntl F_OFD_SETLK", ask("fcntl", 3, 37), ANSWER.allow],
  ["fcntl F_SETOWN", ask("fcntl", 3, 8), ANSWER.refuse],
  ["prctl PR_SET_DUMPABLE", ask("prctl", 4, 1), ANSWER.refuse],
  ["prctl PR_SET_NO_NEW_PRIVS", ask("prctl", 38, 1), ANSWER.allow],
  ["pwrite64", ask("pwrite64"), ANSWER.allow],
];

for (const [what, answer, expected] of RULED) {
  Deno.test(`DISK_CALLS: ${what}`, () => assert.equal(answer, expected));
}

Deno.test("DISK_CALLS allows QEMU's calls without its devices and sockets, and one to set a size", () => {
  const qemu = new Set(QEMU_CALLS.allowed.map((call) => call.name));
  const more = DISK_CALLS.allowed.map((call) => call.name).filter((name) => !qemu.has(name));
  assert.deepEqual(more, ["ftruncate"]);
  assert.ok(DISK_CALLS.allowed.length < QEMU_CALLS.allowed.length);
  assert.deepEqual(faultsOf(DISK_FILTER), []);
});

Deno.test("DISK_CALLS says of each call what it is for, and refuses those it does without", () => {
  assert.ok(DISK_CALLS.allowed.every((call) => call.why !== ""));
  for (const { name, why } of DISK_CALLS.without) {
    assert.equal(ask(name), ANSWER.refuse, name);
    assert.notEqual(why, "");
  }
});
