import assert from "node:assert/strict";
import { Exited, FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import {
  ASKED,
  type CrashReport,
  LAST_WORD,
  MAX_REPORTS,
  readReport,
  renderReport,
} from "../audit/crash.ts";
import { type LastKnown, renderLastKnown } from "../audit/last_known.ts";
import { MAX_FILE_BYTES } from "../audit/retention.ts";
import { renderStarts } from "../boot/session.ts";
import type { VmId } from "../id.ts";
import type { Runtime } from "../runtime.ts";
import { collectCrashes, reportNotReady, reportUncaught } from "./crash.ts";

const NOW = "11111111-2222-3333-4444-555555555555";
const BEFORE = "99999999-2222-3333-4444-555555555555";
const OTHER = "88888888-2222-3333-4444-555555555555";
const CRASH = "/var/rayos/crash";

const POLICY = "ab".repeat(32);

/** What a start or boot that ran two guests leaves. */
function known(bootId: string, start: number, phase = "launch"): LastKnown {
  return {
    version: 0,
    boot_id: bootId,
    phase,
    program: { version: "0.0.9", build_id: "old", form: "bundled", runtime: "debian", start },
    kernel: "6.0.1",
    mode: "recovery",
    policy: POLICY,
    guests: [{ vm: "demo" as VmId, state: "running" }, { vm: "other" as VmId, state: "failed" }],
    oom_kills: 3,
  };
}

function start(
  host: FakeHost,
  { start = 1, mounted = true, before = known(NOW, start - 1) as LastKnown | null } = {},
): Runtime {
  const starts = { start, diedBeforeReady: 0 };
  const runtime = fakeRuntime(host, { bootId: NOW, starts, before });
  if (mounted) runtime.dataDevice = "/dev/vda";
  return runtime;
}

const reportIn = (host: FakeHost, bootId: string, name = "report.json") =>
  readReport(host.readText(`${CRASH}/${bootId}/${name}`, 1 << 20));
const said = (host: FakeHost) =>
  host.consoleText.join("").split("\n").flatMap((line) => line.match(/RAYOS_CRASH:.*/)?.[0] ?? []);

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

/** What a report says of what crashed, as {@link known} has it. */
const factsOf = (report: CrashReport | null) =>
  report && [report.program.version, report.kernel, report.mode, report.policy, report.guests];
const { guests: GUESTS } = known(NOW, 1);
const FACTS = ["0.0.9", "6.0.1", "recovery", POLICY, GUESTS];

Deno.test("died and hang have policy, mode and guests of the start that ended, not of the one that reports", () => {
  for (const cause of ["died", "hang"]) {
    const host = new FakeHost();
    if (cause === "hang") host.seed("/run/rayos/hang", "nothing new\n");
    collectCrashes(start(host, { start: 4 }));
    const report = reportIn(host, NOW);
    assert.equal(report?.cause, cause);
    assert.equal(report?.program.start, 3);
    assert.deepEqual(factsOf(report), FACTS);
  }
});

Deno.test("a start that left nothing of itself lends neither the one before it nor the one after it", () => {
  for (const before of [null, known(NOW, 1)]) {
    const host = new FakeHost();
    collectCrashes(start(host, { start: 3, before }));
    const report = reportIn(host, NOW);
    assert.equal(report?.phase, "unknown");
    assert.equal(report?.program.start, 2);
    assert.deepEqual(factsOf(report), ["0.1.0", "unknown", "unknown", null, []]);
  }
});

Deno.test("panic and watchdog have versions, policy and guests of the boot that ended", () => {
  for (const cause of ["panic", "watchdog"]) {
    const host = new FakeHost();
    host.seed("/var/rayos/boot/current_boot_id", `${BEFORE}\n`);
    host.seed("/var/rayos/boot/last_known.json", renderLastKnown(known(BEFORE, 2, "serving")));
    if (cause === "panic") host.seed("/run/rayos/pstore/dmesg-erst-1", "Panic#1 Part1\nx\n");
    else host.seed("/run/rayos/watchdog_status", "32\n");
    collectCrashes(start(host));
    const report = reportIn(host, BEFORE);
    assert.equal(report?.cause, cause);
    assert.equal(report?.phase, "serving");
    assert.equal(report?.program.start, 2);
    assert.deepEqual(factsOf(report), FACTS);
  }
});

Deno.test("a disk that lies about the boot before is not quoted, and nothing of this boot is said for it", () => {
  const good = known(BEFORE, 2);
  const lies = [
    "",
    "{}",
    renderLastKnown(known(NOW, 2)),
    renderLastKnown({ ...good, phase: "x RAYOS_READY" }),
    renderLastKnown({ ...good, kernel: "6\u001b[2J" }),
    `${renderLastKnown(good)}${" ".repeat(1 << 20)}`,
    new Uint8Array([0xff, 0xfe]),
  ];
  for (const lie of lies) {
    const host = new FakeHost();
    host.seed("/var/rayos/boot/current_boot_id", `${BEFORE}\n`);
    host.seed("/var/rayos/boot/last_known.json", lie);
    host.seed("/run/rayos/pstore/dmesg-erst-1", "Panic#1 Part1\nx\n");
    collectCrashes(start(host));
    const report = reportIn(host, BEFORE);
    assert.equal(report?.phase, "unknown");
    assert.deepEqual(factsOf(report), ["unknown", "unknown", "unknown", null, []]);
  }
});

Deno.test("a death is put down to a want of memory only where the kernel's count outside guests went up", () => {
  const message = (all: number, guests: number) => {
    const host = new FakeHost();
    host.seed("/run/rayos/proc/vmstat", `pgfault 7\noom_kill ${all}\n`);
    host.seed("/run/rayos/cg/rayos/memory.events", `oom 9\noom_kill ${guests}\n`);
    collectCrashes(start(host, { start: 2 }));
    return reportIn(host, NOW)?.message ?? "";
  };
  assert.match(message(8, 4), /want of memory/);
  assert.doesNotMatch(message(8, 5), /want of memory/, "guests alone");
});

Deno.test("a report has the newest lines of a boot that logged more than one file takes", () => {
  const host = new FakeHost();
  const old = "an old line of the log\n";
  const log = `/var/rayos/logs/boot/${NOW}.log`;
  host.seed(log, old.repeat(Math.floor(MAX_FILE_BYTES / old.length)));
  const before = start(host);
  before.sinks.openFiles("/var/rayos", NOW);
  for (let n = 0; n < 150; n++) {
    before.emit({ type: "data_fault", code: "x", detail: `new line ${n}` });
  }
  before.sinks.closeFiles();
  collectCrashes(start(host, { start: 2 }));
  const lines = reportIn(host, NOW)?.last_lines ?? [];
  assert.equal(lines.length, 200);
  assert.match(lines.at(-1) ?? "", /new line 149/);
  assert.equal(lines.filter((line) => line === old.trimEnd()).length, 50);
});

Deno.test("a boot that is late in phase data has its report once the disk comes, in whatever start", () => {
  for (const restarted of [false, true]) {
    const host = new FakeHost();
    const runtime = start(host, { mounted: false });
    runtime.phase = "data";
    reportNotReady(runtime, "not ready after 120 s");
    assert.deepEqual(host.list(CRASH), []);
    if (restarted) assert.throws(() => runtime.restart(), Exited);
    const next = restarted ? start(host, { start: 2 }) : runtime;
    next.dataDevice = "/dev/vda";
    collectCrashes(next);
    assert.deepEqual(host.list(`${CRASH}/${NOW}`), ["report.json"]);
    const report = reportIn(host, NOW);
    assert.deepEqual([report?.cause, report?.phase], ["not_ready", "data"]);
    assert.deepEqual(said(host), [`RAYOS_CRASH:${NOW} cause=not_ready phase=data`]);
    collectCrashes(next);
    assert.deepEqual(host.list(`${CRASH}/${NOW}`), ["report.json"], "once");
  }
});

Deno.test("a start that was late before the disk came and is killed then has both reports", () => {
  const host = new FakeHost();
  reportNotReady(start(host, { mounted: false }), "late");
  collectCrashes(start(host, { start: 2 }));
  const causes = host.list(`${CRASH}/${NOW}`).map((name) => reportIn(host, NOW, name)?.cause);
  assert.deepEqual(causes.toSorted(), ["died", "not_ready"]);
});

Deno.test("what could not be filed outlives a restart that is asked for", () => {
  const host = new FakeHost();
  reportUncaught(start(host, { mounted: false }), "early");
  const second = start(host, { start: 2 });
  const replace = host.replace;
  host.replace = () => {
    throw new Error("no space left");
  };
  collectCrashes(second);
  assert.throws(() => second.restart(), Exited);
  host.replace = replace;
  collectCrashes(start(host, { start: 3 }));
  assert.equal(reportIn(host, NOW)?.message, "early");
});

Deno.test("a start remembers the last report of the boot before it, or of its own, and of no other", () => {
  const host = new FakeHost();
  const crashedOf = (options?: Parameters<typeof start>[1]) => {
    const runtime = start(host, options);
    collectCrashes(runtime);
    return runtime.crashed;
  };
  assert.equal(crashedOf(), null);
  host.seed(`${CRASH}/${OTHER}/report.json`, "{");
  host.seed("/var/rayos/boot/current_boot_id", BEFORE);
  assert.equal(crashedOf(), null);
  host.seed(`${CRASH}/${BEFORE}/report.json`, "{");
  assert.deepEqual(crashedOf(), { boot: BEFORE, n: 1, cause: null, phase: null, time: null });
  const died = crashedOf({ start: 2, before: known(NOW, 1, "plan") });
  assert.deepEqual([died?.boot, died?.cause, died?.phase], [NOW, "died", "plan"]);
  host.seed("/var/rayos/boot/current_boot_id", NOW);
  host.seed(LAST_WORD, ASKED);
  assert.equal(crashedOf({ start: 3 })?.cause, "died", "after it was asked to start again, too");
});
