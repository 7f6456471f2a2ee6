import assert from "node:assert/strict";
import { answerOf, faultsOf } from "../../tools/bpf.ts";
import { DHCP_CALLS, DHCP_FILTER } from "./dhcp.ts";
import { ANSWER, ARCH_X86_64 } from "./filter.ts";
import { syscallNumber } from "./syscall.ts";

const ask = (name: string, ...args: number[]): number =>
  answerOf(DHCP_FILTER, { nr: syscallNumber(name), arch: ARCH_X86_64, args: args.map(BigInt) });

const CLONE_NEWUSER = 0x10000000;
const FORK = 0x01200011;

const RULED: readonly [what: string, answer: number, expected: number][] = [
  ["fork", ask("clone", FORK), ANSWER.allow],
  ["fork with a user namespace", ask("clone", FORK | CLONE_NEWUSER), ANSWER.refuse],
  ["fork in its parent's place (CLONE_PARENT)", ask("clone", FORK | 0x8000), ANSWER.refuse],
  ["a thread", ask("clone", 0x3d0f00), ANSWER.refuse],
  ["clone3", ask("clone3"), ANSWER.absent],
  ["packets", ask("socket", 17, 2, 0), ANSWER.allow],
  ["IPv6", ask("socket", 10, 2, 0), ANSWER.refuse],
  ["SO_BINDTODEVICE", ask("setsockopt", 3, 1, 25), ANSWER.allow],
  ["SO_ATTACH_FILTER", ask("setsockopt", 3, 1, 26), ANSWER.refuse],
  ["SO_ATTACH_BPF", ask("setsockopt", 3, 1, 50), ANSWER.refuse],
  ["SIOCGIFINDEX", ask("ioctl", 3, 0x8933), ANSWER.allow],
  ["SIOCSIFADDR", ask("ioctl", 3, 0x8916), ANSWER.refuse],
  ["SIOCSIFFLAGS", ask("ioctl", 3, 0x8914), ANSWER.refuse],
];

for (const [what, answer, expected] of RULED) {
  Deno.test(`DHCP_CALLS: ${what}`, () => assert.equal(answer, expected));
}

Deno.test("DHCP_CALLS names no call by which a client that a server captured reaches past its jail", () => {
  const never =
    ("ptrace process_vm_readv process_vm_writev kill tkill pidfd_open pidfd_getfd fork " +
      "execveat unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen mknod mknodat " +
      "symlink symlinkat link linkat mkdir mkdirat chmod fchmod fchmodat chown fchown lchown fchownat " +
      "bpf perf_event_open io_uring_setup io_uring_enter userfaultfd keyctl add_key request_key " +
      "init_module finit_module kexec_load reboot personality syslog sethostname settimeofday " +
      "clock_settime open_by_handle_at fanotify_init shmget memfd_create openat2 listen accept accept4 " +
      "socketpair seccomp").split(" ");
  for (const name of never) assert.equal(ask(name), ANSWER.refuse, name);
  assert.deepEqual(faultsOf(DHCP_FILTER), []);
  assert.ok(DHCP_CALLS.allowed.every((call) => call.why !== ""));
});
