import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import {
  decodeBase64,
  keyIdBytes,
  keyIdOf,
  parsePublicKey,
  parseSignature,
  renderPublicKey,
} from "./minisign.ts";

const UNTRUSTED = "untrusted comment: ";
const TRUSTED = "trusted comment: ";
const KEY = Buffer.concat([Buffer.from("Ed"), Buffer.alloc(8, 1), Buffer.alloc(32, 2)]);
const OVER = Buffer.concat([Buffer.from("ED"), Buffer.alloc(8, 1), Buffer.alloc(64, 3)]);
const GLOBAL = Buffer.alloc(64, 4);

/** What is said about a key file. */
function key(text: string | Uint8Array): string {
  const read = parsePublicKey(text);
  return read.ok ? `key ${read.key.keyId} ${read.key.comment}` : said(read.issue);
}

function said(one: { rule: string; expected: string; found: string }): string {
  assert.equal(one.rule, "sig.form");
  return `${one.expected}; ${one.found}`;
}

const keyFile = (comment: string, body = KEY.toString("base64")) =>
  `${UNTRUSTED}${comment}\n${body}\n`;
const ID = "0101010101010101";

Deno.test("parsePublicKey takes two lines or the bare second one", () => {
  assert.equal(key(keyFile("a b")), `key ${ID} a b`);
  assert.equal(key(keyFile("")), `key ${ID} `);
  assert.equal(key(KEY.toString("base64")), `key ${ID} `);
  assert.equal(key(`${KEY.toString("base64")}\n`), `key ${ID} `);
  assert.equal(key(keyFile("ä").replaceAll("\n", "\r\n")), `key ${ID} ä`);
  assert.equal(key(Buffer.from(keyFile("ä"))), `key ${ID} ä`);
});

Deno.test("parsePublicKey says of each other form what it is not", () => {
  const lines = "a comment line and a line of base64; ";
  assert.equal(key(""), `${lines}0 lines`);
  assert.equal(key(`${UNTRUSTED}x\n`), `${lines}1 lines`);
  assert.equal(key(`${keyFile("x")}\n`), `${lines}3 lines`);
  assert.equal(key(`comment: x\n${KEY.toString("base64")}\n`), `${lines}2 lines`);
  assert.equal(key(`${KEY.toString("base64")}\n${KEY.toString("base64")}\n`), `${lines}2 lines`);
  assert.equal(key(keyFile("x", "AAAA")), "42 bytes as base64; something else");
  assert.equal(key("AAAA"), "42 bytes as base64; something else");
  const other = Buffer.from(KEY);
  other.write("ED");
  assert.equal(
    key(keyFile("x", other.toString("base64"))),
    "an Ed25519 key (Ed); another algorithm",
  );
  const control = "a minisign public key; a control byte or a file too long";
  assert.equal(key(keyFile("x\0y")), control);
  assert.equal(key(keyFile("x\ry")), control);
  assert.equal(key("x".repeat(16 * 1024 + 1)), control);
  assert.equal(key("x".repeat(16 * 1024)), "42 bytes as base64; something else");
});

Deno.test("parsePublicKey takes a comment line of 1022 bytes, as the reference tool, and no longer", () => {
  const room = 1022 - UNTRUSTED.length;
  assert.equal(key(keyFile("x".repeat(room))), `key ${ID} ${"x".repeat(room)}`);
  assert.match(key(keyFile("x".repeat(room + 1))), /2 lines$/);
});

const signatureFile = (lines: readonly string[]) => `${lines.join("\n")}\n`;
const GOOD = [
  `${UNTRUSTED}u`,
  OVER.toString("base64"),
  `${TRUSTED}tä`,
  GLOBAL.toString("base64"),
];

function signature(text: string | Uint8Array): string {
  const read = parseSignature(text);
  return read.ok ? `${read.signature.algorithm} ${read.signature.keyId}` : said(read.issue);
}

Deno.test("parseSignature gives every part of the file", () => {
  const read = parseSignature(signatureFile(GOOD));
  assert(read.ok);
  assert.deepEqual(read.signature, {
    algorithm: "ED",
    keyId: ID,
    signature: new Uint8Array(Buffer.alloc(64, 3)),
    untrustedComment: "u",
    trustedComment: new TextEncoder().encode("tä"),
    globalSignature: new Uint8Array(GLOBAL),
  });
  const legacy = Buffer.from(OVER);
  legacy.write("Ed");
  assert.equal(signature(signatureFile(GOOD.with(1, legacy.toString("base64")))), `Ed ${ID}`);
});

Deno.test("parseSignature says of each other form what it is not", () => {
  const good = (index: number, line: string) => signature(signatureFile(GOOD.with(index, line)));
  assert.equal(signature(signatureFile(GOOD.slice(0, 3))), "four lines; 3 lines");
  assert.equal(signature(signatureFile([...GOOD, ""])), "four lines; 5 lines");
  assert.equal(signature(""), "four lines; 0 lines");
  assert.equal(good(0, "x"), `a first line "${UNTRUSTED}…"; another line`);
  assert.equal(good(2, "x"), `a third line "${TRUSTED}…"; another line`);
  assert.equal(good(1, "AAAA"), "74 bytes as base64 in line 2; something else");
  assert.equal(good(3, "AAAA"), "64 bytes as base64 in line 4; something else");
  const other = Buffer.from(OVER);
  other.write("XX");
  assert.equal(good(1, other.toString("base64")), "the algorithm ED or Ed; another algorithm");
  assert.equal(good(2, `${TRUSTED}\0`), "a minisign signature; a control byte or a file too long");
});

Deno.test("parseSignature takes comment lines as long as the reference tool does, and no longer", () => {
  const of = (index: number, prefix: string, bytes: number) =>
    signature(signatureFile(GOOD.with(index, prefix + "x".repeat(bytes - prefix.length))));
  assert.equal(of(0, UNTRUSTED, 1022), `ED ${ID}`);
  assert.match(of(0, UNTRUSTED, 1023), /^a first line/);
  assert.equal(of(2, TRUSTED, 8190), `ED ${ID}`);
  assert.match(of(2, TRUSTED, 8191), /^a third line/);
});

Deno.test("key ids are shown as minisign shows them", () => {
  const bytes = Uint8Array.from([1, 2, 3, 4, 5, 6, 7, 0xab]);
  assert.equal(keyIdOf(bytes), "AB07060504030201");
  assert.deepEqual(new Uint8Array(keyIdBytes("AB07060504030201")), bytes);
  const point = new Uint8Array(32).fill(9);
  const text = renderPublicKey({ keyId: "AB07060504030201", point, comment: "c" });
  const read = parsePublicKey(text);
  assert(read.ok);
  assert.deepEqual(read.key, { keyId: "AB07060504030201", point, comment: "c" });
});

Deno.test("decodeBase64 takes canonical base64 of exactly that length", () => {
  assert.deepEqual(decodeBase64("AQI=", 2), Uint8Array.from([1, 2]));
  assert.equal(decodeBase64("AQI=", 3), null);
  assert.equal(decodeBase64("AQJ=", 2), null, "bits beyond the last byte");
  assert.equal(decodeBase64("AQI", 2), null);
  assert.equal(decodeBase64("AQI==", 2), null);
  assert.equal(decodeBase64("A-I=", 2), null);
  assert.equal(decodeBase64("AQI= ", 2), null);
  assert.equal(decodeBase64(undefined, 0), null);
});
