import assert from "node:assert/strict";
import fc from "fast-check";
import { readToml, showPath, syntaxIssue, TomlOther } from "./toml.ts";

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

Deno.test("TomlDocument says where lists of tables and their elements stand", () => {
  const read = readToml(bytes("[[a.b]]\nx = 1\n[[a.b]]\n[a.b.c]\n[[a.b.c.d]]\n"));
  assert(read.ok);
  const key = (...path: (string | number)[]) => {
    const { line, column, source } = read.document.keyPlace(path);
    return `${line}:${column} ${source}`;
  };
  assert.equal(key("a"), "1:3 a");
  assert.equal(key("a", "b"), "1:5 b");
  assert.equal(key("a", "b", 0), "1:5 b", "an element stands where its list's name does");
  assert.equal(key("a", "b", 1), "3:5 b");
  assert.equal(key("a", "b", 1, "c"), "4:6 c");
  assert.equal(key("a", "b", 1, "c", "d"), "5:9 d");
  assert.equal(key("a", "b", 1, "c", "d", 0), "5:9 d");
});

Deno.test("TomlDocument of what is not there gives the place of the key around it", () => {
  const read = readToml(bytes("a = { b = 1 }\n"));
  assert(read.ok);
  const { document } = read;
  assert.deepEqual(document.valuePlace(["a", "b"]), { line: 1, column: 11, source: "1" });
  assert.deepEqual(document.valuePlace(["a", "x"]), { line: 1, column: 1, source: "a" });
  assert.deepEqual(document.keyPlace(["x"]), { line: 1, column: 1, source: "" });
  assert.deepEqual(document.valuePlace([]), { line: 1, column: 1, source: "" });
});

Deno.test("TomlDocument shows the first line of a value, and 80 characters of it at most", () => {
  const source = (value: string) => {
    const read = readToml(bytes(`a = ${value}\n`));
    assert(read.ok);
    return read.document.valuePlace(["a"]).source;
  };
  assert.equal(source(`"${"x".repeat(78)}"`), `"${"x".repeat(78)}"`);
  assert.equal(source(`"${"x".repeat(79)}"`), `"${"x".repeat(79)}`);
  assert.equal(source("[1,\n2,\n3]"), "[1,");
});

Deno.test("showPath shortens a part to 64 characters", () => {
  assert.equal(showPath(["a".repeat(64)]), "a".repeat(64));
  assert.equal(showPath(["a".repeat(65)]), `"${"a".repeat(64)}…"`);
});

Deno.test("readToml shows the line of a syntax fault with the parser's words, and 80 characters of it", () => {
  const fault = (text: string) => {
    const read = readToml(bytes(text));
    assert(!read.ok);
    return [read.issue.rule, read.issue.expected, read.issue.found];
  };
  const [rule, expected, found = ""] = fault("a = 1\n  b = = 1\nc = 1\n");
  assert.deepEqual([rule, expected], ["toml.syntax", "TOML 1.0"]);
  assert.match(found, /^b = = 1 \(\S.*\)$/);
  assert.deepEqual(fault("a = 1\n\ta = 2\nb = 3\n"), [
    "toml.duplicate_key",
    "each key once",
    "a = 2",
  ]);
  assert.match(fault(`a = = ${"x".repeat(74)}`)[2] ?? "", /^a = = x{74} \(/);
  assert.match(fault(`a = = ${"x".repeat(75)}`)[2] ?? "", /^a = = x{74} \(/);
});

Deno.test("readToml never shows a line with a passphrase", () => {
  for (
    const text of ["passphrase = 'hunter2", "[recovery]\npassphrase = 1\npassphrase = 'hunter2'"]
  ) {
    const read = readToml(bytes(text));
    assert(!read.ok);
    assert.match(read.issue.found, /^a line that is not shown/);
    assert(!JSON.stringify(read.issue).includes("hunter2"));
  }
});

Deno.test("syntaxIssue takes what is no syntax fault for a document too deep", () => {
  const place = (error: unknown) => {
    const { rule, line, column, expected, found } = syntaxIssue(error, "a = 1\n");
    return [rule, line, column, expected, found];
  };
  const deep = [
    "toml.depth",
    1,
    1,
    "a document of moderate depth",
    "one that cannot be parsed",
  ];
  const lineAlone = Object.assign(new Error("x"), { lineNumber: 1 });
  for (
    const error of [new RangeError("Maximum call stack size exceeded"), "text", null, lineAlone]
  ) {
    assert.deepEqual(place(error), deep);
  }
});
