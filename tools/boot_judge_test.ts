import assert from "node:assert/strict";
import {
  type Ending,
  goodBoot,
  judge,
  matches,
  missing,
  openPhase,
  parsePattern,
  pattern,
  readyToEnd,
  whereItHung,
} from "./boot_judge.ts";
import { type LogLine, parseLogLine } from "./boot_log.ts";

function lines(...texts: string[]): LogLine[] {
  return texts.map((text) => {
    const line = parseLogLine(`mono:1 INFO init ${text}`, 1);
    assert.ok(line, text);
    return line;
  });
}

const ENDED: Ending = { kind: "ended" };
const GOOD = [
  "RAYOS_INIT_START start=1",
  "RAYOS_VM_CONFINED vm=a",
  "RAYOS_READY mode=normal",
  "RAYOS_LINUX_VM_READY vm=a",
];
const SHUTDOWN = "RAYOS_SHUTDOWN:poweroff:button";

Deno.test("parsePattern refuses what is no marker", () => {
  for (const text of ["", "=", "a b", "1READY", "RAYOS_READY =x"]) {
    assert.equal(parsePattern(text), null, text);
  }
});

Deno.test("matches compares whole parts and the named fields", () => {
  const [line] = lines("RAYOS_POLICY_VIOLATION:sig.mismatch:file vm=a rule=x");
  assert.ok(line);
  for (
    const [text, wanted] of [
      ["RAYOS_POLICY_VIOLATION", true],
      ["RAYOS_POLICY_VIOLATION:sig.mismatch", true],
      ["RAYOS_POLICY_VIOLATION:sig.mismatch:file", true],
      ["RAYOS_POLICY_VIOLATION vm=a", true],
      ["RAYOS_POLICY_VIOLATION:sig", false],
      ["RAYOS_POLICY", false],
      ["RAYOS_POLICY_VIOLATION:sig.mismatch:file:more", false],
      ["RAYOS_POLICY_VIOLATION vm=b", false],
      ["RAYOS_POLICY_VIOLATION other=a", false],
    ] as const
  ) assert.equal(matches(pattern(text), line), wanted, text);
});

Deno.test("goodBoot asks for every guest that starts at boot", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }, { id: "w", kind: "windows" }]);
  assert.deepEqual(missing(good, lines(...GOOD, SHUTDOWN)).map((one) => one.text), [
    "RAYOS_VM_CONFINED vm=w",
    "RAYOS_WINDOWS_VM_READY vm=w",
  ]);
});

Deno.test("readyToEnd does not wait for what only the end brings", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  assert.equal(readyToEnd(good, lines(...GOOD)), true);
  assert.equal(readyToEnd(good, lines(...GOOD.slice(1))), false);
});

Deno.test("judge passes a good boot", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  assert.equal(judge(lines(...GOOD, SHUTDOWN), good, ENDED).ok, true);
});

Deno.test("judge fails without any one of the expected markers", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  const all = [...GOOD, SHUTDOWN];
  for (const left of all) {
    const verdict = judge(lines(...all.filter((one) => one !== left)), good, ENDED);
    assert.equal(verdict.ok, false, left);
    assert.match(verdict.summary, new RegExp(left.split(/[ :]/u)[0] ?? ""));
  }
});

Deno.test("judge fails on a refused marker at any place of the run", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  const all = [...GOOD, SHUTDOWN];
  for (let at = 0; at <= all.length; at += 1) {
    const verdict = judge(
      lines(...all.slice(0, at), "RAYOS_POLICY_VIOLATION:a:b", ...all.slice(at)),
      good,
      ENDED,
    );
    assert.equal(verdict.ok, false);
    assert.match(verdict.summary, /RAYOS_POLICY_VIOLATION:a:b/u);
  }
});

Deno.test("judge fails a run that was stopped, whatever was seen", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  const all = lines(...GOOD, SHUTDOWN);
  assert.equal(judge(all, good, { kind: "timeout", seconds: 9 }).ok, false);
  assert.equal(judge(all, good, { kind: "interrupted" }).ok, false);
});

Deno.test("judge names the phase that hung", () => {
  const good = goodBoot([]);
  const seen = lines(
    "RAYOS_INIT_START start=1",
    "phase_start phase=cmdline",
    "phase_end phase=cmdline ms=1 result=ok",
    "phase_start phase=policy",
  );
  assert.match(judge(seen, good, { kind: "timeout", seconds: 9 }).summary, /in phase policy/u);
  assert.equal(openPhase(seen), "policy");
});

Deno.test("whereItHung tells a silent machine from one that waits for a guest", () => {
  const good = goodBoot([{ id: "a", kind: "linux" }]);
  assert.match(whereItHung(good, []), /before the host's first line/u);
  const waiting = lines(...GOOD.slice(0, 3), "phase_end phase=ready ms=1 result=ok");
  assert.match(whereItHung(good, waiting), /waiting for RAYOS_LINUX_VM_READY vm=a.*phase ready/u);
});
