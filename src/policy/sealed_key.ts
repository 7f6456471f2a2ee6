/**
 * Secret keys that a password protects, as minisign seals them: scrypt (RFC 7914) makes a stream that
 * is laid over key and checksum. It is loaded only where a person makes or uses such a key, never in
 * a boot. It reads no file and keeps no password.
 *
 * Source: minisign 0.11, `src/minisign.h`; libsodium, `crypto_pwhash_scryptsalsa208sha256`, for how
 * the two limits become scrypt's parameters.
 */
import { blake2b } from "@noble/hashes/blake2.js";
import { Buffer } from "node:buffer";
import { scryptSync, timingSafeEqual } from "node:crypto";
import { Fault } from "../fault.ts";
import { type Issue, issue } from "../issue.ts";
import {
  readSecretFile,
  renderSecretFile,
  SEALED_HEAD,
  type SecretKey,
  secretKeyOf,
} from "./secret_key.ts";

/** What a derivation may cost, as the file says it. */
export interface KdfLimits {
  readonly operations: number;
  readonly memoryBytes: number;
}

/** What the reference tool takes for a new key: 1 GiB and some seconds. */
export const REFERENCE_LIMITS: KdfLimits = { operations: 2 ** 25, memoryBytes: 2 ** 30 };
/** No file may ask for more: the memory is spent before its checksum can be looked at. */
const MOST: KdfLimits = { operations: 2 ** 28, memoryBytes: 2 ** 30 };
/** Longest password in bytes that the reference tool takes. */
const PASSWORD_MAX = 1023;
const SALT_BYTES = 32;

/** scrypt's own parameters. */
interface ScryptCost {
  readonly N: number;
  readonly r: number;
  readonly p: number;
}

/** The parameters that libsodium derives from the two limits. */
export function scryptCost({ operations, memoryBytes }: KdfLimits): ScryptCost {
  const r = 8;
  const least = Math.max(operations, 32768);
  const cheap = least < memoryBytes / 32;
  const most = Math.floor(cheap ? least / (r * 4) : memoryBytes / (r * 128));
  const N = 2 ** Math.max(1, Math.floor(Math.log2(most)));
  // 1 wherever the operations bind, as libsodium sets it there.
  const p = Math.floor(Math.floor(least / 4 / N) / r);
  return { N, r, p: Math.max(1, p) };
}

/**
 * The password in a file: its first line, without the line end.
 *
 * @returns the password, or an issue `key.password_form`
 */
export function passwordIn(
  file: Uint8Array,
): { ok: true; password: Uint8Array } | { ok: false; issue: Issue } {
  const end = file.indexOf(0x0a);
  const line = file.subarray(0, end === -1 ? file.length : end);
  const password = line.at(-1) === 0x0d ? line.subarray(0, -1) : line;
  if (password.length > 0 && password.length <= PASSWORD_MAX && !password.includes(0)) {
    return { ok: true, password };
  }
  return {
    ok: false,
    issue: issue("key.password_form", {
      expected: `a first line of 1 to ${PASSWORD_MAX} bytes`,
      found: password.length === 0 ? "nothing" : "a longer one, or a NUL in it",
      hint: "write the password into the first line of the file",
    }),
  };
}

/**
 * The file of a key, sealed with a password.
 *
 * @param random fills that many bytes from a cryptographic source; 32 are asked for
 */
export function sealSecretKey(
  key: SecretKey,
  password: Uint8Array,
  random: (bytes: number) => Uint8Array,
  limits: KdfLimits = REFERENCE_LIMITS,
): string {
  const salt = random(SALT_BYTES);
  if (salt.length !== SALT_BYTES) {
    throw new Fault("cli", "key.random", "seal a key: the random source gave too few bytes");
  }
  const inner = key.inner();
  const plain = Buffer.concat([inner, checksumOf(inner)]);
  const sealed = overlay(plain, password, salt, limits);
  const kdf = Buffer.alloc(SALT_BYTES + 16);
  kdf.set(salt);
  kdf.writeBigUInt64LE(BigInt(limits.operations), SALT_BYTES);
  kdf.writeBigUInt64LE(BigInt(limits.memoryBytes), SALT_BYTES + 8);
  return renderSecretFile(
    {
      kdf,
      inner: sealed.subarray(0, inner.length),
      checksum: sealed.subarray(inner.length),
    },
    SEALED_HEAD,
    "minisign encrypted secret key",
  );
}

/**
 * Opens a secret key file with its password.
 *
 * @returns the key, or an issue: `key.form`, `key.plain` where nothing is sealed, `key.cost` where
 *   opening it would cost too much, `key.password` where the password is not the file's
 */
export function openSecretKey(
  text: string,
  password: Uint8Array,
): { ok: true; secretKey: SecretKey } | { ok: false; issue: Issue } {
  const read = readSecretFile(text);
  if (!read.ok) return read;
  const { file, sealed } = read;
  if (!sealed) {
    return no(
      "key.plain",
      "a key that a password protects",
      "one without",
      "leave the password out",
    );
  }
  const asked = limitsIn(file.kdf);
  if (!asked.ok) return asked;
  const salt = file.kdf.subarray(0, SALT_BYTES);
  const plain = overlay(Buffer.concat([file.inner, file.checksum]), password, salt, asked.limits);
  const inner = plain.subarray(0, file.inner.length);
  return timingSafeEqual(plain.subarray(file.inner.length), checksumOf(inner))
    ? secretKeyOf(new Uint8Array(inner))
    : no(
      "key.password",
      "the password of this key",
      "another, or a damaged file",
      "give the right one",
    );
}

/**
 * What a key file says that opening it may cost.
 *
 * @param kdf salt and the two limits, 48 bytes
 * @returns the limits, or an issue `key.cost` where they are beyond what any file may ask for
 */
export function limitsIn(
  kdf: Uint8Array,
): { ok: true; limits: KdfLimits } | { ok: false; issue: Issue } {
  const bytes = Buffer.from(kdf);
  const operations = bytes.readBigUInt64LE(SALT_BYTES);
  const memoryBytes = bytes.readBigUInt64LE(SALT_BYTES + 8);
  if (operations > MOST.operations || memoryBytes > MOST.memoryBytes) {
    const found = `${operations} operations, ${memoryBytes} bytes`;
    const expected = `at most ${MOST.operations} operations and ${MOST.memoryBytes} bytes`;
    return no("key.cost", expected, found, "give the file as it was made");
  }
  return { ok: true, limits: { operations: Number(operations), memoryBytes: Number(memoryBytes) } };
}

/** BLAKE2b-256 over the algorithm, key id and key. */
function checksumOf(inner: Uint8Array): Uint8Array {
  return blake2b(Buffer.concat([Buffer.from("Ed"), inner]), { dkLen: 32 });
}

function overlay(
  bytes: Uint8Array,
  password: Uint8Array,
  salt: Uint8Array,
  limits: KdfLimits,
): Buffer {
  const cost = scryptCost(limits);
  const maxmem = 128 * cost.r * (cost.N + cost.p) + 2 ** 20;
  const stream = scryptSync(password, salt, bytes.length, { ...cost, maxmem });
  return Buffer.from(bytes.map((byte, index) => byte ^ (stream[index] ?? 0)));
}

function no(rule: string, expected: string, found: string, hint: string) {
  return { ok: false as const, issue: issue(rule, { expected, found, hint }) };
}
