import assert from "node:assert/strict";
import fc from "fast-check";
import { nvramIssue } from "./nvram.ts";
import { SAMPLE_NVRAM_BYTES, sampleNvram } from "./sample_nvram.ts";

const found = (bytes: Uint8Array) => nvramIssue(bytes, SAMPLE_NVRAM_BYTES)?.found ?? null;

Deno.test("nvramIssue finds nothing wrong with a store as OVMF begins it, whatever its variables", () => {
  assert.equal(found(sampleNvram()), null);
  const used = sampleNvram();
  used.fill(0x55, 0x64);
  assert.equal(found(used), null);
});

Deno.test("nvramIssue refuses another size, nothing, and what is no store", () => {
  const store = sampleNvram();
  for (
    const bytes of [
      new Uint8Array(),
      store.subarray(1),
      new Uint8Array([...store, 0]),
      new Uint8Array(SAMPLE_NVRAM_BYTES),
      new Uint8Array(SAMPLE_NVRAM_BYTES).fill(0xff),
    ]
  ) assert.equal(nvramIssue(bytes, SAMPLE_NVRAM_BYTES)?.rule, "vm.nvram_damaged");
});

Deno.test("nvramIssue refuses a volume's header with any one bit flipped, and a store's own words", () => {
  const whole = sampleNvram();
  const store = [...Array(16).keys(), 20, 21].map((at) => 0x48 + at);
  fc.assert(
    fc.property(
      fc.constantFrom(...Array(0x48).keys(), ...store),
      fc.nat({ max: 7 }),
      (at, bit) => {
        const bytes = whole.slice();
        bytes[at] = (bytes[at] ?? 0) ^ (1 << bit);
        assert.notEqual(found(bytes), null, `${at}.${bit}`);
      },
    ),
    { numRuns: 500 },
  );
});

Deno.test("nvramIssue never throws, whatever the bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      assert.doesNotThrow(() => nvramIssue(bytes, bytes.length));
    }),
  );
});
