import assert from "node:assert/strict";
import { migrate, type Migration, MIGRATIONS, POLICY_VERSION } from "./migrations.ts";
import { faults, parse } from "./testdata/parse_text.ts";

Deno.test("MIGRATIONS is empty: version 0 is the first", () => {
  assert.deepEqual([POLICY_VERSION, MIGRATIONS.size], [0, 0]);
});

Deno.test("a policy of an unknown version is refused with what a person needs, and nothing else", () => {
  const say = (version: string) => {
    assert.deepEqual(faults(`version = ${version}\nunknown = 1\n`), [
      "meaning.version version 1:11",
    ]);
    const [first] = parse(`version = ${version}\n`).issues;
    return `${first?.expected}; found ${first?.found}; ${first?.hint}`;
  };
  assert.match(say("1"), /^0; found 1; it was made for a later RayOS: update RayOS first, or /);
  assert.match(say("-1"), /^0; found -1; there is no such version: write version = 0$/);
  assert.match(say("99999999999999999999"), /made for a later RayOS/);
});

Deno.test("migrate goes step by step, and says where there is no way", () => {
  const steps: string[] = [];
  const table = new Map<number, Migration>([
    [-2, (document) => {
      steps.push("-2");
      document["a"] = true;
    }],
    [-1, () => steps.push("-1")],
  ]);
  const document = { version: -2, a: false };
  assert(migrate(document, -2, table));
  assert.deepEqual([steps, document], [["-2", "-1"], { version: 0, a: true }]);
  assert(!migrate({ version: -3 }, -3, table));
  assert(!migrate({ version: 1 }, 1, table));
  assert(migrate({ version: 0 }, 0));
});
