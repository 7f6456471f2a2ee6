/**
 * The system calls that the DHCP client of an uplink may make, with the script that it starts and what that
 * starts (busybox, nft): recorded by `tools/seccomp_dhcp.ts`, under strace on a machine of the builder's, in
 * the image's own root and by the launcher's own lines, and a few marked as rare. It has two capabilities
 * over the uplink's namespace, so what it may ask the kernel there is named by its arguments. Data alone.
 */

import { type AllowedCall, type CallList, seccompFilter } from "./filter.ts";
import { AF_UNIX, any, plain, rare, setprivCalls } from "./rows.ts";

const AF_INET = 2;
const AF_NETLINK = 16;
const AF_PACKET = 17;
/** What fork(3) of the C library asks: CLONE_CHILD_SETTID, CLONE_CHILD_CLEARTID and SIGCHLD (17). */
const FORK = 0x01200011;

/** Calls whose arguments are looked at. */
const TESTED: readonly AllowedCall[] = [
  {
    name: "socket",
    why:
      "packets before there is an address, UDP with one, the kernel's tables, an interface's number",
    when: any(0, [AF_UNIX, AF_INET, AF_NETLINK, AF_PACKET]),
  },
  {
    name: "setsockopt",
    why:
      "of sockets: SO_REUSEADDR, SO_BROADCAST, SO_BINDTODEVICE, SO_SNDBUFFORCE, SO_RCVBUFFORCE, " +
      "PACKET_AUXDATA, NETLINK_EXT_ACK; no filter of packets, which would be a program in the kernel",
    when: any(2, [2, 6, 25, 32, 33, 8, 11]),
  },
  {
    name: "ioctl",
    why: "an interface's number (SIOCGIFINDEX) and its hardware address (SIOCGIFHWADDR)",
    when: any(1, [0x8933, 0x8927]),
  },
  {
    name: "clone",
    why: "a process of its own, as fork makes it: no namespace, no thread",
    when: any(0, [FORK]),
  },
  {
    name: "fcntl",
    why: "flags of descriptors (F_GETFD to F_SETFL) and their copies (F_DUPFD, F_DUPFD_CLOEXEC)",
    when: any(1, [0, 1, 2, 3, 4, 1030]),
  },
  {
    name: "prctl",
    why:
      "setpriv's drop of capabilities and no_new_privs, and busybox's question for its own name: " +
      "PR_SET_KEEPCAPS, PR_GET_NAME, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_GET_SECUREBITS, " +
      "PR_SET_NO_NEW_PRIVS, PR_GET_NO_NEW_PRIVS, PR_CAP_AMBIENT",
    when: any(0, [8, 16, 23, 24, 27, 38, 39, 47]),
  },
];

const PLAIN: readonly AllowedCall[] = [
  ...setprivCalls("the client, the client its script, and that nft").filter(({ name }) =>
    name !== "seccomp"
  ),
  ...plain("busybox takes the ids that it has", "getuid getgid geteuid setuid setgid"),
  ...plain("the script and what it starts", "vfork wait4"),
  ...plain(
    "the C library starts a program",
    "arch_prctl set_tid_address set_robust_list rseq prlimit64 getrandom uname",
  ),
  ...plain("memory", "brk mmap munmap mprotect"),
  ...rare("memory: a large piece grows or is given back", "mremap madvise"),
  ...plain("identity and end", "getpid getppid gettid exit_group"),
  ...plain("a signal asks it to renew, or to end", "rt_sigaction rt_sigreturn"),
  ...rare(
    "a signal comes in the middle of a wait, or it aborts",
    "rt_sigprocmask tgkill restart_syscall",
  ),
  ...plain(
    "its libraries and its script, read-only, and the folder of its facts",
    "openat newfstatat access readlink close read pread64 write dup2",
  ),
  ...plain("what a server said is written beside and renamed", "rename unlink"),
  ...plain("waiting for an answer", "poll pselect6 pipe2"),
  ...rare("waiting after an error of its socket", "clock_nanosleep"),
  ...rare("time, where the kernel's page for it cannot be used", "clock_gettime gettimeofday"),
  ...plain(
    "packets and the kernel's tables",
    "bind connect getsockname getsockopt sendto sendmsg recvfrom recvmsg",
  ),
  ...rare("the C library's last words, and files that it has read a part of", "writev lseek"),
];

/** What it may call. */
export const DHCP_CALLS: CallList = {
  allowed: [...TESTED, ...PLAIN],
  absent: ["clone3"],
  without: [],
};

/** The filter as the image holds it. */
export const DHCP_FILTER = seccompFilter(DHCP_CALLS);
