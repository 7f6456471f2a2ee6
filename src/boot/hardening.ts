/**
 * The host's own hardening as one table: what is switched off or narrowed in the kernel, where it says
 * so, and why. The build writes the lines that stage 0 applies from it, `ray doctor hardening` reads
 * every row back from the kernel, and the documentation prints it. It changes nothing itself.
 *
 * Sources: Documentation/admin-guide/sysctl/ of Linux 6.1, and the pages named by the paths.
 */

/** Who makes it so. `kernel`: its default, which is only read back. */
export type MadeBy = "stage 0" | "module option" | "kernel";

export interface Hardening {
  readonly id: string;
  readonly what: string;
  /** The kernel's own paths; of several the one that is there counts, e.g. one for each maker of CPUs. */
  readonly where: readonly string[];
  /** Texts of which the file must have one, without its line end. */
  readonly wanted: readonly string[];
  readonly by: MadeBy;
  readonly reason: string;
  /** True: where no path is there, there is nothing to harden. */
  readonly mayLack?: true;
}

const sysctl = (
  id: string,
  name: string,
  value: string,
  what: string,
  reason: string,
): Hardening => ({
  id,
  what,
  where: [`/proc/sys/${name}`],
  wanted: [value],
  by: "stage 0",
  reason,
});

/** The table, in the order in which stage 0 applies it. */
export const HARDENING: readonly Hardening[] = [
  sysctl(
    "ctrl_alt_del",
    "kernel/ctrl-alt-del",
    "0",
    "Ctrl-Alt-Del",
    "nobody at the keyboard restarts the host, nor a guest that is shown the keys",
  ),
  sysctl(
    "sysrq",
    "kernel/sysrq",
    "0",
    "SysRq",
    "no key and no break on the serial line kills, dumps or restarts anything",
  ),
  sysctl(
    "file_max",
    "fs/file-max",
    "9223372036854775807",
    "the count of open files",
    "no guest's shares use up what others open; what it opens counts as memory of its own cgroup",
  ),
  sysctl(
    "kexec",
    "kernel/kexec_load_disabled",
    "1",
    "another kernel loaded from the running one",
    "a root gone wrong cannot replace the kernel that the boot measured",
  ),
  sysctl(
    "unprivileged_bpf",
    "kernel/unprivileged_bpf_disabled",
    "1",
    "bpf(2) without privilege",
    "no user of the kernel's verifier; 1 cannot be undone before a restart",
  ),
  sysctl(
    "bpf_jit",
    "net/core/bpf_jit_harden",
    "2",
    "constants in compiled BPF",
    "the filters of jails are compiled too: their constants are blinded, so that none spell code",
  ),
  sysctl(
    "kernel_addresses",
    "kernel/kptr_restrict",
    "2",
    "kernel addresses in files",
    "they help an exploit and nobody here",
  ),
  sysctl(
    "kernel_log",
    "kernel/dmesg_restrict",
    "1",
    "the kernel's log for others than root",
    "it has addresses, and what other guests' jails made the kernel say",
  ),
  sysctl(
    "perf_events",
    "kernel/perf_event_paranoid",
    "3",
    "perf_event_open(2) without privilege",
    "counters of the CPU show what other guests do (3: Debian's kernel refuses all)",
  ),
  sysctl(
    "ptrace",
    "kernel/yama/ptrace_scope",
    "3",
    "attaching to a process",
    "no process of the host debugs another, root's included, until a restart",
  ),
  sysctl(
    "user_namespaces",
    "user/max_user_namespaces",
    "0",
    "user namespaces",
    "jails need none, and in one of its own a captured process has every capability to try with",
  ),
  sysctl(
    "userfaultfd",
    "vm/unprivileged_userfaultfd",
    "0",
    "userfaultfd(2) for the kernel's own faults",
    "it stops the kernel in the middle of a copy, which exploits of races want",
  ),
  sysctl(
    "line_disciplines",
    "dev/tty/ldisc_autoload",
    "0",
    "line disciplines loaded on request",
    "old code that nothing here uses",
  ),
  sysctl(
    "core_pattern",
    "kernel/core_pattern",
    "/nowhere/core",
    "memory written down when a process dies",
    "QEMU's memory is the guest's: the folder exists in no root, and no helper is started",
  ),
  sysctl(
    "setuid_dumps",
    "fs/suid_dumpable",
    "0",
    "dumps of a process that changed its ids",
    "as setpriv does before QEMU",
  ),
  sysctl(
    "hard_links",
    "fs/protected_hardlinks",
    "1",
    "hard links to others' files",
    "a jail's uid owns what it may link",
  ),
  sysctl(
    "symbolic_links",
    "fs/protected_symlinks",
    "1",
    "others' links in sticky folders",
    "the host follows none that a jail has put there",
  ),
  sysctl(
    "fifos",
    "fs/protected_fifos",
    "2",
    "others' FIFOs in sticky folders",
    "the host opens none in the place of a file",
  ),
  sysctl(
    "sticky_files",
    "fs/protected_regular",
    "2",
    "others' files in sticky folders",
    "the host opens none in the place of one that it would make",
  ),
  sysctl(
    "panic_on_oops",
    "kernel/panic_on_oops",
    "1",
    "a kernel that lost track of itself",
    "it ends at once and leaves a record, instead of going on with what may be wrong",
  ),
  sysctl(
    "panic_restart",
    "kernel/panic",
    "10",
    "seconds from a panic to the restart",
    "nobody stands there to press the button; the next boot reports it",
  ),
  {
    id: "address_space",
    what: "random addresses of programs",
    where: ["/proc/sys/kernel/randomize_va_space"],
    wanted: ["2"],
    by: "kernel",
    reason: "an exploit of QEMU has to find out where it is",
  },
  {
    id: "nested",
    what: "a hypervisor inside a guest",
    where: [
      "/sys/module/kvm_amd/parameters/nested",
      "/sys/module/kvm_intel/parameters/nested",
    ],
    wanted: ["0", "N"],
    by: "module option",
    reason: "most of KVM's hard code serves it; QEMU is told so too (svm=off, vmx=off)",
    mayLack: true,
  },
  {
    id: "same_page_merging",
    what: "equal pages of guests put together (KSM)",
    where: ["/sys/kernel/mm/ksm/run"],
    wanted: ["0"],
    by: "kernel",
    reason:
      "its timing tells a guest what another one has in memory; QEMU asks for none (mem-merge)",
  },
  // The last: nothing that comes after it can load a module, stage 0 included.
  sysctl(
    "modules",
    "kernel/modules_disabled",
    "1",
    "kernel modules after stage 0",
    "no request, plugged device or root gone wrong brings code into the kernel until a restart",
  ),
];

