/**
 * What the hostile program of test/hostile/escape/ tries from QEMU's place, as data: each row with what
 * it is after, and the walls that stop it in the order in which the kernel meets them, each with the
 * answer it gives. A jail of some of the walls stops exactly the rows of which it has a wall; the boot
 * test holds that for the whole jail, for none, and for each wall alone. It starts nothing.
 */

/** The walls, each with what makes it and what its twin has instead. */
export const WALLS = {
  seccomp: [
    "allow-list of system calls (`src/seccomp/qemu.ts`)",
    "no filter",
  ],
  uid: ["the slot's own uid and gid", "root's"],
  caps: ["no capability in any set", "all capabilities, ambient too"],
  root: [
    "a root that holds QEMU alone, and a /dev of two nodes",
    "the host's /var, /run, /proc, /sys, /etc and /dev at their places",
  ],
  pid: ["pid namespace", "the host's"],
  net: ["network namespace", "the host's"],
  ipc: ["IPC namespace", "the host's"],
  uts: ["UTS namespace", "the host's"],
  cgroup_ns: ["cgroup namespace", "the host's"],
  read_only: ["root, /g, /n, /t and kernel mounted read-only", "writable"],
  nodev: ["/tmp mounted nodev", "device nodes work there"],
  nosymfollow: ["the guest's socket folder mounted nosymfollow", "links are followed"],
  descriptors: ["no descriptor but the three is handed on", "one of the host's is left open"],
  rlimits: ["limits of descriptors, core file and locked memory", "the kernel's own"],
  file_size: ["no file grows beyond the largest disk", "no limit"],
  memory: ["`memory.max` with `memory.oom.group`", "max"],
  pids: ["`pids.max`", "max"],
  tmp_size: ["/tmp of 16 MiB", "no size"],
  socket_space: ["the guest's socket folder: 256 KiB, 64 inodes", "16 MiB, 4096 inodes"],
  log_size: ["the file system of its messages: 64 KiB", "16 MiB"],
  nosuid: ["root mounted nosuid", "a bare chroot without it"],
  no_new_privs: ["no_new_privs", "a bare chroot without it"],
} as const satisfies Record<string, readonly [is: string, twin: string]>;

export type Wall = keyof typeof WALLS;

/**
 * Walls that stop a row together: taken away either of them, the row gets through (a file of root's is
 * open to root, and to whoever has the capability). Mostly one.
 */
export type Together = readonly [Wall, ...Wall[]];

/** An errno's name; `own`: the call worked and reached nothing but the jail's own; or how it ended. */
export type Answer = string;

export interface Row {
  readonly name: string;
  readonly tries: string;
  readonly walls: readonly (readonly [Answer, ...Together])[];
  /** Ends the program, or wants another plan: it is run by itself, and only where it has a meaning. */
  readonly alone?: true;
  /** Too long for every run. */
  readonly full?: true;
}

const SECCOMP = ["EPERM", "seccomp"] as const;
const CAPS = ["EPERM", "caps"] as const;
const NOT_THERE = ["ENOENT", "root"] as const;
const NOT_OWNER = ["EACCES", "uid", "caps"] as const;
/** Another guest's: not even root opens it without the capability. */
const NOT_ROOTS = ["EACCES", "caps"] as const;
const NO_PROCESS = ["ESRCH", "pid"] as const;

/** A file of the host's that only its owner or a capability opens. */
const hidden = (name: string, tries: string): Row => ({
  name,
  tries,
  walls: [NOT_THERE, NOT_OWNER],
});
const row = (name: string, tries: string, ...walls: Row["walls"]): Row => ({ name, tries, walls });

