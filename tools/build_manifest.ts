/**
 * The manifest of an image: its shape, how it is read, and how the generated half of it is written.
 * The first half of the file is written by people (programs, layout, modules), the second half, from
 * the line of MARK on, by `tools/rayos manifest`. Reading never changes anything.
 */
import * as fs from "node:fs";
import * as v from "valibot";
import { ToolError, writeWhole } from "./build_host.ts";

/** The line from which on the manifest is generated. */
export const MARK = "  // From here on written by `tools/rayos manifest`.";

const absolute = v.pipe(v.string(), v.regex(/^(\/[A-Za-z0-9._+@-]+)+$/));
const octal = v.pipe(v.string(), v.regex(/^0[0-7]{3}$/));
const owner = v.pipe(v.string(), v.regex(/^[0-9]+:[0-9]+$/));
const hash = v.pipe(v.string(), v.regex(/^[0-9a-f]{64}$/));
/** `debian:<package>`, `npm:<package>`, `project:<file>`, `layout`, or `built:<what>`. */
const source = v.pipe(v.string(), v.regex(/^(debian|npm|project|built):.+$|^layout$/));
const form = v.picklist(["compiled", "bundled"]);

export const CONDITIONS = ["all", "amd", "intel", "real", "screen"] as const;

const pin = v.strictObject({ version: v.string(), sha256: hash });

const file = v.strictObject({
  path: absolute,
  mode: octal,
  owner,
  from: source,
  /** Its name inside the package. */
  member: v.optional(v.string()),
  sha256: v.optional(hash),
  /** Target, for a symbolic link. */
  link: v.optional(v.string()),
  dir: v.optional(v.literal(true)),
  /** The form of the program that needs it; both where absent. */
  form: v.optional(form),
  /** The image profile that holds it; both where absent. */
  profile: v.optional(v.picklist(["developer", "release"])),
});

const manifestShape = v.strictObject({
  /** Kernel: package, and the release name under /lib/modules. */
  kernel: v.strictObject({ package: v.string(), release: v.string() }),
  /** Packages that libraries may come from; a library of any other package is refused. */
  library_packages: v.array(v.string()),
  /** Programs and data of packages; `root` is the directory in which their libraries are put. */
  programs: v.array(v.strictObject({
    root: v.optional(absolute),
    path: absolute,
    from: source,
    member: v.optional(v.string()),
    mode: v.optional(octal),
    form: v.optional(form),
  })),
  modules: v.array(v.strictObject({
    name: v.string(),
    when: v.picklist(CONDITIONS),
    /** What insmod is given besides the file, e.g. `nested=0`. */
    parameters: v.optional(v.string()),
  })),
  /** Directories, links, and what the build makes. */
  layout: v.array(file),
  /** Folders of the project that are copied as they are: from → to. */
  project: v.array(v.strictObject({ from: v.string(), to: v.string() })),
  debian: v.record(v.string(), pin),
  npm: v.record(v.string(), v.strictObject({ version: v.string(), integrity: v.string() })),
  files: v.array(file),
});

export type Manifest = v.InferOutput<typeof manifestShape>;
export type ManifestFile = v.InferOutput<typeof file>;
export type Form = v.InferOutput<typeof form>;
export type Condition = typeof CONDITIONS[number];

/** JSON with comments and trailing commas, as plain JSON. Strings are left alone. */
export function stripJsonComments(text: string): string {
  return text.replace(
    /("(?:[^"\\\n]|\\.)*")|\/\/[^\n]*|\/\*[^]*?\*\/|,(?=(?:\s|\/\/[^\n]*|\/\*[^]*?\*\/)*[\]}])/g,
    (_, string) => string ?? "",
  );
}

/**
 * Reads and checks a manifest.
 *
 * @throws ToolError with every place that is wrong
 */
export function readManifest(path: string): Manifest {
  let data: unknown;
  try {
    data = JSON.parse(stripJsonComments(fs.readFileSync(path, "utf8")));
  } catch (error) {
    throw new ToolError(
      `${path}: ${error instanceof Error ? error.message : error}; mend it by hand`,
    );
  }
  const parsed = v.safeParse(manifestShape, data);
  if (!parsed.success) {
    const places = parsed.issues.map((one) => `  ${v.getDotPath(one) ?? "?"}: ${one.message}`);
    throw new ToolError(`${path}: not a manifest\n${places.join("\n")}`);
  }
  const seen = new Set<string>();
  for (const one of parsed.output.files) {
    const key = `${one.path} ${one.form ?? ""} ${one.profile ?? ""}`;
    if (seen.has(key)) {
      throw new ToolError(`${path}: ${one.path} is listed twice; run tools/rayos manifest`);
    }
    seen.add(key);
  }
  return parsed.output;
}

/** Where a file of a package lies inside it. */
export function memberName(one: { path: string; member?: string | undefined }): string {
  return one.member ?? one.path.slice(1);
}

/** The package and kind behind a `from`. */
export function sourceOf(from: string): { kind: string; name: string } {
  const at = from.indexOf(":");
  return at < 0 ? { kind: from, name: "" } : { kind: from.slice(0, at), name: from.slice(at + 1) };
}

/** Writes the generated half, leaving the half above MARK as it is. */
export function writeGenerated(
  path: string,
  generated: Pick<Manifest, "debian" | "npm" | "files">,
): void {
  const text = fs.readFileSync(path, "utf8");
  const at = text.indexOf(MARK);
  if (at < 0) throw new ToolError(`${path}: has no line "${MARK.trim()}"; put it back`);
  const lines = (entries: string[]) => entries.map((one) => `    ${one}`).join(",\n");
  const record = (of: Record<string, unknown>) =>
    lines(
      Object.keys(of).sort().map((name) => `${JSON.stringify(name)}: ${spaced(of[name])}`),
    );
  writeWhole(
    path,
    `${text.slice(0, at)}${MARK}\n  "debian": {\n${record(generated.debian)}\n  },\n` +
      `  "npm": {\n${record(generated.npm)}\n  },\n` +
      `  "files": [\n${lines(generated.files.map(spaced))}\n  ]\n}\n`,
  );
}

/** One line of JSON as `deno fmt` leaves it. */
function spaced(value: unknown): string {
  return `{ ${
    Object.entries(value as Record<string, unknown>).filter(([, one]) => one !== undefined)
      .map(([key, one]) => `${JSON.stringify(key)}: ${JSON.stringify(one)}`).join(", ")
  } }`;
}
