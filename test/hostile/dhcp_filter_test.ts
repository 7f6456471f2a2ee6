/**
 * System calls from the DHCP client's place, in the jail that the launcher `uplink` makes: a program makes
 * one call of each class that the filter must refuse, and some that it must let pass. Its twin has no
 * filter and all capabilities and makes the same calls, so that a refusal is known to be the filter's.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { DHCP_FILTER } from "../../src/seccomp/dhcp.ts";
import { syscallNumber } from "../../src/seccomp/syscall.ts";
import { jailLines, launcherText } from "../../tools/seccomp_jail.ts";
import { type ProbeCall, probeElf, probeResults } from "../boot/probe_elf.ts";
import { ignore } from "./launcher_root.ts";

const EPERM = -1;
const ENOSYS = -38;
const AT_FDCWD = -100;

type Row = readonly [what: string, call: string, ...args: (number | string)[]];

/** Answered with EPERM, and with anything else without the filter. */
const REFUSED: readonly Row[] = [
  ["another process (PTRACE_ATTACH)", "ptrace", 16, 99999],
  ["another process's memory", "process_vm_readv", 1],
  ["a handle of a process", "pidfd_open", 1],
  ["a signal to a process", "kill", 1, 0],
  ["a mount", "mount", "x", "/tmp", "tmpfs"],
  ["an unmount", "umount2", "/none"],
  ["a mount by descriptor", "open_tree", -1, "/none"],
  ["another root", "chroot", "/"],
  ["a moved root", "pivot_root", "/none", "/none"],
  ["namespaces of its own", "unshare", 0],
  ["another's namespace", "setns", -1],
  ["a device node", "mknod", "/none/node", 0x2180, 0x103],
  ["a symbolic link", "symlink", "x", "/none/link"],
  ["a hard link", "link", "/none", "/none/link"],
  ["a folder", "mkdir", "/none/folder", 0o700],
  ["a mode", "chmod", "/none", 0o1777],
  ["an owner", "chown", "/none", -1, -1],
  ["io_uring", "io_uring_setup", 1, 0],
  ["faults of its own memory", "userfaultfd", -1],
  ["the clock", "clock_settime", 0, 0],
  ["the host's name", "sethostname", 0, -1],
  ["a file by its handle", "open_by_handle_at", -1, 0],
  ["memory that is a file", "memfd_create", "x", 0],
  ["a program by descriptor", "execveat", -1, "/none"],
  ["openat2, whose flags lie in memory", "openat2", AT_FDCWD, "/", 0, 0],
  ["memory that is never paged", "mlockall", 0],
  ["shared memory", "shmget", 0, 4096, 0],
  ["a server's socket", "listen", -1, 1],
  ["IPv6", "socket", 10, 2, 0],
  ["a key's socket (PF_KEY)", "socket", 15, 3, 2],
  ["the host's vsock", "socket", 40, 1, 0],
  ["the kernel's ciphers (AF_ALG)", "socket", 38, 5, 0],
  ["a filter for a socket (SO_ATTACH_FILTER)", "setsockopt", -1, 1, 26, 0, 0],
  ["a BPF program for a socket (SO_ATTACH_BPF)", "setsockopt", -1, 1, 50, 0, 0],
  ["an interface's flags by ioctl (SIOCSIFFLAGS)", "ioctl", -1, 0x8914, 0],
  ["a card's own settings (SIOCETHTOOL)", "ioctl", -1, 0x8946, 0],
  ["a bridge (SIOCBRADDBR)", "ioctl", -1, 0x89a0, 0],
  ["typing into a terminal (TIOCSTI)", "ioctl", -1, 0x5412, 0],
  ["signals from a descriptor (F_SETOWN)", "fcntl", 2, 8, 0],
  ["to be readable by others (PR_SET_DUMPABLE)", "prctl", 4, 1],
  // The flags say a thread without the memory that a thread shares, which the kernel itself refuses.
  ["a thread", "clone", 0x10000],
];

