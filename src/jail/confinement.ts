/**
 * What the kernel says of a running jail, held against its spec, field by field. Pure: the texts of
 * procfs and cgroupfs come in as they stand, a list of differences comes out. An empty list is the only
 * thing that lets a guest run its first instruction.
 *
 * Sources: proc(5) (status, mountinfo, limits), cgroup-v2.rst.
 */

import { mountTable } from "../boot/mount_table.ts";
import { wholeDisk } from "../boot/whole_disk.ts";
import type { FileFacts, ProcessFacts } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import { type JailLimits, type JailSpec, NAMESPACES, type TaskRights } from "./spec.ts";

/** Everything that is read back of one jail. */
export interface ObservedJail {
  /** Each process in the jail's cgroup. */
  readonly processes: readonly ProcessFacts[];
  /** Namespaces of the host's own first process. */
  readonly hostNamespaces: Readonly<Record<string, string>>;
  /** The files of the cgroup, by name, without their last newline; looked at where the spec has limits. */
  readonly cgroup: Readonly<Record<string, string | null>>;
  /**
   * Each file that the process may have open: those of the plan as they were when they were checked before
   * the start, by their name in the jail, and what lies in a folder that the jail has as a whole.
   */
  readonly files: Readonly<Record<string, FileFacts>>;
  /** The file that its standard error goes to, on a small file system of its own. */
  readonly errors: FileFacts | null;
  /** `major:minor` of RayOS Data's file system, as mountinfo writes it. */
  readonly dataDevice: string;
  /** /proc/partitions. */
  readonly partitions: string;
}

/** The cgroup files that are compared. */
export const CGROUP_FILES = [
  "cpu.max",
  "memory.max",
  "memory.oom.group",
  "pids.max",
  "io.max",
] as const;

/** How many comparisons a read-back makes is logged, so that a person sees that it was made. */
export interface Verdict {
  readonly issues: readonly Issue[];
  readonly checks: number;
}

class Checks {
  constructor(readonly prefix: string) {}

  readonly issues: Issue[] = [];
  count = 0;

  /** One comparison; a difference names the field. */
  equal(field: string, expected: string, found: string | null | undefined): void {
    this.count++;
    if (found !== expected) this.differ(field, expected, found ?? "nothing");
  }

  differ(field: string, expected: string, found: string): void {
    this.issues.push(issue("vm.confinement", {
      path: `${this.prefix}${field}`,
      expected,
      found: found.slice(0, 200),
      hint: `${
        this.prefix === "share."
          ? "the share was taken away"
          : "the guest was killed before it ran an instruction"
      }; the image's launcher is not the one that this program expects`,
    }));
  }
}

/** Holds what was read back against the spec. */
export function confinementOf(spec: JailSpec, observed: ObservedJail): Verdict {
  const checks = new Checks(spec.prefix);
  checks.equal("processes", "1", String(observed.processes.length));
  for (const process of observed.processes) {
    checks.equal("tasks", "some", process.tasks.length > 0 ? "some" : "none");
    checkTasks(checks, spec, process);
    for (const name of NAMESPACES) {
      const own = process.namespaces[name];
      checks.equal(
        `namespace.${name}`,
        "own",
        own === undefined || own === observed.hostNamespaces[name] ? "the host's" : "own",
      );
    }
    checkMounts(checks, spec, process.mountinfo, observed.dataDevice);
    checkOpenFiles(checks, spec, process, observed);
    checks.equal("limit.core", "0 0", limitOf(process.limits, "Max core file size"));
    if (spec.fileSizeLimited) checkFileSize(checks, spec, process.limits, observed.files);
  }
  if (spec.limits !== null) checkLimits(checks, spec.limits, observed);
  return { issues: checks.issues, checks: checks.count };
}

function checkLimits(checks: Checks, limits: JailLimits, observed: ObservedJail): void {
  const expected: Record<typeof CGROUP_FILES[number], string> = {
    "cpu.max": `${limits.cpuMaxUs} 100000`,
    // The kernel keeps whole pages.
    "memory.max": String(Math.floor(limits.memoryMaxBytes / 4096) * 4096),
    "memory.oom.group": "1",
    "pids.max": String(limits.pidsMax),
    "io.max": ioMax(limits.ioMaxBytesS, wholeDisk(observed.partitions, observed.dataDevice)),
  };
  for (const file of CGROUP_FILES) {
    checks.equal(`cgroup.${file}`, expected[file], observed.cgroup[file]);
  }
}

/** The one line of io.max that a limit gives; none without a limit. */
function ioMax(bytesS: number | null, disk: string): string {
  return bytesS === null ? "" : `${disk} rbps=${bytesS} wbps=${bytesS} riops=max wiops=max`;
}

const NO_CAPABILITY = "0000000000000000";

/** Every task as the spec says, but for the one that may be otherwise. */
function checkTasks(checks: Checks, spec: JailSpec, { pid, tasks }: ProcessFacts): void {
  let { oddTask } = spec;
  for (const { tid, status } of tasks) {
    const own = new Checks(spec.prefix);
    checkTask(own, spec, spec, status);
    if (own.issues.length > 0 && oddTask !== undefined && tid !== pid) {
      const odd = new Checks(spec.prefix);
      checkTask(odd, spec, oddTask, status);
      if (odd.issues.length === 0) {
        oddTask = undefined;
        checks.count += odd.count;
        continue;
      }
    }
    checks.count += own.count;
    checks.issues.push(...own.issues);
  }
}

