import assert from "node:assert/strict";
import fc from "fast-check";
import { LINE_CAP } from "./protocol.ts";
import { parseInput, parseStream, PIECE_BYTES, renderInput, renderStream } from "./stream.ts";

Deno.test("parseStream and parseInput read what was rendered for their id, and for no other", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1 }), fc.string({ maxLength: 64 }), (data, id) => {
      assert.deepEqual(parseStream(renderStream(id, { data }), id), { data });
      assert.deepEqual(parseInput(renderInput(id, data), id), data);
      assert.equal(parseStream(renderStream(id, { data }), `${id}x`), null);
      assert.equal(parseInput(renderInput(id, data), `${id}x`), null);
    }),
  );
  assert.deepEqual(parseStream(renderStream("1", { lost: 3 }), "1"), { lost: 3 });
  assert.deepEqual(parseStream(renderStream("1", { end: "a.b" }), "1"), { end: "a.b" });
});

Deno.test("renderStream's longest line is within the cap", () => {
  assert.ok(renderStream("x".repeat(64), { data: new Uint8Array(PIECE_BYTES) }).length < LINE_CAP);
});

for (
  const line of [
    "",
    "null",
    '{"v":0,"id":"1"}',
    '{"v":1,"id":"1","data":"QQ=="}',
    '{"v":0,"id":"1","data":""}',
    '{"v":0,"id":"1","data":"Q"}',
    '{"v":0,"id":"1","data":"Q Q="}',
    '{"v":0,"id":"1","data":1}',
    '{"v":0,"id":"1","data":"QQ==","end":"x"}',
    '{"v":0,"id":"1","lost":0}',
    '{"v":0,"id":"1","end":""}',
  ]
) {
  Deno.test(`parseStream and parseInput take nothing from ${line || "an empty line"}`, () => {
    assert.equal(parseStream(line, "1"), null);
    assert.equal(parseInput(line, "1"), null);
  });
}

Deno.test("parseInput takes no word that is the host's", () => {
  assert.equal(parseInput(renderStream("1", { end: "x" }), "1"), null);
  assert.equal(parseInput(renderStream("1", { lost: 1 }), "1"), null);
});
