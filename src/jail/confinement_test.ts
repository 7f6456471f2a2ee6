import assert from "node:assert/strict";
import type { DataPath } from "../data_path.ts";
import type { FileFacts, ProcessFacts } from "../host/port.ts";
import { confinementOf, type ObservedJail } from "./confinement.ts";
import { type JailSpec, jailSpec, tpmSpec } from "./spec.ts";
import { samplePlan } from "../plan/sample_plan.ts";

const spec: JailSpec = jailSpec(samplePlan());
const PLANNED = samplePlan().limits;
const DISK: FileFacts = {
  type: "file",
  size: 1,
  uid: 61000,
  links: 1,
  device: 64768,
  inode: 12,
  modifiedMs: 0,
  changedMs: 0,
};

const STATUS = `Name:\tqemu
Uid:\t61000\t61000\t61000\t61000
Gid:\t61000\t61000\t61000\t61000
Groups:\t36
CapInh:\t0000000000000000
CapPrm:\t0000000000000000
CapEff:\t0000000000000000
CapBnd:\t0000000000000000
CapAmb:\t0000000000000000
NoNewPrivs:\t1
Seccomp:\t2
Seccomp_filters:\t2
`;

const DATA = "/vm/linux/demo";
const MOUNTS: Record<string, string> = {
  "/": "1 0 0:2 /usr/lib/rayos/root/qemu / ro,nosuid,nodev,relatime - rootfs rootfs rw",
  "/dev": "2 1 0:30 / /dev ro,nosuid,nodev,relatime - tmpfs tmpfs rw",
  "/dev/null": "3 2 0:5 /null /dev/null rw,nosuid,relatime - devtmpfs dev rw",
  "/dev/kvm": "4 2 0:5 /kvm /dev/kvm rw,nosuid,relatime - devtmpfs dev rw",
  "/g": "5 1 0:31 / /g ro,nosuid,nodev,relatime - tmpfs tmpfs rw",
  "/g/disk0": `6 5 254:0 ${DATA}/rootfs.ext4 /g/disk0 rw,nosuid,nodev - ext4 /dev/vda rw`,
  "/g/kernel": `7 5 254:0 ${DATA}/vmlinuz /g/kernel ro,nosuid,nodev - ext4 /dev/vda rw`,
  "/s": "8 1 0:21 /00 /s rw,nosuid,nodev,relatime - tmpfs run rw",
  "/tmp": "9 1 0:32 / /tmp rw,nosuid,nodev,relatime - tmpfs tmpfs rw",
};

const NAMESPACES = Object.fromEntries(
  ["mnt", "pid", "net", "ipc", "uts", "cgroup"].map((name) => [name, `${name}:[2]`]),
);
const HOST_NAMESPACES = Object.fromEntries(
  Object.keys(NAMESPACES).map((name) => [name, `${name}:[1]`]),
);

const limits = (fileSize: number | string) =>
  "Max core file size        0                    0                    bytes     \n" +
  `Max file size             ${fileSize}              ${fileSize}              bytes     \n`;

function process(changes: Partial<ProcessFacts> = {}): ProcessFacts {
  return {
    pid: 7,
    startTicks: 1,
    tasks: [{ tid: 7, status: STATUS }, { tid: 8, status: STATUS }],
    mountinfo: Object.values(MOUNTS).join("\n") + "\n",
    limits: limits(1048576),
    namespaces: { ...NAMESPACES, user: "user:[1]" },
    files: [
      { fd: 0, target: "/dev/null", device: 5, inode: 4 },
      { fd: 2, target: "/00", device: 30, inode: 2 },
      { fd: 5, target: "socket:[99]", device: 8, inode: 99 },
      { fd: 9, target: "/g/disk0", device: DISK.device, inode: DISK.inode },
      { fd: 10, target: "anon_inode:kvm-vm", device: 13, inode: 1 },
    ],
    ...changes,
  };
}

