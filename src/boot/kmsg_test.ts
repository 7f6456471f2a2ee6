import assert from "node:assert/strict";
import fc from "fast-check";
import { parseKernelMessage } from "./kmsg.ts";

Deno.test("parseKernelMessage reads the kernel's own example, without the lines below it", () => {
  const record = "6,339,5140900,-;NET: Registered protocol family 10\n SUBSYSTEM=net\n DEVICE=+x\n";
  assert.deepEqual(parseKernelMessage(record), {
    priority: 6,
    seq: 339,
    us: 5140900,
    text: "NET: Registered protocol family 10",
  });
  assert.equal(parseKernelMessage("30,340,5690716,-;udevd[80]: starting")?.priority, 6);
  assert.equal(parseKernelMessage("4,1,2,c,caller=T1;a\\x1b[2Jb")?.text, "a\u001b[2Jb");
});

Deno.test("parseKernelMessage takes nothing else for a record, and never throws", () => {
  for (const text of ["", ";", "6;x", "a,b,c,d;x", "6,1,2"]) {
    assert.equal(parseKernelMessage(text), null);
  }
  fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => {
    const found = parseKernelMessage(text);
    assert.ok(found === null || !found.text.includes("\n"));
  }));
});
