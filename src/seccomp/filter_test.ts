import assert from "node:assert/strict";
import fc from "fast-check";
import { answerOf, type Call, faultsOf } from "../../tools/bpf.ts";
import {
  type AllowedCall,
  ANSWER,
  ARCH_X86_64,
  type CallList,
  filterHash,
  seccompFilter,
  X32_BIT,
} from "./filter.ts";
import { QEMU_CALLS, QEMU_FILTER, QEMU_FILTER_SHA256 } from "./qemu.ts";
import { syscallNumber, SYSCALLS } from "./syscall.ts";

const native = (nr: number, ...args: (number | bigint)[]): Call => ({
  nr,
  arch: ARCH_X86_64,
  args: args.map(BigInt),
});
const ask = (name: string, ...args: (number | bigint)[]): number =>
  answerOf(QEMU_FILTER, native(syscallNumber(name), ...args));

/** Every number that is or could become a call of x86-64. */
const NUMBERS = Array.from({ length: 2048 }, (_, nr) => nr);
const NAMES = new Map([...SYSCALLS].map(([name, nr]) => [nr, name]));

/** What a list means, in the plainest words there are. */
function meant(list: CallList, call: Call): number {
  if (call.arch !== ARCH_X86_64 || call.nr >>> 0 >= X32_BIT) return ANSWER.endProcess;
  const name = NAMES.get(call.nr) ?? "";
  if (list.absent.includes(name)) return ANSWER.absent;
  const row = list.allowed.find((one) => one.name === name);
  if (row === undefined) return ANSWER.refuse;
  if (row.when === undefined) return ANSWER.allow;
  const holds = row.when.some(({ argument, mask = 0xffffffff, equals }) =>
    ((call.args[argument] ?? 0n) & BigInt(mask >>> 0)) === BigInt(equals >>> 0)
  );
  return holds ? ANSWER.allow : ANSWER.refuse;
}

Deno.test("seccompFilter of QEMU's list answers every call of x86-64 as the list says", () => {
  const counts = new Map<number, number>();
  for (const nr of NUMBERS) {
    const answer = answerOf(QEMU_FILTER, native(nr));
    assert.equal(answer, meant(QEMU_CALLS, native(nr)), NAMES.get(nr) ?? String(nr));
    counts.set(answer, (counts.get(answer) ?? 0) + 1);
  }
  const plain = QEMU_CALLS.allowed.filter((call) => call.when === undefined).length;
  assert.equal(counts.get(ANSWER.allow), plain);
  assert.equal(counts.get(ANSWER.absent), 1);
  assert.equal(counts.get(ANSWER.refuse), NUMBERS.length - plain - 1);
});

Deno.test("seccompFilter ends a process that calls by another architecture's numbers", () => {
  for (const nr of [...NUMBERS, -1, 0x7fffffff]) {
    for (const arch of [0x40000003, 0xc00000b7, 0, ARCH_X86_64 - 1, ARCH_X86_64 + 1]) {
      assert.equal(answerOf(QEMU_FILTER, { nr, arch, args: [] }), ANSWER.endProcess);
    }
    const x32 = nr < 0 ? nr : nr | X32_BIT;
    assert.equal(answerOf(QEMU_FILTER, native(x32)), ANSWER.endProcess, `x32 ${nr}`);
  }
});

Deno.test("seccompFilter is what the kernel takes, and its hash is over its bytes", () => {
  assert.deepEqual(faultsOf(QEMU_FILTER), []);
  assert.deepEqual(faultsOf(seccompFilter({ allowed: [], absent: [], without: [] })), []);
  assert.deepEqual(faultsOf(QEMU_FILTER.subarray(0, -16)).slice(-1), [
    "the last instruction is no answer",
  ]);
  assert.equal(filterHash(QEMU_FILTER), QEMU_FILTER_SHA256);
  assert.notEqual(filterHash(seccompFilter(QEMU_CALLS, "log")), QEMU_FILTER_SHA256);
});

Deno.test("seccompFilter with log answers log where it would refuse, and nowhere else", () => {
  const recording = seccompFilter(QEMU_CALLS, "log");
  for (const nr of NUMBERS) {
    const answer = answerOf(QEMU_FILTER, native(nr));
    const recorded = answerOf(recording, native(nr));
    const known = QEMU_CALLS.without.some((call) => call.name === NAMES.get(nr));
    assert.equal(recorded, answer === ANSWER.refuse && !known ? ANSWER.log : answer);
  }
});

