import assert from "node:assert/strict";
import fc from "fast-check";
import { answerCode, extendCommand, extended, pcrIn, readCommand } from "./tpm_commands.ts";
import { FakeTpm } from "./fake_tpm.ts";

const digest = fc.uint8Array({ minLength: 32, maxLength: 32 });
const answer = Uint8Array.fromHex(
  `80010000003e000000000000001400000001000b03000800000000010020${"ab".repeat(32)}`,
);

Deno.test("extendCommand and readCommand are the bytes that a TPM of swtpm took", () => {
  assert.equal(
    extendCommand(11, new Uint8Array(32).fill(0xcd)).toHex(),
    "800200000041000001820000000b0000000940000009000000000000000001000b" + "cd".repeat(32),
  );
  assert.equal(readCommand(11).toHex(), "8001000000140000017e00000001000b03000800");
  assert.equal(readCommand(0).toHex().slice(-6), "010000");
  assert.equal(readCommand(23).toHex().slice(-6), "000080");
  for (const pcr of [-1, 24, 1.5, NaN]) assert.throws(() => readCommand(pcr), RangeError);
  assert.throws(() => extendCommand(11, new Uint8Array(20)), RangeError);
});

Deno.test("pcrIn takes the value of the PCR that was asked for, and of no cut, longer or other answer", () => {
  assert.equal(pcrIn(answer, 11)?.toHex(), "ab".repeat(32));
  assert.equal(pcrIn(answer, 12), null, "it is of PCR 11");
  for (let length = 0; length < answer.length; length++) {
    assert.equal(pcrIn(answer.subarray(0, length), 11), null, `${length} bytes`);
  }
  assert.equal(pcrIn(new Uint8Array([...answer, 0]), 11), null);
  for (let at = 0; at < answer.length - 32; at++) {
    // The counter may be any.
    if (at >= 10 && at < 14) continue;
    const other = answer.slice();
    other[at] = (other[at] ?? 0) ^ 0x10;
    assert.equal(pcrIn(other, 11), null, `byte ${at}`);
  }
});

Deno.test("answerCode gives the code of a whole answer, whatever bytes it is given", () => {
  assert.equal(answerCode(Uint8Array.fromHex("80010000000a00000922")), 0x922);
  assert.equal(answerCode(answer), 0);
  fc.assert(fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
    const code = answerCode(bytes);
    return code === null || bytes.length >= 10;
  }));
});

Deno.test("extended says what a TPM's PCR becomes", () => {
  fc.assert(fc.property(fc.array(digest, { maxLength: 5 }), fc.nat(23), (digests, pcr) => {
    const tpm = new FakeTpm();
    for (const one of digests) assert.equal(answerCode(tpm.answer(extendCommand(pcr, one))), 0);
    const value = pcrIn(tpm.answer(readCommand(pcr)), pcr);
    assert.deepEqual(value, extended(new Uint8Array(32), digests));
  }));
  const start = new Uint8Array(32).fill(7);
  assert.deepEqual(extended(start, []), start);
});
