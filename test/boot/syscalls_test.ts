/**
 * System calls from inside the real jail: a program in QEMU's place makes one call of each class that
 * the filter must refuse, and some that it must let pass. Its twin has the filter and the other walls
 * taken away and makes the same calls, so that a refusal is known to be the filter's.
 */

import assert from "node:assert/strict";
import { syscallNumber, SYSCALLS } from "../../src/seccomp/syscall.ts";
import type { DiskFiles } from "../../tools/boot_data.ts";
import { changedLaunchers, type Changes, record, TINY_POLICY } from "./launchers.ts";
import {
  BOOT_LIMIT_S,
  dataDisk,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";
import { type ProbeCall, probeElf, probeResults } from "./probe_elf.ts";

const EPERM = -1;
const ENOSYS = -38;
const AT_FDCWD = -100;

interface Row {
  readonly call: string;
  readonly args: readonly (number | string)[];
  /** What it shows. */
  readonly what: string;
  readonly answer: "refused" | "absent" | "passes";
  /** Another wall of the host's refuses it as well, without the filter. */
  readonly layered?: true;
}

const refused = (what: string, call: string, ...args: (number | string)[]): Row => ({
  call,
  args,
  what,
  answer: "refused",
});
const passes = (what: string, call: string, ...args: (number | string)[]): Row => ({
  call,
  args,
  what,
  answer: "passes",
});

// Without the filter each gives something else than EPERM, and harms nothing.
const ROWS: readonly Row[] = [
  passes("its own id", "getpid"),
  passes("a unix socket", "socket", 1, 1, 0),
  passes("a file of its root", "openat", AT_FDCWD, "/usr/bin/setpriv", 0),
  passes("a request of KVM's type reaches the kernel", "ioctl", 2, 0xae80, 0),
  refused("another process (PTRACE_ATTACH)", "ptrace", 16, 99999),
  refused("another process's memory", "process_vm_readv", 1),
  refused("another process's memory, written", "process_vm_writev", 1),
  refused("a handle of a process", "pidfd_open", 1),
  refused("a signal to a process", "kill", 1, 0),
  refused("a signal with data", "rt_sigqueueinfo", 1, 0, 0),
  refused("a mount", "mount", "x", "/tmp", "tmpfs"),
  refused("an unmount", "umount2", "/none"),
  refused("a mount by descriptor", "open_tree", -1, "/none"),
  refused("another root", "chroot", "/"),
  refused("a moved root", "pivot_root", "/none", "/none"),
  refused("namespaces of its own", "unshare", 0),
  refused("another's namespace", "setns", -1),
  refused("a device node", "mknod", "/tmp/node", 0x2180, 0x103),
  refused("a symbolic link", "symlink", "x", "/tmp/link"),
  refused("a hard link", "link", "/none", "/tmp/link"),
  refused("a rename", "rename", "/none", "/tmp/x"),
  refused("a mode", "chmod", "/tmp", 0o1777),
  refused("an owner", "chown", "/tmp", -1, -1),
  refused("a setuid program's ids", "setuid", 0),
  refused("a BPF program", "bpf", 0, 0, 0),
  refused("performance counters", "perf_event_open", 0),
  refused("io_uring", "io_uring_setup", 1, 0),
  refused("faults of its own memory", "userfaultfd", 0),
  refused("the kernel's keys", "keyctl", 0, -3, 0),
  refused("a key of its own", "add_key", 0),
  { ...refused("a kernel module", "finit_module", -1), layered: true },
  { ...refused("another kernel", "kexec_load", 0), layered: true },
  refused("a restart of the machine", "reboot", 0, 0, 0),
  refused("I/O ports", "ioperm", 0, 1, 0),
  refused("the kernel's log", "syslog", 10),
  refused("the clock", "clock_settime", 0, 0),
  refused("the host's name", "sethostname", 0, -1),
  refused("swap", "swapon", "/none"),
  refused("accounting", "acct", "/none"),
  refused("a file by its handle", "open_by_handle_at", -1, 0),
  refused("all accesses to files", "fanotify_init", 0),
  refused("another personality", "personality", -1),
  refused("memory that is a file", "memfd_create", "x", 0),
  refused("shared memory", "shmget", 0, 4096, 0),
  refused("a program by descriptor", "execveat", -1, "/none"),
  refused("openat2, whose flags lie in memory", "openat2", AT_FDCWD, "/", 0, 0),
  refused("memory that is never paged", "mlockall", 0),
  refused("TCP", "socket", 2, 1, 0),
  refused("IPv6", "socket", 10, 2, 0),
  refused("raw frames", "socket", 17, 3, 0),
  refused("netlink", "socket", 16, 3, 0),
  refused("the host's vsock", "socket", 40, 1, 0),
  refused("typing into a terminal (TIOCSTI)", "ioctl", 2, 0x5412, 0),
  refused("vhost (VHOST_SET_OWNER)", "ioctl", 2, 0xaf01, 0),
  refused("a network interface (TUNSETIFF)", "ioctl", 2, 0x400454ca, 0),
  refused("signals from a descriptor (F_SETOWN)", "fcntl", 2, 8, 0),
  refused("to be readable by others (PR_SET_DUMPABLE)", "prctl", 4, 1),
  { call: "clone3", args: [0, 88], what: "clone3", answer: "absent" },
  // In the twin a child goes on behind each; it writes after its parent or is never reaped.
  refused("a process", "clone", 17),
];

const CALLS: readonly ProbeCall[] = ROWS.map(({ call, args }) => ({
  nr: syscallNumber(call),
  args,
}));

const X32 = 0x40000000;
/** getpid by x32's and by i386's number. */
const FOREIGN: Record<string, Uint8Array> = {
  x32: probeElf([{ nr: X32 + syscallNumber("getpid"), args: [] }]),
  i386: probeElf([{ nr: 20, args: [] }], "int80"),
};

/** The program instead of QEMU; what it wrote goes to the serial console. */
const probe = (name: string): Changes => [
  ["/usr/bin/qemu-system-x86_64 -no-user-config", `/usr/bin/${name} -no-user-config`],
  [
    'read -r why < "$2"',
    `why=$($bb od -An -v -tx1 "$2" | $bb tr -d ' \\n'); ` +
    `echo "probe ${name} filter=$filtered code=$code $why." > /dev/console`,
  ],
];
const WITH_FILTER: Changes = [["slot=$1\n", "slot=$1 filtered=1\n"]];
const WITHOUT_WALLS: Changes = [
  ["slot=$1\n", "slot=$1 filtered=0\n"],
  ["--add-seccomp-fd 9 ", ""],
  ['  exec 9< "$filter" || exit 125\n', ""],
  ["--cap-drop ALL \\", "--cap-add ALL \\"],
  [/\/usr\/bin\/setpriv --reuid.* -- \\\n/, ""],
];

const PROBES = ["all", "x32", "i386"].flatMap((name) => [
  { field: `${name} with the filter`, changes: [...probe(`probe-${name}`), ...WITH_FILTER] },
  { field: `${name} without`, changes: [...probe(`probe-${name}`), ...WITHOUT_WALLS] },
]);

interface Outcome {
  readonly code: number;
  readonly results: readonly number[];
}

/** SIGSYS, as a shell says it. */
const KILLED = 128 + 31;

Deno.test("the jail's filter refuses each class of call, and lets pass what QEMU needs", async () => {
  await using home = await Home.make();
  const vms: Record<string, unknown> = {};
  const files: Record<string, DiskFiles[string]> = { ...await signedPolicy(TINY_POLICY) };
  PROBES.forEach((_, index) => {
    const vm = `probe-${index + 1}`;
    vms[vm] = record(vm, index + 1, "tiny");
    files[`vm/linux/${vm}/rootfs.ext4`] = new Uint8Array(512);
  });
  files["vm/registry.json"] = JSON.stringify({ version: 0, vms });
  const bin = "/usr/lib/rayos/root/qemu/usr/bin";
  await using run = await startMachine({
    disks: [{ path: dataDisk(home, files) }],
    overlay: {
      ...await changedLaunchers(PROBES),
      [`${bin}/probe-all`]: { data: probeElf(CALLS), mode: 0o755 },
      [`${bin}/probe-x32`]: { data: FOREIGN["x32"]!, mode: 0o755 },
      [`${bin}/probe-i386`]: { data: FOREIGN["i386"]!, mode: 0o755 },
    },
  });
  const outcome = async (name: string, filtered: 0 | 1): Promise<Outcome> => {
    const wanted = new RegExp(`probe probe-${name} filter=${filtered} code=\\d+ [0-9a-f]*\\.`);
    const text = await run.waitForConsole(wanted, BOOT_LIMIT_S * 1000);
    const [, code = "", hex = ""] = /code=(\d+) ([0-9a-f]*)\./.exec(text) ?? [];
    return { code: Number(code), results: probeResults(hex) };
  };
  const [jailed, twin] = [await outcome("all", 1), await outcome("all", 0)];
  const foreign = {
    x32: await outcome("x32", 1),
    i386: await outcome("i386", 1),
    x32Twin: await outcome("x32", 0),
    i386Twin: await outcome("i386", 0),
  };
  await run.powerButton();
  await showingLines(run, async () => {
    await Promise.resolve();
    assert.ok(ROWS.every(({ call }) => SYSCALLS.has(call)));
    assert.equal(jailed.results.length, ROWS.length, `code ${jailed.code}`);
    const wrong = ROWS.flatMap(({ call, what, answer, layered }, index) => {
      const [inside = NaN, outside = NaN] = [jailed.results[index], twin.results[index]];
      const right = answer === "refused"
        ? inside === EPERM && (layered === true || outside !== EPERM)
        : answer === "absent"
        ? inside === ENOSYS && outside !== ENOSYS
        : inside !== EPERM && inside !== ENOSYS && inside === outside;
      return right ? [] : [`${call} (${what}): ${inside} in the jail, ${outside} without walls`];
    });
    assert.deepEqual(wrong, []);
    assert.deepEqual([foreign.x32.code, foreign.i386.code], [KILLED, KILLED]);
    assert.deepEqual([foreign.x32Twin.code, foreign.i386Twin.code], [0, 0]);
  });
});