function checkTask(checks: Checks, spec: JailSpec, rights: TaskRights, status: string): void {
  const field = (name: string): string | undefined =>
    status.match(new RegExp(`^${name}:[ \\t]*(.*?)[ \\t]*$`, "m"))?.[1]?.replace(/\s+/g, " ");
  const four = (id: number) => `${id} ${id} ${id} ${id}`;
  checks.equal("uid", four(spec.uid), field("Uid"));
  checks.equal("gid", four(spec.gid), field("Gid"));
  checks.equal("groups", spec.groups.join(" "), field("Groups"));
  const wanted = rights.capabilities ?? NO_CAPABILITY;
  for (const set of ["Inh", "Prm", "Eff", "Bnd", "Amb"]) {
    checks.equal(`capabilities.${set.toLowerCase()}`, wanted, field(`Cap${set}`));
  }
  checks.equal("no_new_privs", "1", field("NoNewPrivs"));
  checks.equal("seccomp", "2", field("Seccomp"));
  checks.equal("seccomp_filters", String(rights.seccompFilters), field("Seccomp_filters"));
}

function checkMounts(checks: Checks, spec: JailSpec, mountinfo: string, dataDevice: string): void {
  const found = mountTable(mountinfo);
  const places = new Map(found.map((mount) => [mount.place, mount]));
  checks.equal("mounts", String(spec.mounts.length), String(found.length));
  for (const mount of found) {
    if (!spec.mounts.some((one) => one.place === mount.place)) {
      checks.differ(`mount.${mount.place}`, "no such mount", `${mount.type} ${mount.root}`);
    }
  }
  for (const expected of spec.mounts) {
    const field = `mount.${expected.place}`;
    const mount = places.get(expected.place);
    if (mount === undefined) {
      checks.differ(field, "a mount", "nothing");
      continue;
    }
    checks.equal(field, expected.access, mount.options.has("ro") ? "ro" : "rw");
    checks.equal(field, "nosuid", mount.options.has("nosuid") ? "nosuid" : "suid");
    if (expected.root !== null) checks.equal(field, expected.root, mount.root);
    if (expected.of === "data") checks.equal(field, dataDevice, mount.device);
    if (expected.of === "share") checks.equal(field, "ext4", mount.type);
    if (expected.of === "tmpfs" || expected.of === "devtmpfs" || expected.of === "proc") {
      checks.equal(field, expected.of, mount.type);
    }
    if (expected.of !== "devtmpfs") {
      checks.equal(field, "nodev", mount.options.has("nodev") ? "nodev" : "dev");
    }
    for (const option of expected.inert ? ["noexec", "nosymfollow"] : []) {
      checks.equal(field, option, mount.options.has(option) ? option : `no ${option}`);
    }
  }
}

// What QEMU opens that is no file: sockets it made, its event and KVM descriptors, its own memory.
const HARMLESS =
  /^(socket:\[\d+\]|pipe:\[\d+\]|anon_inode:.*|\/dev\/null|\/dev\/kvm|\/memfd:.*|anon_inode:\[.*\])$/;

function checkOpenFiles(
  checks: Checks,
  spec: JailSpec,
  process: ProcessFacts,
  { files, errors }: ObservedJail,
): void {
  const same = (one: { device: number; inode: number }, facts: FileFacts | null | undefined) =>
    facts != null && one.device === facts.device && one.inode === facts.inode;
  for (const open of process.files) {
    checks.count++;
    if (HARMLESS.test(open.target) || spec.opens?.test(open.target)) continue;
    const planned = Object.values(files).some((facts) => same(open, facts));
    if (!planned && !same(open, errors)) {
      checks.differ("open_files", "a file of the plan", open.target);
    }
  }
  for (const file of spec.files) {
    if (!file.heldOpen) continue;
    const held = process.files.some((open) => same(open, files[file.name]));
    checks.equal(
      `file.${file.name}`,
      "open, same device and inode",
      held ? "open, same device and inode" : "another file or none",
    );
  }
}

/** The launcher's least: a guest's own small files, such as its log of errors, are no disks. */
const LEAST_FILE_BYTES = 1024 * 1024;

/** No file may grow beyond the largest disk: RayOS Data is everybody's. */
function checkFileSize(
  checks: Checks,
  spec: JailSpec,
  limits: string,
  files: Readonly<Record<string, FileFacts>>,
): void {
  const sizes = spec.files.filter((file) => file.heldOpen).map(({ name }) =>
    files[name]?.size ?? 0
  );
  // The shell's unit is 512 bytes.
  const most = Math.ceil(Math.max(spec.fileBytes ?? LEAST_FILE_BYTES, ...sizes) / 512) * 512;
  const found = limitOf(limits, "Max file size");
  // A disk that a person has made larger since is no matter of the jail's.
  const holds = /^(\d+) \1$/.test(found) && Number.parseInt(found, 10) <= most;
  checks.equal("limit.fsize", "limited", holds ? "limited" : `${found}, above ${most}`);
}

/** The soft and the hard limit of that name. */
function limitOf(limits: string, name: string): string {
  const line = limits.split("\n").find((one) => one.startsWith(name)) ?? "";
  const [soft, hard] = line.slice(name.length).trim().split(/\s+/);
  return `${soft} ${hard}`;
}
