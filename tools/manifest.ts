/**
 * `tools/rayos manifest`: rewrites the generated half of a manifest — package versions, hashes, the list
 * of files with their libraries — from what the mirrors have now. With `--keep` it keeps the pinned
 * packages and only lists the files again, as is wanted after a project file came or went.
 */
import * as path from "node:path";
import { sourcesOf } from "./build.ts";
import { expectedFiles } from "./build_closure.ts";
import { run, ToolError } from "./build_host.ts";
import { readManifest, sourceOf, writeGenerated } from "./build_manifest.ts";
import { debianPackages } from "./debian_packages.ts";
import { PINNED_COMPILER } from "./denort.ts";

/** Rewrites one manifest. */
function refreshManifest(project: string, file: string, keep: boolean): void {
  const say = (line: string) => console.error(`manifest: ${line}`);
  const cache = path.join(project, ".cache");
  const manifest = readManifest(file);
  const wanted = new Set([manifest.kernel.package, ...manifest.library_packages]);
  for (const one of manifest.programs) {
    const { kind, name } = sourceOf(one.from);
    if (kind === "debian") wanted.add(name);
  }
  const pins = new Map(
    [...wanted].sort().map((name) => [name, keep ? manifest.debian[name] ?? null : null]),
  );
  const packages = debianPackages(pins, path.join(cache, "debs"), say);
  const debian = Object.fromEntries(
    [...packages.values()].map(({ name, version, sha256 }) => [name, { version, sha256 }]),
  );
  const npm: Record<string, { version: string; integrity: string }> = { ...manifest.npm };
  const usesDeno = manifest.programs.some((one) => sourceOf(one.from).kind === "npm");
  if (usesDeno && !keep) {
    for (
      const [name, version] of [
        [PINNED_COMPILER.package, Deno.version.deno],
        [`${PINNED_COMPILER.package}@${PINNED_COMPILER.version}`, PINNED_COMPILER.version],
      ] as const
    ) {
      const spec = `${PINNED_COMPILER.package}@${version}`;
      npm[name] = { version, integrity: run("npm", ["view", spec, "dist.integrity"]).trim() };
    }
  }
  const next = { ...manifest, debian, npm };
  const sources = { ...sourcesOf({ ...next, debian: {} }, project, cache, say), debian: packages };
  writeGenerated(file, { debian, npm, files: expectedFiles(next, sources) });
}

if (import.meta.main) {
  const project = path.resolve(import.meta.dirname ?? ".", "..");
  const keep = Deno.args.includes("--keep");
  try {
    for (const file of ["initramfs/manifest.jsonc", "initramfs/guest/manifest.jsonc"]) {
      refreshManifest(project, path.join(project, file), keep);
    }
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    console.error(`rayos: manifest: ${error.message}`);
    Deno.exit(3);
  }
}
