import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { resolveModules } from "./build_modules.ts";
import { moduleWith } from "./testdata/kernel_module.ts";

const RELEASE = "6.1.0-test";
const BASE = `lib/modules/${RELEASE}`;

/** A kernel package: `disk` needs `bus` and `ring`, `bus` needs `ring`; `hyper-a` and `hyper_b` need `hyper`. */
async function kernel(use: (dir: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    const put = (name: string, depends: string) => {
      const file = path.join(dir, BASE, "kernel", `${name}.ko`);
      fs.mkdirSync(path.dirname(file), { recursive: true });
      fs.writeFileSync(file, moduleWith(`license=GPL\0depends=${depends}\0`));
    };
    put("drivers/disk", "bus,ring");
    put("drivers/bus", "ring");
    put("drivers/ring", "");
    put("virt/hyper", "");
    put("virt/hyper-a", "hyper");
    put("virt/hyper_b", "hyper,ring");
    fs.writeFileSync(path.join(dir, BASE, "modules.builtin"), "kernel/drivers/char/tpm-tis.ko\n");
    use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

const plain = (modules: ReturnType<typeof resolveModules>) =>
  modules.map((one) => `${one.when} ${path.basename(one.member, ".ko")}`);

Deno.test("resolveModules puts each module behind what it needs", async () => {
  await kernel((dir) => {
    const modules = resolveModules(dir, RELEASE, [{ name: "disk", when: "all" }]);
    assert.deepEqual(plain(modules), ["all ring", "all bus", "all disk"]);
    // As in modules.dep: what is needed by a needed module stands behind it.
    assert.deepEqual(
      modules[2]?.needs,
      ["bus", "ring"].map((n) => `${BASE}/kernel/drivers/${n}.ko`),
    );
  });
});

Deno.test("resolveModules repeats for each processor what only the processors need", async () => {
  await kernel((dir) => {
    const modules = resolveModules(dir, RELEASE, [
      { name: "hyper_a", when: "amd" },
      { name: "hyper-b", when: "intel" },
      { name: "ring", when: "all" },
    ]);
    assert.deepEqual(plain(modules), [
      "all ring",
      "amd hyper",
      "amd hyper-a",
      "intel hyper",
      "intel hyper_b",
    ]);
  });
});

Deno.test("resolveModules refuses a module that is not there, and one that is built in", async () => {
  await kernel((dir) => {
    const one = (name: string) => () => resolveModules(dir, RELEASE, [{ name, when: "all" }]);
    assert.throws(one("no_such"), /no_such: is not in/);
    assert.throws(one("tpm_tis"), /tpm_tis: is built into/);
  });
});
