import assert from "node:assert/strict";
import { Ajv } from "ajv";
import type { ImageEntry } from "./build_image.ts";
import type { Manifest } from "./build_manifest.ts";
import { type Component, type Sbom, sbomOf } from "./sbom.ts";

const SCHEMAS = new URL("testdata/cyclonedx-1.6/", import.meta.url);
const schemaAt = (name: string) =>
  JSON.parse(Deno.readTextFileSync(new URL(`${name}.schema.json`, SCHEMAS)));

const ajv = new Ajv({ strict: false, validateFormats: false, allErrors: true });
// The main schema names the other two by these file names.
for (const name of ["spdx", "jsf-0.82"]) {
  const { $id: _, ...schema } = schemaAt(name);
  ajv.addSchema(schema, `http://cyclonedx.org/schema/${name}.SNAPSHOT.schema.json`);
}
const valid = ajv.compile(schemaAt("bom-1.6"));

const HASH = "a".repeat(64);
const MANIFEST: Manifest = {
  kernel: { package: "linux-image-6", release: "6" },
  library_packages: [],
  programs: [],
  modules: [],
  layout: [],
  project: [],
  debian: {
    "libc6": { version: "2.36-9+deb12u14", sha256: HASH },
    "linux-image-6": { version: "6.1", sha256: HASH },
  },
  npm: { "@deno/linux-x64-glibc": { version: "2.9.6", integrity: "sha512-x" } },
  files: [],
};
const FACTS = {
  version: "0.1.0",
  build_id: HASH,
  built: "2026-01-01T00:00:00Z",
  form: "compiled",
  runtime: "official",
  deno: "2.9.6",
};

const entry = (path: string, from: string, rest: Partial<ImageEntry["file"]> = {}): ImageEntry => ({
  file: { path, mode: "0755", owner: "0:0", from, ...rest },
  data: rest.dir === true || rest.link !== undefined ? null : new Uint8Array(0),
  sha256: rest.dir === true || rest.link !== undefined ? null : HASH,
});

const ENTRIES: ImageEntry[] = [
  entry("/bin", "layout", { link: "usr/bin" }),
  entry("/etc", "layout", { dir: true }),
  entry("/init", "project:initramfs/init"),
  entry("/usr/lib/libc.so.6", "debian:libc6"),
  entry("/usr/lib/modules/a.ko", "debian:linux-image-6"),
  entry("/usr/lib/rayos/deno", "npm:@deno/linux-x64-glibc"),
  entry("/usr/lib/rayos/program", "built:program"),
];

const filesOf = (one: Component) => one.components?.map((file) => file.name) ?? [];

function check(sbom: Sbom): void {
  assert.ok(valid(JSON.parse(JSON.stringify(sbom))), JSON.stringify(valid.errors, null, 1));
}

Deno.test("sbomOf is valid against the schema of CycloneDX 1.6", () => {
  const ingredients = [{ name: "@stricli/core", version: "1.3.0" }];
  check(sbomOf(ENTRIES, FACTS, MANIFEST, { vmlinuz: HASH, vmlinux: HASH }, ingredients));
});

Deno.test("sbomOf's schema refuses a component without a name", () => {
  const sbom = JSON.parse(JSON.stringify(sbomOf(ENTRIES, FACTS, MANIFEST, {}, [])));
  delete sbom.components[0].name;
  assert.equal(valid(sbom), false);
});

Deno.test("sbomOf puts each file of the image into exactly one component, and no other", () => {
  const sbom = sbomOf(ENTRIES, FACTS, MANIFEST, { vmlinuz: HASH }, []);
  const named = sbom.components.flatMap(filesOf);
  const expected = ENTRIES.filter((one) => one.file.dir !== true).map((one) => one.file.path);
  assert.deepEqual(named.toSorted(), [...expected, "vmlinuz"].toSorted());
});

Deno.test("sbomOf has no component without a file", () => {
  const sbom = sbomOf(ENTRIES, FACTS, MANIFEST, {}, []);
  assert.ok(sbom.components.every((one) => filesOf(one).length > 0));
  assert.deepEqual(sbom.components.map((one) => one.name), [
    "libc6",
    "linux-image-6",
    "@deno/linux-x64-glibc",
    "rayos-init",
  ]);
});