function observed(changes: Partial<ObservedJail> = {}): ObservedJail {
  return {
    processes: [process()],
    hostNamespaces: HOST_NAMESPACES,
    cgroup: {
      "cpu.max": `${PLANNED.cpuMaxUs} 100000`,
      "memory.max": String(PLANNED.memoryMaxBytes),
      "memory.oom.group": "1",
      "pids.max": String(PLANNED.pidsMax),
      "io.max": "",
    },
    files: { disk0: DISK, kernel: { ...DISK, inode: 13 } },
    errors: { ...DISK, device: 30, inode: 2 },
    dataDevice: "254:0",
    partitions: " 254        0     131072 vda\n",
    ...changes,
  };
}

function fields(jail: ObservedJail): string[] {
  return [...new Set(confinementOf(spec, jail).issues.map((one) => one.path))];
}

Deno.test("confinementOf finds nothing in a jail that is as planned, and says how much it looked at", () => {
  const verdict = confinementOf(spec, observed());
  assert.deepEqual(verdict.issues, []);
  assert.ok(verdict.checks > 60, String(verdict.checks));
});

const status = (from: string, to: string): ProcessFacts =>
  process({ tasks: [{ tid: 7, status: STATUS }, { tid: 8, status: STATUS.replace(from, to) }] });
const mount = (place: string, from: string, to: string): ProcessFacts => {
  const line = MOUNTS[place]!;
  assert.ok(line.includes(from), `${line} has no ${from}`);
  return process({
    mountinfo: Object.values({ ...MOUNTS, [place]: line.replace(from, to) }).join("\n"),
  });
};

// One row for each field: what is weakened, in one task or one mount alone, and what must be named.
const WEAKENED: readonly [field: string, jail: () => ProcessFacts][] = [
  ["uid", () => status("Uid:\t61000\t61000", "Uid:\t61000\t0")],
  ["gid", () => status("Gid:\t61000", "Gid:\t0")],
  ["groups", () => status("Groups:\t36", "Groups:\t36 0")],
  ["capabilities.inh", () => status("CapInh:\t0000000000000000", "CapInh:\t0000000000000001")],
  ["capabilities.prm", () => status("CapPrm:\t0000000000000000", "CapPrm:\t0000000000000080")],
  ["capabilities.eff", () => status("CapEff:\t0000000000000000", "CapEff:\t000001ffffffffff")],
  ["capabilities.bnd", () => status("CapBnd:\t0000000000000000", "CapBnd:\t00000000000000c0")],
  ["capabilities.amb", () => status("CapAmb:\t0000000000000000", "CapAmb:\t0000000000000001")],
  ["no_new_privs", () => status("NoNewPrivs:\t1", "NoNewPrivs:\t0")],
  ["seccomp", () => status("Seccomp:\t2", "Seccomp:\t0")],
  ["seccomp_filters", () => status("Seccomp_filters:\t2", "Seccomp_filters:\t1")],
  ...Object.keys(NAMESPACES).map((name): [string, () => ProcessFacts] => [
    `namespace.${name}`,
    () => process({ namespaces: { ...NAMESPACES, [name]: `${name}:[1]` } }),
  ]),
  ["namespace.net", () => process({ namespaces: { ...NAMESPACES, net: undefined! } })],
  ["mount./", () => mount("/", "ro,nosuid", "rw,nosuid")],
  ["mount./", () => mount("/", "/usr/lib/rayos/root/qemu", "/")],
  ["mount./g/disk0", () => mount("/g/disk0", "rootfs.ext4", "other.ext4")],
  ["mount./g/disk0", () => mount("/g/disk0", "254:0", "254:16")],
  ["mount./g/kernel", () => mount("/g/kernel", "ro,nosuid", "rw,nosuid")],
  ["mount./tmp", () => mount("/tmp", "nosuid,", "")],
  ["mount./s", () => mount("/s", "nodev,", "")],
  ["mount./s", () => mount("/s", "/00", "/")],
  ["mounts", () => process({ mountinfo: Object.values(MOUNTS).slice(1).join("\n") })],
  ["mount./etc", () =>
    process({
      mountinfo: Object.values(MOUNTS).join("\n") +
        "\n10 1 0:2 /etc /etc ro,nosuid,nodev - rootfs rootfs rw\n",
    })],
  [
    "open_files",
    () =>
      process({
        files: [...process().files, { fd: 11, target: "/g/x", device: 64768, inode: 99 }],
      }),
  ],
  ["file.disk0", () => process({ files: [] })],
  ["limit.core", () => process({ limits: limits(512).replace(/0 /, "unlimited ") })],
  ["limit.fsize", () => process({ limits: limits("unlimited") })],
  ["limit.fsize", () => process({ limits: limits(1048577) })],
  ["tasks", () => process({ tasks: [] })],
];

