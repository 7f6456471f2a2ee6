/**
 * `tools/rayos build`: makes an image directory (kernel, initramfs, build facts, SBOM) in one form and
 * profile, or finds that nothing has changed and does nothing. It asks the network only for what is
 * not in the cache.
 */
import { Buffer } from "node:buffer";
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { isFingerprint } from "../src/audit/chain.ts";
import { renderHardening, renderSysfsShown } from "../src/boot/hardening.ts";
import { DHCP_FILTER } from "../src/seccomp/dhcp.ts";
import { DISK_FILTER } from "../src/seccomp/disk.ts";
import { PASST_FILTER } from "../src/seccomp/passt.ts";
import { QEMU_SHARED_FILTER } from "../src/seccomp/qemu_shared.ts";
import { VIRTIOFSD_FILTER } from "../src/seccomp/virtiofsd.ts";
import { QEMU_FILTER } from "../src/seccomp/qemu.ts";
import { SWTPM_FILTER } from "../src/seccomp/swtpm.ts";
import type { Sources } from "./build_closure.ts";
import { filesBelow, run, sha256, sha256File, ToolError, writeWhole } from "./build_host.ts";
import {
  archiveOf,
  BASE_COMPRESSION,
  checkLibraries,
  contentHash,
  type ImageEntry,
  isBase,
  manifestDrift,
  type Profile,
  readEntries,
  refuseDeveloperKey,
  selected,
  TOP_COMPRESSION,
} from "./build_image.ts";
import { vmlinuxOf } from "./build_kernel.ts";
import { developerKey } from "./build_keys.ts";
import { type Form, type Manifest, type ManifestFile, readManifest } from "./build_manifest.ts";
import { resolveModules } from "./build_modules.ts";
import {
  ALONE,
  buildProgram,
  ingredientsOf,
  type Program,
  programInputs,
  runtimeInputs,
} from "./build_program.ts";
import { debianPackages, memberOf } from "./debian_packages.ts";
import { sbomOf } from "./sbom.ts";
import { voidKeymap } from "./void_keymap.ts";

/** What to build, and from where. */
export interface BuildOptions {
  readonly project: string;
  readonly form: Form;
  readonly profile: Profile;
  /** The image directory. */
  readonly out: string;
  readonly entry: string;
  /** Host name that policies are addressed to; null for none. */
  readonly host: string | null;
  /** Fingerprint of the audit log's key that the image's host is to have; null or absent: any. */
  readonly auditFingerprint?: string | null;
  readonly say: (line: string) => void;
}

/** `build.json` beside the image; the one inside it has everything but `files` and `outputs`. */
export interface BuildFacts {
  readonly version: string;
  /** SHA-256 over everything in the image but this. */
  readonly build_id: string;
  readonly profile: Profile;
  readonly form: Form;
  readonly runtime: "official" | "pinned-test";
  readonly deno: string;
  readonly kernel: string;
  /** RFC 3339, UTC: SOURCE_DATE_EPOCH, or the time of the last commit. */
  readonly built: string;
  readonly warnings: readonly string[];
}

/** The files of this builder: a change of any of them may change what it makes. */
const BUILDER = /^tools\/(build|cpio|debian_|denort|elf|sbom)[a-z_]*(?<!_test)\.ts$/;

const ENVIRONMENT = "PATH=/usr/bin:/bin DENO_DIR=/run/deno TMPDIR=/tmp LANG=C.UTF-8 NO_COLOR=1";

/**
 * The script by which everything in the image starts the program. The console's line has its flow control
 * switched off first, which busybox init sets: one Ctrl-S of a person would stop the program at its next line.
 */
function rayScript(program: Pick<Program, "form" | "flags">): string {
  const start = program.form === "compiled"
    ? "/usr/lib/rayos/program"
    : `/usr/lib/rayos/deno run ${ALONE.join(" ")} ${
      program.flags.join(" ")
    } /usr/lib/rayos/program.js`;
  const console = `[ "\${1-}" != init ] || /bin/busybox stty -ixon -ixoff 2> /dev/null`;
  return `#!/bin/busybox sh\n${console}\nexec /bin/busybox env -i ${ENVIRONMENT} ${start} "$@"\n`;
}

/** What an image for one host alone has. */
const OF_ONE_HOST = ["host", "audit.fingerprint"];

function sourceDate(project: string): number {
  const given = Deno.env.get("SOURCE_DATE_EPOCH");
  if (given !== undefined && /^[0-9]{1,11}$/.test(given)) return Number(given);
  try {
    return Number(run("git", ["log", "-1", "--format=%ct"], { cwd: project }).trim());
  } catch {
    return 0;
  }
}

