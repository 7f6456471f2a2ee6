import assert from "node:assert/strict";
import { readToml, TomlOther } from "../../src/policy/toml.ts";

/**
 * Each rule that TOML 1.0.0 (https://toml.io/en/v1.0.0) states, by its section: what must be taken,
 * with the value that it means, and what must be refused. A float or a date is shown as its kind.
 */
interface Section {
  readonly takes: readonly (readonly [string, unknown])[];
  readonly refuses: readonly string[];
}

const SPEC: Readonly<Record<string, Section>> = {
  "spec: UTF-8, case, whitespace, newlines": {
    takes: [
      ["", {}],
      ["\n\r\n \t\n", {}],
      ["a=1\r\nb=2\n", { a: 1, b: 2 }],
      ["\t a \t = \t 1 \t", { a: 1 }],
      ["A = 1\na = 2", { A: 1, a: 2 }],
      ['k = "ä"', { k: "ä" }],
    ],
    refuses: ["\uFEFFa = 1", "a = 1\rb = 2", "a\u00a0= 1", "a = 1\u000b", "a = 1\u2028b = 2"],
  },
  "comment": {
    takes: [
      ["# all\na = 1 # rest", { a: 1 }],
      ['a = "# none"', { a: "# none" }],
      ["#\ttab\na=1", { a: 1 }],
      ["a = [ # here\n1 # and here\n]", { a: [1] }],
    ],
    refuses: ["# \u0000", "# \u0007", "# \u001f", "# \u007f", "a = 1 # \u0001"],
  },
  "key/value pair": {
    takes: [["a = 1\nb = 2", { a: 1, b: 2 }]],
    refuses: ["a", "a =", "= 1", "a = 1 b = 2", "a\n= 1", "a =\n1", "a == 1", "a = 1 1", "a : 1"],
  },
  "keys": {
    takes: [
      ["bare_key = 1\nbare-key = 2\n1234 = 3", { "bare_key": 1, "bare-key": 2, "1234": 3 }],
      ['"127.0.0.1" = 1', { "127.0.0.1": 1 }],
      ["'quoted \"value\"' = 1", { 'quoted "value"': 1 }],
      ['"" = 1', { "": 1 }],
      ["'' = 1", { "": 1 }],
      ['"\\u0041" = 1', { A: 1 }],
      ["a.b.c = 1", { a: { b: { c: 1 } } }],
      ["a . b . c = 1", { a: { b: { c: 1 } } }],
      ['site."google.com" = true', { site: { "google.com": true } }],
      ["3.14159 = 1", { "3": { "14159": 1 } }],
      ["a.b = 1\nc = 2\na.d = 3", { a: { b: 1, d: 3 }, c: 2 }],
    ],
    refuses: [
      "a = 1\na = 2",
      'a = 1\n"a" = 2',
      "a = 1\na.b = 2",
      "a.b = 1\na = 2",
      "a.b = 1\na.b.c = 2",
      "ä = 1",
      "a b = 1",
      ".a = 1",
      "a. = 1",
      "a..b = 1",
      '"""a""" = 1',
      "'''a''' = 1",
      '"a\nb" = 1',
      "[a] = 1",
    ],
  },
  "basic string": {
    takes: [
      ['a = ""', { a: "" }],
      ['a = "\\b\\t\\n\\f\\r\\"\\\\"', { a: '\b\t\n\f\r"\\' }],
      ['a = "\\u00E9\\U0001F600"', { a: "é😀" }],
      ['a = "\\uD7FF\\uE000\\U0010FFFF"', { a: "\uD7FF\uE000\u{10FFFF}" }],
      ['a = "tab\there"', { a: "tab\there" }],
    ],
    refuses: [
      'a = "',
      'a = "b',
      'a = "b\nc"',
      'a = "\\e"',
      'a = "\\x41"',
      'a = "\\u00g0"',
      'a = "\\u123"',
      'a = "\\U0000004"',
      'a = "\\uD800"',
      'a = "\\uDFFF"',
      'a = "\\U00110000"',
      'a = "\u0000"',
      'a = "\u0008"',
      'a = "\u001f"',
      'a = "\u007f"',
      'a = "b" c',
    ],
  },
  "multi-line basic string": {
    takes: [
      ['a = """"""', { a: "" }],
      ['a = """\nb"""', { a: "b" }],
      ['a = """\r\nb"""', { a: "b" }],
      ['a = """b\nc"""', { a: "b\nc" }],
      ['a = """b \\\n   \n  c"""', { a: "b c" }],
      ['a = """b \\   \n  c"""', { a: "b c" }],
      ['a = """b"c""d"""', { a: 'b"c""d' }],
      ['a = """""b"""""', { a: '""b""' }],
      ['a = """\\""""', { a: '"' }],
    ],
    refuses: [
      'a = """',
      'a = """b',
      'a = """b""',
      'a = """b""""""',
      'a = """\\ b"""',
      'a = """\\e"""',
      'a = """\u0001"""',
      'a = """b\rc"""',
    ],
  },
  "literal strings": {
    takes: [
      ["a = ''", { a: "" }],
      ["a = 'C:\\Users'", { a: "C:\\Users" }],
      ["a = '<\\i\\c*\\s*>'", { a: "<\\i\\c*\\s*>" }],
      ["a = ''''''", { a: "" }],
      ["a = '''\nb\n'''", { a: "b\n" }],
      ["a = '''b'c''d'''", { a: "b'c''d" }],
      ["a = '''''b'''''", { a: "''b''" }],
    ],
    refuses: ["a = '", "a = 'b\nc'", "a = 'b'c'", "a = '''b", "a = '''b''''''", "a = '\u0001'"],
  },
  "integer": {
    takes: [
      ["a = +99", { a: 99 }],
      ["a = 42", { a: 42 }],
      ["a = 0\nb = +0\nc = -0", { a: 0, b: 0, c: 0 }],
      ["a = -17", { a: -17 }],
      ["a = 1_000\nb = 5_349_221\nc = 1_2_3", { a: 1000, b: 5349221, c: 123 }],
      ["a = 0xDEADBEEF\nb = 0xdead_beef", { a: 0xdeadbeef, b: 0xdeadbeef }],
      ["a = 0o01234567\nb = 0b1101_0110", { a: 0o1234567, b: 0b11010110 }],
      ["a = 0x00ff", { a: 255 }],
      ["a = 9007199254740991", { a: 9007199254740991 }],
      ["a = 9223372036854775807", { a: "integer" }],
    ],
    refuses: [
      "a = 01",
      "a = +01",
      "a = -01",
      "a = 1__0",
      "a = _1",
      "a = 1_",
      "a = 0x",
      "a = 0x_1",
      "a = 0x1_",
      "a = 0xg",
      "a = 0o8",
      "a = 0b2",
      "a = +0x1",
      "a = -0b1",
      "a = 0X1",
      "a = 0O7",
      "a = ++1",
      "a = 1 000",
      "a = 1,000",
    ],
  },
  "float": {
    takes: [
      "+1.0",
      "3.1415",
      "-0.01",
      "5e+22",
      "1e06",
      "-2E-2",
      "6.626e-34",
      "224_617.445_991_228",
      "inf",
      "+inf",
      "-inf",
      "nan",
      "+nan",
      "-nan",
      "0e0",
    ].map((text) => [`a = ${text}`, { a: "float" }] as const),
    refuses: [
      "a = .7",
      "a = 7.",
      "a = 3.e+20",
      "a = 1.e1",
      "a = 1e",
      "a = 1e+",
      "a = 1._0",
      "a = 1_.0",
      "a = 1.0_",
      "a = 1e_1",
      "a = 1e1.0",
      "a = 03.14",
      "a = Inf",
      "a = NaN",
      "a = infinity",
      "a = 1.2.3",
    ],
  },
  "boolean": {
    takes: [["a = true\nb = false", { a: true, b: false }]],
    refuses: ["a = True", "a = FALSE", "a = tru", "a = truee", "a = yes", "a = null"],
  },
  "dates and times": {
    takes: [
      ["1979-05-27T07:32:00Z", "offset-date-time"],
      ["1979-05-27T00:32:00-07:00", "offset-date-time"],
      ["1979-05-27T00:32:00.999999-07:00", "offset-date-time"],
      ["1979-05-27 07:32:00z", "offset-date-time"],
      ["1979-05-27T07:32:00", "local-date-time"],
      ["1979-05-27t07:32:00.5", "local-date-time"],
      ["1979-05-27", "local-date"],
      ["2000-02-29", "local-date"],
      ["07:32:00", "local-time"],
      ["00:32:00.999999", "local-time"],
    ].map(([text, kind]) => [`a = ${text}`, { a: kind }] as const),
    refuses: [
      "a = 1979-5-27",
      "a = 1979-13-01",
      "a = 1979-00-01",
      "a = 1979-02-30",
      "a = 2001-02-29",
      "a = 1979-05-32",
      "a = 1979-05-27T",
      "a = 1979-05-27T25:00:00",
      "a = 1979-05-27T07:60:00",
      "a = 1979-05-27T07:32",
      "a = 07:32",
      "a = 24:00:00",
      "a = 07:32:00.",
      "a = 1979-05-27T07:32:00+25:00",
      "a = 1979-05-27  07:32:00",
      "a = 79-05-27",
      "a = 07:32:00Z",
    ],
  },
  "array": {
    takes: [
      ["a = []", { a: [] }],
      ["a = [ 1, 2, 3 ]", { a: [1, 2, 3] }],
      ["a = [1, 2,]", { a: [1, 2] }],
      ['a = [[1, 2], ["b"]]', { a: [[1, 2], ["b"]] }],
      ['a = [1, "b", true]', { a: [1, "b", true] }],
      ["a = [\n1,\n2, # c\n]", { a: [1, 2] }],
      ["a = [{ b = 1 }, 2]", { a: [{ b: 1 }, 2] }],
    ],
    refuses: [
      "a = [",
      "a = [1",
      "a = [1 2]",
      "a = [,]",
      "a = [1,,2]",
      "a = [,1]",
      "a = 1]",
      "a = [1}",
    ],
  },
  "table": {
    takes: [
      ["[a]", { a: {} }],
      ["[a]\nb = 1\n[c]\nd = 2", { a: { b: 1 }, c: { d: 2 } }],
      ['[a."b.c"]\nd = 1', { a: { "b.c": { d: 1 } } }],
      ["[ a . b ]", { a: { b: {} } }],
      ["[a.b]\n[a]\nc = 1", { a: { b: {}, c: 1 } }],
      ["x = 1\n[a]\nx = 2", { x: 1, a: { x: 2 } }],
      ["[a]\nb.c = 1\n[a.d]\n", { a: { b: { c: 1 }, d: {} } }],
    ],
    refuses: [
      "[a]\n[a]",
      "[a]\nb = 1\n[a.b]",
      "[a]\nb.c = 1\n[a.b]",
      "[a]\nb.c.d = 1\n[a.b.e]\nf = 1\n[a.b]",
      "a.b = 1\n[a]",
      "[]",
      "[a.]",
      "[.a]",
      "[a..b]",
      "[a",
      "a]",
      "[a]]",
      "[a] b = 1",
      "[a]\n[a.b]\n[a.b]",
      "[a\n]",
      "[[a]\n]",
    ],
  },
  "inline table": {
    takes: [
      ["a = {}", { a: {} }],
      ['a = { b = 1, c = "d" }', { a: { b: 1, c: "d" } }],
      ["a = { b.c = 1 }", { a: { b: { c: 1 } } }],
      ["a = { b = [\n1,\n2\n] }", { a: { b: [1, 2] } }],
    ],
    refuses: [
      "a = { b = 1, }",
      "a = { b = 1\n}",
      "a = {\nb = 1 }",
      "a = { b = 1, b = 2 }",
      "a = { b = 1 c = 2 }",
      "a = { , }",
      "a = { b }",
      "a = {",
      "a = { b = 1 }\na.c = 2",
      "a = { b = 1 }\n[a.c]",
      "[a.b]\n[c]\na = {}\n[c.a]",
      "[a]\nb = {}\nb.c = 1",
      "a = { b = {} , b.c = 1 }",
    ],
  },
  "array of tables": {
    takes: [
      ["[[a]]\nb = 1\n[[a]]\n[[a]]\nb = 2", { a: [{ b: 1 }, {}, { b: 2 }] }],
      [
        "[[a]]\nn = 1\n[a.b]\nc = 1\n[[a.d]]\ne = 1\n[[a.d]]\ne = 2\n[[a]]\nn = 2",
        { a: [{ n: 1, b: { c: 1 }, d: [{ e: 1 }, { e: 2 }] }, { n: 2 }] },
      ],
      ["[[a.b]]\nc = 1", { a: { b: [{ c: 1 }] } }],
    ],
    refuses: [
      "a = []\n[[a]]",
      "[[a]]\n[a]",
      "[a]\n[[a]]",
      "[[a]]\n[a.b]\n[[a.b]]",
      "[[a.b]]\n[a.b]",
      "[a.b]\nc = 1\n[[a]]",
      "[[a]",
      "[ [a]]",
      "[[]]",
      "a = [{ b = 1 }]\n[a.c]",
    ],
  },
};

/** The data with plain objects, and the kind of what no policy has. */
function plain(value: unknown): unknown {
  if (value instanceof TomlOther) return value.kind;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, plain(one)]));
}

for (const [section, { takes, refuses }] of Object.entries(SPEC)) {
  Deno.test(`readToml keeps TOML 1.0, ${section}`, () => {
    for (const [text, value] of takes) {
      const read = readToml(new TextEncoder().encode(text));
      assert(read.ok, `${JSON.stringify(text)}: ${read.ok ? "" : read.issue.found}`);
      assert.deepEqual(plain(read.document.data), value, JSON.stringify(text));
    }
    for (const text of refuses) {
      const read = readToml(new TextEncoder().encode(text));
      assert(!read.ok, JSON.stringify(text));
      assert.match(read.issue.rule, /^toml\./);
      assert(read.issue.line !== null && read.issue.column !== null, JSON.stringify(text));
    }
  });
}
