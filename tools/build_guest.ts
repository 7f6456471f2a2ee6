/**
 * `tools/rayos guest`: makes the small test guest, a kernel and an initrd with the real guest
 * agent, or finds that it is there already. It is what the host's image runs in trials, and no part
 * of that image.
 */
import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import * as path from "node:path";
import { sourcesOf } from "./build.ts";
import { filesBelow, sha256, sha256File, ToolError, writeWhole } from "./build_host.ts";
import { manifestDrift, readEntries, toCpio } from "./build_image.ts";
import { type Manifest, readManifest } from "./build_manifest.ts";
import { type LoadedModule, resolveModules } from "./build_modules.ts";
import { cpio } from "./cpio.ts";
import { memberOf } from "./debian_packages.ts";

export interface GuestOptions {
  readonly project: string;
  /** Directory that gets `vmlinuz` and `initrd.img`. */
  readonly out: string;
  readonly say: (line: string) => void;
}

/** modules.dep as depmod writes it (man 5 modules.dep): paths below the release's directory. */
export function dependencyLines(modules: readonly LoadedModule[], release: string): string {
  const below = (member: string) => member.slice(`lib/modules/${release}/`.length);
  return modules.map((one) =>
    `${below(one.member)}: ${one.needs.map(below).join(" ")}`.trim() + "\n"
  )
    .join("");
}

function inputsHash(project: string): string {
  const files = filesBelow(path.join(project, "initramfs/guest"))
    .map((one) => path.join("initramfs/guest", one));
  const code = filesBelow(path.join(project, "tools"))
    .filter((one) => /^(build|cpio|debian_|elf).*\.ts$/.test(one) && !one.endsWith("_test.ts"))
    .map((one) => path.join("tools", one));
  return sha256(
    [...files, ...code].map((one) => `${one} ${sha256File(path.join(project, one))}`).join("\n"),
  );
}

/** Builds the test guest, or returns at once where nothing has changed. */
export function buildGuest({ project, out, say }: GuestOptions): void {
  const stamp = path.join(out, ".inputs");
  const inputs = inputsHash(project);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === inputs) return;
  fs.rmSync(stamp, { force: true });
  const manifest: Manifest = readManifest(path.join(project, "initramfs/guest/manifest.jsonc"));
  const sources = sourcesOf(manifest, project, path.join(project, ".cache"), say);
  const drift = manifestDrift(manifest, sources);
  if (drift.length > 0) {
    throw new ToolError(
      `guest manifest: ${drift.length} files differ; run tools/rayos manifest\n  ${
        drift.join("\n  ")
      }`,
    );
  }
  const { package: kernel, release } = manifest.kernel;
  const dir = sources.debian.get(kernel)?.dir ?? "/nonexistent";
  const text = (words: string) => new TextEncoder().encode(words);
  const made = new Map([
    ["modules", text(`${manifest.modules.map((one) => one.name).join(" ")}\n`)],
    ["modules.dep", text(dependencyLines(resolveModules(dir, release, manifest.modules), release))],
  ]);
  const warn = (line: string) => say(`warning: ${line}`);
  const entries = readEntries(manifest.files, sources, made, warn);
  const vmlinuz = memberOf(dir, `boot/vmlinuz-${release}`);
  if (vmlinuz === null) throw new ToolError(`guest kernel: ${kernel} has no vmlinuz-${release}`);
  // Not compressed: unpacking costs a nested machine more than reading.
  writeWhole(path.join(out, "initrd.img"), Buffer.concat([...cpio(entries.map(toCpio))]));
  writeWhole(path.join(out, "vmlinuz"), fs.readFileSync(vmlinuz));
  writeWhole(stamp, inputs);
}

if (import.meta.main) {
  const project = path.resolve(import.meta.dirname ?? ".", "..");
  try {
    buildGuest({
      project,
      out: path.join(project, "build/guest"),
      say: (line) => console.error(`guest: ${line}`),
    });
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    console.error(`rayos: guest: ${error.message}`);
    Deno.exit(3);
  }
}
