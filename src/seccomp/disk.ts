/**
 * The system calls that qemu-img may make where the host makes, converts, checks or grows a guest's disk,
 * from setpriv's first instruction on: recorded by `tools/seccomp_disk.ts`, under strace on a machine of
 * the builder's, in the image's own root and by the launcher's own lines, with each of the launcher's four
 * uses and a damaged image; and a few marked as rare. It works on two open files and nothing else, so it needs less than QEMU. Data
 * alone.
 */

import { type AllowedCall, type CallList, seccompFilter } from "./filter.ts";
import { any, plain, rare, setprivCalls } from "./rows.ts";

/** linux/sched.h. */
const CLONE_THREAD = 0x00010000;
/** Every CLONE_NEW* flag that clone takes. */
const CLONE_NEW = 0x7e020000;

const TESTED: readonly AllowedCall[] = [
  {
    name: "clone",
    why: "a thread of its own that reads or writes: no process, no namespace",
    when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NEW, equals: CLONE_THREAD }],
  },
  {
    name: "fcntl",
    why: "flags of descriptors (F_GETFD to F_SETFL) and image locks (F_OFD_GETLK, F_OFD_SETLK)",
    when: any(1, [1, 2, 3, 4, 36, 37]),
  },
  {
    name: "prctl",
    why:
      "setpriv's drop of capabilities and no_new_privs, and names of threads: PR_SET_KEEPCAPS, " +
      "PR_SET_NAME, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_GET_SECUREBITS, PR_SET_TIMERSLACK, " +
      "PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT",
    when: any(0, [8, 15, 23, 24, 27, 29, 38, 39, 47]),
  },
];

const PLAIN: readonly AllowedCall[] = [
  // qemu-img has no filter of its own.
  ...setprivCalls("qemu-img").filter(({ name }) => name !== "seccomp"),
  ...plain(
    "the C library starts a program or thread",
    "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom",
  ),
  ...plain("memory", "brk mmap munmap mprotect"),
  ...plain("memory: a large piece comes back", "madvise"),
  ...rare("memory: a large piece grows", "mremap"),
  ...plain("threads: waiting and waking, and how many CPUs there are", "futex sched_getaffinity"),
  ...plain("threads: identity and end", "gettid exit_group"),
  ...plain("glib's numbers, where there is no /dev/urandom to begin them with", "getpid getppid"),
  ...rare("threads: one that had nothing to do ends; a crash says so", "exit tgkill"),
  ...plain("signals of its own", "rt_sigaction rt_sigprocmask signalfd4"),
  ...rare("a wait goes on after a signal", "rt_sigreturn restart_syscall"),
  ...plain("its progress is drawn no more often than it moved", "clock_nanosleep"),
  ...rare("time, where the kernel's page for it cannot be used", "clock_gettime gettimeofday"),
  ...plain(
    "its libraries, read-only, and the image that is bound into the jail",
    "openat newfstatat access readlink lseek close",
  ),
  ...plain("reading and writing", "read write pread64 pwrite64"),
  ...rare("reading and writing in pieces", "preadv pwritev writev"),
  ...plain("the image gets its size, and is brought to the disk", "ftruncate fdatasync"),
  ...rare("zeroes that take no room", "fallocate"),
  ...plain("waiting for descriptors", "ppoll eventfd2"),
  ...plain("waiting for many descriptors is got ready", "epoll_create1"),
  ...rare("waiting for many descriptors", "poll epoll_ctl epoll_wait"),
];

/** What qemu-img, setpriv and their libraries were seen to try and do without. */
const WITHOUT: CallList["without"] = [
  { name: "io_uring_setup", why: "another way to read and write: threads serve" },
  { name: "ioctl", why: "what the file system says of an image's place: the answer is not needed" },
  { name: "get_mempolicy", why: "libnuma asks; nothing is bound to NUMA nodes" },
  { name: "set_mempolicy", why: "libnuma tries what the kernel has" },
  { name: "getdents64", why: "libnuma lists sysfs, which the jail has not" },
  {
    name: "readlinkat",
    why: "the resolver of paths has links of its own to follow: there are none",
  },
  { name: "fstatfs", why: "libcap-ng looks whether it has procfs" },
  { name: "statfs", why: "libselinux looks for its file system" },
  { name: "socket", why: "the C library looks for a name service: the jail has none" },
];

/** What qemu-img may call. */
export const DISK_CALLS: CallList = {
  allowed: [...TESTED, ...PLAIN],
  // As for QEMU: libc then makes threads by clone, whose flags can be tested.
  absent: ["clone3"],
  without: WITHOUT,
};

/** The filter as the image holds it. */
export const DISK_FILTER = seccompFilter(DISK_CALLS);
