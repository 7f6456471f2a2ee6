/**
 * The bill of materials of an image, CycloneDX 1.6 JSON: one component for each package and one for the
 * project itself, and under each the files it brought. Made from the same entries as the image, so
 * neither can have what the other has not; it reads nothing itself.
 */
import { sha256 } from "./build_host.ts";
import type { ImageEntry } from "./build_image.ts";
import { type Manifest, sourceOf } from "./build_manifest.ts";

/** What is said of the project's own component. */
export interface SbomFacts {
  readonly version: string;
  readonly build_id: string;
  readonly built: string;
  readonly form: string;
  readonly runtime: string;
  readonly deno: string;
}

/** An npm package whose code is inside the built program. */
export interface Ingredient {
  readonly name: string;
  readonly version: string;
}

interface Hash {
  readonly alg: "SHA-256";
  readonly content: string;
}

export interface Component {
  readonly type: "application" | "library" | "file" | "operating-system";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version?: string;
  readonly purl?: string;
  readonly hashes?: readonly Hash[];
  readonly licenses?: readonly { license: { id: string } }[];
  readonly pedigree?: { readonly ancestors: readonly Component[] };
  readonly properties?: readonly { name: string; value: string }[];
  readonly components?: readonly Component[];
}

export interface Sbom {
  readonly $schema: string;
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly serialNumber: string;
  readonly version: 1;
  readonly metadata: { readonly timestamp: string; readonly component: Component };
  readonly components: readonly Component[];
}

const hashOf = (content: string): Hash[] => [{ alg: "SHA-256", content }];

function fileComponent(name: string, hash: string | null): Component {
  return {
    type: "file",
    "bom-ref": `file:${name}`,
    name,
    ...(hash === null ? {} : { hashes: hashOf(hash) }),
  };
}

function npmPurl(name: string, version: string): string {
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function ancestor({ name, version }: Ingredient): Component {
  const purl = npmPurl(name, version);
  return { type: "library", "bom-ref": purl, name, version, purl };
}

/** The component that a file's source belongs to, by a key that is also its order. */
function ownerOf(from: string): string {
  const { kind, name } = sourceOf(from);
  return kind === "debian" || kind === "npm" ? `${kind}:${name}` : "project";
}

function packageComponent(
  key: string,
  files: readonly Component[],
  facts: SbomFacts,
  manifest: Manifest,
  ingredients: readonly Ingredient[],
): Component {
  const { kind, name } = sourceOf(key);
  if (kind === "debian") {
    const pin = manifest.debian[name];
    const version = pin?.version ?? "";
    const purl = `pkg:deb/debian/${name.replaceAll("+", "%2B")}@${
      encodeURIComponent(version)
    }?arch=amd64`;
    return {
      type: name.startsWith("linux-image-") ? "operating-system" : "library",
      "bom-ref": purl,
      name,
      version,
      purl,
      ...(pin === undefined ? {} : { hashes: hashOf(pin.sha256) }),
      components: files,
    };
  }
  if (kind === "npm") {
    const version = manifest.npm[name]?.version ?? facts.deno;
    const purl = npmPurl(name, version);
    return { type: "application", "bom-ref": purl, name, version, purl, components: files };
  }
  return {
    type: "application",
    "bom-ref": "rayos-init",
    name: "rayos-init",
    version: facts.version,
    licenses: [{ license: { id: "MIT" } }],
    pedigree: {
      ancestors: [
        ...(facts.form === "compiled" ? [{ name: "deno", version: facts.deno }] : []),
        ...ingredients,
      ].map(ancestor),
    },
    properties: [
      { name: "rayos:form", value: facts.form },
      { name: "rayos:runtime", value: facts.runtime },
      { name: "rayos:build_id", value: facts.build_id },
    ],
    components: files,
  };
}

/**
 * The bill of materials of an image.
 *
 * @param kernels files beside the initramfs that come from the kernel's package: name → SHA-256
 * @param ingredients npm packages inside the built program
 */
export function sbomOf(
  entries: readonly ImageEntry[],
  facts: SbomFacts,
  manifest: Manifest,
  kernels: Readonly<Record<string, string>>,
  ingredients: readonly Ingredient[],
): Sbom {
  const groups = new Map<string, Component[]>();
  const add = (key: string, one: Component) => {
    groups.set(key, [...groups.get(key) ?? [], one]);
  };
  for (const { file, sha256: hash } of entries) {
    if (file.dir !== true) add(ownerOf(file.from), fileComponent(file.path, hash));
  }
  for (const [name, hash] of Object.entries(kernels)) {
    add(`debian:${manifest.kernel.package}`, fileComponent(name, hash));
  }
  const id = sha256(`sbom ${facts.build_id}`);
  const uuid = [
    id.slice(0, 8),
    id.slice(8, 12),
    `4${id.slice(13, 16)}`,
    `8${id.slice(17, 20)}`,
    id.slice(20, 32),
  ].join("-");
  return {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuid}`,
    version: 1,
    metadata: {
      timestamp: facts.built,
      component: {
        type: "operating-system",
        "bom-ref": "rayos-image",
        name: "rayos-image",
        version: `${facts.version}+${facts.build_id.slice(0, 16)}`,
      },
    },
    components: [...groups].sort(([a], [b]) => a < b ? -1 : 1).map(([key, files]) =>
      packageComponent(key, files, facts, manifest, ingredients)
    ),
  };
}
