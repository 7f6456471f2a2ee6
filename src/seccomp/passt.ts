/**
 * The system calls that passt may make: those that strace(1) has shown, from setpriv's first instruction
 * to the end of a guest's connection, and those that its own, second filter lets pass afterwards. It
 * makes a sandbox of its own first, for which it wants a user namespace, and the image allows none: it
 * is told that each step of that worked, and stays in the jail, which gives it less than it asked for.
 * Data alone.
 */

import { type AllowedCall, type CallList, filterHash, seccompFilter } from "./filter.ts";

const AF_UNIX = 1;
const AF_INET = 2;
const AF_NETLINK = 16;

const plain = (why: string, names: string): AllowedCall[] =>
  names.split(" ").map((name) => ({ name, why }));

/** What passt may call. */
export const PASST_CALLS: CallList = {
  allowed: [
    {
      name: "socket",
      why: "the guest's connections, QEMU's socket, and which interface there is; no packet socket",
      when: [AF_INET, AF_UNIX, AF_NETLINK].map((equals) => ({ argument: 0, equals })),
    },
    {
      name: "ioctl",
      why: "an interface's name (SIOCGIFNAME) and address (SIOCGIFHWADDR), and nothing else",
      when: [0x8910, 0x8927].map((equals) => ({ argument: 1, equals })),
    },
    ...plain("setpriv starts passt, and passt would start a faster form of itself", "execve"),
    ...plain("setpriv takes passt's ids", "setresuid setresgid setgroups"),
    ...plain("passt takes the ids that it has", "setuid setgid"),
    ...plain(
      "capabilities are dropped, and no new ones can come",
      "prctl capget capset getresuid getresgid geteuid getegid getuid getgid",
    ),
    ...plain(
      "the C library starts and ends a program",
      "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom exit_group exit " +
        "rt_sigaction rt_sigprocmask rt_sigreturn futex getpid gettid",
    ),
    ...plain("memory", "brk mmap munmap mprotect madvise mremap"),
    ...plain(
      "its libraries, read-only",
      "openat newfstatat fstat access readlink lseek close dup dup2 fcntl chdir unlink",
    ),
    ...plain("reading and writing", "read write pread64 readv writev"),
    ...plain("moving data between sockets", "pipe pipe2 splice"),
    ...plain(
      "sockets",
      "bind listen accept4 connect getsockname getpeername getsockopt setsockopt sendto recvfrom " +
        "sendmsg recvmsg sendmmsg recvmmsg shutdown",
    ),
    ...plain(
      "waiting",
      "epoll_create1 epoll_ctl epoll_wait epoll_pwait timerfd_create timerfd_settime",
    ),
    ...plain("time", "clock_gettime gettimeofday"),
    ...plain("its own filter, which can only take more away", "seccomp"),
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
