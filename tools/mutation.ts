/**
 * Mutation testing of the policy part: changes one place of a copy of the source at a time and looks
 * whether a test notices. `tools/rayos deno run -P=tools tools/mutation.ts [--file PART] [--sample N] [--jobs N]
 * [--json FILE] [--retry FILE]`; --retry takes the JSON of a run and tries its survivors again. The
 * checkout itself is never changed.
 */
import { Buffer } from "node:buffer";
import { spawn, spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { parseArgs } from "node:util";
import { FAILED, type Operator, OPERATORS, SEPARATOR } from "./mutation_points.ts";

const PROJECT = path.join(import.meta.dirname ?? ".", "..");
const COPIED = ["src", "test", "tools", "docs", "main.ts", "deno.json", "deno.lock", "LICENSE"];
/** No single test takes as long, on a busy machine either: a mutant that loops has been noticed. */
const STALL_MS = 40_000;

/** Tests that are tried on every mutant, the quick ones first. */
const TESTS = [
  "src/data_path_test.ts",
  "src/policy/accepted_test.ts",
  "src/policy/migrations_test.ts",
  "src/policy/nearest_test.ts",
  "src/policy/authorize_test.ts",
  "src/policy/authorize_property_test.ts",
  "src/policy/conditions_test.ts",
  "src/policy/explain_test.ts",
  "src/policy/minisign_form_test.ts",
  "src/policy/facets_test.ts",
  "src/policy/schema_test.ts",
  "src/policy/meaning_test.ts",
  "src/policy/toml_scan_test.ts",
  "src/policy/toml_test.ts",
  "test/policy/toml_spec_test.ts",
  "src/policy/report_test.ts",
  "src/policy/shape_test.ts",
  "src/policy/parse_test.ts",
  "src/policy/signature_test.ts",
  "src/policy/ed25519_test.ts",
  "src/cli/policy_test.ts",
  "src/cli/policy_explain_test.ts",
  "test/policy/reference_test.ts",
  "src/policy/json_schema_test.ts",
  "src/policy/secret_key_test.ts",
  "src/policy/sealed_key_test.ts",
  "src/policy/minisign_test.ts",
  "src/policy/ops_test.ts",
  "src/policy/passphrase_test.ts",
  "src/registry/effective_test.ts",
];
/** Long ones, only for the files that they are about. */
const LONG: readonly (readonly [RegExp, string])[] = [
  [
    /(keyring|minisign|parse|secret_key|shape|signature|toml|toml_scan)\.ts$/,
    "test/policy/bad_input_test.ts",
  ],
  [/(authorize|conditions|explain|facets|ops)\.ts$/, "test/policy/properties_test.ts"],
];
/** Tests that take long and find nothing here that the others do not. */
const SKIPPED = "Cedar|takes at most|takes no second|any one bit flipped|cut at every byte gives";

/** One place, and what is written there. */
interface Mutant {
  readonly file: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly operator: Operator;
  readonly replacement: string;
}

interface Outcome {
  readonly mutant: Mutant;
  readonly killed: boolean;
  /** The test that noticed, or how else it was. */
  readonly by: string;
}

/** The files that are mutated. */
function subjects(part: string): string[] {
  const policy = fs.readdirSync(path.join(PROJECT, "src/policy")).sort()
    .filter((name) => name.endsWith(".ts") && !name.endsWith("_test.ts"))
    .map((name) => `src/policy/${name}`);
  return ["src/data_path.ts", ...policy].filter((file) => file.includes(part));
}

/** Every mutant of the files, found by the lint plugin. */
function mutants(files: readonly string[]): Mutant[] {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mutation-lint-"));
  const config = path.join(folder, "deno.json");
  fs.writeFileSync(
    config,
    JSON.stringify({
      lint: {
        plugins: [path.join(PROJECT, "tools/mutation_points.ts")],
        rules: { tags: [], include: ["mutation/point"] },
      },
    }),
  );
  try {
    const at = files.map((file) => path.join(PROJECT, file));
    const run = spawnSync(Deno.execPath(), ["lint", "--json", "--config", config, ...at], {
      encoding: "utf8",
      maxBuffer: 2 ** 28,
    });
    interface Found {
      readonly code: string;
      readonly message: string;
      readonly filename: string;
      readonly range: { start: { line: number; bytePos: number }; end: { bytePos: number } };
    }
    const found: Found[] = JSON.parse(run.stdout).diagnostics;
    return found.filter((one) => one.code === "mutation/point").map((one) => {
      const [operator, replacement] = one.message.split(SEPARATOR);
      return {
        file: path.relative(PROJECT, one.filename.replace("file://", "")),
        line: one.range.start.line,
        start: one.range.start.bytePos,
        end: one.range.end.bytePos,
        operator: operator as Operator,
        replacement: replacement ?? "",
      };
    });
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function copyOfProject(): string {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "mutation-"));
  for (const name of COPIED) {
    fs.cpSync(path.join(PROJECT, name), path.join(folder, name), { recursive: true });
  }
  fs.symlinkSync(path.join(PROJECT, "node_modules"), path.join(folder, "node_modules"));
  return folder;
}

/** The tests for a file, its own first. */
function testsFor(file: string): string[] {
  const own = file.replace(/\.ts$/, "_test.ts");
  const long = LONG.filter(([about]) => about.test(file)).map(([, test]) => test);
  const rest = [...TESTS.filter((one) => one !== own), ...long];
  return TESTS.includes(own) ? [own, ...rest] : rest;
}

function runTests(
  folder: string,
  tests: readonly string[],
): Promise<{ code: number; by: string }> {
  return new Promise((resolve) => {
    const args = ["run", "-q", "-A", "--no-check", "tools/mutation_tests.ts", ...tests];
    const child = spawn("nice", ["-n", "19", Deno.execPath(), ...args, "--", SKIPPED], {
      cwd: folder,
      stdio: ["ignore", "pipe", "ignore"],
    });
    const stalled = () => child.kill("SIGKILL");
    let timer = setTimeout(stalled, STALL_MS);
    let said = "";
    // A line for each test that ends.
    child.stdout?.on("data", (chunk) => {
      clearTimeout(timer);
      timer = setTimeout(stalled, STALL_MS);
      said += String(chunk);
    });
    child.on("close", (code) => {
      clearTimeout(timer);
      const failed = said.split("\n").find((line) => line.startsWith(FAILED));
      resolve({ code: code ?? 137, by: failed?.slice(FAILED.length) ?? "" });
    });
  });
}

async function tryMutant(folder: string, mutant: Mutant): Promise<Outcome> {
  const file = path.join(folder, mutant.file);
  // Of the copy: the checkout may have gone on since the places were found.
  const bytes = fs.readFileSync(file);
  const changed = Buffer.concat([
    bytes.subarray(0, mutant.start),
    Buffer.from(mutant.replacement),
    bytes.subarray(mutant.end),
  ]);
  fs.writeFileSync(file, changed);
  const { code, by } = await runTests(folder, testsFor(mutant.file));
  fs.writeFileSync(file, bytes);
  const how = code === 137 ? "it did not end" : by === "" ? "it did not load" : by;
  return { mutant, killed: code !== 0, by: code === 0 ? "nobody" : how };
}

/** Every n-th, so that all files and operators are met. */
function sample(all: readonly Mutant[], most: number): Mutant[] {
  const step = Math.max(1, all.length / most);
  return Array.from(
    { length: Math.min(most, all.length) },
    (_, n) => all[Math.floor(n * step)],
  ).filter((one) => one !== undefined);
}

/** Those that survived an earlier run, in the source as it is now. */
function survivorsOf(all: readonly Mutant[], file: string): Mutant[] {
  const key = ({ file, operator, line, replacement }: Mutant) =>
    JSON.stringify([file, operator, line, replacement]);
  const earlier: Outcome[] = JSON.parse(fs.readFileSync(file, "utf8"));
  const survived = new Set(earlier.filter((one) => !one.killed).map((one) => key(one.mutant)));
  return all.filter((one) => survived.has(key(one)));
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      file: { type: "string", default: "" },
      sample: { type: "string" },
      jobs: { type: "string", default: "2" },
      json: { type: "string" },
      retry: { type: "string" },
    },
  });
  const found = mutants(subjects(values.file));
  const all = values.retry === undefined ? found : survivorsOf(found, values.retry);
  const chosen = values.sample === undefined ? all : sample(all, Number(values.sample));
  console.error(`${all.length} mutants, ${chosen.length} tried`);
  const outcomes: Outcome[] = [];
  const queue = [...chosen];
  await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
    const folder = copyOfProject();
    try {
      const sound = await runTests(folder, [...TESTS, ...LONG.map(([, test]) => test)]);
      if (sound.code !== 0) throw new Error(`tests fail without a mutant: ${sound.by}`);
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        const outcome = await tryMutant(folder, next);
        outcomes.push(outcome);
        if (!outcome.killed) console.error(describe(outcome.mutant));
        if (outcomes.length % 50 === 0) console.error(`${outcomes.length} of ${chosen.length}`);
      }
    } finally {
      fs.rmSync(folder, { recursive: true, force: true });
    }
  }));
  if (values.json !== undefined) {
    fs.writeFileSync(values.json, `${JSON.stringify(outcomes, null, 2)}\n`);
  }
  return report(outcomes, all.length);
}

function describe({ file, line, operator, replacement }: Mutant): string {
  const short = replacement.replace(/\s+/g, " ").slice(0, 80);
  return `survives: ${file}:${line} ${operator} ${SEPARATOR} ${short}`;
}

function report(outcomes: readonly Outcome[], all: number): number {
  const row = (name: string, own: readonly Outcome[]) => {
    const killed = own.filter((one) => one.killed).length;
    const share = own.length === 0 ? "" : `${(100 * killed / own.length).toFixed(1)} %`;
    console.log(`${name.padEnd(32)}${String(killed).padStart(6)} of ${own.length}  ${share}`);
  };
  for (const operator of Object.keys(OPERATORS)) {
    row(operator, outcomes.filter((one) => one.mutant.operator === operator));
  }
  for (const file of new Set(outcomes.map((one) => one.mutant.file))) {
    row(file, outcomes.filter((one) => one.mutant.file === file));
  }
  row(`all (of ${all} mutants)`, outcomes);
  const killed = outcomes.filter((one) => one.killed).length;
  return killed >= outcomes.length * 0.9 ? 0 : 1;
}

if (import.meta.main) Deno.exit(await main());
