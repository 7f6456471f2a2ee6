import { Ajv2020 } from "ajv/dist/2020.js";
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { getStaticTOMLValue, parseTOML } from "toml-eslint-parser";
import { policyJsonSchema } from "./json_schema.ts";
import { checkShape } from "./shape.ts";
import { MISSHAPEN, SHAPELY } from "./testdata/corpus.ts";
import { readToml } from "./toml.ts";

const validate = new Ajv2020({ strict: true, allErrors: true }).compile(policyJsonSchema());
const SAMPLE = readFileSync(new URL("testdata/v0_sample.toml", import.meta.url), "utf8");

/** What the parser's own schema says of the shape. */
function parserTakes(text: string): boolean {
  const read = readToml(new TextEncoder().encode(text));
  assert(read.ok, text);
  return checkShape(read.document).issues.length === 0;
}

/** What an independent validator says, of values that an independent reader of TOML gives. */
function schemaTakes(text: string): boolean {
  const value = getStaticTOMLValue(parseTOML(text, { tomlVersion: "1.0" }));
  // A date is no JSON; an editor's validator sees it as text.
  return validate(
    JSON.parse(
      JSON.stringify(
        value,
        (_, one) => typeof one === "number" && !Number.isFinite(one) ? String(one) : one,
      ),
    ),
  );
}

Deno.test("policyJsonSchema and the parser agree on a corpus written by hand", () => {
  for (const text of [...SHAPELY, SAMPLE]) {
    assert(parserTakes(text), `parser: ${text}`);
    assert(schemaTakes(text), `schema: ${text}\n${JSON.stringify(validate.errors)}`);
  }
  for (const text of MISSHAPEN) {
    assert(!parserTakes(text), `parser: ${text}`);
    assert(!schemaTakes(text), `schema: ${text}`);
  }
});

Deno.test("policyJsonSchema and the parser agree when any one line of the corpus is changed", () => {
  const OTHERS = ["true", "7", "-3", '"word"', "[]", "{}", "1.5", "[1]", '""'];
  let agreed = 0;
  let refused = 0;
  for (const text of [...SHAPELY, SAMPLE]) {
    const lines = text.split("\n");
    lines.forEach((line, index) => {
      const [, key] = /^([A-Za-z_.]+) *=/.exec(line) ?? [];
      if (key === undefined || key === "version") return;
      const changed = [...OTHERS.map((other) => `${key} = ${other}`), line.replace(key, `${key}x`)];
      for (const other of changed) {
        const variant = lines.with(index, other).join("\n");
        const ours = parserTakes(variant);
        assert.equal(schemaTakes(variant), ours, variant);
        agreed++;
        if (!ours) refused++;
      }
    });
  }
  assert(agreed > 400 && refused > agreed / 2, `${agreed} variants, ${refused} refused`);
});

Deno.test("policyJsonSchema describes keys of every profile, and refuses unknown ones everywhere", () => {
  const text = JSON.stringify(policyJsonSchema());
  assert.equal(text.match(/Whether its guest may run at all/g)?.length, 4);
  const open = (node: unknown, path: string): string[] => {
    if (typeof node !== "object" || node === null) return [];
    const own = node as Record<string, unknown>;
    const here = own.type === "object" && own.additionalProperties === undefined ? [path] : [];
    return [...here, ...Object.entries(own).flatMap(([key, one]) => open(one, `${path}.${key}`))];
  };
  assert.deepEqual(open(policyJsonSchema(), "$"), []);
});
