import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";

const PROJECT = path.resolve(import.meta.dirname ?? ".", "..");
/** What a build reads of a checkout; hard links make copies that cost nothing. */
const COPIED = [
  "initramfs",
  "src",
  "tools",
  "main.ts",
  "deno.json",
  "deno.lock",
  "node_modules",
  ".git",
];
const OUTPUTS = ["vmlinuz", "vmlinux", "initramfs.img", "build.json", "sbom.cdx.json"];

/** A second checkout whose cache has the downloads of this one, and nothing that was built. */
function checkout(dir: string): void {
  fs.mkdirSync(path.join(dir, ".cache/runtime"), { recursive: true });
  for (const name of COPIED) {
    const done = spawnSync("cp", ["-a", "--", path.join(PROJECT, name), dir]);
    assert.equal(done.status, 0, String(done.stderr));
  }
  fs.cpSync(path.join(PROJECT, ".rayos"), path.join(dir, ".rayos"), { recursive: true });
  fs.symlinkSync(path.join(PROJECT, ".cache/debs"), path.join(dir, ".cache/debs"));
  const runtime = path.join(PROJECT, ".cache/runtime");
  for (const name of fs.readdirSync(runtime)) {
    if (/^(deno|denort|official)-/.test(name)) {
      fs.symlinkSync(path.join(runtime, name), path.join(dir, ".cache/runtime", name));
    }
  }
}

/** Builds in a checkout under the given umask, environment and clock. */
function build(
  dir: string,
  out: string,
  form: string,
  umask: string,
  env: Record<string, string>,
  days: number,
): void {
  const clock = days === 0 ? "" : `faketime -f +${days}d `;
  const command = `umask ${umask} && exec ${clock}"$DENO" run -q -P=tools tools/build.ts ` +
    `--form=${form} --out="$OUT" --quiet`;
  const done = spawnSync("sh", ["-c", command], {
    cwd: dir,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      HOME: Deno.env.get("HOME") ?? "",
      DENO: Deno.execPath(),
      OUT: out,
      ...env,
    },
  });
  assert.equal(done.status, 0, String(done.stderr));
}

/** Each file of a real image is in exactly one component with its hash, and no component is without. */
function billOfMaterialsHolds(image: string): void {
  const read = (name: string) => JSON.parse(fs.readFileSync(path.join(image, name), "utf8"));
  const { files, outputs } = read("build.json");
  const components: { components: { name: string; hashes?: { content: string }[] }[] }[] =
    read("sbom.cdx.json").components;
  const named = components.flatMap((one) => one.components)
    .flatMap(({ name, hashes }) => (hashes ?? []).map((one) => `${name} ${one.content}`));
  const { "initramfs.img": _, ...kernels } = outputs;
  const expected = Object.entries({ ...files, ...kernels }).map(([name, hash]) =>
    `${name} ${hash}`
  );
  assert.deepEqual(named.toSorted(), expected.toSorted());
  assert.ok(components.every((one) => one.components.length > 0));
}

// The other form differs in one file only; it is built twice where large counts are wanted.
const FORMS = Deno.env.get("RAYOS_TEST_FULL") === "1" ? ["compiled", "bundled"] : ["compiled"];

for (const form of FORMS) {
  const criterion = "elsewhere, with another time zone, umask, locale and clock";
  Deno.test(`buildImage gives the same bytes (${form}) ${criterion}`, () => {
    // Brings the downloads into this checkout's cache, where they are not there yet.
    build(PROJECT, path.join(PROJECT, "build", form), form, "022", {}, 0);
    // Not below /tmp, which may be small: these are two whole images.
    const work = fs.mkdtempSync(path.join(PROJECT, ".cache", "reproducible-"));
    try {
      const first = path.join(work, "a");
      const second = path.join(work, "b", "a longer name");
      checkout(first);
      checkout(second);
      const here = path.join(first, "out");
      const there = path.join(second, "out");
      build(first, here, form, "022", { TZ: "UTC", LC_ALL: "C" }, 0);
      const other = { TZ: "Pacific/Kiritimati", LC_ALL: "tr_TR.UTF-8", LANGUAGE: "tr" };
      build(second, there, form, "077", other, 400);
      for (const name of OUTPUTS) {
        const [a, b] = [here, there].map((dir) => fs.readFileSync(path.join(dir, name)));
        assert.ok(a !== undefined && b !== undefined && a.equals(b), `${name} differs`);
      }
      billOfMaterialsHolds(here);
    } finally {
      fs.rmSync(work, { recursive: true, force: true });
    }
  });
}
