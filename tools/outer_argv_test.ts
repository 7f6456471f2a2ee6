import assert from "node:assert/strict";
import { outerArgv, type OuterMachineSpec } from "./outer_argv.ts";

const SPEC: OuterMachineSpec = {
  kernel: "/k",
  initramfs: "/i",
  append: "a b",
  disks: [{ path: "/d,1" }, { path: "/e", readonly: true }],
  kvm: true,
  smp: 2,
  memoryMiB: 1024,
  extra: ["-device", "x"],
};

Deno.test("outerArgv gives the machine no network", () => {
  const argv = outerArgv(SPEC, "/run");
  assert.ok(argv.includes("-nodefaults"));
  assert.deepEqual(argv.filter((word) => /net/u.test(word)), []);
});

Deno.test("outerArgv takes SVM from the CPU without kvm", () => {
  const cpuOf = (kvm: boolean) => {
    const argv = outerArgv({ ...SPEC, kvm }, "/run");
    return argv[argv.indexOf("-cpu") + 1];
  };
  assert.equal(cpuOf(true), "max");
  assert.equal(cpuOf(false), "max,-svm");
});

Deno.test("outerArgv keeps commas in paths and read-only disks read-only", () => {
  const argv = outerArgv(SPEC, "/run/a,b");
  assert.ok(argv.includes("socket,id=qmp,path=/run/a,,b/qmp.sock,server=off"));
  const disks = argv.filter((word) => word.startsWith('{"driver":"raw"')).map((word) =>
    JSON.parse(word)
  );
  assert.deepEqual(disks.map((disk) => [disk.file.filename, disk["read-only"]]), [
    ["/d,1", false],
    ["/e", true],
  ]);
  assert.deepEqual(argv.slice(-2), ["-device", "x"]);
});
