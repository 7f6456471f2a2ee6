/**
 * What `tools/rayos test` runs, in order, as data. Each step is one command of this Deno; a step with
 * a report is counted by its test cases, one without as a single case. Starts nothing.
 */

export interface TestStep {
  readonly name: string;
  /** Arguments of `deno`; the report's option is added by the runner. */
  readonly args: readonly string[];
  /** Whether it writes a JUnit report of its own. */
  readonly report: boolean;
  /** Seconds after which it is ended and counted as failed. */
  readonly limit: number;
  readonly env?: Readonly<Record<string, string>>;
  /** Steps without which this one has no sense. */
  readonly after?: readonly string[];
}

/** The environment variable by which tests learn that the large counts are wanted. */
export const FULL_VARIABLE = "RAYOS_TEST_FULL";

/** By this one, how often what is repeated is repeated; where it is not set each test has its own number. */
export const COUNT_VARIABLE = "RAYOS_TEST_COUNT";

/** By this one tests learn that the images were built by the step before, and are not to change. */
export const BUILT_VARIABLE = "RAYOS_TEST_BUILT";

/**
 * The steps.
 * @param full with the large counts
 */
export function testSteps(full: boolean): TestStep[] {
  const env = full ? { [FULL_VARIABLE]: "1" } : {};
  const test = ["test", "-P=tools", "--quiet"];
  const build = (name: string, ...words: string[]): TestStep => ({
    name,
    args: ["run", "-P=tools", "--quiet", ...words],
    report: false,
    limit: 600,
  });
  const builds = [
    build("image, compiled form", "tools/build.ts", "--form=compiled"),
    build("image, bundled form", "tools/build.ts", "--form=bundled"),
    build("test guest", "tools/build_guest.ts"),
  ];
  return [
    { name: "format", args: ["fmt", "--check", "--quiet"], report: false, limit: 60 },
    { name: "lint", args: ["lint", "--quiet"], report: false, limit: 60 },
    { name: "types", args: ["check", "--quiet"], report: false, limit: 120 },
    {
      name: "unit tests and scenarios",
      args: [...test, "--parallel", "--ignore=test/boot"],
      report: true,
      limit: full ? 3600 : 600,
      // A third of what they take is waiting.
      env: { ...env, DENO_JOBS: String(navigator.hardwareConcurrency + 1) },
    },
    ...builds,
    {
      name: "boots",
      // Machines of one CPU each, two at a time: with more beside each other their guests miss their times.
      args: [...test, "--parallel", "test/boot"],
      report: true,
      limit: full ? 28_800 : 1800,
      env: { ...env, DENO_JOBS: "2", [BUILT_VARIABLE]: "1" },
      after: builds.map((step) => step.name),
    },
  ];
}