/** Hash of everything that a build depends on, by which a second build knows that nothing changed. */
function inputsHash(options: BuildOptions, cache: string): string {
  const { project } = options;
  const folders = ["initramfs", "tools"].flatMap((dir) =>
    filesBelow(path.join(project, dir)).map((one) => path.join(dir, one))
  ).filter((one) => one.startsWith("initramfs/") || BUILDER.test(one));
  const key = path.join(project, ".rayos/keys/policy-dev.pub");
  return sha256([
    options.form,
    options.profile,
    options.host ?? "",
    options.auditFingerprint ?? "",
    String(sourceDate(project)),
    programInputs(project, options.entry),
    runtimeInputs(path.join(cache, "runtime")),
    fs.existsSync(key) ? sha256File(key) : "",
    filesBelow(path.join(cache, "debs")).filter((one) => /^[^/]*\.drift\.json$/.test(one)).join(
      " ",
    ),
    ...folders.map((one) => `${one} ${sha256File(path.join(project, one))}`),
  ].join("\n"));
}

/** Where the packages of a manifest lie, downloaded if they must be. */
export function sourcesOf(
  manifest: Manifest,
  project: string,
  cache: string,
  say: (line: string) => void,
): Sources {
  return {
    debian: debianPackages(new Map(Object.entries(manifest.debian)), path.join(cache, "debs"), say),
    // The official executable is the one that runs this build; the manifest's hash says so.
    npm: new Map([["@deno/linux-x64-glibc", path.dirname(fs.realpathSync(Deno.execPath()))]]),
    project,
  };
}

/** The lines of /etc/rayos/modules: condition, file and parameters, in load order. */
export function moduleLines(manifest: Manifest, sources: Sources): string {
  const dir = sources.debian.get(manifest.kernel.package)?.dir ?? "";
  return resolveModules(dir, manifest.kernel.release, manifest.modules)
    .map((one) => `${`${one.when} /usr/${one.member} ${one.parameters}`.trimEnd()}\n`).join("");
}

/** Builds the image, or returns at once where it is there already. */
export function buildImage(options: BuildOptions): BuildFacts {
  const { project, form, profile, out, say } = options;
  const cache = path.join(project, ".cache");
  const key = profile === "developer" ? developerKey(project, say) : null;
  const stamp = path.join(out, ".inputs");
  const current = () => inputsHash(options, cache);
  if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === current()) {
    return JSON.parse(fs.readFileSync(path.join(out, "build.json"), "utf8"));
  }
  fs.rmSync(stamp, { force: true });

  const manifest = readManifest(path.join(project, "initramfs/manifest.jsonc"));
  const sources = sourcesOf(manifest, project, cache, say);
  const warnings: string[] = [];
  for (const one of sources.debian.values()) {
    if (!one.drifted) continue;
    warnings.push(
      `Debian package ${one.name}: ${one.version}, not ${manifest.debian[one.name]?.version}`,
    );
  }
  const drift = manifestDrift(manifest, sources);
  if (drift.length > 0) {
    throw new ToolError(
      `manifest: ${drift.length} files differ; run tools/rayos manifest\n  ${
        drift.slice(0, 20).join("\n  ")
      }`,
    );
  }
  const program = buildProgram(form, {
    project,
    cache: path.join(cache, "runtime"),
    entry: options.entry,
    compilerIntegrity: manifest.npm["@deno/linux-x64-glibc@2.5.7"]?.integrity ?? "",
    say,
  });

  const text = (words: string) => new TextEncoder().encode(words);
  const made = new Map<string, Uint8Array>([
    [form === "compiled" ? "program" : "program.js", fs.readFileSync(program.file)],
    ["ray", text(rayScript(program))],
    ["modules", text(moduleLines(manifest, sources))],
    ["profile", text(`${profile}\n`)],
    ["qemu.bpf", QEMU_FILTER],
    ["disk.bpf", DISK_FILTER],
    ["swtpm.bpf", SWTPM_FILTER],
    ["passt.bpf", PASST_FILTER],
    ["dhcp.bpf", DHCP_FILTER],
    ["qemu.shared.bpf", QEMU_SHARED_FILTER],
    ["virtiofsd.bpf", VIRTIOFSD_FILTER],
    ["hardening", text(renderHardening())],
    ["sysfs", text(renderSysfsShown())],
    ["void.kmap", voidKeymap()],
  ]);
  if (key !== null) made.set("policy-dev.pub", fs.readFileSync(key.publicFile));
  if (options.host !== null) made.set("host", text(`${options.host}\n`));
  const { auditFingerprint = null } = options;
  if (auditFingerprint !== null) made.set("audit.fingerprint", text(`${auditFingerprint}\n`));

  const later = (one: ManifestFile) => one.from === "built:build.json";
  const files = selected(manifest, form, profile).filter((one) =>
    !later(one) && OF_ONE_HOST.every((what) => one.from !== `built:${what}` || made.has(what))
  );
  const entries = readEntries(files, sources, made, (line) => warnings.push(line));
  checkLibraries(entries);
  if (profile === "release") {
    const developer = path.join(project, ".rayos/keys/policy-dev.pub");
    if (fs.existsSync(developer)) refuseDeveloperKey(entries, fs.readFileSync(developer, "utf8"));
  }
  const facts: BuildFacts = {
    version: JSON.parse(fs.readFileSync(path.join(project, "deno.json"), "utf8")).version,
    build_id: contentHash(entries),
    profile,
    form,
    runtime: program.runtime,
    deno: program.deno,
    kernel: manifest.kernel.release,
    built: new Date(sourceDate(project) * 1000).toISOString().replace(/\.000Z$/, "Z"),
    warnings,
  };
  made.set("build.json", text(`${JSON.stringify(facts, null, 2)}\n`));
  entries.push(...readEntries(manifest.files.filter(later), sources, made, () => {}));

  const base = entries.filter((one) => isBase(one.file));
  const top = entries.filter((one) => !isBase(one.file));
  const archives = [
    archiveOf(top, TOP_COMPRESSION, cache, false, say),
    archiveOf(base, BASE_COMPRESSION, cache, true, say),
  ];
  writeImage(out, archives, entries, facts, manifest, sources);
  writeWhole(stamp, current());
  return facts;
}

