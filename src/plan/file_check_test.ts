import assert from "node:assert/strict";
import type { DataPath } from "../data_path.ts";
import type { FileFacts, Host } from "../host/port.ts";
import { checkFiles } from "./file_check.ts";
import { samplePlan } from "./sample_plan.ts";

const DIRECTORY: FileFacts = {
  type: "directory",
  size: 0,
  uid: 0,
  links: 2,
  device: 1,
  inode: 1,
  modifiedMs: 0,
  changedMs: 0,
};
const FILE: FileFacts = { ...DIRECTORY, type: "file", links: 1, inode: 7 };
const DISK = "/var/rayos/vm/linux/demo/rootfs.ext4";

/** A data root where everything is as it should be but for one path. */
function check(path = "", facts: FileFacts | null = FILE, format: "raw" | "qcow2" = "raw") {
  const host = {
    lstat: (asked: string) => {
      if (asked === path) return facts;
      return /\/(rootfs\.ext4|vmlinuz)$/.test(asked) ? FILE : DIRECTORY;
    },
    head: () => new Uint8Array(512),
  } as unknown as Host;
  const { devices } = samplePlan();
  const plan = samplePlan({
    devices: [...devices.slice(0, 3), { device: "disk", file: "disk0", format }],
  });
  return checkFiles(host, plan);
}

Deno.test("checkFiles gives the facts of each file of a sound plan, by its name in the jail", () => {
  assert.deepEqual(check(), { files: { disk0: FILE, kernel: FILE }, issues: [] });
  assert.deepEqual(check(DISK, { ...FILE, uid: 61000 }).issues, []);
});

const BAD: readonly [what: string, path: string, facts: FileFacts | null, rule: string][] = [
  ["a missing file", DISK, null, "path.missing"],
  ["a missing folder", "/var/rayos/vm/linux/demo", null, "path.missing"],
  ["a symbolic link", DISK, { ...FILE, type: "symlink" }, "path.link"],
  ["a link in the path", "/var/rayos/vm/linux", { ...FILE, type: "symlink" }, "path.link"],
  ["a file in the path", "/var/rayos/vm", FILE, "path.link"],
  ["a device or FIFO", DISK, { ...FILE, type: "other" }, "path.type"],
  ["a directory", DISK, DIRECTORY, "path.type"],
  ["a second name", DISK, { ...FILE, links: 2 }, "path.hard_link"],
  ["a mount in the path", "/var/rayos/vm/linux", { ...DIRECTORY, device: 2 }, "path.mount"],
  ["a file of another file system", DISK, { ...FILE, device: 2 }, "path.mount"],
  ["a file of another slot", DISK, { ...FILE, uid: 61001 }, "path.owner"],
  ["a file of a helper's uid", DISK, { ...FILE, uid: 62000 }, "path.owner"],
  ["a file of somebody's", DISK, { ...FILE, uid: 1000 }, "path.owner"],
];
for (const [what, path, facts, rule] of BAD) {
  Deno.test(`checkFiles refuses ${what}`, () => {
    // What is in the path is found for each of the two files.
    const times = path === DISK ? 1 : 2;
    const rules = check(path, facts).issues.map((one) => one.rule);
    assert.deepEqual(rules, Array.from({ length: times }, () => rule));
  });
}

Deno.test("checkFiles looks at the folder of a TPM, and lets none but root or the TPM's uid own it", () => {
  const folder = "/var/rayos/vm/linux/demo/tpm";
  const tpm = { uid: 62000, stateDir: "vm/linux/demo/tpm" as DataPath, seccomp: "" };
  const rules = (facts: FileFacts | null) => {
    const host = {
      lstat: (path: string) =>
        path === folder ? facts : /\/(rootfs\.ext4|vmlinuz)$/.test(path) ? FILE : DIRECTORY,
      head: () => new Uint8Array(512),
    } as unknown as Host;
    return checkFiles(host, samplePlan({ tpm })).issues.map((one) => [one.rule, one.path]);
  };
  assert.deepEqual(rules(DIRECTORY), []);
  assert.deepEqual(rules({ ...DIRECTORY, uid: 62000 }), []);
  for (
    const [facts, rule] of [
      [null, "path.missing"],
      [FILE, "path.link"],
      [{ ...FILE, type: "symlink" }, "path.link"],
      [{ ...DIRECTORY, device: 2 }, "path.mount"],
      [{ ...DIRECTORY, uid: 62001 }, "path.owner"],
      [{ ...DIRECTORY, uid: 61000 }, "path.owner"],
    ] as const
  ) assert.deepEqual(rules(facts), [[rule, tpm.stateDir]], rule);
});

Deno.test("checkFiles reads the header of a disk that the record calls qcow2", () => {
  assert.deepEqual(check("", FILE, "qcow2").issues.map((one) => [one.rule, one.path]), [
    ["path.disk_format", "vm/linux/demo/rootfs.ext4"],
  ]);
});
