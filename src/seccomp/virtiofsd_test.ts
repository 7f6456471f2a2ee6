import assert from "node:assert/strict";
import { answerOf, faultsOf } from "../../tools/bpf.ts";
import { ANSWER, ARCH_X86_64 } from "./filter.ts";
import { syscallNumber } from "./syscall.ts";
import { VIRTIOFSD_CALLS, VIRTIOFSD_FILTER } from "./virtiofsd.ts";

const ask = (name: string, ...args: number[]): number =>
  answerOf(VIRTIOFSD_FILTER, {
    nr: syscallNumber(name),
    arch: ARCH_X86_64,
    args: args.map((one) => BigInt.asUintN(64, BigInt(one))),
  });

Deno.test("VIRTIOFSD_CALLS takes no id of a guest's, and lets setpriv take the slot's", () => {
  for (const name of ["setresuid", "setresgid"]) {
    assert.equal(ask(name, -1, 0, -1), ANSWER.pretend, name);
    assert.equal(ask(name, -1, 1000, -1), ANSWER.pretend, name);
    assert.equal(ask(name, 0xffffffff, 0, 0), ANSWER.pretend, "as the kernel reads an id");
    assert.equal(ask(name, 63001, 63001, 63001), ANSWER.allow, name);
  }
  for (const name of ["setuid", "setreuid", "setfsuid", "setgid", "setregid", "setfsgid"]) {
    assert.equal(ask(name, 0, 0, 0), ANSWER.refuse, name);
  }
});

Deno.test("VIRTIOFSD_CALLS makes regular files alone, and no namespace", () => {
  const types = { fifo: 0x1000, char: 0x2000, folder: 0x4000, block: 0x6000, socket: 0xc000 };
  for (const [name, type] of Object.entries(types)) {
    assert.equal(ask("mknodat", 3, 0, type | 0o644), ANSWER.refuse, name);
  }
  assert.equal(ask("mknodat", 3, 0, 0x8000 | 0o4755), ANSWER.allow);
  assert.equal(ask("mknod", 0, 0x8000), ANSWER.refuse);
  assert.equal(ask("unshare", 0x200), ANSWER.allow);
  for (const flag of [0x10000000, 0x20000000, 0x40000000, 0x20000, 0x200 | 0x20000]) {
    assert.equal(ask("unshare", flag), ANSWER.refuse, flag.toString(16));
  }
});

Deno.test("VIRTIOFSD_CALLS names no call by which a captured one reaches past its jail", () => {
  const allowed = new Set(VIRTIOFSD_CALLS.allowed.map((call) => call.name));
  const dangerous =
    "fork vfork execveat setns mount umount2 pivot_root move_mount open_tree fsopen open_by_handle_at " +
    "name_to_handle_at ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd bpf keyctl ioctl " +
    "connect setxattr fsetxattr lsetxattr kill tkill io_uring_setup userfaultfd clone3 memfd_create";
  for (const name of dangerous.split(" ")) assert.ok(!allowed.has(name), name);
  assert.deepEqual(faultsOf(VIRTIOFSD_FILTER), []);
});