function writeImage(
  out: string,
  archives: readonly Uint8Array[],
  entries: readonly ImageEntry[],
  facts: BuildFacts,
  manifest: Manifest,
  sources: Sources,
): void {
  const boot = `boot/vmlinuz-${manifest.kernel.release}`;
  const kernel = memberOf(sources.debian.get(manifest.kernel.package)?.dir ?? "/nonexistent", boot);
  if (kernel === null) throw new ToolError(`kernel: ${manifest.kernel.package} has no ${boot}`);
  const vmlinuz = fs.readFileSync(kernel);
  const outputs = new Map<string, Uint8Array>([
    ["vmlinuz", vmlinuz],
    ["vmlinux", vmlinuxOf(vmlinuz)],
    ["initramfs.img", Buffer.concat(archives)],
  ]);
  const hashes = Object.fromEntries([...outputs].map(([name, data]) => [name, sha256(data)]));
  const { "initramfs.img": _, ...kernels } = hashes;
  const sbom = sbomOf(entries, facts, manifest, kernels, ingredientsOf(sources.project));
  outputs.set("sbom.cdx.json", new TextEncoder().encode(`${JSON.stringify(sbom, null, 2)}\n`));
  const listed = Object.fromEntries(
    entries.flatMap((one) => one.sha256 === null ? [] : [[one.file.path, one.sha256]]),
  );
  outputs.set(
    "build.json",
    new TextEncoder().encode(
      `${JSON.stringify({ ...facts, outputs: hashes, files: listed }, null, 2)}\n`,
    ),
  );
  for (const [name, data] of outputs) writeWhole(path.join(out, name), data);
}

function main(): void {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      form: { type: "string", default: "compiled" },
      profile: { type: "string", default: "developer" },
      out: { type: "string" },
      entry: { type: "string" },
      host: { type: "string" },
      "audit-fingerprint": { type: "string" },
      quiet: { type: "boolean", default: false },
    },
  });
  const { form, profile } = values;
  if (form !== "compiled" && form !== "bundled") usage(`--form ${form}`);
  if (profile !== "developer" && profile !== "release") usage(`--profile ${profile}`);
  const fingerprint = values["audit-fingerprint"] ?? null;
  if (fingerprint !== null && !isFingerprint(fingerprint)) {
    usage(`--audit-fingerprint ${fingerprint}: 32 hexadecimal digits`);
  }
  const project = path.resolve(import.meta.dirname ?? ".", "..");
  const began = performance.now();
  const out = path.resolve(values.out ?? path.join(project, "build", form));
  const facts = buildImage({
    project,
    form,
    profile,
    out,
    entry: path.resolve(values.entry ?? path.join(project, "main.ts")),
    host: values.host ?? null,
    auditFingerprint: fingerprint,
    say: (line) => values.quiet || console.error(`build: ${line}`),
  });
  for (const one of facts.warnings) console.error(`build: warning: ${one}`);
  if (values.quiet) return;
  const size = (fs.statSync(path.join(out, "initramfs.img")).size / 1e6).toFixed(1);
  const seconds = ((performance.now() - began) / 1000).toFixed(1);
  console.error(
    `build: ${
      path.relative(Deno.cwd(), out) || "."
    }: form=${form} profile=${profile} runtime=${facts.runtime} ` +
      `initramfs=${size} MB build_id=${facts.build_id.slice(0, 16)} (${seconds} s)`,
  );
}

function usage(words: string): never {
  console.error(
    `rayos: build: ${words}: not known; --form compiled|bundled, --profile developer|release`,
  );
  Deno.exit(2);
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    console.error(`rayos: build: ${error.message}`);
    Deno.exit(3);
  }
}
