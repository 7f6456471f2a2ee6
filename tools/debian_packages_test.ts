import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { sha256File, ToolError } from "./build_host.ts";
import { debianPackages, memberOf } from "./debian_packages.ts";

interface Mirror {
  readonly cache: string;
  /** SHA-256 of the one package that the mirror has: `tiny` 2.0. */
  readonly sha256: string;
  /** How often apt-get was asked. */
  asked(): number;
}

/**
 * A mirror with one package, behind an apt-get of our own.
 *
 * @param stale whether apt-get knows the package only after an update of its lists
 */
async function mirror(use: (mirror: Mirror) => void, stale = false): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  const before = Deno.env.get("PATH") ?? "";
  try {
    const tree = path.join(dir, "tree");
    fs.mkdirSync(path.join(tree, "DEBIAN"), { recursive: true });
    fs.mkdirSync(path.join(tree, "usr/lib"), { recursive: true });
    fs.writeFileSync(
      path.join(tree, "DEBIAN/control"),
      "Package: tiny\nVersion: 2.0\nArchitecture: all\nMaintainer: none\nDescription: none\n",
    );
    fs.writeFileSync(path.join(tree, "usr/lib/real.so.1.2"), "library");
    fs.symlinkSync("real.so.1.2", path.join(tree, "usr/lib/real.so.1"));
    fs.symlinkSync("/usr/lib/real.so.1", path.join(tree, "usr/lib/absolute.so"));
    fs.symlinkSync("../../../outside", path.join(tree, "usr/lib/outside.so"));
    const deb = path.join(dir, "tiny_2.0_all.deb");
    const built = spawnSync("dpkg-deb", ["--build", "--root-owner-group", tree, deb]);
    assert.equal(built.status, 0, String(built.stderr));
    const log = path.join(dir, "log");
    const lists = path.join(dir, "lists");
    if (!stale) fs.writeFileSync(lists, "");
    const script = `#!/bin/sh
echo "$*" >> ${log}
[ "$1" != update ] || exec touch ${lists}
[ -f ${lists} ] || exit 100
case "$*" in *tiny=2.0 | *" tiny") cp ${deb} . ;; *) exit 100 ;; esac
`;
    fs.mkdirSync(path.join(dir, "bin"));
    fs.writeFileSync(path.join(dir, "bin/apt-get"), script, { mode: 0o755 });
    Deno.env.set("PATH", `${dir}/bin:${before}`);
    use({
      cache: path.join(dir, "cache"),
      sha256: sha256File(deb),
      asked: () => fs.existsSync(log) ? fs.readFileSync(log, "utf8").split("\n").length - 1 : 0,
    });
  } finally {
    Deno.env.set("PATH", before);
    await Deno.remove(dir, { recursive: true });
  }
}

const quiet = () => {};

Deno.test("debianPackages brings a pinned package once", async () => {
  await mirror(({ cache, sha256, asked }) => {
    const pins = new Map([["tiny", { version: "2.0", sha256 }]]);
    const first = debianPackages(pins, cache, quiet).get("tiny");
    assert.equal(first?.drifted, false);
    assert.equal(asked(), 1);
    assert.deepEqual(debianPackages(pins, cache, quiet).get("tiny"), first);
    assert.equal(asked(), 1);
  });
});

Deno.test("debianPackages has apt's lists brought up to date where they lack a pinned version", async () => {
  await mirror(({ cache, sha256, asked }) => {
    const pins = new Map([["tiny", { version: "2.0", sha256 }]]);
    assert.equal(debianPackages(pins, cache, quiet).get("tiny")?.drifted, false);
    // A download, the update, and the download again.
    assert.equal(asked(), 3);
  }, true);
});

Deno.test("debianPackages refuses other bytes at the pinned version", async () => {
  await mirror(({ cache }) => {
    const pins = new Map([["tiny", { version: "2.0", sha256: "0".repeat(64) }]]);
    assert.throws(() => debianPackages(pins, cache, quiet), /is not the pinned/);
  });
});

Deno.test("debianPackages takes what there is in place of a version that is gone, and says so", async () => {
  await mirror(({ cache, sha256, asked }) => {
    const pins = new Map([["tiny", { version: "1.0", sha256: "0".repeat(64) }]]);
    const found = debianPackages(pins, cache, quiet).get("tiny");
    assert.equal(found?.drifted, true);
    assert.equal(found?.version, "2.0");
    assert.equal(found?.sha256, sha256);
    const before = asked();
    assert.equal(debianPackages(pins, cache, quiet).get("tiny")?.drifted, true);
    assert.equal(asked(), before);
  });
});

Deno.test("debianPackages refuses a package that no mirror has", async () => {
  await mirror(({ cache }) => {
    assert.throws(() => debianPackages(new Map([["none", null]]), cache, quiet), ToolError);
  });
});

Deno.test("memberOf follows a package's own links and none that leave it", async () => {
  await mirror(({ cache }) => {
    const dir = debianPackages(new Map([["tiny", null]]), cache, quiet).get("tiny")?.dir ?? "";
    const real = path.join(dir, "usr/lib/real.so.1.2");
    assert.equal(memberOf(dir, "usr/lib/real.so.1"), real);
    assert.equal(memberOf(dir, "usr/lib/absolute.so"), real);
    assert.equal(memberOf(dir, "usr/lib/outside.so"), null);
    assert.equal(memberOf(dir, "usr/lib"), null);
    assert.equal(memberOf(dir, "usr/lib/none"), null);
  });
});
