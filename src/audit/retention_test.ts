import assert from "node:assert/strict";
import {
  type CategoryFile,
  type LogFile,
  MAX_FILES,
  mostTalkative,
  surplus,
  toFree,
} from "./retention.ts";

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

Deno.test("mostTalkative names the oldest file of the category that takes most, and nothing where there is none", () => {
  const of = (category: CategoryFile["category"], n: number, size: number) => ({
    ...file(n, size),
    path: `${category}/${n}`,
    category,
  });
  const files = [of("log", 1, 50), of("console", 5, 40), of("console", 4, 40), of("boot", 0, 60)];
  assert.equal(mostTalkative(files)?.path, "console/4");
  assert.equal(mostTalkative(files.slice(0, 1))?.path, "log/1");
  assert.equal(mostTalkative([]), null);
});

Deno.test("toFree says when removing everything would not do", () => {
  assert.equal(toFree([file(1), file(2)], 201), null);
});
