import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { pointOf, pointWeakness, sign, signatureWeakness, verify } from "./ed25519.ts";

const hex = (text: string) => new Uint8Array(Buffer.from(text, "hex"));
const P = (1n << 255n) - 19n;
const L = (1n << 252n) + 27742317777372353535851937790883648493n;

function bytesOf(value: bigint): Uint8Array {
  return hex(value.toString(16).padStart(64, "0")).reverse();
}

function numberOf(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}

Deno.test("verify and sign agree with RFC 8032, test 2", () => {
  const seed = hex("4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
  const point = hex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
  const signature = hex(
    "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da" +
      "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
  );
  assert.deepEqual(pointOf(seed), point);
  assert.deepEqual(sign(seed, hex("72")), signature);
  assert(verify(point, hex("72"), signature));
  assert(!verify(point, hex("73"), signature));
});

Deno.test("pointWeakness refuses every point of small order, with either sign bit", () => {
  const order8 = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;
  for (const y of [0n, 1n, P - 1n, order8, P - order8]) {
    for (const sign of [0n, 1n << 255n]) {
      assert.equal(pointWeakness(bytesOf(y + sign)), "small order", `${y}`);
    }
  }
});

Deno.test("pointWeakness refuses y of the prime and above", () => {
  for (const y of [P, P + 1n, P + 18n]) {
    assert.equal(pointWeakness(bytesOf(y)), "non-canonical");
    assert.equal(pointWeakness(bytesOf(y + (1n << 255n))), "non-canonical");
  }
  assert.equal(pointWeakness(bytesOf(P - 2n)), null);
  assert.equal(pointWeakness(new Uint8Array(31)), "non-canonical");
});

Deno.test("verify refuses the signature that fits every message under a small-order key", () => {
  // A = (0, -1) has order 2; with R = A and S = 0 a cofactored check holds for any message.
  const point = bytesOf(P - 1n);
  const signature = Buffer.concat([bytesOf(1n), new Uint8Array(32)]);
  for (let n = 0; n < 16; n++) assert(!verify(point, new Uint8Array([n]), signature));
});

Deno.test("signatureWeakness refuses S that is not reduced, so no signature has a twin", () => {
  const seed = new Uint8Array(32).fill(7);
  const message = new Uint8Array([1, 2, 3]);
  const signature = sign(seed, message);
  const s = numberOf(signature.subarray(32));
  const twin = Buffer.concat([signature.subarray(0, 32), bytesOf(s + L)]);
  assert.equal(signatureWeakness(signature), null);
  assert.equal(signatureWeakness(twin), "scalar S: not reduced");
  assert(verify(pointOf(seed), message, signature));
  assert(!verify(pointOf(seed), message, twin));
  assert.equal(signatureWeakness(signature.subarray(1)), "not 64 bytes");
});

Deno.test("signatureWeakness names a weak R, and S at its bound", () => {
  const good = sign(new Uint8Array(32).fill(7), new Uint8Array([1]));
  const withR = (point: Uint8Array) => Buffer.concat([point, good.subarray(32)]);
  const withS = (s: bigint) => Buffer.concat([good.subarray(0, 32), bytesOf(s)]);
  assert.equal(signatureWeakness(withR(bytesOf(0n))), "point R: small order");
  assert.equal(signatureWeakness(withR(bytesOf(P))), "point R: non-canonical");
  assert.equal(signatureWeakness(withS(L)), "scalar S: not reduced");
  assert.equal(signatureWeakness(withS(L - 1n)), null);
});

Deno.test("verify under an encoding that is no point of the curve is no", () => {
  const message = new Uint8Array([1]);
  const good = sign(new Uint8Array(32).fill(7), message);
  // About half of these y have no x.
  for (let y = 2n; y < 40n; y++) assert(!verify(bytesOf(y), message, good), `${y}`);
});

const WYCHEPROOF = new URL(
  "../../../shared/vectors/ed25519/wycheproof_ed25519_test.json",
  import.meta.url,
);

interface Vectors {
  testGroups: {
    publicKey: { pk: string };
    tests: { msg: string; sig: string; result: string; tcId: number }[];
  }[];
}

Deno.test({
  name:
    "verify agrees with Wycheproof's Ed25519 vectors (skipped where the vectors are not beside the project)",
  ignore: !existsSync(WYCHEPROOF),
  fn() {
    const vectors = JSON.parse(readFileSync(WYCHEPROOF, "utf8")) as Vectors;
    let count = 0;
    for (const group of vectors.testGroups) {
      for (const one of group.tests) {
        const found = verify(hex(group.publicKey.pk), hex(one.msg), hex(one.sig));
        assert.equal(found, one.result === "valid", `case ${one.tcId}`);
        count++;
      }
    }
    assert(count > 100);
  },
});

Deno.test("verify refuses a small-order key though the signature itself is sound", () => {
  // A = (0, -1) has order 2, so with R = sB the equation holds for about every second message.
  const point = bytesOf(P - 1n);
  const seed = new Uint8Array(32).fill(7);
  const R = pointOf(seed);
  const scalar = createHash("sha512").update(seed).digest().subarray(0, 32);
  scalar[0] = (scalar[0] ?? 0) & 0xf8;
  scalar[31] = (scalar[31] ?? 0) & 0x7f | 0x40;
  const signature = new Uint8Array(Buffer.concat([R, bytesOf(numberOf(scalar) % L)]));
  assert.equal(signatureWeakness(signature), null);
  for (let n = 0; n < 16; n++) assert(!verify(point, Uint8Array.of(n), signature), `${n}`);
});
