/**
 * The system calls that passt may make, from setpriv's first instruction to the end of a guest's
 * connection: recorded by `tools/seccomp_beside.ts`, under strace on a machine of the builder's, in the
 * image's own root and by the launcher's own lines, with a guest that uses it; and, marked as rare, those
 * that its own, second filter lets pass besides. It
 * makes a sandbox of its own first, for which it wants a user namespace, and the image allows none: it
 * is told that each step of that worked, and stays in the jail, which gives it less than it asked for.
 * Data alone.
 */

import { type CallList, filterHash, seccompFilter } from "./filter.ts";
import { AF_UNIX, any, plain, rare } from "./rows.ts";

const AF_INET = 2;
const AF_NETLINK = 16;

/** What passt may call. */
export const PASST_CALLS: CallList = {
  allowed: [
    {
      name: "socket",
      why: "the guest's connections, QEMU's socket, and which interface there is; no packet socket",
      when: any(0, [AF_INET, AF_UNIX, AF_NETLINK]),
    },
    {
      name: "ioctl",
      why:
        "an interface's name (SIOCGIFNAME) and address (SIOCGIFHWADDR), and whether its output is " +
        "a terminal (TCGETS)",
      when: any(1, [0x8910, 0x8927, 0x5401]),
    },
    ...plain("setpriv starts passt, and passt would start a faster form of itself", "execve"),
    ...plain("setpriv takes passt's ids", "setresuid setresgid setgroups"),
    ...plain("passt takes the ids that it has", "setuid setgid"),
    ...plain(
      "capabilities are dropped, and no new ones can come",
      "prctl capget capset getresuid getresgid geteuid getegid",
    ),
    ...plain(
      "the C library starts and ends a program",
      "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom exit_group rt_sigaction " +
        "getpid gettid",
    ),
    ...plain("memory", "brk mmap mprotect madvise"),
    ...plain(
      "its libraries, read-only",
      "openat newfstatat access readlink close dup fcntl chdir unlink",
    ),
    ...plain("reading and writing", "read write pread64"),
    ...plain(
      "sockets",
      "bind listen accept4 connect getsockopt setsockopt sendto recvfrom sendmsg recvmsg sendmmsg " +
        "shutdown",
    ),
    ...plain(
      "waiting",
      "epoll_create1 epoll_ctl epoll_wait timerfd_create timerfd_settime",
    ),
    ...rare(
      "the C library, where something goes wrong",
      "exit rt_sigprocmask rt_sigreturn futex getuid getgid munmap mremap fstat lseek dup2",
    ),
    ...rare(
      "its own filter lets them pass: connections that it splices, and other ways to do the same",
      "readv writev pipe pipe2 splice getsockname getpeername recvmmsg epoll_pwait",
    ),
    ...rare(
      "time, where the kernel's page for it cannot be used",
      "clock_gettime gettimeofday",
    ),
  ],
  absent: [],
  pretended: [
    { name: "unshare", why: "namespaces of its own: those of the jail are there" },
    { name: "mount", why: "an empty root: the jail's holds passt and its libraries" },
    { name: "pivot_root", why: "into that empty root" },
    { name: "umount2", why: "the old root" },
  ],
  without: [],
};

/** The filter as the image holds it. */
export const PASST_FILTER = seccompFilter(PASST_CALLS);
/** What a plan names: the launcher refuses to start passt behind another filter. */
export const PASST_FILTER_SHA256 = filterHash(PASST_FILTER);
