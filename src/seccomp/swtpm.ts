/**
 * The system calls that a guest's TPM (swtpm) may make, each with what it is needed for, from setpriv's
 * first instruction to its end: recorded by `tools/seccomp_beside.ts`, under strace on a machine of the
 * builder's, in the image's own root and by the launcher's own lines, with a guest that uses its TPM and is
 * reset; and a few marked as rare. It has no thread, no KVM and no disk. Data alone.
 */

import { type AllowedCall, type CallList, filterHash, seccompFilter } from "./filter.ts";
import { AF_UNIX, any, plain, rare, setprivCalls } from "./rows.ts";

/** Calls whose arguments are looked at. */
const TESTED: readonly AllowedCall[] = [
  { name: "socket", why: "the socket on which QEMU comes", when: any(0, [AF_UNIX]) },
  {
    name: "fcntl",
    why: "flags of descriptors (F_GETFD to F_SETFL) and the lock of its folder (F_SETLK)",
    when: any(1, [1, 2, 3, 4, 6]),
  },
  {
    name: "prctl",
    why: "setpriv's drop of capabilities and no_new_privs: PR_SET_KEEPCAPS, " +
      "PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_GET_SECUREBITS, PR_SET_NO_NEW_PRIVS, " +
      "PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT",
    when: any(0, [8, 23, 24, 27, 38, 39, 47]),
  },
];

const PLAIN: readonly AllowedCall[] = [
  ...setprivCalls("swtpm"),
  ...plain(
    "the C library starts a program",
    "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom",
  ),
  ...plain("memory", "brk mmap munmap mprotect"),
  ...rare("memory: a large piece grows or is given back", "mremap madvise"),
  ...plain("OpenSSL begins once", "futex"),
  ...plain("identity and end", "getpid gettid exit_group"),
  ...plain("the signal that asks it to end", "rt_sigaction"),
  ...rare("the signal that asks it to end, or to abort", "rt_sigprocmask rt_sigreturn tgkill"),
  ...rare("a wait goes on after a stop (SIGSTOP) and a continue", "restart_syscall"),
  ...plain("the TPM's own clock", "clock_gettime"),
  ...plain(
    "its libraries, read-only, and its state",
    "openat newfstatat access close pread64 read",
  ),
  ...plain("its state is written beside and renamed", "write fchmod rename unlink"),
  ...rare("its state on the disk", "fsync fdatasync lseek"),
  ...plain("waiting for QEMU", "poll pipe2"),
  ...plain("QEMU comes on a unix socket", "bind chmod listen accept recvmsg"),
  ...rare("the C library's last words", "writev"),
];

/** What swtpm may call. */
export const SWTPM_CALLS: CallList = {
  allowed: [...TESTED, ...PLAIN],
  absent: ["clone3"],
  without: [{ name: "connect", why: "the C library looks for a service of names (nscd)" }],
};

/** The filter as the image holds it. */
export const SWTPM_FILTER = seccompFilter(SWTPM_CALLS);
/** What a plan names: the launcher refuses to start swtpm behind another filter. */
export const SWTPM_FILTER_SHA256 = filterHash(SWTPM_FILTER);
