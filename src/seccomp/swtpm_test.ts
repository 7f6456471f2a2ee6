import assert from "node:assert/strict";
import { answerOf, faultsOf } from "../../tools/bpf.ts";
import { ANSWER, ARCH_X86_64 } from "./filter.ts";
import { QEMU_CALLS } from "./qemu.ts";
import { SWTPM_CALLS, SWTPM_FILTER } from "./swtpm.ts";
import { syscallNumber } from "./syscall.ts";

const ask = (name: string, ...args: number[]): number =>
  answerOf(SWTPM_FILTER, { nr: syscallNumber(name), arch: ARCH_X86_64, args: args.map(BigInt) });

Deno.test("SWTPM_CALLS lets swtpm keep its state and be spoken to, and make nothing of its own", () => {
  assert.deepEqual(faultsOf(SWTPM_FILTER), []);
  for (const name of ["rename", "accept", "recvmsg", "poll"]) assert.equal(ask(name), ANSWER.allow);
  assert.equal(ask("socket", 1, 1, 0), ANSWER.allow);
  assert.equal(ask("fcntl", 4, 6), ANSWER.allow);
  for (
    const name of [
      "ioctl",
      "clone",
      "connect",
      "sendmsg",
      "kill",
      "ptrace",
      "symlink",
      "link",
      "mkdir",
    ]
  ) assert.equal(ask(name), ANSWER.refuse, name);
  for (const family of [2, 10, 16, 17, 40]) assert.equal(ask("socket", family), ANSWER.refuse);
  assert.equal(ask("prctl", 4, 1), ANSWER.refuse);
});

Deno.test("SWTPM_CALLS allows nothing that QEMU may not, but what it writes its state with", () => {
  const qemus = new Set(QEMU_CALLS.allowed.map((call) => call.name));
  const more = SWTPM_CALLS.allowed.map((call) => call.name).filter((name) => !qemus.has(name));
  assert.deepEqual(more.sort(), ["accept", "chmod", "fchmod", "fsync", "pipe2", "rename"]);
  assert.ok(SWTPM_CALLS.allowed.every((call) => call.why !== ""));
});
