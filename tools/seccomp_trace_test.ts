import assert from "node:assert/strict";
import type { CallList } from "../src/seccomp/filter.ts";
import { compare, loggedCalls, tracedCalls } from "./seccomp_trace.ts";

const TRACE = `10 execve("/usr/bin/bwrap", 0x7ffe, 0x7ffd) = 0
10 clone(child_stack=NULL, flags=0x60020011) = 11
11 mount("/", "/newroot", NULL, 0x5000, NULL) = 0
11 execve("/usr/bin/setpriv", 0x55, 0x56 /* 1 var */) = 0
11 openat(-100, "/etc/ld.so.cache", 0x80000) = -1 ENOENT
11 clone(child_stack=0x7f, flags=0x3d0f00, parent_tid=[3]) = 3
11 clone(child_stack=NULL, flags=0x1200000|17, child_tidptr=0x7f) = 4
10 wait4(-1,  <unfinished ...>
12 ioctl(9, 0xae80, 0)               = 0
12 ioctl(3, 0x5401, 0x7ffd)          = -1 ENOTTY
12 <... futex resumed>)              = 0
12 io_uring_setup(128, {flags=0})    = 5
12 keyctl(0, -3)                     = 1
`;

const LIST: CallList = {
  allowed: [
    { name: "execve", why: "x" },
    { name: "openat", why: "x" },
    { name: "sysinfo", why: "x" },
    { name: "ioctl", why: "x", when: [{ argument: 1, mask: 0xff00, equals: 0xae00 }] },
    { name: "clone", why: "x", when: [{ argument: 0, mask: 0x10000, equals: 0x10000 }] },
  ],
  absent: [],
  without: [{ name: "io_uring_setup", why: "x" }],
};

Deno.test("tracedCalls begins with the program and leaves bubblewrap's own calls out", () => {
  const calls = tracedCalls(TRACE, "/usr/bin/setpriv");
  assert.deepEqual(
    calls.map((call) => call.name),
    ["execve", "openat", "clone", "clone", "ioctl", "ioctl", "io_uring_setup", "keyctl"],
  );
  assert.equal(calls[2]?.args[0], 0x3d0f00n);
  assert.equal(calls[3]?.args[0], 0x1200011n, "a child's signal is one of the flags");
  assert.equal(calls[4]?.args[1], 0xae80n);
  assert.equal(calls[1]?.args[0], 0xffff_ffff_ffff_ff9cn);
});

Deno.test("compare names what a list lacks with its argument, and what nothing has called", () => {
  const finding = compare(LIST, tracedCalls(TRACE, "/usr/bin/setpriv"));
  assert.deepEqual(finding.lacking, [
    "clone, argument 0 = 0x1200011",
    "ioctl, argument 1 = 0x5401",
    "keyctl",
  ]);
  assert.deepEqual(finding.unseen, ["sysinfo"]);
});

Deno.test("compare takes a call that no table knows for one that the list lacks", () => {
  assert.deepEqual(compare(LIST, [{ name: "new_call", args: [] }]).lacking, ["new_call"]);
});

Deno.test("loggedCalls reads the kernel's lines about that command alone", () => {
  const line = (comm: string, nr: number) =>
    `[ 3.1] audit: type=1326 audit(1:2): auid=4294967295 uid=61000 gid=61000 ses=4294967295 ` +
    `subj=unconfined pid=1 comm="${comm}" exe="/usr/bin/x" sig=0 arch=c000003e syscall=${nr} ` +
    `compat=0 ip=0x7f code=0x7ffc0000\n`;
  const log = line("qemu-system-x86", 425) + line("sh", 101) + line("qemu-system-x86", 99999) +
    "[ 4.0] something else syscall=1 \n";
  assert.deepEqual(loggedCalls(log, ["setpriv", "qemu-system-x86_64"]), [
    "call 99999",
    "io_uring_setup",
  ]);
});
