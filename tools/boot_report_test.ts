import assert from "node:assert/strict";
import { goodBoot, judge } from "./boot_judge.ts";
import { type LogLine, parseLogLine } from "./boot_log.ts";
import { bootJson, bootJunit, finalLine, phaseTable, phaseTimes } from "./boot_report.ts";
import { countOutcomes, parseJunit } from "./junit.ts";

function line(at: number, text: string): LogLine {
  const parsed = parseLogLine(text, at);
  assert.ok(parsed, text);
  return parsed;
}

const LINES = [
  line(2000, "mono:1500 INFO init RAYOS_INIT_START version=1 start=1"),
  line(2001, "mono:1501 INFO init before_program kernel_ms=1000 stage0_ms=300 program_ms=200"),
  line(2100, "mono:1600 INFO sequence phase_end phase=policy ms=12 result=ok"),
  line(2200, "mono:1700 ERROR sequence phase_end phase=ready ms=88 result=fault code=x"),
  line(3200, "mono:2700 INFO vm RAYOS_LINUX_VM_READY vm=a"),
];
const TIMES = { pressedAt: 3300, endedAt: 4300 };

Deno.test("phaseTimes has a row for each part of the boot, in order", () => {
  assert.deepEqual(
    phaseTimes(LINES, TIMES).map(({ name, ms }) => [name, ms]),
    [
      ["kernel", 1000],
      ["stage0", 300],
      ["program", 200],
      ["policy", 12],
      ["ready", 88],
      ["guests", 1000],
      ["shutdown", 1000],
    ],
  );
});

Deno.test("phaseTable shows shares that belong to the whole, and what failed", () => {
  const table = phaseTable(phaseTimes(LINES, TIMES));
  assert.match(table, /^ {2}kernel +1000 +27\.8 %$/mu);
  assert.match(table, /^ {2}ready +88 +2\.4 % {2}fault$/mu);
  assert.match(table, /^ {2}all +3600 +100\.0 %$/mu);
});

Deno.test("bootJson holds markers with their fields and phases", () => {
  const verdict = judge(LINES, goodBoot([]), { kind: "ended" });
  const document = JSON.parse(bootJson(verdict, LINES, TIMES, "c.log"));
  assert.equal(document.ok, false);
  assert.deepEqual(document.markers, [
    "RAYOS_INIT_START version=1 start=1",
    "RAYOS_LINUX_VM_READY vm=a",
  ]);
  assert.deepEqual(document.phases[3], { name: "policy", ms: 12 });
  assert.equal(document.console, "c.log");
});

Deno.test("bootJunit has a case for each check", () => {
  const verdict = judge(LINES, goodBoot([]), { kind: "ended" });
  const suites = parseJunit(bootJunit(verdict, 4.3));
  const failed = verdict.checks.filter((check) => !check.ok).length;
  assert.deepEqual(countOutcomes(suites), {
    passed: verdict.checks.length - failed,
    failed,
    skipped: 0,
  });
  assert.ok(failed > 0);
});

Deno.test("finalLine says whether it worked", () => {
  const verdict = judge(LINES, { expect: [], refuse: [] }, { kind: "ended" });
  assert.match(finalLine(verdict, 4.25), /^boot worked after 4\.3 s: /u);
});
