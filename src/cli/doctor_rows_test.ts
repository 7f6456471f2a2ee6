import assert from "node:assert/strict";
import { renderRows } from "./doctor_all.ts";
import {
  crashRows,
  type DoctorRow,
  kernelRows,
  keyRows,
  nextBootRows,
  statusRows,
  unreachable,
} from "./doctor_rows.ts";

const HEALTHY = {
  mode: "normal",
  ready: true,
  version: "0.1.0",
  profile: "release",
  developer: false,
  virtualization: "kvm",
  measured: true,
  data: "/dev/vda",
  data_free_bytes: 500e6,
  data_size_bytes: 1e9,
  time_trusted: true,
  recovery_passphrase: true,
  policy: { serial: 3, key: "0123456789ABCDEF" },
  troubles: [],
  guests: [{ vm: "demo", state: "running", violations: [] }],
};

const wrong = (rows: readonly DoctorRow[]) =>
  rows.filter((row) => row.holds !== "ok").map((row) => `${row.holds} ${row.area}: ${row.found}`);

Deno.test("statusRows of a healthy host are all ok", () => {
  const rows = statusRows(HEALTHY);
  assert.deepEqual(wrong(rows), []);
  assert.deepEqual(
    new Set(rows.map((row) => row.area)),
    new Set(["host", "disk", "policy", "guests", "kernel", "time", "tpm"]),
  );
});

Deno.test("statusRows name each thing that is wrong, and how it is mended", () => {
  const cases: [Partial<Record<keyof typeof HEALTHY, unknown>>, RegExp][] = [
    [{ mode: "safe" }, /^bad host: safe mode/],
    [{ ready: false }, /^bad host: it is not ready/],
    [{ troubles: [{ code: "a.b", text: "wrong", hint: "mend it" }] }, /^bad host: a\.b: wrong/],
    [{ profile: "developer" }, /^note host: an image of profile developer/],
    [{ developer: true }, /^note host: developer mode/],
    [{ measured: false }, /^note tpm: this boot is not measured/],
    [{ virtualization: "none" }, /^bad kernel: no usable \/dev\/kvm/],
    [{ data: "tmpfs" }, /^bad disk: RayOS Data lives in memory/],
    [{ data_free_bytes: 10e6 }, /^bad disk: .* 10 MiB of 954 MiB free/],
    [{ time_trusted: false }, /^note time: /],
    [{ recovery_passphrase: false }, /^note policy: no recovery passphrase/],
    [{ policy: null }, /^bad policy: none is in force/],
    [{ policy: { serial: 3, key: null } }, /^bad policy: it is not signed/],
    [{ policy: { serial: null, key: "0" } }, /^note policy: no serial/],
    [
      { guests: [{ vm: "demo", state: "failed", violations: ["path.missing"] }] },
      /^bad guests: demo failed: path\.missing/,
    ],
  ];
  for (const [change, pattern] of cases) {
    const rows = statusRows({ ...HEALTHY, ...change });
    const found = wrong(rows);
    assert.equal(found.length, 1, JSON.stringify(change));
    assert.match(found[0] ?? "", pattern);
    const row = rows.find((one) => one.holds !== "ok");
    assert.ok(row?.fix !== "", JSON.stringify(change));
  }
  assert.match(wrong(statusRows({ mode: 1 }))[0] ?? "", /another shape/);
});

Deno.test("nextBootRows say what the next boot would begin with", () => {
  const rows = (result: unknown) => wrong(nextBootRows("policy", "the policy", result));
  assert.deepEqual(rows({ holds: true, issues: [] }), []);
  const issues = [
    { rule: "a.warning", severity: "warning", hint: "" },
    { rule: "sig.missing", severity: "error", hint: "sign it" },
  ];
  assert.deepEqual(rows({ holds: false, issues }), [
    "bad policy: the policy on the disk does not hold (sig.missing): the next boot would be safe mode",
  ]);
  assert.equal(nextBootRows("policy", "the policy", { holds: false, issues })[0]?.fix, "sign it");
  assert.match(rows({ holds: 1 })[0] ?? "", /another shape/);
});

Deno.test("keyRows, crashRows and kernelRows say what a person has to know", () => {
  const key = { file: "policy-a.pub", purpose: "policy", key: "A", trusted: true };
  assert.deepEqual(wrong(keyRows([key])), []);
  assert.match(wrong(keyRows([]))[0] ?? "", /^bad keys: none is trusted/);
  const revoked = { ...key, trusted: false, why: "revoked" };
  assert.deepEqual(wrong(keyRows([key, revoked])), ["note keys: policy-a.pub: revoked"]);
  assert.deepEqual(crashRows([]), []);
  assert.match(
    wrong(crashRows([{ boot: "b", cause: "panic" }]))[0] ?? "",
    /1 crash reports, the last one: panic/,
  );
  assert.deepEqual(wrong(kernelRows("cpuset cpu io memory pids\n")), []);
  assert.match(wrong(kernelRows("cpu memory\n"))[0] ?? "", /cannot limit pids, io/);
  assert.deepEqual(kernelRows(null), []);
});

Deno.test("renderRows fits 80 columns, shows the mend, and nothing that moves a cursor", () => {
  const hostile: DoctorRow = {
    area: "guests",
    holds: "bad",
    found: `\x1b[2J${"x".repeat(100)} failed`,
    fix: "look at it ".repeat(20),
  };
  const text = renderRows([...statusRows(HEALTHY), hostile, ...unreachable("no socket")]);
  for (const line of text.split("\n")) assert.ok(line.length < 80, line);
  assert.doesNotMatch(text, /[^\P{Cc}\n]/u);
  assert.match(text, /^ok {3}host {8}version 0\.1\.0, normal mode\n/);
  assert.match(text, /\nBAD {2}guests {6}\\u001b/);
  assert.match(text, /\n {17}-> look at it/);
  assert.match(text, /2 things are bad\n$/);
});
