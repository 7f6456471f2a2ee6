/**
 * `tools/rayos publish`: builds a release image and puts what is to be published into one directory,
 * with a list of hashes. It refuses what must not leave this checkout: a test runtime, a developer
 * profile, packages of another version than the manifest's. It sends nothing anywhere.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { type BuildFacts, buildImage } from "./build.ts";
import { sha256File, ToolError, writeWhole } from "./build_host.ts";

/** The files of a release, besides the list of their hashes. */
export const RELEASE_FILES = [
  "vmlinuz",
  "vmlinux",
  "initramfs.img",
  "build.json",
  "sbom.cdx.json",
] as const;

/**
 * Why an image must not be published, one reason a line; none where it may be.
 *
 * @param trusted names of the files below /etc/rayos/keys/ in the image
 */
export function refusals(facts: BuildFacts, trusted: readonly string[]): string[] {
  const reasons: string[] = [];
  if (facts.runtime !== "official") {
    reasons.push(`runtime=${facts.runtime}: it is for tests only; publish --form bundled`);
  }
  if (facts.profile !== "release") {
    reasons.push(`profile=${facts.profile}: it has a developer mode; build --profile release`);
  }
  if (trusted.some((one) => one.endsWith("/policy-dev.pub"))) {
    reasons.push("policy-dev.pub: the image trusts a developer key; build --profile release");
  }
  for (const warning of facts.warnings) {
    reasons.push(`${warning}; run tools/rayos manifest, try the image, and commit the manifest`);
  }
  return reasons;
}

/**
 * Copies an image's files into an empty directory and lists their hashes in SHA256SUMS.
 *
 * @throws ToolError where the image may not be published, is damaged, or the directory is not empty
 */
export function assemble(image: string, out: string): string[] {
  const facts: BuildFacts & {
    outputs: Record<string, string>;
    files: Record<string, string>;
  } = JSON.parse(fs.readFileSync(path.join(image, "build.json"), "utf8"));
  const trusted = Object.keys(facts.files).filter((one) => one.startsWith("/etc/rayos/keys/"));
  const reasons = refusals(facts, trusted);
  if (reasons.length > 0) {
    throw new ToolError(`${image}: refused\n${reasons.map((one) => `  ${one}`).join("\n")}`);
  }
  if (fs.existsSync(out) && fs.readdirSync(out).length > 0) {
    throw new ToolError(`${out}: it is not empty; name another directory by --out`);
  }
  for (const [name, hash] of Object.entries(facts.outputs)) {
    if (sha256File(path.join(image, name)) !== hash) {
      throw new ToolError(`${image}/${name}: not what build.json says it is; build it again`);
    }
  }
  fs.mkdirSync(out, { recursive: true });
  for (const name of RELEASE_FILES) fs.copyFileSync(path.join(image, name), path.join(out, name));
  const lines = RELEASE_FILES.map((name) => `${sha256File(path.join(out, name))}  ${name}`);
  writeWhole(path.join(out, "SHA256SUMS"), `${lines.join("\n")}\n`);
  return lines;
}

function main(): void {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      form: { type: "string", default: "bundled" },
      image: { type: "string" },
      out: { type: "string" },
    },
  });
  const project = path.resolve(import.meta.dirname ?? ".", "..");
  const form = values.form;
  if (form !== "compiled" && form !== "bundled") {
    console.error(`rayos: publish: --form ${form}: not known; say compiled or bundled`);
    Deno.exit(2);
  }
  const image = path.resolve(values.image ?? path.join(project, "build/release", form));
  if (values.image === undefined) {
    buildImage({
      project,
      form,
      profile: "release",
      out: image,
      entry: path.join(project, "main.ts"),
      host: null,
      say: (line) => console.error(`publish: ${line}`),
    });
  }
  const out = path.resolve(values.out ?? path.join(project, "build/dist"));
  for (const line of assemble(image, out)) console.log(line);
  if (!fs.existsSync(path.join(project, "initramfs/keys"))) {
    console.error(
      "publish: note: this image trusts no policy key and will stay in safe mode; " +
        "put policy-NAME.pub into initramfs/keys/ and run tools/rayos manifest --keep",
    );
  }
}

if (import.meta.main) {
  try {
    main();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    console.error(`rayos: publish: ${error.message}`);
    // What was asked for is refused; the environment is all right.
    Deno.exit(/: refused\n/.test(error.message) ? 1 : 3);
  }
}
