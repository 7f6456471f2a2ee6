import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { canonicalJson, readJson } from "./json.ts";

function faultOf(text: string): [string, number, number] | null {
  const read = readJson(text);
  return read.ok ? null : [read.fault.rule, read.fault.line, read.fault.column];
}

Deno.test("readJson names the place of each fault", () => {
  const cases: [string, [string, number, number]][] = [
    ["", ["syntax", 1, 1]],
    ["{", ["syntax", 1, 2]],
    ['{"a":1,}', ["syntax", 1, 8]],
    ["[1,]", ["syntax", 1, 4]],
    ["[1] x", ["syntax", 1, 5]],
    ["{'a':1}", ["syntax", 1, 2]],
    ["[01]", ["syntax", 1, 3]],
    ["[+1]", ["syntax", 1, 2]],
    ["[.5]", ["syntax", 1, 2]],
    ["[1.]", ["syntax", 1, 3]],
    ["[NaN]", ["syntax", 1, 2]],
    ['["\t"]', ["syntax", 1, 3]],
    ['["\\x"]', ["syntax", 1, 3]],
    ['["\\u12g4"]', ["syntax", 1, 3]],
    ['["\\ud800"]', ["syntax", 1, 2]],
    ['["', ["syntax", 1, 3]],
    ["\ufeff{}", ["syntax", 1, 1]],
    ['{"a":1,\n "b":{"c":1,"c":2}}', ["duplicate_key", 2, 13]],
    ['{"a":1,"\\u0061":2}', ["duplicate_key", 1, 8]],
    ['{"__proto__":1}', ["prototype_key", 1, 2]],
    ["[".repeat(40), ["depth", 1, 34]],
  ];
  for (const [text, expected] of cases) assert.deepEqual(faultOf(text), expected, text);
});

Deno.test("readJson gives what JSON.parse gives, for every value without a special key", () => {
  const value = fc.jsonValue({ maxDepth: 5 }).filter((one) =>
    !JSON.stringify(one).includes("__proto__")
  );
  fc.assert(
    fc.property(value, fc.constantFrom(undefined, 1, "\t"), (given, space) => {
      const text = JSON.stringify(given, null, space);
      const read = readJson(text);
      if (!read.ok) return !text.isWellFormed() || text.includes("\\ud");
      assert.deepEqual(JSON.parse(JSON.stringify(read.value)), JSON.parse(text));
    }),
    { numRuns: 1000 },
  );
});

Deno.test("readJson takes no text that JSON.parse refuses", () => {
  const piece = fc.constantFrom(...'{}[],:"\\ \n019.eE+-tfn'.split(""), "true", "null", '"a"', "1");
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
      const text = pieces.join("");
      if (readJson(text).ok) JSON.parse(text);
    }),
    { numRuns: 20_000 },
  );
});

Deno.test("readJson gives objects without a prototype", () => {
  const read = readJson('{"constructor":{"prototype":{"x":1}}}');
  assert(read.ok);
  assert.equal(Object.getPrototypeOf(read.value), null);
});

const SUITE = new URL("../../shared/vectors/json/test_parsing/", import.meta.url);

Deno.test({
  name: "readJson agrees with JSONTestSuite (skipped where the vectors are not beside the project)",
  ignore: !existsSync(SUITE),
  fn() {
    // Stricter on purpose: a key given twice is a fault of its own.
    const stricter = ["y_object_duplicated_key.json", "y_object_duplicated_key_and_value.json"];
    let count = 0;
    for (const name of readdirSync(SUITE)) {
      const bytes = readFileSync(new URL(encodeURIComponent(name), SUITE));
      let text: string;
      try {
        text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
      } catch {
        assert(!name.startsWith("y_"), name);
        continue;
      }
      const { ok } = readJson(text);
      if (name.startsWith("n_")) assert(!ok, name);
      if (name.startsWith("y_")) assert.equal(ok, !stricter.includes(name), name);
      count++;
    }
    assert(count > 200);
  },
});

Deno.test("canonicalJson gives equal values one text, whatever the order of their keys", () => {
  const value = { b: [1, "é\n", null, { z: true, a: -0.5 }], a: {} };
  assert.equal(canonicalJson(value), '{"a":{},"b":[1,"é\\n",null,{"a":-0.5,"z":true}]}');
  assert.equal(canonicalJson({ a: {}, b: value.b }), canonicalJson(value));
});
