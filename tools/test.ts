/**
 * `tools/rayos test [full]`: runs the gates, the unit tests and scenarios, and the real boots, shows
 * them as they run, and writes one JUnit report. Its last line is counted from what ran.
 */
import { countOutcomes, type JunitSuite, renderJunit } from "./junit.ts";
import { countLine, type StepEnd, stepSuites } from "./test_result.ts";
import { type TestStep, testSteps } from "./test_steps.ts";

const PROJECT = new URL("..", import.meta.url).pathname;
const REPORT = "build/junit.xml";

/** Runs a step with its output on this terminal. */
async function runStep(
  step: TestStep,
  report: string,
  temporary: string,
  signal: AbortSignal,
): Promise<StepEnd> {
  const child = new Deno.Command(Deno.execPath(), {
    args: step.report ? [...step.args, `--junit-path=${report}`] : [...step.args],
    cwd: PROJECT,
    env: { ...step.env, TMPDIR: temporary },
    stdin: "null",
  }).spawn();
  const stop = () => {
    try {
      child.kill("SIGTERM");
    } catch {
      // It has ended by itself.
    }
  };
  signal.addEventListener("abort", stop);
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    stop();
  }, step.limit * 1000);
  const { code } = await child.status;
  clearTimeout(timer);
  signal.removeEventListener("abort", stop);
  return late ? { kind: "limit", seconds: step.limit } : { kind: "exit", code };
}

async function reportOf(step: TestStep, path: string): Promise<string | null> {
  if (!step.report) return null;
  return await Deno.readTextFile(path).catch(() => "");
}

/** @param temporary directory for what tests write; it is removed whole, so that a killed test leaves nothing */
async function runAll(
  steps: readonly TestStep[],
  temporary: string,
  signal: AbortSignal,
): Promise<JunitSuite[]> {
  const suites: JunitSuite[] = [];
  const failed = new Set<string>();
  for (const [n, step] of steps.entries()) {
    if (signal.aborted) break;
    console.log(`\n[${n + 1}/${steps.length}] ${step.name}`);
    const path = `${PROJECT}build/test/report-${n}.xml`;
    await Deno.remove(path).catch(() => {});
    const began = performance.now();
    const missing = step.after?.find((name) => failed.has(name));
    const end: StepEnd = missing !== undefined
      ? { kind: "left_out", why: `not run: ${missing} failed` }
      : await runStep(step, path, temporary, signal);
    const seconds = (performance.now() - began) / 1000;
    const own = stepSuites(step.name, end, seconds, await reportOf(step, path));
    if (countOutcomes(own).failed > 0) failed.add(step.name);
    console.log(
      `[${n + 1}/${steps.length}] ${step.name}: ${countLine(own)} (${seconds.toFixed(1)} s)`,
    );
    suites.push(...own);
  }
  return suites;
}

async function main(args: readonly string[]): Promise<number> {
  const [word, ...rest] = args;
  if (rest.length > 0 || (word !== undefined && word !== "full")) {
    console.error(`rayos: test: ${args.join(" ")} is not known; say tools/rayos test [full]`);
    return 2;
  }
  const controller = new AbortController();
  for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
    Deno.addSignalListener(name, () => controller.abort());
  }
  await Deno.mkdir(`${PROJECT}build/test`, { recursive: true });
  const temporary = await Deno.makeTempDir({ prefix: "rayos-tests-" });
  const suites = await runAll(testSteps(word === "full"), temporary, controller.signal);
  await Deno.remove(temporary, { recursive: true });
  await Deno.writeTextFile(`${PROJECT}${REPORT}`, renderJunit(suites));
  const failures = suites.flatMap((suite) => suite.cases).filter((one) => one.outcome === "failed");
  if (failures.length > 0) console.log(`\nfailed (details in ${REPORT}):`);
  for (const one of failures) {
    console.log(`  ${one.classname}: ${one.name}: ${one.detail.split("\n")[0] ?? ""}`);
  }
  console.log(`\n${countLine(suites)}`);
  if (controller.signal.aborted) return 130;
  return failures.length > 0 ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main(Deno.args));