const names = [...SYSCALLS.keys()];
const word = fc.oneof(
  fc.constantFrom(0n, 1n, 0xae00n, 0xaeffn, 0xffff_ffffn, 0x1_0000_0001n, 0xffff_ffff_0000_0000n),
  fc.bigInt({ min: 0n, max: 0xffff_ffff_ffff_ffffn }),
);
const test = fc.record({
  argument: fc.constantFrom<0 | 1 | 2 | 3 | 4 | 5>(0, 1, 2, 3, 4, 5),
  mask: fc.constantFrom(0xff00, 0xffffffff, 0x7e030000, 1),
  equals: fc.constantFrom(0, 1, 0xae00, 0xffffffff, 0x10000),
});
const list: fc.Arbitrary<CallList> = fc.uniqueArray(fc.constantFrom(...names), { maxLength: 120 })
  .chain((chosen) =>
    fc.tuple(
      fc.nat({ max: chosen.length }),
      fc.array(fc.option(fc.array(test, { maxLength: 12 }), { nil: undefined }), {
        minLength: chosen.length,
        maxLength: chosen.length,
      }),
    ).map(([absent, tests]) => ({
      absent: chosen.slice(0, absent),
      without: [],
      allowed: chosen.slice(absent).map((name, index): AllowedCall => {
        const when = tests[index];
        return when === undefined ? { name, why: "" } : { name, why: "", when };
      }),
    }))
  );

Deno.test("seccompFilter answers any list and any arguments as the list says", () => {
  fc.assert(
    fc.property(
      list,
      fc.array(fc.tuple(fc.constantFrom(...names), fc.array(word, { maxLength: 6 }))),
      (calls, asked) => {
        const filter = seccompFilter(calls);
        assert.deepEqual(faultsOf(filter), []);
        for (const [name, args] of asked) {
          const call = native(syscallNumber(name), ...args);
          assert.equal(answerOf(filter, call), meant(calls, call), `${name} ${args}`);
        }
      },
    ),
  );
});

Deno.test("seccompFilter refuses a list that it cannot write down", () => {
  const call = (name: string): AllowedCall => ({ name, why: "" });
  const of = (allowed: AllowedCall[], absent: string[] = []) => () =>
    seccompFilter({ allowed, absent, without: [] });
  assert.throws(of([call("nothing")]), /none of that name/);
  assert.throws(of([call("read"), call("read")]), /read stands in it twice/);
  assert.throws(of([call("read")], ["read"]), /read stands in it twice/);
  assert.throws(of(names.slice(0, 256).map(call)), /without a test/);
  assert.doesNotThrow(of(names.slice(0, 255).map(call)));
  const when = Array.from({ length: 90 }, (_, equals) => ({ argument: 0 as const, equals }));
  assert.throws(of([{ ...call("fcntl"), when }]), /too many tests/);
});

const KVM_RUN = 0xae80;
const THREAD = 0x3d0f00;
const CLONE = {
  newNs: 0x20000,
  newCgroup: 0x2000000,
  newUts: 0x4000000,
  newIpc: 0x8000000,
  newUser: 0x10000000,
  newPid: 0x20000000,
  newNet: 0x40000000,
};
const HIGH = 1n << 32n;

