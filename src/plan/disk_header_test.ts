import assert from "node:assert/strict";
import { diskHeaderIssue } from "./disk_header.ts";

function qcow2(change: (view: DataView) => void = () => {}): Uint8Array {
  const bytes = new Uint8Array(512);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 3);
  change(view);
  return bytes;
}

Deno.test("diskHeaderIssue lets a qcow2 of one file pass, and any raw disk", () => {
  assert.equal(diskHeaderIssue("qcow2", qcow2()), null);
  assert.equal(diskHeaderIssue("qcow2", qcow2((v) => v.setUint32(4, 2))), null);
  assert.equal(diskHeaderIssue("raw", new Uint8Array()), null);
  assert.equal(diskHeaderIssue("raw", qcow2((v) => v.setBigUint64(8, 1n))), null);
});

const BAD: readonly [found: string, head: Uint8Array][] = [
  ["a backing file", qcow2((v) => v.setBigUint64(8, 0x200n))],
  ["an external data file", qcow2((v) => v.setBigUint64(72, 4n))],
  ["an external data file", qcow2((v) => v.setBigUint64(72, 0xffffffffffffffffn))],
  ["qcow2 version 4", qcow2((v) => v.setUint32(4, 4))],
  ["no qcow2 magic", qcow2((v) => v.setUint32(0, 0))],
  ["shorter than a qcow2 header", qcow2().subarray(0, 71)],
  ["shorter than a qcow2 header", qcow2().subarray(0, 103)],
  ["shorter than a qcow2 header", new Uint8Array()],
];
for (const [found, head] of BAD) {
  Deno.test(`diskHeaderIssue refuses ${found} (${head.length} bytes)`, () => {
    assert.equal(diskHeaderIssue("qcow2", head)?.found, found);
  });
}
