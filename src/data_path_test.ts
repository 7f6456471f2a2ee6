import assert from "node:assert/strict";
import fc from "fast-check";
import { type DataPath, dataPath, MAX_PATH_BYTES, overlaps, ownedBy } from "./data_path.ts";
import type { VmId } from "./id.ts";

const id = "desk-1" as VmId;

function path(text: string): DataPath {
  const made = dataPath(text);
  assert(made.ok, text);
  return made.path;
}

function ruleOf(text: unknown): string | null {
  const made = dataPath(text);
  return made.ok ? null : made.rule;
}

Deno.test("dataPath accepts parts of the allowed characters", () => {
  for (const good of ["a", "vm/linux/x/rootfs.ext4", "a..b/.c/-d_e", "...", "A.9"]) {
    assert.equal(ruleOf(good), null, good);
  }
});

Deno.test("dataPath names the rule of each refusal", () => {
  const cases: [unknown, string][] = [
    [undefined, "path.type"],
    [1, "path.type"],
    [["a"], "path.type"],
    ["", "path.empty"],
    ["a\0b", "path.nul"],
    ["/etc/shadow", "path.absolute"],
    ["/", "path.absolute"],
    ["../../etc/shadow", "path.escape"],
    ["vm/../policy", "path.escape"],
    ["a/..", "path.escape"],
    ["..", "path.escape"],
    ["a".repeat(256), "path.length"],
    ["a//b", "path.form"],
    ["a/", "path.form"],
    ["./a", "path.form"],
    ["a/./b", "path.form"],
    [".", "path.form"],
    ["a b", "path.form"],
    ["a\\b", "path.form"],
    ["ä", "path.form"],
    ["a\n", "path.form"],
    ["{vm_id}", "path.form"],
  ];
  for (const [text, rule] of cases) assert.equal(ruleOf(text), rule, JSON.stringify(text));
});

Deno.test("dataPath takes 255 bytes and not one more", () => {
  assert.equal(ruleOf("a".repeat(MAX_PATH_BYTES)), null);
  assert.equal(ruleOf("a".repeat(MAX_PATH_BYTES + 1)), "path.length");
});

Deno.test("dataPath of any text is itself or a refusal, and what it takes stays under the root", () => {
  const piece = fc.constantFrom("..", ".", "", "a", "vm", "\0", "/", " ", "é", "a.b", "-");
  const text = fc.oneof(fc.string(), fc.array(piece).map((parts) => parts.join("/")));
  fc.assert(
    fc.property(text, (given) => {
      const made = dataPath(given);
      if (!made.ok) return made.rule.startsWith("path.");
      // What the operating system would make of it, worked out in another way.
      const resolved = new URL(made.path, "file:///root/").pathname;
      return made.path === given && resolved === `/root/${given}` &&
        new TextEncoder().encode(given).length <= MAX_PATH_BYTES;
    }),
    { numRuns: 2000 },
  );
});

Deno.test("ownedBy lets a guest name its own folder and the older folder of its kind", () => {
  for (const own of ["vm/linux/desk-1/rootfs.ext4", "linux-guest/a/b", "vm/linux/desk-1/a/state"]) {
    assert(ownedBy(path(own), "linux", id).ok, own);
  }
  assert(ownedBy(path("windows-guest/x/tpm"), "windows", id).ok);
});

Deno.test("ownedBy refuses everything else as path.foreign", () => {
  const foreign = [
    "vm/linux/desk-2/rootfs.ext4",
    "vm/linux/desk-10/x",
    "vm/linux/desk-1",
    "vm/linux",
    "vm/windows/desk-1/disk",
    "windows-guest/x",
    "linux-guest",
    "linux-guestx/a",
    "policy/rayos-policy.toml",
    "logs/rayos.log",
    "crash/x",
    "boot/current_boot_id",
    "vm/registry.json",
    "vm/linux/desk-1/state",
    "vm/linux/desk-1/state/saved",
    "vm/linux/desk-1/logs/console",
    "vm/linux/desk-1/backup/x",
  ];
  for (const one of foreign) {
    const result = ownedBy(path(one), "linux", id);
    assert(!result.ok && result.rule === "path.foreign", one);
  }
});

Deno.test("ownedBy never lets two guests of different names own one file outside the older folder", () => {
  const name = fc.stringMatching(/^[a-z0-9][a-z0-9-]{0,5}$/);
  const tail = fc.stringMatching(/^[a-z.]{1,6}(\/[a-z.]{1,6}){0,3}$/);
  fc.assert(fc.property(name, name, tail, (one, other, rest) => {
    fc.pre(one !== other);
    const made = dataPath(`vm/linux/${one}/${rest}`);
    fc.pre(made.ok);
    return !ownedBy(made.path, "linux", other as VmId).ok;
  }));
});

Deno.test("overlaps is true for one file, and for a folder and what lies in it", () => {
  assert(overlaps(path("a/b"), path("a/b")));
  assert(overlaps(path("a"), path("a/b")));
  assert(overlaps(path("a/b/c"), path("a/b")));
  assert(!overlaps(path("a/b"), path("a/bc")));
  assert(!overlaps(path("a/b"), path("a/c")));
});

Deno.test("dataPath shows at most 80 characters of what it refuses", () => {
  const found = (text: string) => {
    const read = dataPath(text);
    assert(!read.ok);
    return read.found;
  };
  const exact = `/${"x".repeat(79)}`;
  assert.equal(found(exact), exact);
  assert.equal(found(`${exact}y`), `${exact}…`);
});
