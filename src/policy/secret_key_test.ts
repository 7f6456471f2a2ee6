import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { TRUSTED_PREFIX, UNTRUSTED_PREFIX } from "./minisign.ts";
import {
  generateKeyPair,
  isSealed,
  parseSecretKey,
  PLAIN_HEAD,
  readSecretFile,
  renderSecretFile,
  SEALED_HEAD,
  secretKeyOf,
  signDetached,
} from "./secret_key.ts";

/** Bytes 1, 2, 3, …: every part of a key is told from every other. */
const counted = (count: number) => Uint8Array.from({ length: count }, (_, n) => n + 1);
const pair = generateKeyPair(counted);
const [comment = "", body = ""] = pair.secretText.split("\n");

/** `rule: expected; found; hint` of what is no key, else the key's id. */
function read(text: string): string {
  const parsed = parseSecretKey(text);
  if (parsed.ok) return parsed.secretKey.publicKey.keyId;
  const { rule, expected, found, hint } = parsed.issue;
  return `${rule}: ${expected}; ${found}; ${hint}`;
}

function withHead(head: string): string {
  const bytes = Buffer.from(body, "base64");
  bytes.write(head, "latin1");
  return `${comment}\n${bytes.toString("base64")}\n`;
}

const MAKE = "give the file that `ray policy keygen` or `minisign -G` made";
const NONE = `key.form: a minisign secret key; something else; ${MAKE}`;
const ID = "2827262524232221";

Deno.test("generateKeyPair takes seed and key id from 40 random bytes, and no fewer", () => {
  assert.equal(pair.publicKey.keyId, ID);
  assert.deepEqual(pair.secretKey.inner().subarray(8, 40), counted(32));
  assert.deepEqual(pair.secretKey.inner().subarray(40), pair.publicKey.point);
  for (const count of [39, 41]) {
    assert.throws(() => generateKeyPair(() => counted(count)), {
      code: "key.random",
      message: /the random source gave too few bytes/,
    });
  }
});

Deno.test("readSecretFile takes every part of the file from its place", () => {
  const parts = {
    kdf: counted(48),
    inner: counted(72).reverse(),
    checksum: counted(32).map((one) => one + 100),
  };
  const text = renderSecretFile(parts, SEALED_HEAD, "c");
  assert.equal(text.split("\n")[0], "untrusted comment: c");
  assert.deepEqual(readSecretFile(text), { ok: true, sealed: true, file: parts });
  const plain = readSecretFile(renderSecretFile(parts, PLAIN_HEAD, ""));
  assert(plain.ok && !plain.sealed);
});

Deno.test("parseSecretKey takes two lines, with or without a last line end", () => {
  for (
    const text of [`${comment}\n${body}\n`, `${comment}\n${body}`, `${comment}\r\n${body}\r\n`]
  ) {
    assert.equal(read(text), ID, JSON.stringify(text));
  }
  assert.equal(read(`${UNTRUSTED_PREFIX}\n${body}\n`), ID, "an empty comment");
});

Deno.test("parseSecretKey says what is no key, and where one is made", () => {
  const others = [
    "",
    "\n",
    body,
    `${body}\n`,
    `${comment}\n`,
    `${comment}\n${body}\n\n`,
    `${comment}\n${body}\nmore\n`,
    `comment: x\n${body}\n`,
    `${body}\n${body}\n`,
    `${comment}\n${body.slice(4)}\n`,
  ];
  for (const text of others) assert.equal(read(text), NONE, JSON.stringify(text));
  for (const head of ["ED\0\0B2", "EdXXB2", "EdScB3", "Ed\0\0\0\0"]) {
    assert.equal(
      read(withHead(head)),
      `key.form: an Ed25519 key; another algorithm; ${MAKE}`,
      head,
    );
  }
});

Deno.test("parseSecretKey and isSealed tell a key that a password protects", () => {
  assert.equal(
    read(withHead(SEALED_HEAD)),
    "key.encrypted: a password; a secret key that a password protects; " +
      "give the file with its password: --password-file F",
  );
  assert(isSealed(withHead(SEALED_HEAD)));
  assert(!isSealed(pair.secretText));
  assert(!isSealed("EdSc"));
});

Deno.test("secretKeyOf takes no public half that belongs to another secret one", () => {
  const inner = pair.secretKey.inner();
  const whole = secretKeyOf(inner);
  assert(whole.ok);
  assert.deepEqual(whole.secretKey.inner(), inner);
  for (const at of [8, 39, 40, 71]) {
    const other = secretKeyOf(inner.with(at, (inner[at] ?? 0) ^ 1));
    assert(!other.ok, `byte ${at}`);
    assert.deepEqual([other.issue.rule, other.issue.expected, other.issue.found], [
      "key.form",
      "a public half that belongs to the secret one",
      "another",
    ]);
  }
});

Deno.test("signDetached takes comments as long as the reference tool reads, and no longer", () => {
  const sign = (trusted: number, untrusted: number) =>
    signDetached(counted(3), pair.secretKey, {
      trustedComment: "t".repeat(trusted),
      untrustedComment: "u".repeat(untrusted),
    }).split("\n");
  // Its buffers of 8192 and 1024 bytes hold prefix, comment, line end and a NUL.
  const [trusted, untrusted] = [8190 - TRUSTED_PREFIX.length, 1022 - UNTRUSTED_PREFIX.length];
  const lines = sign(trusted, untrusted);
  assert.deepEqual([lines[0]?.length, lines[2]?.length], [1022, 8190]);
  for (const [one, other, most] of [[trusted + 1, 1, trusted], [1, untrusted + 1, untrusted]]) {
    assert.throws(() => sign(one ?? 0, other ?? 0), {
      code: "key.comment",
      message: new RegExp(`must be one line of at most ${most} bytes`),
    });
  }
});

Deno.test("signDetached takes comments of one line, counted in bytes", () => {
  const sign = (trustedComment: string) =>
    signDetached(counted(3), pair.secretKey, { trustedComment }).split("\n");
  assert.equal(sign("")[2], TRUSTED_PREFIX);
  assert.equal(sign("ü\t")[2], `${TRUSTED_PREFIX}ü\t`);
  assert.equal(sign("x")[0], "untrusted comment: signature from rayos secret key");
  for (const bad of ["a\nb", "a\rb", "a\0b"]) {
    assert.throws(() => sign(bad), { code: "key.comment" }, JSON.stringify(bad));
  }
  assert.throws(() => sign("ü".repeat(4090)), { code: "key.comment" });
});
