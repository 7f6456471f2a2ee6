/**
 * Builds the npm package `@rayos/policy`: the policy part of the program and what it needs, nothing
 * that touches a machine. `tools/rayos deno run -P=tools tools/policy_package.ts [OUT.tgz]`.
 */
import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";

const PROJECT = path.join(import.meta.dirname ?? ".", "..");
const ENTRY = "tools/policy_package/mod.ts";
/** The only folders of the program that may be in it. */
const ALLOWED = /^src\/(policy\/|boot\/cmdline\.ts$|[a-z0-9_]+\.ts$)/;

/**
 * Packs the package.
 *
 * @param out the tarball's file
 * @returns the files of the program that are inside
 * @throws Error where the package would hold a file of another part of the program
 */
export function packPolicy(out: string): string[] {
  const files = closure().filter((file) => file !== ENTRY);
  const foreign = files.filter((file) => !ALLOWED.test(file));
  if (foreign.length > 0) {
    throw new Error(
      `policy package: ${foreign.join(", ")}: not of the policy part; cut the import`,
    );
  }
  const staging = fs.mkdtempSync(path.join(os.tmpdir(), "policy-package-"));
  try {
    for (const file of files) {
      fs.mkdirSync(path.join(staging, path.dirname(file)), { recursive: true });
      fs.copyFileSync(path.join(PROJECT, file), path.join(staging, file));
    }
    const entry = fs.readFileSync(path.join(PROJECT, ENTRY), "utf8");
    fs.writeFileSync(path.join(staging, "mod.ts"), entry.replaceAll('"../../src/', '"./src/'));
    const folder = path.dirname(ENTRY);
    fs.copyFileSync(path.join(PROJECT, folder, "README.md"), path.join(staging, "README.md"));
    fs.copyFileSync(path.join(PROJECT, "LICENSE"), path.join(staging, "LICENSE"));
    fs.writeFileSync(path.join(staging, "deno.json"), configFor(files));
    run(["pack", "--quiet", "--no-source-maps", "--allow-dirty", "-o", path.resolve(out)], staging);
  } finally {
    fs.rmSync(staging, { recursive: true, force: true });
  }
  return files;
}

/** The package's own deno.json: name, version and the pinned dependencies that its files import. */
function configFor(files: readonly string[]): string {
  const own = JSON.parse(fs.readFileSync(path.join(PROJECT, "deno.json"), "utf8"));
  const text = files.map((file) => fs.readFileSync(path.join(PROJECT, file), "utf8")).join("\n");
  const imports = Object.fromEntries(
    Object.entries(own.imports).filter(([name]) =>
      text.includes(`from "${name}"`) || text.includes(`from "${name}/`)
    ),
  );
  return JSON.stringify({
    name: "@rayos/policy",
    version: own.version,
    license: own.license,
    exports: "./mod.ts",
    imports,
    compilerOptions: own.compilerOptions,
  });
}

/** The project's own files that the entry imports, directly or not, types included. */
function closure(): string[] {
  const info = JSON.parse(run(["info", "--json", ENTRY], PROJECT));
  const root = `file://${fs.realpathSync(PROJECT)}/`;
  return (info.modules as { specifier: string }[]).map((one) => one.specifier)
    .filter((one) => one.startsWith(root)).map((one) => one.slice(root.length)).sort();
}

function run(args: readonly string[], cwd: string): string {
  const done = spawnSync(Deno.execPath(), args, { cwd, encoding: "utf8" });
  if (done.status !== 0) throw new Error(`deno ${args[0]}: failed:\n${done.stderr}`);
  return done.stdout;
}

if (import.meta.main) {
  const out = Deno.args[0] ?? "rayos-policy.tgz";
  const files = packPolicy(out);
  console.log(`packed ${files.length} files into ${out}`);
}
