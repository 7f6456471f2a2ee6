import assert from "node:assert/strict";
import fc from "fast-check";
import { readToml, showPath, TomlOther } from "./toml.ts";

const bytes = (text: string) => new TextEncoder().encode(text);

function faultOf(text: string | Uint8Array): [string, number | null, number | null] | null {
  const read = readToml(typeof text === "string" ? bytes(text) : text);
  return read.ok ? null : [read.issue.rule, read.issue.line, read.issue.column];
}

function dataOf(text: string): unknown {
  const read = readToml(bytes(text));
  assert(read.ok, text);
  return JSON.parse(JSON.stringify(read.document.data));
}

Deno.test("readToml names rule and place of a syntax fault", () => {
  const cases: [string, [string, number, number]][] = [
    ["a = 1\na = 2", ["toml.duplicate_key", 2, 1]],
    ["[a]\n[a]", ["toml.duplicate_key", 2, 2]],
    ["a = 2026-02-30", ["toml.syntax", 1, 14]],
    ["a = 25:00:00", ["toml.syntax", 1, 12]],
    ["a = [1,", ["toml.syntax", 1, 8]],
    ["a = 'x", ["toml.syntax", 1, 7]],
    ["= 1", ["toml.syntax", 1, 1]],
    ["a = {b = 1,\n}", ["toml.syntax", 2, 1]],
    ['a = "\\e"', ["toml.syntax", 1, 7]],
    ['a = "\\ud800"', ["toml.syntax", 1, 11]],
    ["a = 01", ["toml.syntax", 1, 5]],
    ["a = 1\rb = 2", ["toml.cr", 1, 6]],
    ["# x\ry\na = 1", ["toml.cr", 1, 4]],
    ["a = '''x\ry'''", ["toml.cr", 1, 9]],
    ["\ufeffa = 1", ["toml.bom", 1, 1]],
    ["x = 1\na = '\0'", ["toml.nul", 2, 6]],
    ["a = 1 \0", ["toml.nul", 1, 7]],
    ["# \0", ["toml.nul", 1, 3]],
  ];
  for (const [text, expected] of cases) {
    assert.deepEqual(faultOf(text), expected, JSON.stringify(text));
  }
});

Deno.test("readToml refuses bytes that are not UTF-8 and says in which line", () => {
  const broken = new Uint8Array([...bytes("a = 1\nb = '"), 0xff, 0x27, 0x0a]);
  assert.deepEqual(faultOf(broken), ["toml.utf8", 2, 1]);
  // An encoded surrogate and an overlong form are no UTF-8 either.
  assert.deepEqual(faultOf(new Uint8Array([0x23, 0xed, 0xa0, 0x80])), ["toml.utf8", 1, 1]);
  assert.deepEqual(faultOf(new Uint8Array([0x23, 0xc0, 0x80])), ["toml.utf8", 1, 1]);
});

Deno.test("readToml bounds depth and length before it builds anything", () => {
  const deep = 120_000;
  assert.deepEqual(faultOf(`a = ${"[".repeat(deep)}${"]".repeat(deep)}`), ["toml.depth", 1, 21]);
  assert.equal(faultOf(`a = ${"{a=".repeat(deep)}`)?.[0], "toml.depth");
  assert.equal(faultOf(`${Array(60_000).fill("a").join(".")} = 1`)?.[0], "toml.depth");
  assert.equal(faultOf(`a = "${"x".repeat(200_000)}"`)?.[0], "toml.length");
  assert.equal(faultOf(`a = '''${"x".repeat(200_000)}'''`)?.[0], "toml.length");
  assert.equal(faultOf(`a = "${"[{.".repeat(100)}" # ${"[{.".repeat(100)}`), null);
});

