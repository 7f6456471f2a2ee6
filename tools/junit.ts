/**
 * JUnit XML: the little of it that test runners agree on, written and read back. Reads only what
 * `deno test --junit-path` and this file write; it is no XML parser for anything else.
 */

export type Outcome = "passed" | "failed" | "skipped";

export interface JunitCase {
  readonly classname: string;
  readonly name: string;
  readonly seconds: number;
  readonly outcome: Outcome;
  /** Why it failed; empty where it did not. */
  readonly detail: string;
}

export interface JunitSuite {
  readonly name: string;
  readonly cases: readonly JunitCase[];
  readonly seconds: number;
}

export type Counts = Record<Outcome, number>;

/** How many of each outcome the suites hold. */
export function countOutcomes(suites: readonly JunitSuite[]): Counts {
  const counts: Counts = { passed: 0, failed: 0, skipped: 0 };
  for (const suite of suites) for (const one of suite.cases) counts[one.outcome] += 1;
  return counts;
}

/** Characters that XML 1.0 has no way to write are shown as U+FFFD. */
function escaped(text: string): string {
  return text
    // deno-lint-ignore no-control-regex
    .replace(/[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/gu, "\uFFFD")
    .replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("\n", "&#10;");
}

function renderCase(one: JunitCase): string {
  const head = `    <testcase classname="${escaped(one.classname)}" name="${escaped(one.name)}" ` +
    `time="${one.seconds.toFixed(3)}"`;
  switch (one.outcome) {
    case "passed":
      return `${head}/>\n`;
    case "skipped":
      return `${head}><skipped/></testcase>\n`;
    case "failed":
      return `${head}><failure message="${escaped(one.detail)}"/></testcase>\n`;
  }
}

/** The suites as one JUnit document. */
export function renderJunit(suites: readonly JunitSuite[]): string {
  const attributes = (of: readonly JunitSuite[]) => {
    const { passed, failed, skipped } = countOutcomes(of);
    const seconds = of.reduce((sum, suite) => sum + suite.seconds, 0);
    return `tests="${passed + failed + skipped}" failures="${failed}" errors="0" ` +
      `skipped="${skipped}" time="${seconds.toFixed(3)}"`;
  };
  const body = suites.map((suite) =>
    `  <testsuite name="${escaped(suite.name)}" ${attributes([suite])}>\n` +
    `${suite.cases.map(renderCase).join("")}  </testsuite>\n`
  ).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="rayos" ${
    attributes(suites)
  }>\n` +
    `${body}</testsuites>\n`;
}

function unescaped(text: string): string {
  const NAMED: Record<string, string> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };
  return text.replace(/&(?:#(\d+)|#x([0-9a-fA-F]+)|([a-z]+));/gu, (whole, dec, hex, name) => {
    if (dec !== undefined) return String.fromCodePoint(Number(dec));
    if (hex !== undefined) return String.fromCodePoint(parseInt(hex, 16));
    return NAMED[name] ?? whole;
  });
}

function attribute(tag: string, name: string): string {
  const match = new RegExp(`\\s${name}="([^"]*)"`, "u").exec(tag);
  return match === null ? "" : unescaped(match[1] ?? "");
}

/** The suites of a JUnit document. */
export function parseJunit(text: string): JunitSuite[] {
  const suites: { name: string; cases: JunitCase[]; seconds: number }[] = [];
  const tags = /<(testsuite|testcase)(\s[^>]*?)(\/?)>|<(failure|error|skipped)(\s[^>]*?)?\/?>/gu;
  let open: { -readonly [K in keyof JunitCase]: JunitCase[K] } | null = null;
  for (const [, element, head = "", , inside, tail = ""] of text.matchAll(tags)) {
    if (element === "testsuite") {
      suites.push({ name: attribute(head, "name"), cases: [], seconds: +attribute(head, "time") });
    } else if (element === "testcase") {
      open = {
        classname: attribute(head, "classname"),
        name: attribute(head, "name"),
        seconds: Number(attribute(head, "time")),
        outcome: "passed",
        detail: "",
      };
      suites.at(-1)?.cases.push(open);
    } else if (open !== null && inside !== undefined) {
      open.outcome = inside === "skipped" ? "skipped" : "failed";
      open.detail = attribute(tail, "message");
    }
  }
  return suites;
}
