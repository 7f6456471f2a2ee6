import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { hashPassphrase, isAffordable, isPassphrase } from "./passphrase.ts";
import { policySchema } from "./schema.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const random = (count: number) => Uint8Array.from(randomBytes(count));
const CHEAP = { logN: 10, r: 8, p: 1 };

Deno.test("isPassphrase knows the passphrase of its hash and no other", async () => {
  const hash = await hashPassphrase(bytes("trüb und kalt"), random, CHEAP);
  assert.ok(await isPassphrase(bytes("trüb und kalt"), hash));
  for (const other of ["", "trüb und kal", "trüb und kalt ", "Trüb und kalt", "x".repeat(5000)]) {
    assert.equal(await isPassphrase(bytes(other), hash), false, other.slice(0, 20));
  }
});

Deno.test("hashPassphrase makes what the policy's schema takes, another one each time", async () => {
  const one = await hashPassphrase(bytes("a"), random, CHEAP);
  const other = await hashPassphrase(bytes("a"), random, CHEAP);
  assert.notEqual(one, other);
  const parsed = policySchema.parse({ version: 0, recovery: { passphrase: one } });
  assert.equal(parsed.recovery.passphrase, one);
});

Deno.test("isPassphrase agrees with RFC 7914's own example", async () => {
  // Section 12, the third vector.
  const salt = base64("SodiumChloride");
  const wanted = "7023bdcb3afd7348461c06cd81fd38ebfda8fbba904f8e3ea9b543f6545da1f2" +
    "d5432955613f0fcf62d49705242a9af9e61e85dc0d651e40dfcf017b45575887";
  const hash = `$scrypt$ln=14,r=8,p=1$${salt}$${base64(hexBytes(wanted))}`;
  assert.ok(await isPassphrase(bytes("pleaseletmein"), hash));
});

function hexBytes(hex: string): Uint8Array {
  return Uint8Array.from(hex.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}

function base64(value: string | Uint8Array): string {
  const raw = typeof value === "string" ? bytes(value) : value;
  return btoa(String.fromCharCode(...raw)).replace(/=+$/, "");
}

Deno.test("isPassphrase compares with no hash that would take the host's memory or time", async () => {
  const rest = `$${"a".repeat(22)}$${"b".repeat(43)}`;
  for (const cost of ["ln=22,r=99,p=1", "ln=19,r=8,p=1", "ln=15,r=8,p=9", "ln=15,r=8,p=0"]) {
    assert.equal(isAffordable(`$scrypt$${cost}${rest}`), false, cost);
    assert.equal(await isPassphrase(bytes("a"), `$scrypt$${cost}${rest}`), false, cost);
  }
  assert.ok(isAffordable(`$scrypt$ln=18,r=8,p=8${rest}`));
  for (const none of ["", "hunter2", `$scrypt$ln=15,r=8,p=1$short$${"b".repeat(43)}`]) {
    assert.equal(isAffordable(none), false);
  }
});
