/**
 * Makes the program in its two forms from one source: `compiled`, one self-contained executable, and
 * `bundled`, one script for the official Deno executable. What it may do at run time comes from the
 * permission table alone. Says which runtime is inside; never hides that it is a test runtime.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { GRANTS, permissionFlags } from "../src/permissions.ts";
import {
  filesBelow,
  keepNewest,
  run,
  sha256,
  sha256File,
  ToolError,
  writeWhole,
} from "./build_host.ts";
import type { Form } from "./build_manifest.ts";
import { PINNED_COMPILER, PINNED_RUNTIME, pinnedRuntime } from "./denort.ts";

export type Runtime = "official" | "pinned-test";

/** Scripts and executables kept in the cache: both forms of this source and of the last few. */
const KEPT_PROGRAMS = 12;

/** A built program. */
export interface Program {
  readonly form: Form;
  readonly runtime: Runtime;
  /** The Deno version that runs it. */
  readonly deno: string;
  /** The executable (compiled) or the script (bundled). */
  readonly file: string;
  readonly sha256: string;
  /** `deno run` flags of the bundled form; a compiled program carries its own. */
  readonly flags: readonly string[];
}

/** Where things lie, and whom to tell. */
export interface ProgramOptions {
  readonly project: string;
  readonly cache: string;
  /** The program's first module. */
  readonly entry: string;
  readonly compilerIntegrity: string;
  readonly say: (line: string) => void;
}

/** Of every file that can change the script: names and hashes. */
export function programInputs(project: string, entry: string): string {
  const sources = filesBelow(path.join(project, "src")).filter((one) => !one.endsWith("_test.ts"));
  const files = [entry, ...sources.map((one) => path.join(project, "src", one))];
  for (const one of ["deno.json", "deno.lock"]) files.push(path.join(project, one));
  return sha256(
    files.filter((one) => fs.existsSync(one))
      .map((one) => `${path.relative(project, one)} ${sha256File(one)}`).join("\n"),
  );
}

/**
 * Nothing but the script is looked at, at build time and at run time: no project files, no network, and
 * no code left in a writable directory by an earlier run.
 */
export const ALONE = ["--no-code-cache", "--no-config", "--no-lock", "--no-npm", "--no-remote"];

/** One script with everything the program imports; the same bytes wherever it is made. */
function bundle(options: ProgramOptions): string {
  const how = ["bundle", "--quiet", "--platform=deno", "--minify"];
  const key = sha256(
    [Deno.version.deno, ...how, programInputs(options.project, options.entry)].join(" "),
  );
  const file = path.join(options.cache, "program", key.slice(0, 16), "program.js");
  if (fs.existsSync(file)) return file;
  options.say("bundling the program");
  const partial = `${file}.partial-${Deno.pid}.js`;
  fs.mkdirSync(path.dirname(file), { recursive: true });
  run(Deno.execPath(), [
    ...how,
    `--output=${partial}`,
    path.relative(options.project, options.entry),
  ], { cwd: options.project });
  fs.renameSync(partial, file);
  return file;
}

