import assert from "node:assert/strict";
import { HARDENING } from "../boot/hardening.ts";
import { doctorHardening, type Looking } from "./doctor.ts";

/** A host on which every row holds, but for the texts that a test gives by the kernel's own path. */
function host(changes: Record<string, string> = {}): Looking {
  const files: Record<string, string> = {
    ...Object.fromEntries(HARDENING.map((row) => [row.where[0], `${row.wanted[0]}\n`])),
    ...changes,
  };
  const kernelPath = (path: string) => path.replace(/^\/run\/rayos/, "");
  return {
    readText: (path) => files[kernelPath(path)] ?? null,
    list(path) {
      assert.ok(path.startsWith("/run/rayos/sys"));
      const under = `${kernelPath(path)}/`;
      const names = Object.keys(files).filter((one) => one.startsWith(under))
        .map((one) => one.slice(under.length).split("/")[0] ?? "");
      return [...new Set(names)];
    },
  };
}

const FAULT = "/sys/devices/system/cpu/vulnerabilities/spectre_v2";

Deno.test("doctorHardening exits 0 where every row holds, and reports the CPU without judging it", () => {
  const cpu = { [FAULT]: "Vulnerable\n" };
  const result = doctorHardening(host(cpu), false);
  assert.equal(result.exit, 0);
  assert.equal(result.stdout.match(/^holds {6}/gm)?.length, HARDENING.length);
  assert.match(result.stdout, /^reported {3}spectre_v2 +Vulnerable$/m);
  const json = JSON.parse(doctorHardening(host(cpu), true).stdout);
  assert.deepEqual([json.ok, json.rows.length], [true, HARDENING.length]);
  assert.deepEqual(json.cpu, [{ name: "spectre_v2", says: "Vulnerable" }]);
});

Deno.test("doctorHardening names the row that does not hold, what it is and why, and exits 1", () => {
  const path = "/proc/sys/kernel/kexec_load_disabled";
  const result = doctorHardening(host({ [path]: "0\n" }), false);
  assert.equal(result.exit, 1);
  assert.match(result.stdout, /^DIFFERENT {2}kexec +\S+ = 0, wanted 1: a root gone wrong/m);
  assert.equal(result.stdout.match(/^DIFFERENT/gm)?.length, 1);
  assert.equal(JSON.parse(doctorHardening(host({ [path]: "0\n" }), true).stdout).ok, false);
});

Deno.test("doctorHardening escapes what a kernel's file has of a terminal's characters", () => {
  const result = doctorHardening(host({ [FAULT]: "\u001b[2J" }), false);
  assert.ok(!result.stdout.includes("\u001b"));
});

Deno.test("doctorHardening says that there is no host where stage 0 has shown nothing", () => {
  const nowhere: Looking = { readText: () => null, list: () => [] };
  assert.throws(() => doctorHardening(nowhere, false), /hardening: .* is not there; ask on a host/);
});