export const ROWS: readonly Row[] = [
  row(
    "signal_supervisor",
    "send a signal to the program that supervises it",
    SECCOMP,
    NO_PROCESS,
    ["EPERM", "uid", "caps"],
  ),
  row("signal_other_guest", "send a signal to another guest's QEMU", SECCOMP, NO_PROCESS, CAPS),
  row(
    "signal_by_thread",
    "the same by tgkill, which the filter lets through",
    NO_PROCESS,
    ["EPERM", "uid", "caps"],
  ),
  row("ptrace", "trace another guest's QEMU", SECCOMP, NO_PROCESS, CAPS),
  row(
    "memory_of_other_guest",
    "read another guest's QEMU by process_vm_readv",
    SECCOMP,
    NO_PROCESS,
    CAPS,
  ),
  row(
    "vm_of_other_guest",
    "take another guest's VM descriptor by pidfd_getfd, for KVM's ioctls on it",
    SECCOMP,
    NO_PROCESS,
    CAPS,
  ),
  row("setns", "join the host's namespaces by setns", SECCOMP, NO_PROCESS, CAPS),

  row("disk_of_other_guest", "open another guest's disk", NOT_THERE, NOT_ROOTS),
  hidden("own_saved_state", "open its own saved state"),
  hidden("own_log", "open its own console log"),
  hidden("own_backup", "open the backup of its NVRAM"),
  hidden("own_lease", "open the record that its network's lease is spent"),
  hidden("own_inbox", "open an image that is to be imported for it"),
  hidden("own_outbox", "open an image that was exported of it"),
  row("own_tpm_state", "open the folder with its TPM's state", NOT_THERE, NOT_ROOTS),
  hidden("lease_of_other_guest", "open the record that another guest's lease is spent"),
  hidden("backup_of_other_guest", "open another guest's backup"),
  hidden("inbox_of_other_guest", "open an image that is to be imported for another guest"),
  hidden("outbox_of_other_guest", "open an image that was exported of another guest"),
  row("tpm_state_of_other_guest", "open the state of another guest's TPM", NOT_THERE, NOT_ROOTS),
  hidden("policy", "open the policy for writing"),
  hidden("registry", "open the registry for writing"),
  hidden("host_log", "open the host's log for writing"),
  row("host_file_read", "read a file of the host that all may read", NOT_THERE),
  hidden("host_file_write", "open a file of the host's image for writing"),
  hidden("plan_of_other_guest", "open another guest's launch plan"),
  hidden("network_record", "open the host's record of another guest's network"),
  row("uplink_facts", "open what the DHCP client says of the uplink", NOT_THERE, NOT_ROOTS),
  row(
    "uplink_namespace",
    "join the namespace with the host's NIC by its file",
    NOT_THERE,
    NOT_OWNER,
    SECCOMP,
    CAPS,
  ),
  hidden("host_disk", "open the host's disk as a device"),
  row("physical_memory", "open /dev/mem", NOT_THERE, NOT_OWNER, CAPS),
  row("proc_memory", "open /proc/…/mem of another guest's QEMU", NOT_THERE, NOT_ROOTS),
  row("proc_environment", "open /proc/…/environ of the supervisor", NOT_THERE, NOT_ROOTS),
  row("proc_root", "reach the host's root through /proc/…/root", NOT_THERE, NOT_ROOTS),
  row("core_pattern", "open /proc/sys/kernel/core_pattern for writing", NOT_THERE, [
    "EACCES",
    "uid",
  ]),
  hidden("sysrq", "open /proc/sysrq-trigger"),
  hidden("cgroup_leave", "leave its cgroup by the root's cgroup.procs"),
  hidden("cgroup_own_limit", "raise its own memory.max"),
  hidden("cgroup_of_other_guest", "kill another guest by its cgroup"),
  row("cgroup_mount", "mount the cgroup file system anew", SECCOMP, CAPS, ["own", "cgroup_ns"]),

  row("qmp_of_other_guest", "connect to another guest's QMP socket", NOT_THERE, NOT_ROOTS),
  row("agent_of_other_guest", "connect to another guest's agent socket", NOT_THERE, NOT_ROOTS),
  row("tpm_of_other_guest", "connect to another guest's TPM (swtpm)", NOT_THERE, NOT_ROOTS),
  row("passt_of_other_guest", "connect to another guest's network (passt)", NOT_THERE, NOT_ROOTS),
  hidden("control_socket", "connect to the host's control socket"),
  row(
    "socket_left_for_host",
    "leave a socket in another guest's folder for the host to open",
    NOT_THERE,
    NOT_ROOTS,
  ),
  row("link_left_for_host", "leave a link in its socket folder for the host to follow", SECCOMP, [
    "own",
    "nosymfollow",
  ]),
  row("fifo_left_for_host", "leave a FIFO in its socket folder for the host to hang on", SECCOMP),
  row(
    "hard_link",
    "link another guest's disk into its own folder",
    SECCOMP,
    NOT_THERE,
    NOT_OWNER,
    CAPS,
  ),
  row("device_node", "make a node of the host's disk and open it", SECCOMP, CAPS, [
    "EACCES",
    "nodev",
  ]),
  row(
    "terminal_input",
    "type on the host's console (TIOCSTI)",
    NOT_THERE,
    NOT_OWNER,
    SECCOMP,
    CAPS,
  ),
  row(
    "handle_of_data_root",
    "open RayOS Data's root by its inode number (open_by_handle_at)",
    SECCOMP,
    CAPS,
  ),
  row("disk_immutable", "make its disk immutable, for the host too", SECCOMP, CAPS),
  row(
    "program_of_jail",
    "open the firmware that all guests share for writing",
    NOT_OWNER,
    ["EROFS", "read_only"],
  ),
  row("own_kernel", "open its read-only kernel for writing", NOT_OWNER, ["EROFS", "read_only"]),
  row("file_beside_disk", "make a file beside its disks", ["EROFS", "read_only"], NOT_OWNER),
  row(
    "file_beside_passt",
    "make a file beside its network's socket",
    ["EROFS", "read_only"],
    NOT_ROOTS,
  ),

  row("tcp", "connect to a port of the host", SECCOMP, ["ENETUNREACH", "net"]),
  row("udp", "take the host's address", SECCOMP, ["EADDRNOTAVAIL", "net"]),
  row("raw_socket", "a raw socket on the host's address", SECCOMP, CAPS, ["EADDRNOTAVAIL", "net"]),
  row("packet_socket", "a packet socket in the host's network", SECCOMP, CAPS, ["own", "net"]),
  row("netlink", "ask the host's network by netlink", SECCOMP, ["own", "net"]),
  row("abstract_socket", "connect to an abstract socket of the host", ["ECONNREFUSED", "net"]),
  row("shared_memory", "attach shared memory of the host", SECCOMP, ["ENOENT", "ipc"]),
  row("message_queue", "open a message queue of the host", SECCOMP, ["ENOENT", "ipc"]),

  row("unshare_user", "a user namespace, in which it has all capabilities", SECCOMP),
  row("unshare_mount", "a mount namespace of its own", SECCOMP, CAPS),
  row("clone_user", "a user namespace by clone", SECCOMP),
  row("clone3_user", "a user namespace by clone3, whose flags no filter sees", [
    "ENOSYS",
    "seccomp",
  ]),
  row("mount", "mount a file system", SECCOMP, CAPS),
  row("mount_tree", "copy its mount tree (open_tree)", SECCOMP, CAPS),
  row("chroot", "change its root, the first step of a known way out of a chroot", SECCOMP, CAPS),
  row("become_root", "take root's uid", ["EPERM", "uid", "caps"]),
  row("capabilities", "raise CAP_SYS_ADMIN", CAPS),
  row("group", "take root's group", CAPS),

  row("add_key", "put a key into its user's keyring", SECCOMP),
  row("keyctl", "look up its user's keyring", SECCOMP),
  row("bpf", "make a BPF map", SECCOMP, CAPS),
  row("perf_event_open", "count what the kernel does", SECCOMP, NOT_ROOTS),
  row("io_uring_setup", "calls that the filter would not see", SECCOMP),
  row("userfaultfd", "hold the kernel at a page fault of its choosing", SECCOMP, CAPS),
  row("reboot", "what Ctrl-Alt-Del does (reboot(2))", SECCOMP, CAPS, ["EINVAL", "pid"]),
  row("io_port", "an I/O port of the machine", SECCOMP, CAPS),
  row("clock", "set the host's clock", SECCOMP, CAPS),
  row("kernel_log", "read the kernel's log", SECCOMP, CAPS),
  row("real_time", "run before everything else (SCHED_FIFO)", SECCOMP, CAPS),
  row("host_name", "change the host's name", SECCOMP, CAPS, ["own", "uts"]),

  row("inherited_descriptors", "use a descriptor that somebody left open", [
    "EBADF",
    "descriptors",
  ]),
  row("more_descriptors", "open 400 files at once", ["EMFILE", "rlimits"]),
  row("descriptor_limit", "raise its limit of descriptors", ["EPERM", "rlimits", "caps"]),
  row("core_dump", "have its memory dumped to a file", ["EPERM", "rlimits", "caps"]),
  row("locked_memory", "lock memory", SECCOMP, ["EPERM", "rlimits", "caps"]),
  row("threads", "start 300 threads", ["EAGAIN", "pids"]),
  row("disk_beyond_its_size", "let its disk grow", ["EFBIG", "file_size"]),
  row("tmp_beyond_its_size", "write 24 MiB to /tmp", ["ENOSPC", "tmp_size"]),
  row("socket_space", "write 1 MiB to its socket folder", ["ENOSPC", "socket_space"]),
  row("socket_inodes", "make 500 files in its socket folder", ["ENOSPC", "socket_space"]),
  row("log_flood", "write 1.5 MiB to the log of QEMU's messages", ["ENOSPC", "log_size"]),
  row("remount", "mount a read-only folder of the jail writable", SECCOMP, CAPS),

  { ...row("memory", "touch 256 MiB", ["killed", "memory"]), alone: true },
  { ...row("inodes", "make 150,000 files in /tmp", ["killed", "memory"]), alone: true, full: true },
  {
    ...row("i386_numbers", "a socket by i386's system call", ["killed", "seccomp"]),
    alone: true,
  },
  {
    ...row(
      "own_tpm_socket",
      "take its TPM's socket away, for one of its own",
      ["EROFS", "read_only"],
      NOT_ROOTS,
    ),
    alone: true,
  },
  {
    ...row("setuid_file", "start a setuid file of root's", ["own", "no_new_privs"], [
      "own",
      "nosuid",
    ]),
    alone: true,
  },
];