for (const [field, jail] of WEAKENED) {
  Deno.test(
    `confinementOf names ${field} when that alone is weakened (${jail})`.slice(0, 150),
    () => {
      assert.ok(fields(observed({ processes: [jail()] })).includes(field));
    },
  );
}

for (const file of ["cpu.max", "memory.max", "memory.oom.group", "pids.max"]) {
  Deno.test(`confinementOf names cgroup.${file} when it is unlimited or not there`, () => {
    for (const value of ["max", null]) {
      const cgroup = { ...observed().cgroup, [file]: value };
      assert.deepEqual(fields(observed({ cgroup })), [`cgroup.${file}`]);
    }
  });
}

Deno.test("confinementOf names cgroup.io.max when the disk's speed is another than planned", () => {
  const slow = jailSpec(samplePlan({ limits: { ...samplePlan().limits, ioMaxBytesS: 1048576 } }));
  const right = "254:0 rbps=1048576 wbps=1048576 riops=max wiops=max";
  const named = (of: JailSpec, value: string | null, dataDevice = "254:0") =>
    confinementOf(
      of,
      observed({
        cgroup: { ...observed().cgroup, "io.max": value },
        dataDevice,
        processes: [process({ mountinfo: process().mountinfo.replaceAll("254:0", dataDevice) })],
        partitions: " 254 0 131072 vda\n 254 1 131071 vda1\n 254 16 131072 vdb\n",
      }),
    ).issues.map((one) => one.path);
  assert.deepEqual(named(slow, right), []);
  assert.deepEqual(named(slow, right, "254:1"), []);
  assert.deepEqual(named(spec, ""), []);
  for (
    const wrong of [
      "",
      null,
      right.replace("254:0", "254:16"),
      right.replace("wbps=1048576", "wbps=max"),
      `${right}\n254:16 rbps=1 wbps=1 riops=max wiops=max`,
    ]
  ) assert.deepEqual(named(slow, wrong), ["cgroup.io.max"], `${wrong}`);
  assert.deepEqual(named(spec, right), ["cgroup.io.max"]);
});

Deno.test("confinementOf lets neither no process nor a second one pass", () => {
  assert.deepEqual(fields(observed({ processes: [] })), ["processes"]);
  assert.deepEqual(fields(observed({ processes: [process(), process()] })), ["processes"]);
});

const tpm = tpmSpec(samplePlan({
  tpm: { uid: 62000, stateDir: "vm/linux/demo/tpm" as DataPath, seccomp: "" },
}));

const TPM_MOUNTS = [
  "1 0 0:2 /usr/lib/rayos/root/swtpm / ro,nosuid,nodev,relatime - rootfs rootfs rw",
  "2 1 0:30 / /dev ro,nosuid,nodev,relatime - tmpfs tmpfs rw",
  "3 2 0:5 /null /dev/null rw,nosuid,relatime - devtmpfs dev rw",
  `4 1 254:0 ${DATA}/tpm /state rw,nosuid,nodev - ext4 /dev/vda rw`,
  "5 1 0:21 /00 /t rw,nosuid,nodev,relatime - tmpfs run rw",
].join("\n");

