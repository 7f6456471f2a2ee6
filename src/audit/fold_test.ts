import assert from "node:assert/strict";
import fc from "fast-check";
import { Folding, GUEST_RECORDS, GUEST_REFILL_MS, type Kind, REPEAT_MS } from "./fold.ts";

const guest = (vm: string, key = "RAYOS_VM_STATE:running:stopped"): Kind => ({
  source: vm,
  byGuest: true,
  key,
});

Deno.test("Folding gives a guest that never stops so many records and no more, and counts the rest", () => {
  const folding = new Folding();
  const day = 24 * 3_600_000;
  let written = 0;
  let counted = 0;
  for (let ms = 0; ms < day; ms += 1000) {
    if (folding.admits(guest("hostile", `rule.${ms % 7}`), ms)) written++;
    else counted++;
  }
  assert.equal(written, GUEST_RECORDS + Math.floor((day - 1000) / GUEST_REFILL_MS));
  const [told] = folding.counted();
  assert.deepEqual([told?.["source"], told?.["count"]], ["hostile", counted]);
  assert.deepEqual(folding.counted(), [], "told once");
});

Deno.test("Folding lets no guest take from another's records", () => {
  const folding = new Folding();
  for (let n = 0; n < 10_000; n++) folding.admits(guest("hostile"), 0);
  assert.ok(folding.admits(guest("other"), 0));
});

Deno.test("Folding counts the same request of the same one within a minute, and not another one", () => {
  const folding = new Folding();
  const key = (op: string): Kind => ({ source: "socket", byGuest: false, key: op });
  assert.ok(folding.admits(key("input.key"), 0));
  assert.ok(!folding.admits(key("input.key"), REPEAT_MS - 1));
  assert.ok(folding.admits(key("vm.start"), 1));
  assert.ok(folding.admits(key("input.key"), REPEAT_MS));
  assert.deepEqual(folding.counted(), [{ source: "socket", count: 1, kinds: "input.key=1" }]);
});

Deno.test("Folding loses no count and stays small, whatever comes", () => {
  const one = fc.record({
    source: fc.string({ maxLength: 3 }),
    byGuest: fc.boolean(),
    key: fc.string({ maxLength: 3 }),
  });
  fc.assert(
    fc.property(fc.array(one, { maxLength: 2000 }), (kinds) => {
      const folding = new Folding();
      const admitted = kinds.filter((kind) => folding.admits(kind, 0)).length;
      const told = folding.counted();
      assert.ok(told.length <= 81);
      const sum = told.reduce((all, data) => all + Number(data["count"]), 0);
      assert.equal(admitted + sum, kinds.length);
    }),
    { numRuns: 30 },
  );
});