// What the list is for, in calls that a person can name.
const RULED: readonly [what: string, answer: number, expected: number][] = [
  ["ioctl KVM_RUN", ask("ioctl", 9, KVM_RUN), ANSWER.allow],
  ["ioctl KVM_SET_USER_MEMORY_REGION", ask("ioctl", 9, 0x4020ae46), ANSWER.allow],
  ["ioctl KVM_RUN with bits that the kernel drops", ask("ioctl", 9, HIGH | 0xae80n), ANSWER.allow],
  ["ioctl TIOCSTI", ask("ioctl", 0, 0x5412), ANSWER.refuse],
  [
    "ioctl TIOCSTI behind bits that the kernel drops",
    ask("ioctl", 0, HIGH | 0x5412n),
    ANSWER.refuse,
  ],
  ["ioctl TIOCLINUX", ask("ioctl", 0, 0x541c), ANSWER.refuse],
  ["ioctl VHOST_SET_OWNER", ask("ioctl", 0, 0xaf01), ANSWER.refuse],
  ["ioctl TUNSETIFF", ask("ioctl", 0, 0x400454ca), ANSWER.refuse],
  ["ioctl BLKDISCARD", ask("ioctl", 0, 0x1277), ANSWER.refuse],
  ["ioctl VFIO_SET_IOMMU", ask("ioctl", 0, 0x3b66), ANSWER.refuse],
  ["clone of a thread", ask("clone", THREAD), ANSWER.allow],
  ["clone of a process", ask("clone", 17), ANSWER.refuse],
  ["clone as vfork does", ask("clone", 0x4111), ANSWER.refuse],
  ...Object.entries(CLONE).map(([name, flag]): [string, number, number] => [
    `clone with ${name}`,
    ask("clone", THREAD | flag),
    ANSWER.refuse,
  ]),
  ["clone3", ask("clone3", 0, 88), ANSWER.absent],
  ["socket AF_UNIX", ask("socket", 1, 1, 0), ANSWER.allow],
  ...[0, 2, 10, 16, 17, 31, 38, 40].map((family): [string, number, number] => [
    `socket of family ${family}`,
    ask("socket", family, 1, 0),
    ANSWER.refuse,
  ]),
  ["fcntl F_OFD_SETLK", ask("fcntl", 3, 37), ANSWER.allow],
  ["fcntl F_SETOWN", ask("fcntl", 3, 8), ANSWER.refuse],
  ["fcntl F_SETSIG", ask("fcntl", 3, 10), ANSWER.refuse],
  ["fcntl F_NOTIFY", ask("fcntl", 3, 1026), ANSWER.refuse],
  ["prctl PR_SET_NO_NEW_PRIVS", ask("prctl", 38, 1), ANSWER.allow],
  ["prctl PR_SET_DUMPABLE", ask("prctl", 4, 1), ANSWER.refuse],
  ["prctl PR_SET_PTRACER", ask("prctl", 0x59616d61, 1), ANSWER.refuse],
  ["prctl PR_SET_MM", ask("prctl", 35, 1), ANSWER.refuse],
  ["prctl PR_SET_SPECULATION_CTRL", ask("prctl", 53, 0), ANSWER.refuse],
];

for (const [what, answer, expected] of RULED) {
  Deno.test(`QEMU_CALLS: ${what}`, () => assert.equal(answer, expected));
}

Deno.test("QEMU_CALLS names no call by which a captured QEMU reaches past its jail", () => {
  const never =
    ("ptrace process_vm_readv process_vm_writev kill tkill pidfd_open pidfd_getfd pidfd_send_signal " +
      "fork vfork execveat unshare setns mount umount2 pivot_root chroot move_mount open_tree fsopen " +
      "mount_setattr mknod mknodat symlink symlinkat link linkat rename renameat renameat2 chmod " +
      "fchmod fchmodat chown fchown lchown fchownat setxattr bpf perf_event_open io_uring_setup " +
      "io_uring_enter io_uring_register userfaultfd keyctl add_key request_key init_module " +
      "finit_module delete_module kexec_load kexec_file_load reboot swapon swapoff acct quotactl " +
      "iopl ioperm modify_ldt personality syslog sethostname setdomainname settimeofday " +
      "clock_settime clock_adjtime adjtimex open_by_handle_at name_to_handle_at fanotify_init " +
      "inotify_init1 shmget msgget semget mq_open vmsplice splice tee open openat2 creat " +
      "memfd_create memfd_secret setuid setgid setreuid setregid setpriority sched_setscheduler " +
      "sched_setaffinity mlock mlockall ioprio_set setrlimit landlock_create_ruleset").split(" ");
  const allowed = new Set(QEMU_CALLS.allowed.map((call) => call.name));
  for (const name of never) {
    assert.ok(syscallNumber(name) >= 0);
    assert.ok(!allowed.has(name), name);
  }
});

Deno.test("QEMU_CALLS does without calls that exist and are refused, and says why of each", () => {
  for (const { name, why } of QEMU_CALLS.without) {
    assert.equal(ask(name), ANSWER.refuse, name);
    assert.notEqual(why, "");
  }
  assert.ok(QEMU_CALLS.allowed.every((call) => call.why !== ""));
});
