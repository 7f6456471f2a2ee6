import assert from "node:assert/strict";
import fc from "fast-check";
import { foundDevices, nameOf } from "./found.ts";

Deno.test("foundDevices reads what the launcher lists, and nothing of a list with one word that is none", () => {
  const words = ["event0,13:64,UUVNVQo=,0", "event12,13:76,-,-"];
  assert.deepEqual(foundDevices(words), [
    { event: "event0", dev: "13:64", name64: "UUVNVQo=", node: 0 },
    { event: "event12", dev: "13:76", name64: "-", node: null },
  ]);
  assert.deepEqual(foundDevices([]), []);
  for (
    const bad of [
      "event0",
      "event0,13,x,0",
      "../0,13:64,-,-",
      "event0,13:64,a b,-",
      "event0,1:2,-,8",
    ]
  ) {
    assert.equal(foundDevices([...words, bad]), null, bad);
  }
  fc.assert(fc.property(fc.string(), (any) => {
    const found = foundDevices([any]);
    return found === null || /^event\d+$/.test(found[0]?.event ?? "");
  }));
});

Deno.test("nameOf gives a name that is no UTF-8, and one that is no base64, as text", () => {
  const device = { event: "event0", dev: "1:2", node: null };
  assert.equal(nameOf({ ...device, name64: btoa("A keyboard\n") }), "A keyboard");
  assert.equal(nameOf({ ...device, name64: "/w==" }), "\ufffd");
  assert.equal(nameOf({ ...device, name64: "A===" }), "");
  assert.equal(nameOf({ ...device, name64: "-" }), "");
});
