import assert from "node:assert/strict";
import fc from "fast-check";
import {
  CALLER_EXPOSURES,
  CALLER_RECORDS,
  Folding,
  GUEST_EXPOSURES,
  GUEST_RECORDS,
  HOST,
  type Kind,
  REPEAT_MS,
} from "./fold.ts";

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
  assert.equal(written, GUEST_RECORDS.most + Math.floor((day - 1000) / GUEST_RECORDS.refillMs));
  const [told] = folding.counted();
  assert.deepEqual([told?.["source"], told?.["count"]], ["hostile", counted]);
  assert.deepEqual(folding.counted(), [], "told once");
});

Deno.test("Folding lets no guest take from another's records", () => {
  const folding = new Folding();
  for (let n = 0; n < 10_000; n++) folding.admits(guest("hostile"), 0);
  assert.ok(folding.admits(guest("other"), 0));
});

Deno.test("Folding lets no guest take from who is called like it: a caller, or the host", () => {
  const folding = new Folding();
  for (const source of ["socket", HOST]) {
    for (let n = 0; n < 10_000; n++) folding.admits(guest(source), 0);
    for (let n = 0; n < 10_000; n++) folding.affords(guest(source), 0);
    const caller = { source, byGuest: false, key: "vm.stop" };
    assert.ok(folding.admits(caller, 0), source);
    assert.ok(folding.affords(caller, 0), source);
  }
});

const caller = (key: string, source = "socket"): Kind => ({ source, byGuest: false, key });

Deno.test("Folding counts a repetition however many others come between, and forgets the longest ago first", () => {
  const folding = new Folding();
  const admitted = (key: string, ms: number) => folding.admits(caller(key), ms);
  for (let n = 0; n < 64; n++) assert.ok(admitted(`op.${n}`, n));
  // One more than is remembered: the first alone is forgotten, and the others still count.
  assert.ok(admitted("op.64", 100));
  for (let n = 1; n <= 64; n++) assert.ok(!admitted(`op.${n}`, 200), `op.${n}`);
  assert.ok(admitted("op.0", 200));
});

Deno.test("Folding gives a caller that always asks for something else so many records and no more", () => {
  const folding = new Folding();
  const hours = 24;
  let written = 0;
  for (let n = 0; n < hours * 3600; n++) {
    if (folding.admits(caller(`op.${n % 1000}`), n * 1000)) written++;
  }
  const { most, refillMs } = CALLER_RECORDS;
  assert.ok(written <= most + hours * 3_600_000 / refillMs, `${written} records`);
  assert.ok(folding.admits(caller("vm.stop", "console"), 0), "another caller");
  for (let n = 0; n < 5000; n++) {
    assert.ok(folding.admits(caller(`event.${n}`, HOST), 0), "the host");
  }
});

Deno.test("Folding never only counts what gives something away: it has a record, or there is none to give", () => {
  for (
    const [kind, { most, refillMs }] of [
      [guest("hostile"), GUEST_EXPOSURES],
      [caller("vm.console"), CALLER_EXPOSURES],
    ] as const
  ) {
    const folding = new Folding();
    // Whatever else it caused before takes nothing of these.
    for (let n = 0; n < 10_000; n++) folding.admits(kind, 0);
    folding.counted();
    for (let n = 0; n < most; n++) assert.ok(folding.affords(kind, 0));
    assert.ok(!folding.affords(kind, 0));
    assert.ok(folding.affords({ ...kind, source: "other one" }, 0), "nobody else is held up by it");
    assert.ok(!folding.affords(kind, refillMs - 1));
    assert.ok(folding.affords(kind, refillMs));
    assert.ok(!folding.affords(kind, refillMs));
    assert.deepEqual(folding.counted(), []);
  }
});

Deno.test("Folding tells of each kind that has room in a record, and of the others together", () => {
  const folding = new Folding();
  for (let n = 0; n < 17; n++) {
    const key = `vm.start/${"x".repeat(60)}${n}/vm.state`;
    for (let times = 0; times <= n + 1; times++) folding.admits(caller(key), 0);
  }
  const [told] = folding.counted();
  const kinds = String(told?.["kinds"]);
  assert.ok(kinds.length <= 512, `${kinds.length}`);
  const counts = [...kinds.matchAll(/=(\d+)/g)].map((one) => Number(one[1]));
  assert.equal(counts.reduce((sum, one) => sum + one, 0), told?.["count"]);
  assert.match(kinds, /^vm\.start\/x+15\/vm\.state=16 .* other=\d+$/);
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
    fc.property(fc.array(one, { maxLength: 2000, size: "max" }), (kinds) => {
      const folding = new Folding();
      const admitted = kinds.filter((kind) => folding.admits(kind, 0)).length;
      const told = folding.counted();
      assert.ok(told.length <= 2 * 81);
      const sum = told.reduce((all, data) => all + Number(data["count"]), 0);
      assert.equal(admitted + sum, kinds.length);
    }),
    { numRuns: 30 },
  );
});
