import assert from "node:assert/strict";
import { failedAttempts, renderAttempts, waitAfter } from "./attempts.ts";

Deno.test("failedAttempts counts a damaged file as very many, and no file as none", () => {
  assert.equal(failedAttempts(null), 0);
  assert.equal(failedAttempts(renderAttempts(3)), 3);
  for (const text of ["", "{", "[]", '{"version":0}', '{"version":0,"failed":-1}', "0"]) {
    assert.equal(waitAfter(failedAttempts(text)), 300_000, text);
  }
});

Deno.test("waitAfter grows with each failed attempt, to five minutes and not further", () => {
  assert.deepEqual([0, 1, 2, 3, 4, 10, 11, 1e6].map(waitAfter), [
    0,
    0,
    1_000,
    2_000,
    4_000,
    256_000,
    300_000,
    300_000,
  ]);
});