/** Where the kernel says what it does about each known fault of the CPU; reported, not judged. */
export const CPU_FAULTS = "/sys/devices/system/cpu/vulnerabilities";

/** What the kernel says of the host's screen, where there is one. */
export const FRAMEBUFFER = "/sys/class/graphics/fb0";

/** The folders of sysfs that stage 0 shows to the program, below its own place. */
export const SYSFS_SHOWN: readonly string[] = [
  ...new Set(
    HARDENING.flatMap((row) => row.where).filter((path) => path.startsWith("/sys/"))
      .map((path) => path.slice(0, path.lastIndexOf("/"))),
  ),
  CPU_FAULTS,
  FRAMEBUFFER,
];

/** The file that stage 0 applies: `<path> <value>` a line. */
export function renderHardening(): string {
  return HARDENING.filter((row) => row.by === "stage 0")
    .map((row) => `${row.where[0]} ${row.wanted[0]}\n`).join("");
}

/** The file that tells stage 0 which folders of sysfs to show, one a line. */
export function renderSysfsShown(): string {
  return SYSFS_SHOWN.map((path) => `${path}\n`).join("");
}

/** What the kernel says of one row. */
export interface HardeningFound {
  readonly id: string;
  readonly where: string;
  readonly wanted: readonly string[];
  /** Null: no such file. */
  readonly found: string | null;
  readonly holds: boolean;
  readonly reason: string;
}

/** Holds every row against the kernel. @param read a kernel file's text, or null where it has none */
export function readHardening(read: (path: string) => string | null): HardeningFound[] {
  return HARDENING.map((row) => {
    const texts = row.where.map((where) => ({ where, text: read(where)?.trimEnd() ?? null }));
    const there = texts.find((one) => one.text !== null) ?? texts[0];
    const found = there?.text ?? null;
    return {
      id: row.id,
      where: there?.where ?? "",
      wanted: row.wanted,
      found,
      holds: found === null ? row.mayLack === true : row.wanted.includes(found),
      reason: row.reason,
    };
  });
}
