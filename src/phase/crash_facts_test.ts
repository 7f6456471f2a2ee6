import assert from "node:assert/strict";
import { Exited, FakeHost } from "../../test/fake_host.ts";
import { ASKED, type CrashReport, LAST_WORD } from "../audit/crash.ts";
import { renderLastKnown } from "../audit/last_known.ts";
import { MAX_FILE_BYTES } from "../audit/retention.ts";
import { collectCrashes, reportNotReady, reportUncaught } from "./crash.ts";
import {
  BEFORE,
  CRASH,
  known,
  NOW,
  OTHER,
  POLICY,
  reportIn,
  said,
  start,
} from "../../test/crashes.ts";

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