/** Which walls a jail has, and which of the rows are tried in it. */
export interface Jail {
  readonly name: string;
  readonly walls: ReadonlySet<Wall>;
  /** `all`: every row that is not run alone; else the one row's name. */
  readonly rows: "all" | string;
}

export const ALL_WALLS = Object.keys(WALLS) as Wall[];

/** Bubblewrap cannot do without these two: only a bare chroot, tried with one row, lacks them. */
export const ALWAYS: readonly Wall[] = ["nosuid", "no_new_privs"];

const together = ({ walls }: Row): Together[] => walls.map(([, ...one]) => one as Together);

function jail(name: string, walls: readonly Wall[], rows: Jail["rows"] = "all"): Jail {
  return { name, walls: new Set(walls), rows };
}

/** The jails of a run: the whole one first, while the machine is as it is. */
export function jails(full: boolean): Jail[] {
  const alone = ROWS.filter((one) => one.alone && (full || !one.full));
  const usual = new Map(
    ROWS.filter((one) => !one.alone).flatMap(together).map((one) => [one.join("+"), one]),
  );
  return [
    jail("whole", ALL_WALLS),
    ...alone.map(({ name }) => jail("whole", ALL_WALLS, name)),
    jail("none", ALWAYS),
    ...[...usual].map(([name, walls]) => jail(`only ${name}`, [...walls, ...ALWAYS])),
    ...alone.flatMap((one) => {
      const base = together(one).flat().some((wall) => ALWAYS.includes(wall)) ? [] : ALWAYS;
      return [
        jail("none", base, one.name),
        ...together(one).map((walls) =>
          jail(`only ${walls.join("+")}`, [...walls, ...base], one.name)
        ),
      ];
    }),
  ];
}

/** The rows that are tried in a jail. */
export function rowsIn({ rows }: Jail): readonly Row[] {
  return ROWS.filter((one) => rows === "all" ? !one.alone : one.name === rows);
}

/** What a row must get in a jail of these walls: the answer of the first that is whole, else `ok`. */
export function answerIn(row: Row, walls: ReadonlySet<Wall>): Answer {
  const stopped = row.walls.find(([, ...one]) => one.every((wall) => walls.has(wall as Wall)));
  return stopped?.[0] ?? "ok";
}
