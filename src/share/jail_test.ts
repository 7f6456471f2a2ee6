import assert from "node:assert/strict";
import type { DataPath } from "../data_path.ts";
import type { ProcessFacts } from "../host/port.ts";
import { confinementOf } from "../jail/confinement.ts";
import { type JailSpec, NAMESPACES } from "../jail/spec.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { servingSpec, type ShareOf, startedSpec } from "./virtiofsd.ts";

const READ: ShareOf = {
  plan: samplePlan(),
  share: 0,
  planned: {
    tag: "docs",
    path: "vm/linux/demo/docs" as DataPath,
    readOnly: true,
    quotaMib: 64,
  },
};
const WRITTEN: ShareOf = { ...READ, planned: { ...READ.planned, readOnly: false } };

const status = (capabilities: string, filters: number) =>
  [
    "Uid:\t63000\t63000\t63000\t63000",
    "Gid:\t63000\t63000\t63000\t63000",
    "Groups:\t",
    ...["Inh", "Prm", "Eff", "Bnd", "Amb"].map((set) => `Cap${set}:\t${capabilities}`),
    "NoNewPrivs:\t1",
    "Seccomp:\t2",
    `Seccomp_filters:\t${filters}`,
  ].join("\n");
const NONE = "0000000000000000";
const KEPT = "0000000000040100";

const ONE_MOUNT =
  "9 1 254:0 /vm/linux/demo/docs / ro,nosuid,nodev,noexec,relatime,nosymfollow - ext4 /dev/vda rw";
const LOOP = "9 1 7:0 / / rw,nosuid,nodev,noexec,relatime,nosymfollow - ext4 /dev/loop0 rw";

/** What is named of a virtiofsd that the kernel describes so. */
function named(spec: JailSpec, changes: Partial<ProcessFacts> = {}): string[] {
  const process: ProcessFacts = {
    pid: 7,
    startTicks: 1,
    tasks: [{ tid: 7, status: status(NONE, 2) }, { tid: 8, status: status(KEPT, 1) }],
    mountinfo: ONE_MOUNT,
    limits:
      `Max core file size        0                    0                    bytes\nMax file size             1048576              1048576              bytes\n`,
    namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[2]`])),
    files: [
      { fd: 3, target: "/var/run/virtiofsd/.v.fs.sock.pid", device: 9, inode: 1 },
      { fd: 4, target: "/proc/1/fd", device: 10, inode: 2 },
      { fd: 7, target: "/share", device: 11, inode: 3 },
      { fd: 8, target: "/share/read-me", device: 11, inode: 4 },
    ],
    ...changes,
  };
  const { issues } = confinementOf(spec, {
    processes: [process],
    hostNamespaces: Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[1]`])),
    cgroup: {},
    files: {},
    errors: null,
    dataDevice: "254:0",
    partitions: "",
  });
  return [...new Set(issues.map((one) => one.path))];
}

Deno.test("servingSpec lets a virtiofsd pass that sees one mount and has one old thread", () => {
  assert.deepEqual(named(servingSpec(READ)), []);
  const written = LOOP;
  const limits =
    `Max core file size        0                    0                    bytes\nMax file size             67108864             67108864             bytes\n`;
  assert.deepEqual(named(servingSpec(WRITTEN), { mountinfo: written, limits }), []);
});

Deno.test("servingSpec names a first thread that still has what it began with", () => {
  const tasks = [{ tid: 7, status: status(KEPT, 1) }];
  const sets = ["inh", "prm", "eff", "bnd", "amb"].map((set) => `share.capabilities.${set}`);
  assert.deepEqual(named(servingSpec(READ), { tasks }), [...sets, "share.seccomp_filters"]);
});

const MOUNTS: readonly [why: string, from: string, to: string][] = [
  ["a share that could be written", "/ ro,", "/ rw,"],
  ["another guest's folder", "demo/docs", "other/docs"],
  ["another file system", "254:0", "254:16"],
  ["set-id bits", "nosuid,", ""],
  ["devices", "nodev,", ""],
  ["programs", "noexec,", ""],
  ["links that are followed", ",nosymfollow", ""],
];
for (const [why, from, to] of MOUNTS) {
  Deno.test(`servingSpec names the mount where it has ${why}`, () => {
    const mountinfo = ONE_MOUNT.replace(from, to);
    assert.notEqual(mountinfo, ONE_MOUNT);
    assert.deepEqual(named(servingSpec(READ), { mountinfo }), ["share.mount./"]);
  });
}

Deno.test("servingSpec names a second mount, a file from elsewhere, a larger file and a host's namespace", () => {
  const spec = servingSpec(READ);
  const second = `${ONE_MOUNT}\n8 1 254:0 /vm /x ro,nosuid,nodev - ext4 /dev/vda rw`;
  assert.deepEqual(named(spec, { mountinfo: second }), ["share.mounts", "share.mount./x"]);
  for (const target of ["/etc/passwd", "/shared", "/proc/1/mem", "/proc/2/fd"]) {
    const files = [{ fd: 9, target, device: 11, inode: 9 }];
    assert.deepEqual(named(spec, { files }), ["share.open_files"], target);
  }
  const limits =
    `Max core file size        0                    0                    bytes\nMax file size             67108864             67108864             bytes\n`;
  assert.deepEqual(named(spec, { limits }), ["share.limit.fsize"]);
  const namespaces = Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[2]`]));
  assert.deepEqual(named(spec, { namespaces: { ...namespaces, net: "net:[1]" } }), [
    "share.namespace.net",
  ]);
});

Deno.test("startedSpec has the share, its socket's folder, procfs and nothing else of the machine", () => {
  const places = startedSpec(READ).mounts.map((mount) => [mount.place, mount.access, mount.of]);
  assert.deepEqual(places, [
    ["/", "ro", "image"],
    ["/dev", "ro", "tmpfs"],
    ["/dev/null", "rw", "devtmpfs"],
    ["/proc", "rw", "proc"],
    ["/proc/sysrq-trigger", "ro", "proc"],
    ["/proc/irq", "ro", "proc"],
    ["/proc/bus", "ro", "proc"],
    ["/share", "ro", "data"],
    ["/v", "rw", "tmpfs"],
    ["/var/run", "rw", "tmpfs"],
  ]);
});
