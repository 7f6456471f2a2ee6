import assert from "node:assert/strict";
import { type Figure, figuresJson, figuresTable, holds, median, ratioOf } from "./figures.ts";

const WITH_PEER: Figure = {
  name: "a",
  value: 3,
  unit: "s",
  peer: "b",
  peerValue: 2,
  goal: 1.6,
};
const ALONE: Figure = { ...WITH_PEER, peer: null, peerValue: null, goal: 2 };

Deno.test("median is the middle, whatever the order", () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 3]), 3);
  assert.equal(median([1, 4, 2, 9]), 3);
  assert.throws(() => median([]));
});

Deno.test("holds compares the ratio where there is a peer, else the value", () => {
  assert.equal(ratioOf(WITH_PEER), 1.5);
  assert.equal(holds(WITH_PEER), true);
  assert.equal(holds({ ...WITH_PEER, value: 3.3 }), false);
  assert.equal(ratioOf(ALONE), null);
  assert.equal(holds(ALONE), false);
  assert.equal(holds({ ...ALONE, goal: null }), null);
});

Deno.test("figuresJson has the agreed keys", () => {
  assert.deepEqual(JSON.parse(figuresJson([WITH_PEER])), [{
    name: "a",
    value: 3,
    unit: "s",
    peer: "b",
    peer_value: 2,
    ratio: 1.5,
    goal: 1.6,
    holds: true,
  }]);
});

Deno.test("figuresTable marks what misses its goal", () => {
  const table = figuresTable([WITH_PEER, ALONE]);
  assert.match(table, /^a +3\.00 s +b +2\.00 s +1\.50 +≤ 1\.6 +holds$/mu);
  assert.match(table, /MISSED$/mu);
});
