import assert from "node:assert/strict";
import { jailLines, launcherText, partOf } from "./seccomp_jail.ts";

const PROGRAMS: readonly [launcher: string, program: string][] = [
  ["jail", "/usr/bin/qemu-system-x86_64"],
  ["jail.tpm", "/usr/bin/swtpm socket"],
  ["net", "/usr/bin/passt"],
  ["disk", "/usr/bin/qemu-img"],
  ["uplink", "/usr/bin/busybox udhcpc"],
];

for (const [launcher, program] of PROGRAMS) {
  Deno.test(`jailLines of ${launcher} are its jail from the limits to the program, and no cgroup`, async () => {
    const lines = jailLines(await launcherText(launcher));
    assert.match(lines, /^ *ulimit -c 0$/mu);
    assert.match(lines, /^ *exec 9< /mu);
    assert.match(lines, /--add-seccomp-fd 9 /u);
    assert.ok(lines.includes(program));
    assert.doesNotMatch(lines, /cgroup\.procs|^ *\)/mu);
  });
}

Deno.test("jailLines and partOf refuse a launcher that has not what is asked for", () => {
  assert.throws(() => jailLines("#!/bin/busybox sh\necho ok\n"), /no jail/u);
  assert.throws(() => jailLines("(\n  exec /usr/bin/bwrap --ro-bind / /\n"), /no jail/u);
  assert.throws(() => partOf("echo ok\n", /^case /mu), /it has no/u);
});
