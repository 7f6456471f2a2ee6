import assert from "node:assert/strict";
import fc from "fast-check";
import { qcow2Of } from "../../tools/qcow2.ts";
import { formatOf, formatOfName, imageFacts, MAX_DISK_BYTES, sizeIssue } from "./image.ts";

const head = qcow2Of(new Uint8Array(1024 * 1024)).subarray(0, 512);

function changed(change: (view: DataView) => void): Uint8Array {
  const copy = head.slice();
  change(new DataView(copy.buffer));
  return copy;
}

const REFUSED: readonly [what: string, head: Uint8Array, rule: string][] = [
  ["a backing file", changed((view) => view.setBigUint64(8, 512n)), "path.disk_format"],
  ["an external data file", changed((view) => view.setBigUint64(72, 4n)), "path.disk_format"],
  ["another magic", changed((view) => view.setUint32(0, 0)), "path.disk_format"],
  ["a header that is cut", head.subarray(0, 80), "path.disk_format"],
  ["encryption", changed((view) => view.setUint32(32, 2)), "disk.encrypted"],
  ["the mark of damage", changed((view) => view.setBigUint64(72, 2n)), "disk.damaged"],
  ["a feature nobody knows", changed((view) => view.setBigUint64(72, 32n)), "disk.damaged"],
  ["clusters of 1 byte", changed((view) => view.setUint32(20, 0)), "disk.damaged"],
  ["clusters of 1 GiB", changed((view) => view.setUint32(20, 30)), "disk.damaged"],
  ["no size", changed((view) => view.setBigUint64(24, 0n)), "disk.size"],
  [
    "a sector more than ext4 takes",
    changed((view) => view.setBigUint64(24, BigInt(MAX_DISK_BYTES) + 512n)),
    "disk.size",
  ],
  ["the largest number", changed((view) => view.setBigUint64(24, 2n ** 64n - 1n)), "disk.size"],
];

for (const [what, bytes, rule] of REFUSED) {
  Deno.test(`imageFacts refuses a qcow2 with ${what}`, () => {
    const found = imageFacts("qcow2", bytes, 1_000_000);
    assert.equal("rule" in found && found.rule, rule);
  });
}

Deno.test("imageFacts gives the size that the guest sees", () => {
  assert.deepEqual(imageFacts("qcow2", head, 393_216), {
    format: "qcow2",
    virtualBytes: 1024 * 1024,
  });
  assert.deepEqual(imageFacts("raw", head, 4096), { format: "raw", virtualBytes: 4096 });
  const empty = imageFacts("raw", new Uint8Array(), 0);
  assert.equal("rule" in empty && empty.rule, "disk.size");
});

Deno.test("imageFacts answers whatever bytes an image begins with", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 512 }), fc.boolean(), (tail, magic) => {
      const bytes = magic ? Uint8Array.from([...head.subarray(0, 8), ...tail]) : tail;
      const found = imageFacts("qcow2", bytes, bytes.length);
      assert.ok("rule" in found || found.virtualBytes <= MAX_DISK_BYTES);
    }),
  );
});

Deno.test("formatOf knows qcow2, names what it refuses, and takes the rest as raw", () => {
  const text = (words: string) => Uint8Array.from(words, (one) => one.charCodeAt(0));
  assert.equal(formatOf(head), "qcow2");
  assert.equal(formatOf(new Uint8Array()), "raw");
  for (const begin of ["KDMV", "conectix", "vhdxfile", "<<< Oracle", "QED\0", "LUKS\xba\xbe"]) {
    const found = formatOf(text(begin));
    assert.equal(typeof found === "object" && found.rule, "disk.format", begin);
  }
  assert.deepEqual(["a.qcow2", "a.img", "qcow2"].map(formatOfName), ["qcow2", "raw", "raw"]);
});

Deno.test("sizeIssue takes whole sectors up to the largest disk", () => {
  assert.equal(sizeIssue(512), null);
  assert.equal(sizeIssue(MAX_DISK_BYTES), null);
  for (const bytes of [0, 1, 513, MAX_DISK_BYTES + 512, -512]) {
    assert.equal(sizeIssue(bytes)?.rule, "disk.size", String(bytes));
  }
});
