/**
 * The system calls that a guest's QEMU may make, each with what it is needed for: those that
 * `tools/seccomp_record.ts` has seen in all device sets there are, from setpriv's first instruction on,
 * and a few marked as rare. A new device, or another thing that QEMU is asked to do, is recorded again.
 * Data alone.
 */

import { type AllowedCall, type CallList, filterHash, seccompFilter } from "./filter.ts";
import { AF_UNIX, any, plain, rare, setprivCalls } from "./rows.ts";

/** linux/kvm.h: KVMIO, the type byte of all of KVM's requests. */
const KVM_TYPE = 0xae00;
/** _IOC_TYPEMASK, where it stands in a request. */
const TYPE_MASK = 0xff00;

/** linux/sched.h. */
const CLONE_THREAD = 0x00010000;
/** Every CLONE_NEW* flag that clone takes (CLONE_NEWTIME is for clone3 and unshare alone). */
const CLONE_NEW = 0x7e020000;

/** Calls whose arguments are looked at. The most frequent stands first. */
const TESTED: readonly AllowedCall[] = [
  {
    name: "ioctl",
    why: "KVM, and nothing else: no terminal, no block device, no network interface",
    when: [{ argument: 1, mask: TYPE_MASK, equals: KVM_TYPE }],
  },
  {
    name: "clone",
    why: "a thread of its own: no process, no namespace",
    when: [{ argument: 0, mask: CLONE_THREAD | CLONE_NEW, equals: CLONE_THREAD }],
  },
  {
    name: "socket",
    why: "unix sockets: QMP, console, agent, saved state, TPM",
    when: any(0, [AF_UNIX]),
  },
  {
    name: "socketpair",
    why: "the line to the guest's TPM",
    when: any(0, [AF_UNIX]),
  },
  {
    name: "fcntl",
    why: "flags of descriptors (F_GETFD to F_SETFL) and disk locks (F_OFD_GETLK, F_OFD_SETLK)",
    when: any(1, [1, 2, 3, 4, 36, 37]),
  },
  {
    name: "prctl",
    why: "setpriv's drop of capabilities, no_new_privs, and what QEMU says of its threads: " +
      "PR_SET_KEEPCAPS, PR_SET_NAME, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_GET_SECUREBITS, " +
      "PR_SET_TIMERSLACK, PR_MCE_KILL, PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT",
    when: any(0, [8, 15, 23, 24, 27, 29, 33, 38, 39, 47]),
  },
];

const PLAIN: readonly AllowedCall[] = [
  ...setprivCalls("QEMU"),

  ...plain(
    "the C library starts a program or thread",
    "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom",
  ),
  ...plain("memory", "brk mmap munmap mprotect madvise"),
  ...rare("memory: a large piece grows", "mremap"),
  ...plain("threads: waiting and waking, and how many CPUs there are", "futex sched_getaffinity"),
  ...plain("threads: identity and end", "gettid getpid getppid exit exit_group"),
  ...plain(
    "signals between its own threads (tgkill: KVM's kicks, abort)",
    "rt_sigaction rt_sigprocmask rt_sigreturn tgkill signalfd4",
  ),
  ...rare("a wait goes on after a stop (SIGSTOP) and a continue", "restart_syscall"),
  ...plain(
    "time; the first two where the kernel's page for it cannot be used",
    "clock_gettime gettimeofday clock_nanosleep",
  ),

  ...plain(
    "its firmware, libraries and disks, read-only but for what is bound so",
    "openat newfstatat access readlink lseek close",
  ),
  ...plain("reading and writing", "read write pread64 pwrite64 preadv pwritev"),
  ...rare("the C library's last words", "writev"),
  ...plain("disks: flush, discard and zeroes", "fdatasync fallocate"),
  ...plain("saved state in: what the cache has of a disk is dropped", "fadvise64"),
  ...plain("waiting for descriptors", "poll ppoll epoll_create1 eventfd2"),
  ...rare("waiting for more than 64 descriptors, as with many CPUs", "epoll_ctl epoll_wait"),
  ...plain(
    "unix sockets",
    "bind listen accept4 connect getsockname getpeername sendmsg recvmsg shutdown unlink",
  ),
  ...plain("how much memory there is, for the size of caches", "sysinfo"),
  ...plain("KVM: whether the host can run 64-bit guests", "uname"),
];

/** What QEMU and its libraries were seen to try and do without. */
const WITHOUT: CallList["without"] = [
  { name: "io_uring_setup", why: "another way to wait and to read disks: epoll and threads serve" },
  { name: "get_mempolicy", why: "libnuma asks; nothing is bound to NUMA nodes" },
  { name: "set_mempolicy", why: "libnuma tries what the kernel has" },
  { name: "memfd_create", why: "memory shared with other processes: there are none" },
  { name: "statfs", why: "libselinux looks for its file system" },
  { name: "fstatfs", why: "libcap-ng looks whether it has procfs" },
  { name: "getdents64", why: "libdaxctl lists sysfs" },
  { name: "fchdir", why: "libdaxctl walks sysfs, which the jail has not" },
  { name: "setsockopt", why: "a migration tries SO_ZEROCOPY, which unix sockets have not" },
];

/** What QEMU may call. */
export const QEMU_CALLS: CallList = {
  allowed: [...TESTED, ...PLAIN],
  // libc then makes threads by clone, whose flags can be tested; clone3's lie in memory.
  absent: ["clone3"],
  without: WITHOUT,
};

/** The filter as the image holds it. */
export const QEMU_FILTER = seccompFilter(QEMU_CALLS);
/** What a plan names: the launcher refuses to start QEMU behind another filter. */
export const QEMU_FILTER_SHA256 = filterHash(QEMU_FILTER);
