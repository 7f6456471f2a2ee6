import assert from "node:assert/strict";
import { Exited, FakeHost } from "../../test/fake_host.ts";
import { ASKED, LAST_WORD, MAX_REPORTS, renderReport } from "../audit/crash.ts";
import { renderStarts } from "../boot/session.ts";
import type { Runtime } from "../runtime.ts";
import { collectCrashes, reportNotReady, reportUncaught } from "./crash.ts";
import { BEFORE, CRASH, known, NOW, reportIn, said, start } from "../../test/crashes.ts";

Deno.test("a first start without a past files nothing", () => {
  const host = new FakeHost();
  collectCrashes(start(host));
  assert.deepEqual(host.list(CRASH), []);
  assert.deepEqual(said(host), []);
});

Deno.test("a start after one that was gone without a word files where it was, and its last lines", () => {
  const host = new FakeHost();
  host.seed(`/var/rayos/logs/boot/${NOW}.log`, "one\ntwo\n");
  collectCrashes(start(host, { start: 2 }));
  const report = reportIn(host, NOW);
  assert.equal(report?.cause, "died");
  assert.equal(report?.phase, "launch");
  assert.equal(report?.program.start, 1);
  assert.deepEqual(report?.last_lines, ["one", "two"]);
  assert.deepEqual(said(host), [`RAYOS_CRASH:${NOW} cause=died phase=launch`]);
});

Deno.test("a start after one that was asked to end, or whose report is there, files nothing more", () => {
  const host = new FakeHost();
  host.seed(LAST_WORD, ASKED);
  collectCrashes(start(host, { start: 2 }));
  assert.deepEqual(host.list(CRASH), []);
  assert.equal(host.lstat(LAST_WORD), null, "it counts for one start");
  collectCrashes(start(host, { start: 3 }));
  assert.equal(reportIn(host, NOW)?.cause, "died");
});

Deno.test("an error that nobody caught is filed at once, and its start is not called dead besides", () => {
  const host = new FakeHost();
  const runtime = start(host);
  runtime.phase = "plan";
  runtime.emit({ type: "phase_start", phase: "plan" });
  reportUncaught(runtime, "x is undefined");
  const report = reportIn(host, NOW);
  assert.equal(report?.cause, "uncaught");
  assert.equal(report?.phase, "plan");
  assert.equal(report?.message, "x is undefined");
  assert.match(report?.last_lines.join("\n") ?? "", /phase_start phase=plan/);
  collectCrashes(start(host, { start: 2 }));
  assert.deepEqual(host.list(`${CRASH}/${NOW}`), ["report.json"]);
});

Deno.test("an error before RayOS Data is there is filed by the next start", () => {
  const host = new FakeHost();
  reportUncaught(start(host, { mounted: false }), "early");
  assert.deepEqual(host.list(CRASH), []);
  collectCrashes(start(host, { start: 2 }));
  assert.equal(reportIn(host, NOW)?.message, "early");
  assert.equal(host.lstat(LAST_WORD), null);
});

Deno.test("a start after one that the watchdog's loop ended says hang, once", () => {
  const host = new FakeHost();
  host.seed("/run/rayos/hang", "it showed nothing new for 60 s\n");
  collectCrashes(start(host, { start: 2, before: known(NOW, 1, "serving") }));
  assert.equal(reportIn(host, NOW)?.cause, "hang");
  assert.equal(reportIn(host, NOW)?.message, "it showed nothing new for 60 s");
  collectCrashes(start(host, { start: 3 }));
  assert.equal(reportIn(host, NOW, "report-2.json")?.cause, "died");
});

Deno.test("what the kernel kept of a panic is the report of the boot before, and goes only then", () => {
  const host = new FakeHost();
  host.seed("/var/rayos/boot/current_boot_id", `${BEFORE}\n`);
  host.seed(
    "/run/rayos/pstore/dmesg-erst-2",
    "Panic#1 Part1\nKernel panic - not syncing: x\u001b[2J\n",
  );
  host.seed("/run/rayos/pstore/dmesg-erst-1", "Panic#1 Part2\nfirst\n");
  host.seed("/run/rayos/pstore/other", "stays");
  collectCrashes(start(host));
  const report = reportIn(host, BEFORE);
  assert.equal(report?.cause, "panic");
  assert.match(report?.message ?? "", /^Kernel panic - not syncing: x/);
  assert.equal(report?.last_lines[0], "first");
  assert.ok(
    !(report?.last_lines.join("") ?? "").includes("\u001b"),
    "nothing that a terminal obeys",
  );
  assert.deepEqual(host.list("/run/rayos/pstore"), ["other"]);
  assert.deepEqual(said(host), [`RAYOS_CRASH:${BEFORE} cause=panic phase=unknown`]);
});

Deno.test("a panic whose report cannot be written stays with the kernel, and is a line", () => {
  const host = new FakeHost();
  host.seed("/var/rayos/boot/current_boot_id", BEFORE);
  host.seed("/run/rayos/pstore/dmesg-erst-1", "Panic#1 Part1\nx\n");
  host.replace = () => {
    throw new Error("no space left");
  };
  collectCrashes(start(host));
  assert.deepEqual(host.list("/run/rayos/pstore"), ["dmesg-erst-1"]);
  assert.match(host.consoleText.join(""), /code=crash\.unwritable .*no space left/);
});

Deno.test("a report of the boot before is said again, and a name that is no boot's is not followed", () => {
  const host = new FakeHost();
  host.seed("/var/rayos/boot/current_boot_id", BEFORE);
  host.seed(`${CRASH}/${BEFORE}/report.json`, "{}");
  collectCrashes(start(host));
  assert.deepEqual(said(host), [`RAYOS_CRASH:${BEFORE} cause=earlier phase=unknown`]);
  host.seed("/var/rayos/boot/current_boot_id", "../../policy");
  host.consoleText.length = 0;
  collectCrashes(start(host));
  assert.deepEqual(said(host), []);
});

