import assert from "node:assert/strict";
import { chordsOf, EVERY_KEY, keyOf } from "./keys.ts";

Deno.test("keyOf knows no key that ends or wakes a machine, no SysRq, and no word that is none", () => {
  for (const name of ["power", "sleep", "wake", "sysrq", "", "a,b", "key:a", "A", "__proto__"]) {
    assert.equal(keyOf("key", name), null, name);
  }
  assert.equal(keyOf("key", "left"), "key:left");
  assert.equal(keyOf("button", "left"), "button:left");
  assert.equal(keyOf("button", "a"), null);
});

Deno.test("chordsOf types every printable character of ASCII, and nothing else", () => {
  const printable = Array.from({ length: 95 }, (_, n) => String.fromCharCode(32 + n)).join("");
  const chords = chordsOf(`${printable}\n\t`);
  assert.equal(chords?.length, 97);
  assert.equal(new Set(chords.map((one) => one.join("+"))).size, 97, "each in a way of its own");
  assert.ok(chords.flat().every((key) => EVERY_KEY.includes(key)));
  for (const text of ["ä", "\u0000", "\u001b", "a\r", "😀"]) assert.equal(chordsOf(text), null);
});

Deno.test("chordsOf holds shift for what stands above", () => {
  assert.deepEqual(chordsOf("aA!"), [["key:a"], ["key:shift", "key:a"], ["key:shift", "key:1"]]);
});
