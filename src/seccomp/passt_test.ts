import assert from "node:assert/strict";
import { answerOf, faultsOf } from "../../tools/bpf.ts";
import { ANSWER, ARCH_X86_64 } from "./filter.ts";
import { PASST_CALLS, PASST_FILTER } from "./passt.ts";
import { syscallNumber } from "./syscall.ts";

const ask = (name: string, ...args: number[]): number =>
  answerOf(PASST_FILTER, { nr: syscallNumber(name), arch: ARCH_X86_64, args: args.map(BigInt) });

Deno.test("PASST_CALLS lets passt move a guest's data, and reach no process, file system or device", () => {
  assert.deepEqual(faultsOf(PASST_FILTER), []);
  for (const name of ["sendmsg", "recvmmsg", "splice", "epoll_wait", "accept4"]) {
    assert.equal(ask(name), ANSWER.allow, name);
  }
  for (const family of [1, 2, 16]) assert.equal(ask("socket", family), ANSWER.allow, `${family}`);
  for (const family of [10, 15, 17, 38, 40]) assert.equal(ask("socket", family), ANSWER.refuse);
  assert.equal(ask("ioctl", 3, 0x8927), ANSWER.allow);
  for (const request of [0x8914, 0x8946, 0x5412, 0xae80, 0x400454ca]) {
    assert.equal(ask("ioctl", 3, request), ANSWER.refuse, request.toString(16));
  }
  const never =
    "clone fork vfork ptrace kill setns bpf keyctl io_uring_setup open_tree mknod symlink link " +
    "rename mkdir chmod chown chroot seccomp memfd_create process_vm_readv";
  for (const name of never.split(" ")) assert.equal(ask(name), ANSWER.refuse, name);
});

Deno.test("PASST_CALLS carries out no step of the sandbox that passt would make for itself", () => {
  for (const { name, why } of PASST_CALLS.pretended ?? []) {
    assert.equal(ask(name), ANSWER.pretend, name);
    assert.notEqual(why, "");
  }
  for (const name of ["unshare", "mount", "pivot_root", "umount2"]) {
    assert.equal(ask(name), ANSWER.pretend);
  }
  assert.ok(PASST_CALLS.allowed.every((call) => call.why !== ""));
});