Deno.test("a boot that crashes without end fills no disk, and other boots' files stay", () => {
  const host = new FakeHost();
  for (let n = 2; n < MAX_REPORTS + 5; n++) collectCrashes(start(host, { start: n }));
  assert.equal(host.list(`${CRASH}/${NOW}`).length, MAX_REPORTS);
  assert.match(host.consoleText.join(""), /code=crash\.unwritable/);
  // Eleven boots before it: the oldest ones' reports go, and nothing of another name does.
  const other = new FakeHost();
  const boots = Array.from(
    { length: 11 },
    (_, n) => `${String(n).padStart(8, "0")}${BEFORE.slice(8)}`,
  );
  for (const [n, boot] of boots.entries()) {
    other.seed(`${CRASH}/${boot}/report.json`, "{}");
    other.facts.set(`${CRASH}/${boot}`, { modifiedMs: n });
  }
  other.seed(`${CRASH}/${boots[0]}/notes.txt`, "a person's own");
  other.seed(`${CRASH}/keep/report.json`, "none of ours");
  collectCrashes(start(other, { start: 2 }));
  assert.deepEqual(other.list(`${CRASH}/${boots[0]}`), ["notes.txt"]);
  assert.deepEqual(other.list(`${CRASH}/${boots[1]}`), []);
  assert.deepEqual(other.list(`${CRASH}/${boots[2]}`), ["report.json"]);
  assert.deepEqual(other.list(`${CRASH}/keep`), ["report.json"]);
});

Deno.test("a boot that was not ready in time has a report, and its program is not called dead", () => {
  const host = new FakeHost();
  const runtime = start(host);
  runtime.phase = "network";
  reportNotReady(runtime, "not ready after 120 s");
  assert.equal(reportIn(host, NOW)?.cause, "not_ready");
  assert.equal(reportIn(host, NOW)?.phase, "network");
  assert.equal(host.lstat(LAST_WORD), null);
});

Deno.test("restart says on its way out that it was asked to", () => {
  const host = new FakeHost();
  const runtime = start(host);
  host.seed("/run/rayos/starts.json", renderStarts(NOW, runtime.starts, true));
  assert.throws(() => runtime.restart(), Exited);
  assert.equal(host.readText(LAST_WORD, 4096), ASKED);
});

Deno.test("a last word that was cut is none, and its start one that died", () => {
  const host = new FakeHost();
  const whole = renderReport({
    version: 0,
    boot_id: NOW,
    time: "t",
    cause: "uncaught",
    phase: "p",
    message: "m",
    program: { version: "1", build_id: "b", form: "f", runtime: "r", start: 1 },
    kernel: "k",
    mode: "normal",
    policy: null,
    guests: [],
    last_lines: [],
  });
  host.seed(LAST_WORD, whole.slice(0, -10));
  collectCrashes(start(host, { start: 2 }));
  assert.equal(reportIn(host, NOW)?.cause, "died");
  assert.equal(host.lstat(LAST_WORD), null);
});

Deno.test("a report of a start whose data root was memory for want of a disk waits, and is filed on the disk", () => {
  const host = new FakeHost();
  const standing = (runtime: Runtime) => {
    runtime.dataDevice = "tmpfs";
    return runtime;
  };
  // The start before was killed; this one ends by an error; and so does the next.
  collectCrashes(standing(start(host, { start: 2, mounted: false })));
  reportUncaught(standing(start(host, { start: 2, mounted: false })), "second");
  const third = standing(start(host, { start: 3, mounted: false }));
  collectCrashes(third);
  reportNotReady(third, "third");
  // Memory goes with all that is in it.
  for (const path of [...host.files.keys()]) {
    if (path.startsWith("/var/rayos/")) host.files.delete(path);
  }
  third.dataDevice = "/dev/vda";
  collectCrashes(third);
  const said = host.list(`${CRASH}/${NOW}`).toSorted().map((name) =>
    reportIn(host, NOW, name)?.cause
  );
  assert.deepEqual(new Set(said), new Set(["died", "uncaught", "not_ready"]));
  assert.equal(said.length, 3, said.join());
  assert.deepEqual(host.list("/run/rayos").filter((name) => name.startsWith("crash-")), []);
  collectCrashes(third);
  assert.equal(host.list(`${CRASH}/${NOW}`).length, 3, "once");
});

Deno.test("a data root in memory that was asked for has its reports itself, and none waits", () => {
  const host = new FakeHost();
  const runtime = start(host, { start: 2, mounted: false });
  runtime.dataDevice = "tmpfs";
  runtime.cmdline = { ...runtime.cmdline, data: { by: "tmpfs" } };
  collectCrashes(runtime);
  assert.equal(reportIn(host, NOW)?.cause, "died");
  assert.deepEqual(host.list("/run/rayos").filter((name) => name.startsWith("crash-")), []);
});

Deno.test("more than is read of what the kernel kept stays with it, for the next boot", () => {
  const host = new FakeHost();
  host.seed("/var/rayos/boot/current_boot_id", `${BEFORE}\n`);
  for (let n = 0; n < 70; n++) {
    host.seed(`/run/rayos/pstore/dmesg-erst-${n}`, `Oops#${n} Part1\nx${n}\n`);
  }
  collectCrashes(start(host));
  const report = reportIn(host, BEFORE);
  assert.equal(report?.last_lines.length, 64);
  const left = host.list("/run/rayos/pstore");
  assert.equal(left.length, 6);
  for (const name of left) {
    assert.ok(!report?.last_lines.includes(`x${name.split("-")[2]}`), `${name} was not read`);
  }
});
