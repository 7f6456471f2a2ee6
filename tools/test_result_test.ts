import assert from "node:assert/strict";
import { renderJunit } from "./junit.ts";
import { countLine, stepSuites } from "./test_result.ts";
import { testSteps } from "./test_steps.ts";

const one = { classname: "a", name: "b", seconds: 0, detail: "" };
const report = renderJunit([{
  name: "s",
  seconds: 0,
  cases: [
    { ...one, outcome: "passed" },
    { ...one, outcome: "passed" },
    { ...one, outcome: "skipped" },
  ],
}]);
const failing = renderJunit([{ name: "s", seconds: 0, cases: [{ ...one, outcome: "failed" }] }]);
const EMPTY = renderJunit([]);

Deno.test("stepSuites counts the report's cases", () => {
  const suites = stepSuites("s", { kind: "exit", code: 0 }, 1, report);
  assert.equal(countLine(suites), "2 passed, 0 failed, 1 skipped");
});

Deno.test("stepSuites counts a step without a report as one case", () => {
  assert.equal(
    countLine(stepSuites("lint", { kind: "exit", code: 0 }, 1, null)),
    "1 passed, 0 failed, 0 skipped",
  );
  assert.equal(
    countLine(stepSuites("lint", { kind: "exit", code: 1 }, 1, null)),
    "0 passed, 1 failed, 0 skipped",
  );
});

Deno.test("stepSuites counts a failure once", () => {
  assert.equal(
    countLine(stepSuites("s", { kind: "exit", code: 1 }, 1, failing)),
    "0 passed, 1 failed, 0 skipped",
  );
});

Deno.test("stepSuites takes no silence for success", () => {
  for (
    const [end, text] of [
      [{ kind: "exit", code: 0 }, ""],
      [{ kind: "exit", code: 0 }, EMPTY],
      [{ kind: "exit", code: 1 }, ""],
      [{ kind: "exit", code: 1 }, report],
      [{ kind: "limit", seconds: 9 }, report],
      [{ kind: "left_out", why: "no image" }, ""],
    ] as const
  ) assert.match(countLine(stepSuites("s", end, 1, text)), / 1 failed, /u, JSON.stringify(end));
});

Deno.test("testSteps name only steps that come before as needed", () => {
  for (const full of [false, true]) {
    const names: string[] = [];
    for (const step of testSteps(full)) {
      for (const earlier of step.after ?? []) assert.ok(names.includes(earlier), step.name);
      names.push(step.name);
    }
    assert.equal(new Set(names).size, names.length);
  }
});
