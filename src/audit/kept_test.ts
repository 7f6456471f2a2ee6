import assert from "node:assert/strict";
import { droppedOf, type KeptFile, missedOf } from "./kept.ts";
import { MAX_FILE_BYTES, MAX_FILES } from "./retention.ts";

/** Files of ten records each from that one on, of which the last was begun when the first was the oldest. */
function files(count: number, first: number, bytes = MAX_FILE_BYTES): KeptFile[] {
  return Array.from({ length: count }, (_, n) => ({
    name: `audit-${n + 4}.jsonl`,
    bytes: n === count - 1 ? 700 : bytes,
    seq: first + n * 10,
    time: "2026-11-24T12:00:00.000Z",
    oldest: n === count - 1 ? first : 1,
  }));
}

Deno.test("missedOf believes that records were dropped only of as many full files as the host keeps", () => {
  assert.equal(missedOf(files(MAX_FILES, 201)), null);
  for (let count = 1; count < MAX_FILES; count++) {
    assert.equal(missedOf(files(count, 201))?.seq, 1, `${count} files`);
  }
  assert.match(
    missedOf(files(MAX_FILES, 201, MAX_FILE_BYTES - 1))?.what ?? "",
    /audit-4\.jsonl has/,
  );
  assert.equal(missedOf(files(1, 1)), null, "none was dropped");
  assert.equal(missedOf(files(MAX_FILES - 1, 1, 100)), null);
  assert.equal(missedOf(files(MAX_FILES, 201).slice(1))?.seq, 201, "its first one is gone");
});

Deno.test("missedOf counts from the record that is said to be the oldest, where the older file is still there", () => {
  // Cut between the new file and the removal of the oldest.
  const cut = files(MAX_FILES + 1, 1).map((one, n) => ({
    ...one,
    oldest: n === MAX_FILES ? 11 : 1,
  }));
  assert.equal(missedOf(cut), null);
  assert.notEqual(missedOf(cut.slice(2)), null);
  // And one that says so of a record with which no file begins.
  assert.notEqual(missedOf(cut.map((one) => ({ ...one, oldest: 12 }))), null);
  assert.notEqual(missedOf(cut.map((one) => ({ ...one, oldest: 99 }))), null);
});

Deno.test("droppedOf says what is not here, and who could have done it", () => {
  assert.equal(droppedOf(files(3, 1)), null);
  const said = droppedOf(files(MAX_FILES, 201)) ?? "";
  assert.match(
    said,
    /^records 1 to 200 are not here: record 291 of 2026-11-24T12:00:00\.000Z says/,
  );
  assert.match(said, /whoever had its keys at that time or before could have dropped them$/);
});