Deno.test("readToml reads strings that hold quotes, escapes and line ends", () => {
  assert.deepEqual(dataOf(`a = "x\\"[y" # "'`), { a: 'x"[y' });
  assert.deepEqual(dataOf(`a = 'x\\'\nb = 1`), { a: "x\\", b: 1 });
  assert.deepEqual(dataOf(`a = """x""\\"""""\nb = 1`), { a: 'x""""', b: 1 });
  assert.deepEqual(dataOf(`a = '''x''''\nb = 1`), { a: "x'", b: 1 });
  assert.deepEqual(dataOf("a = 1\r\nb = '''\r\nx'''\r\n"), { a: 1, b: "x" });
});

Deno.test("readToml builds tables in every form that TOML has", () => {
  assert.deepEqual(
    dataOf("a.b.c = 1\n[x.y]\nz = true\n[[t]]\nn = 1\n[[t]]\n[t.in]\nq = {r = 1, s.t = 'u'}\n"),
    {
      a: { b: { c: 1 } },
      x: { y: { z: true } },
      t: [{ n: 1 }, { in: { q: { r: 1, s: { t: "u" } } } }],
    },
  );
  assert.deepEqual(dataOf("[x.y]\na=1\n[x]\nb=2"), { x: { y: { a: 1 }, b: 2 } });
});

Deno.test("readToml keeps what no policy has apart from numbers", () => {
  const texts = ["1.0", "1e3", "nan", "-inf", "2026-01-01", "07:00:00", "2026-01-01T00:00:00Z"];
  for (const text of [...texts, "9007199254740993", "-99999999999999999999"]) {
    const read = readToml(bytes(`a = ${text}`));
    assert(read.ok && read.document.data["a"] instanceof TomlOther, text);
  }
});

Deno.test("readToml takes __proto__ and constructor as keys like any other", () => {
  const read = readToml(bytes("__proto__ = 1\n[constructor.prototype]\nx = 1\n[__proto2__]"));
  assert(read.ok);
  assert.deepEqual(Object.keys(read.document.data), ["__proto__", "constructor", "__proto2__"]);
  assert.equal(({} as Record<string, unknown>)["x"], undefined);
});

Deno.test("TomlDocument says where keys and values stand", () => {
  const read = readToml(bytes("a = 1\n[b.c]\n  d = [ 'x',\n 'y' ]\n[[e]]\nf.g = { h = 2 }\n"));
  assert(read.ok);
  const { document } = read;
  assert.deepEqual(document.valuePlace(["a"]), { line: 1, column: 5, source: "1" });
  assert.deepEqual(document.keyPlace(["b", "c", "d"]), { line: 3, column: 3, source: "d" });
  assert.deepEqual(document.valuePlace(["b", "c", "d", 1]), { line: 4, column: 2, source: "'y'" });
  assert.equal(document.valuePlace(["e", 0, "f", "g", "h"]).column, 13);
  assert.equal(document.keyPlace(["b", "c", "nothing"]).line, 2);
  assert(document.has(["e", 0, "f"]) && !document.has(["e", 1]) && !document.has(["b", "x"]));
});

Deno.test("showPath writes a path as TOML does", () => {
  assert.equal(showPath(["linux", "storage", "shares", 0, "tag"]), "linux.storage.shares[0].tag");
  assert.equal(showPath(["a b", 'c"']), '"a b"."c\\""');
});

Deno.test("readToml of any bytes gives a document or one fault with a place", () => {
  const piece = fc.constantFrom(
    ..."[]{}=.,#'\"\n\r\t \\\0".split(""),
    "a",
    "a = 1\n",
    '"""',
    "'''",
    "1979-05-27",
    "[[x]]\n",
    "é",
    "\\u0000",
  );
  const text = fc.array(piece, { maxLength: 40 }).map((parts) => bytes(parts.join("")));
  fc.assert(
    fc.property(fc.oneof(text, fc.uint8Array({ maxLength: 60 })), (given) => {
      const read = readToml(given);
      return read.ok ||
        (read.issue.rule.startsWith("toml.") && (read.issue.line ?? 0) >= 1 &&
          (read.issue.column ?? 0) >= 1);
    }),
    { numRuns: 5000 },
  );
});