/** Let through to the kernel: the same as without the filter. */
const PASSES: readonly Row[] = [
  ["its own id", "getpid"],
  ["packets (AF_PACKET)", "socket", 17, 2, 0],
  ["UDP", "socket", 2, 2, 17],
  ["the kernel's routes (NETLINK_ROUTE)", "socket", 16, 3, 0],
  ["the kernel's tables (NETLINK_NETFILTER)", "socket", 16, 3, 12],
  ["an interface's number (SIOCGIFINDEX)", "ioctl", -1, 0x8933, 0],
  ["a socket for one interface (SO_BINDTODEVICE)", "setsockopt", -1, 1, 25, 0, 0],
];

const ABSENT: Row = ["clone3", "clone3", 0, 88];
const ROWS = [...REFUSED, ...PASSES, ABSENT];
const CALLS = ROWS.map(([, call, ...args]): ProbeCall => ({ nr: syscallNumber(call), args }));

/** Runs the probe in the client's place, in a network of its own, and gives its answers by row. */
async function answersIn(dir: string, filtered: boolean): Promise<Map<string, number>> {
  const lines = jailLines(await launcherText("uplink"));
  // What the probe is started by needs libraries; the filter is there before it.
  let jail = lines.replace(/\/usr\/bin\/setpriv --reuid[^]*? -- \\\n/u, "");
  assert.notEqual(jail, lines);
  if (!filtered) {
    const without = jail.replace("--add-seccomp-fd 9 ", "").replace("exec 9< $filter", "true");
    jail = without.replace("--cap-drop ALL", "--cap-add ALL");
    assert.ok(without !== jail && !jail.includes("seccomp") && !jail.includes("$filter"));
  }
  const values = `bb=/bin/busybox ns=/proc/self/ns/net nic=u0 uid=0 place='${dir}/state'`;
  const text = jail.replaceAll("/usr/lib/rayos/root/dhcp", `${dir}/root`);
  const { stderr, code } = await new Deno.Command("unshare", {
    args: ["--net", "/bin/busybox", "sh", "-c", `${values} filter='${dir}/filter'\n${text}`],
    stdin: "null",
    stdout: "null",
  }).output();
  const hex = [...stderr].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  const results = probeResults(hex);
  assert.equal(results.length, ROWS.length, `code ${code}: ${new TextDecoder().decode(stderr)}`);
  return new Map(ROWS.map(([what], index) => [what, results[index] ?? NaN]));
}

Deno.test({
  name: "the DHCP client's filter refuses each class of call, and lets pass what the client needs",
  ignore: ignore || !fs.existsSync("/usr/bin/bwrap"),
  async fn() {
    const dir = await Deno.makeTempDir({ prefix: "rayos-dhcp-" });
    try {
      for (const one of ["root/usr/bin", "root/dev", "root/state", "state"]) {
        await Deno.mkdir(`${dir}/${one}`, { recursive: true });
      }
      await Deno.writeFile(`${dir}/root/usr/bin/busybox`, probeElf(CALLS), { mode: 0o755 });
      await Deno.writeFile(`${dir}/filter`, DHCP_FILTER);
      const [inside, twin] = [await answersIn(dir, true), await answersIn(dir, false)];
      const wrong = [
        ...REFUSED.filter(([what]) => inside.get(what) !== EPERM || twin.get(what) === EPERM),
        ...PASSES.filter(([what]) => {
          // A descriptor may have another number.
          const [answer, bare] = [inside, twin].map((one) => Math.min(one.get(what) ?? NaN, 1));
          return answer === EPERM || answer === ENOSYS || answer !== bare;
        }),
        ...[ABSENT].filter(([what]) => inside.get(what) !== ENOSYS || twin.get(what) === ENOSYS),
      ].map(([what]) => `${what}: ${inside.get(what)} in the jail, ${twin.get(what)} without`);
      assert.deepEqual(wrong, []);
    } finally {
      await Deno.remove(dir, { recursive: true });
    }
  },
});
