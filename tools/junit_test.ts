import assert from "node:assert/strict";
import fc from "fast-check";
import { countOutcomes, type JunitSuite, parseJunit, renderJunit } from "./junit.ts";

Deno.test("parseJunit reads back what renderJunit writes", () => {
  const text = fc.string({ unit: fc.constantFrom(..."ab<>&\"'\n /=é") });
  const one = fc.record({
    classname: text,
    name: text,
    seconds: fc.constant(0.5),
    outcome: fc.constantFrom("passed" as const, "failed" as const, "skipped" as const),
    detail: text,
  });
  const suite = fc.record({ name: text, cases: fc.array(one), seconds: fc.constant(1.25) });
  fc.assert(fc.property(fc.array(suite), (suites) => {
    const kept: JunitSuite[] = suites.map((of) => ({
      ...of,
      cases: of.cases.map((one) => ({
        ...one,
        detail: one.outcome === "failed" ? one.detail : "",
      })),
    }));
    assert.deepEqual(parseJunit(renderJunit(suites)), kept);
  }));
});

Deno.test("parseJunit reads deno's own form", () => {
  const document = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="3" failures="1" errors="0" time="0.1">
    <testsuite name="./a_test.ts" tests="3" disabled="1" errors="0" failures="1">
        <testcase name="one" classname="./a_test.ts" time="0.001" line="1" col="6">
        </testcase>
        <testcase name="two" classname="./a_test.ts" time="0.001" line="2" col="6">
            <failure message="Uncaught Error: &lt;b&gt;">Error: &lt;b&gt;
    at a</failure>
        </testcase>
        <testcase name="three" classname="./a_test.ts" time="0.000" line="3" col="6">
            <skipped/>
        </testcase>
    </testsuite>
</testsuites>`;
  const suites = parseJunit(document);
  assert.deepEqual(countOutcomes(suites), { passed: 1, failed: 1, skipped: 1 });
  assert.equal(suites[0]?.cases[1]?.detail, "Uncaught Error: <b>");
});
