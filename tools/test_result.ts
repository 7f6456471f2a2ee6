/**
 * What a step of the tests came to: its exit and its report in, a JUnit suite out. A run that says
 * it failed and whose report shows no failure is a failure all the same, and so is one that wrote no
 * report: no test is counted as passed because nobody said otherwise.
 */
import { countOutcomes, type JunitCase, type JunitSuite, parseJunit } from "./junit.ts";

export type StepEnd =
  | { readonly kind: "exit"; readonly code: number }
  | { readonly kind: "limit"; readonly seconds: number }
  | { readonly kind: "left_out"; readonly why: string };

function own(name: string, seconds: number, outcome: JunitCase["outcome"], detail = ""): JunitCase {
  return { classname: "tools/test.ts", name, seconds, outcome, detail };
}

function reasonOf(end: StepEnd): string {
  switch (end.kind) {
    case "exit":
      return `exit ${end.code}`;
    case "limit":
      return `ended after its limit of ${end.seconds} s`;
    case "left_out":
      return end.why;
  }
}

/**
 * The suites of one step.
 * @param report text of its JUnit report; null where the step has none by nature, empty where it
 *   should have one and has not
 */
export function stepSuites(
  name: string,
  end: StepEnd,
  seconds: number,
  report: string | null,
): JunitSuite[] {
  const good = end.kind === "exit" && end.code === 0;
  if (report === null) {
    const one = good ? own(name, seconds, "passed") : own(name, seconds, "failed", reasonOf(end));
    return [{ name, cases: [one], seconds }];
  }
  const suites = parseJunit(report);
  const counts = countOutcomes(suites);
  const empty = counts.passed + counts.failed + counts.skipped === 0;
  if (good ? !empty : counts.failed > 0 && end.kind === "exit") return suites;
  const why = good ? "it ran no test" : reasonOf(end);
  return [...suites, { name, cases: [own(name, seconds, "failed", why)], seconds }];
}

/** The last line of a run. */
export function countLine(suites: readonly JunitSuite[]): string {
  const { passed, failed, skipped } = countOutcomes(suites);
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
