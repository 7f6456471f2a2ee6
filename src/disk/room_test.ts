import assert from "node:assert/strict";
import { isLow, mostBytes, neededBytes, RESERVE_BYTES, roomIssue } from "./room.ts";

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

Deno.test("roomIssue refuses what would touch the reserve, to the byte", () => {
  assert.equal(roomIssue(5 * MIB, 5 * MIB + RESERVE_BYTES), null);
  assert.equal(roomIssue(5 * MIB, 5 * MIB + RESERVE_BYTES - 1)?.rule, "disk.no_room");
  assert.equal(roomIssue(0, 0)?.rule, "disk.no_room");
});

Deno.test("neededBytes counts a raw disk in whole, and a qcow2 by what is copied", () => {
  assert.equal(neededBytes("raw", 8 * GIB, 0), 8 * GIB);
  assert.ok(neededBytes("qcow2", 8 * GIB, 0) < 4 * MIB);
  assert.ok(neededBytes("qcow2", 8 * GIB, GIB) >= GIB);
  assert.ok(neededBytes("qcow2", GIB, 8 * GIB) < 2 * GIB);
});

Deno.test("mostBytes leaves the reserve and is in whole sectors", () => {
  assert.equal(mostBytes(RESERVE_BYTES + 1023), 512);
});

Deno.test("isLow looks at a twentieth, and at 2 GiB of a large disk", () => {
  assert.deepEqual([isLow(5, 100), isLow(4, 100)], [false, true]);
  assert.deepEqual([isLow(2 * GIB, 1000 * GIB), isLow(2 * GIB - 1, 1000 * GIB)], [false, true]);
});
