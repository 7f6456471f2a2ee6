import assert from "node:assert/strict";
import { type LogFile, MAX_FILES, surplus, toFree } from "./retention.ts";

const file = (n: number, size = 100): LogFile => ({ path: `logs/boot/${n}`, size, modifiedMs: n });

Deno.test("surplus names the oldest beyond ten of a category", () => {
  const files = Array.from({ length: MAX_FILES + 3 }, (_, n) => file(n));
  assert.deepEqual(surplus(files.toReversed()).map((one) => one.modifiedMs), [0, 1, 2]);
  assert.deepEqual(surplus(files.slice(0, MAX_FILES)), []);
});

Deno.test("toFree removes the oldest first and no more than needed", () => {
  const files = [file(3), file(1), file(2)];
  assert.deepEqual(toFree(files, 150)?.map((one) => one.modifiedMs), [1, 2]);
  assert.deepEqual(toFree(files, 0), []);
});

Deno.test("toFree says when removing everything would not do", () => {
  assert.equal(toFree([file(1), file(2)], 201), null);
});
