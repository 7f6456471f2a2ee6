import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as path from "node:path";
import { documents, PARTS, withParts } from "./docs.ts";

const project = path.resolve(import.meta.dirname ?? ".", "..");

Deno.test("docs are what the tables say now, and every generated part is in one of them", () => {
  const seen = new Set<string>();
  for (const name of documents()) {
    const text = fs.readFileSync(path.join(project, name), "utf8");
    assert.equal(withParts(text), text, `${name} is not current; run tools/rayos deno task docs`);
    for (const [, part = ""] of text.matchAll(/<!-- generated: ([a-z-]+) -->/g)) seen.add(part);
  }
  assert.deepEqual([...seen].sort(), Object.keys(PARTS).sort());
});

Deno.test("withParts refuses a mark that names nothing", () => {
  assert.throws(() => withParts("<!-- generated: nothing -->\n<!-- end -->"), /no generated part/);
});