/** Compiles in a directory of its own under a fixed name and time, since both end up in the file. */
function compile(
  script: string,
  compiler: string,
  flags: readonly string[],
  denort: string | null,
  options: ProgramOptions,
): string {
  const args = ["compile", "--quiet", "--no-check", ...ALONE, ...flags];
  const key = sha256([sha256File(script), compiler, denort ?? "own", ...args].join("\0"));
  const file = path.join(options.cache, "program", key.slice(0, 16), "program");
  if (fs.existsSync(file)) return file;
  options.say("compiling the program");
  fs.mkdirSync(path.dirname(file), { recursive: true });
  const work = fs.mkdtempSync(path.join(options.cache, "compile-"));
  try {
    const name = path.join(work, "program.js");
    fs.copyFileSync(script, name);
    fs.utimesSync(name, 0, 0);
    run(compiler, [...args, "--output=program", "program.js"], {
      cwd: work,
      env: denort === null ? {} : { DENORT_BIN: denort, DENO_DIR: path.join(work, "deno") },
    });
    fs.renameSync(path.join(work, "program"), file);
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
  keepNewest(path.join(options.cache, "program"), KEPT_PROGRAMS);
  return file;
}

/** Whether this Deno's own runtime for compiled programs can be had; asked once, then remembered. */
function officialRuntime(options: ProgramOptions): boolean {
  const mark = path.join(options.cache, `official-runtime-${Deno.version.deno}`);
  if (fs.existsSync(mark)) return fs.readFileSync(mark, "utf8").trim() === "yes";
  options.say(`looking for the official runtime of compiled programs, Deno ${Deno.version.deno}`);
  const work = fs.mkdtempSync(path.join(options.cache, "compile-"));
  try {
    fs.writeFileSync(path.join(work, "probe.js"), "");
    const args = [
      "60",
      Deno.execPath(),
      "compile",
      "--quiet",
      "--no-config",
      "--output=probe",
      "probe.js",
    ];
    const found = run.status("timeout", args, { cwd: work }) === 0;
    writeWhole(mark, found ? "yes\n" : "no\n");
    return found;
  } finally {
    fs.rmSync(work, { recursive: true, force: true });
  }
}

/**
 * Builds the program in one form.
 *
 * @throws ToolError where the source does not bundle, or where no runtime for `compiled` can be had
 */
export function buildProgram(form: Form, options: ProgramOptions): Program {
  if (!fs.existsSync(options.entry)) {
    throw new ToolError(
      `${options.entry}: the program's first module is missing; name it by --entry`,
    );
  }
  fs.mkdirSync(options.cache, { recursive: true });
  const script = bundle(options);
  const built = (
    runtime: Runtime,
    deno: string,
    file: string,
    flags: readonly string[],
  ): Program => ({
    form,
    runtime,
    deno,
    file,
    sha256: sha256File(file),
    flags,
  });
  if (form === "bundled") {
    return built("official", Deno.version.deno, script, permissionFlags(true));
  }
  if (officialRuntime(options)) {
    const flags = permissionFlags(true);
    return built(
      "official",
      Deno.version.deno,
      compile(script, Deno.execPath(), flags, null, options),
      flags,
    );
  }
  const { denort, compiler } = pinnedRuntime(options.cache, options.compilerIntegrity, options.say);
  const flags = permissionFlags(false);
  return built(
    "pinned-test",
    PINNED_RUNTIME.version,
    compile(script, compiler, flags, denort, options),
    flags,
  );
}

/** npm packages whose code the program imports, and theirs, with the locked versions. */
export function ingredientsOf(project: string): { name: string; version: string }[] {
  const imports: Record<string, string> =
    JSON.parse(fs.readFileSync(path.join(project, "deno.json"), "utf8")).imports ?? {};
  const lock: Record<string, { dependencies?: string[] }> =
    JSON.parse(fs.readFileSync(path.join(project, "deno.lock"), "utf8")).npm ?? {};
  const sources = filesBelow(path.join(project, "src")).filter((one) => !one.endsWith("_test.ts"))
    .map((one) => fs.readFileSync(path.join(project, "src", one), "utf8")).join("\n");
  const found = new Set<string>();
  const add = (id: string) => {
    if (found.has(id)) return;
    found.add(id);
    for (const name of lock[id]?.dependencies ?? []) {
      // A lock entry names a dependency without its version where there is only one.
      const full = lock[name] !== undefined
        ? name
        : Object.keys(lock).find((one) => one.startsWith(`${name}@`));
      if (full !== undefined) add(full);
    }
  };
  for (const [name, target] of Object.entries(imports)) {
    const used = [`from "${name}"`, `from "${name}/`, `import("${name}`];
    if (used.some((one) => sources.includes(one))) add(target.replace(/^npm:/, ""));
  }
  return [...found].sort().map((id) => ({
    name: id.slice(0, id.lastIndexOf("@")),
    version: id.slice(id.lastIndexOf("@") + 1),
  }));
}

/** What decides a program besides its source, for the build's cache. */
export function runtimeInputs(cache: string): string {
  const mark = path.join(cache, `official-runtime-${Deno.version.deno}`);
  return [
    Deno.version.deno,
    fs.existsSync(mark) ? fs.readFileSync(mark, "utf8").trim() : "unknown",
    PINNED_RUNTIME.sha256,
    PINNED_COMPILER.version,
    JSON.stringify(GRANTS),
  ].join("\n");
}
