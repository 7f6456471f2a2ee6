import assert from "node:assert/strict";
import type { BuildFacts } from "./build.ts";
import { sha256, ToolError } from "./build_host.ts";
import { assemble, refusals, RELEASE_FILES } from "./publish.ts";

const GOOD: BuildFacts = {
  version: "0.1.0",
  build_id: "0".repeat(64),
  profile: "release",
  form: "bundled",
  runtime: "official",
  deno: "2.9.6",
  kernel: "6.1.0-56-amd64",
  built: "2026-01-01T00:00:00Z",
  warnings: [],
};

/** An image directory whose files hold their own names. */
async function image(
  facts: Partial<BuildFacts>,
  files: Record<string, string>,
  use: (dir: string) => void,
): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    const outputs: Record<string, string> = {};
    for (const name of RELEASE_FILES) {
      await Deno.writeTextFile(`${dir}/${name}`, name);
      if (name !== "build.json") outputs[name] = sha256(name);
    }
    await Deno.writeTextFile(
      `${dir}/build.json`,
      JSON.stringify({ ...GOOD, ...facts, outputs, files }),
    );
    use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("refusals is empty for an official runtime in a release image", () => {
  assert.deepEqual(refusals(GOOD, ["/etc/rayos/keys/policy-2026.pub"]), []);
});

for (
  const [what, facts, keys] of [
    ["pinned-test", { runtime: "pinned-test" }, []],
    ["profile=developer", { profile: "developer" }, []],
    ["policy-dev.pub", {}, ["/etc/rayos/keys/policy-dev.pub"]],
    ["libc6", { warnings: ["Debian package libc6: 2, not 1"] }, []],
  ] as const
) {
  Deno.test(`assemble refuses an image with ${what} and writes nothing`, async () => {
    const files = Object.fromEntries(keys.map((one) => [one, "0".repeat(64)]));
    await image(facts, files, (dir) => {
      assert.throws(
        () => assemble(dir, `${dir}/dist`),
        (error) => error instanceof ToolError && error.message.includes(what),
      );
      assert.throws(() => Deno.statSync(`${dir}/dist`), Deno.errors.NotFound);
    });
  });
}

Deno.test("assemble refuses a file that is not what build.json says", async () => {
  await image({}, {}, (dir) => {
    Deno.writeTextFileSync(`${dir}/initramfs.img`, "another");
    assert.throws(() => assemble(dir, `${dir}/dist`), /not what build.json says/);
  });
});

Deno.test("assemble refuses a directory that is not empty", async () => {
  await image({}, {}, (dir) => assert.throws(() => assemble(dir, dir), /not empty/));
});

Deno.test("assemble lists the hash of every file of the release", async () => {
  await image({}, {}, (dir) => {
    assemble(dir, `${dir}/dist`);
    const sums = Deno.readTextFileSync(`${dir}/dist/SHA256SUMS`).trim().split("\n");
    assert.deepEqual(sums.map((one) => one.slice(66)), [...RELEASE_FILES]);
    for (const line of sums) {
      const name = line.slice(66);
      assert.equal(line.slice(0, 64), sha256(Deno.readFileSync(`${dir}/dist/${name}`)));
    }
  });
});