/** A TPM's jail as planned, with the text of its status or mounts changed. */
function tpmFields(from = "", to = "", more: Partial<ProcessFacts> = {}): string[] {
  assert.ok(tpm !== null);
  const as = STATUS.replaceAll("61000", "62000").replace("Groups:\t36", "Groups:\t");
  const changed = (text: string) => text.replace(from, to);
  assert.ok(from === "" || changed(as) !== as || changed(TPM_MOUNTS) !== TPM_MOUNTS, from);
  const found = confinementOf(tpm, {
    ...observed(),
    cgroup: {},
    files: { state: { ...DISK, inode: 20 }, "state/.lock": { ...DISK, inode: 21 } },
    processes: [process({
      tasks: [{ tid: 7, status: changed(as) }],
      mountinfo: changed(TPM_MOUNTS),
      files: [
        { fd: 0, target: "/dev/null", device: 5, inode: 4 },
        { fd: 3, target: "socket:[99]", device: 8, inode: 99 },
        { fd: 4, target: "/state/.lock", device: DISK.device, inode: 21 },
      ],
      ...more,
    })],
  });
  return [...new Set(found.issues.map((one) => one.path))];
}

Deno.test("confinementOf finds nothing in a TPM's jail that is as planned, and names what is weakened in it", () => {
  assert.deepEqual(tpmFields(), []);
  assert.deepEqual(tpmFields("Uid:\t62000\t62000", "Uid:\t62000\t0"), ["tpm.uid"]);
  assert.deepEqual(tpmFields("Groups:\t", "Groups:\t36"), ["tpm.groups"]);
  assert.deepEqual(tpmFields("Seccomp_filters:\t2", "Seccomp_filters:\t1"), [
    "tpm.seccomp_filters",
  ]);
  assert.deepEqual(tpmFields("/tpm /state", "/../other/tpm /state"), ["tpm.mount./state"]);
  assert.deepEqual(tpmFields("/00 /t", "/01 /t"), ["tpm.mount./t"]);
  assert.deepEqual(tpmFields("root/swtpm / ro", "root/swtpm / rw"), ["tpm.mount./"]);
  const namespaces = { ...NAMESPACES, net: "net:[1]" };
  assert.deepEqual(tpmFields("", "", { namespaces }), ["tpm.namespace.net"]);
  assert.deepEqual(tpmFields("", "", { limits: limits("unlimited") }), ["tpm.limit.fsize"]);
  const files = [{ fd: 9, target: "/state/x", device: DISK.device, inode: 99 }];
  assert.deepEqual(tpmFields("", "", { files }), ["tpm.open_files"]);
});

const ODD = "0000000000040100";
const ODD_STATUS = STATUS
  .replaceAll(/^(Cap\w+:\t).*$/gm, `$1${ODD}`)
  .replace("Seccomp_filters:\t2", "Seccomp_filters:\t1");

Deno.test("confinementOf lets one task beside the first be otherwise, in exactly what the spec says", () => {
  const odd = { ...spec, oddTask: { capabilities: ODD, seccompFilters: 1 } };
  const named = (...texts: string[]) =>
    confinementOf(
      odd,
      observed({
        processes: [process({ tasks: texts.map((text, n) => ({ tid: 7 + n, status: text })) })],
      }),
    ).issues.length > 0;
  assert.equal(named(STATUS, ODD_STATUS), false);
  assert.equal(named(STATUS, STATUS), false);
  assert.equal(named(ODD_STATUS, STATUS), true, "the first task");
  assert.equal(named(STATUS, ODD_STATUS, ODD_STATUS), true, "a second one");
  assert.equal(named(STATUS, ODD_STATUS.replace(ODD, "0000000000240100")), true, "one more");
  assert.equal(named(STATUS, ODD_STATUS.replace("Seccomp:\t2", "Seccomp:\t0")), true, "no filter");
  assert.equal(named(STATUS, ODD_STATUS.replace("Uid:\t61000", "Uid:\t0")), true, "another uid");
  assert.equal(
    fields(
      observed({
        processes: [
          process({ tasks: [{ tid: 7, status: STATUS }, { tid: 8, status: ODD_STATUS }] }),
        ],
      }),
    ).length > 0,
    true,
  );
});
