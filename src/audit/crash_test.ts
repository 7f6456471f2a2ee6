import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type CrashReport,
  lastLines,
  MAX_REPORT_BYTES,
  panicLines,
  readReport,
  renderReport,
  REPORT_LINES,
  reportName,
  restartedByWatchdog,
} from "./crash.ts";

const REPORT: CrashReport = {
  version: 0,
  boot_id: "11111111-2222-3333-4444-555555555555",
  time: "2026-11-24T12:00:00.000Z",
  cause: "died",
  phase: "serving",
  message: "gone",
  program: { version: "0.1.0", build_id: "b", form: "compiled", runtime: "official", start: 1 },
  kernel: "6.1",
  mode: "normal",
  policy: null,
  guests: [{ vm: "demo", state: "running" }],
  last_lines: ["a", "b"],
};

Deno.test("readReport reads what renderReport wrote, and nothing cut, strange or too large", () => {
  const text = renderReport(REPORT);
  assert.deepEqual(readReport(text), REPORT);
  for (let end = 0; end < text.length - 1; end++) {
    assert.equal(readReport(text.slice(0, end)), null);
  }
  assert.equal(readReport(null), null);
  assert.equal(readReport(JSON.stringify({ ...REPORT, more: 1 })), null);
  assert.equal(readReport(JSON.stringify({ ...REPORT, cause: "earlier" })), null);
  assert.equal(readReport(text + " ".repeat(MAX_REPORT_BYTES)), null);
  // What is shown unasked is not longer than a line of it can be.
  for (const name of ["time", "phase", "kernel", "mode", "boot_id", "policy"]) {
    assert.equal(readReport(JSON.stringify({ ...REPORT, [name]: "x".repeat(257) })), null, name);
  }
  for (const name of ["version", "build_id", "form", "runtime"]) {
    const program = { ...REPORT.program, [name]: "x".repeat(257) };
    assert.equal(readReport(JSON.stringify({ ...REPORT, program })), null, name);
  }
  assert.equal(readReport(JSON.stringify({ ...REPORT, message: "x".repeat(1 << 15) })), null);
  fc.assert(fc.property(fc.jsonValue(), (any) => readReport(JSON.stringify(any)) === null));
});

Deno.test("renderReport leaves out the oldest lines of what would be too large to be read", () => {
  const last_lines = Array.from({ length: 2000 }, (_, n) => `${"\\".repeat(2000)}ü ${n}`);
  const text = renderReport({ ...REPORT, last_lines });
  assert.ok(new TextEncoder().encode(text).length <= MAX_REPORT_BYTES);
  const kept = readReport(text)?.last_lines ?? [];
  assert.deepEqual(kept, last_lines.slice(-kept.length));
  assert.ok(kept.length >= 200, `${kept.length}`);
  const message = "m".repeat(MAX_REPORT_BYTES);
  assert.equal(JSON.parse(renderReport({ ...REPORT, message })).last_lines.length, 0);
});

Deno.test("reportName has a name of its own for each report of a boot", () => {
  assert.equal(reportName(1), "report.json");
  assert.equal(new Set(Array.from({ length: 10 }, (_, n) => reportName(n + 1))).size, 10);
});

Deno.test("lastLines leaves out the half line that a cut begins with, and keeps the newest", () => {
  const bytes = (text: string) => new TextEncoder().encode(text);
  assert.deepEqual(lastLines(bytes("lf\nb\nc\n"), false), ["b", "c"]);
  assert.deepEqual(lastLines(bytes("a\nb\nc\n"), true), ["a", "b", "c"]);
  assert.deepEqual(lastLines(bytes("a\nhalf"), true), ["a", "half"]);
  assert.deepEqual(lastLines(null, true), []);
  const many = Array.from({ length: REPORT_LINES + 5 }, (_, n) => `line ${n}`);
  assert.deepEqual(lastLines(bytes(many.join("\n")), true), many.slice(5));
});

Deno.test("panicLines puts parts in the kernel's order: the highest part of the first panic comes first", () => {
  const record = (name: string, text: string) => ({ name, text });
  const lines = panicLines([
    record("dmesg-erst-3", "Panic#2 Part1\nlast\n"),
    record("dmesg-erst-1", "Oops#1 Part1\nearlier\n"),
    record("dmesg-erst-2", "Panic#2 Part2\nfirst\nsecond\n"),
  ]);
  assert.deepEqual(lines, ["earlier", "first", "second", "last"]);
  assert.deepEqual(panicLines([record("dmesg-x", "no head\n")]), ["no head"]);
});

Deno.test("restartedByWatchdog believes the driver's bit alone", () => {
  assert.equal(restartedByWatchdog("32\n"), true);
  assert.equal(restartedByWatchdog("0\n"), false);
  assert.equal(restartedByWatchdog("33\n"), true);
  assert.equal(restartedByWatchdog(null), false);
  assert.equal(restartedByWatchdog("reset\n"), false);
});
