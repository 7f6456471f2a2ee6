/**
 * The system calls that what serves a guest's shared folder (virtiofsd) may make, each with what it is
 * needed for: seen under strace(1) from setpriv's first instruction to its end, with a guest that tries
 * everything in a share, and a few marked as rare. virtiofsd brings a filter of its own besides, but one of
 * its threads begins before that is there: this one holds for all of them. Data alone.
 *
 * A guest's ids mean nothing on the host: virtiofsd is told that it has taken them, and every file that it
 * makes is its own.
 */

import { type AllowedCall, type CallList, filterHash, seccompFilter } from "./filter.ts";
import { AF_UNIX, any, plain, rare, setprivCalls } from "./rows.ts";

/** linux/sched.h. */
const CLONE_FS = 0x00000200;
const CLONE_THREAD = 0x00010000;
/** Every CLONE_NEW* flag that clone takes. */
const CLONE_NEW = 0x7e020000;
/** stat.h: the type bits of a mode, and a regular file's. */
const S_IFMT = 0xf000;
const S_IFREG = 0x8000;
/** An id that is to stay as it is. */
const SAME_ID = 0xffffffff;

/** Calls whose arguments are looked at. */
const TESTED: readonly AllowedCall[] = [
  {
    name: "clone",
    why: "a thread of its own: no process, no namespace",
    when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NEW, equals: CLONE_THREAD }],
  },
  { name: "socket", why: "the socket on which QEMU comes", when: any(0, [AF_UNIX]) },
  {
    name: "fcntl",
    why:
      "flags of descriptors (F_DUPFD to F_SETFL, F_DUPFD_CLOEXEC), the lock of its socket's name " +
      "(F_SETLK), and what it asks of QEMU's memory (F_GET_SEALS)",
    when: any(1, [0, 1, 2, 3, 4, 6, 1030, 1034]),
  },
  {
    name: "prctl",
    why: "setpriv's and its own drop of capabilities and no_new_privs, and its threads' names: " +
      "PR_SET_NAME, PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP, " +
      "PR_GET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT",
    when: any(0, [8, 15, 22, 23, 24, 27, 38, 39, 47]),
  },
  {
    name: "unshare",
    why: "a thread's own umask (CLONE_FS): no namespace",
    when: any(0, [CLONE_FS]),
  },
  {
    name: "mknodat",
    why: "a regular file: no pipe, no socket, no device",
    when: [{ argument: 2, mask: S_IFMT, equals: S_IFREG }],
  },
];

const PLAIN: readonly AllowedCall[] = [
  ...setprivCalls("virtiofsd"),
  ...plain(
    "the C library starts a program or thread",
    "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom",
  ),
  ...plain("memory, the guest's among it", "brk mmap munmap mprotect madvise"),
  ...rare("memory: a large piece grows", "mremap"),
  ...plain("threads: waiting and waking, and how many CPUs there are", "futex sched_getaffinity"),
  ...plain(
    "identity and end",
    "getpid gettid getuid geteuid getgid getegid getgroups exit exit_group",
  ),
  ...plain("signals that ask it to end", "rt_sigaction rt_sigprocmask"),
  ...rare("signals that ask it to end, or to abort", "rt_sigreturn tgkill"),
  ...rare("a wait goes on after a stop (SIGSTOP) and a continue", "restart_syscall"),
  ...plain("time", "clock_gettime clock_nanosleep"),
  ...plain("the shared folder becomes its root", "chroot chdir"),
  ...plain("QEMU comes on a unix socket", "bind listen accept unlink mkdir ftruncate"),
  ...plain("QEMU's words, with descriptors", "recvmsg sendmsg eventfd2"),
  ...plain("waiting", "ppoll"),
  ...plain(
    "its libraries, and reading in the share",
    "openat close read pread64 preadv lseek newfstatat statx getdents64 readlink readlinkat access statfs fstatfs",
  ),
  ...plain(
    "writing in the share, where its mount lets it",
    "write pwrite64 pwritev mkdirat symlinkat linkat unlinkat renameat2 utimensat fchmodat fchmod umask " +
      "fallocate fsync fdatasync syncfs copy_file_range",
  ),
  ...rare("the same by other names", "renameat fchdir dup"),
  ...rare("the C library's last words", "writev"),
  ...plain("an owner: refused by the kernel but for its own", "fchownat"),
];

/** What virtiofsd may call. */
export const VIRTIOFSD_CALLS: CallList = {
  allowed: [...TESTED, ...PLAIN],
  // libc then makes threads by clone, whose flags can be tested; clone3's lie in memory.
  absent: ["clone3"],
  pretended: ["setresuid", "setresgid"].map((name) => ({
    name,
    why: "the ids of who asks in the guest (SYS_setresuid(-1, id, -1)): its own stay",
    when: any(0, [SAME_ID]),
  })),
  without: [
    { name: "userfaultfd", why: "memory that comes while it is used: no guest moves here" },
    { name: "get_mempolicy", why: "libnuma asks; nothing is bound to NUMA nodes" },
    { name: "set_mempolicy", why: "libnuma tries what the kernel has" },
    {
      name: "connect",
      why: "the C library looks for a log (syslog) and a service of names (nscd)",
    },
    { name: "flock", why: "locks of the guest's are the guest's own (no_flock)" },
  ],
};

/** The filter as the image holds it. */
export const VIRTIOFSD_FILTER = seccompFilter(VIRTIOFSD_CALLS);
/** What a plan names: the launcher refuses to start virtiofsd behind another filter. */
export const VIRTIOFSD_FILTER_SHA256 = filterHash(VIRTIOFSD_FILTER);
