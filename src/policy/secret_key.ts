/**
 * Minisign secret keys without a password, and signing with them: what a checkout's developer key
 * and `ray policy keygen|sign` need. Keys that a password protects are refused with that reason.
 * It never prints a key and never writes a file.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Fault } from "../fault.ts";
import { type Issue, issue } from "../issue.ts";
import { pointOf, sign } from "./ed25519.ts";
import {
  decodeBase64,
  keyIdBytes,
  keyIdOf,
  type PublicKey,
  renderPublicKey,
  TRUSTED_PREFIX,
  UNTRUSTED_PREFIX,
} from "./minisign.ts";

/** A key that signs. Its seed is no enumerable part of it, so it does not end up in a log. */
export class SecretKey {
  readonly #seed: Uint8Array;
  readonly publicKey: PublicKey;

  /**
   * @param seed 32 secret bytes (RFC 8032)
   * @param keyId 16 upper-case hex digits
   */
  constructor(seed: Uint8Array, keyId: string) {
    this.#seed = seed.slice();
    const comment = `minisign public key ${keyId}`;
    this.publicKey = { keyId, point: pointOf(seed), comment };
  }

  /** Raw Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Uint8Array {
    return sign(this.#seed, message);
  }

  /** The file as `minisign -W` writes it; the only way in which the seed leaves. */
  render(): string {
    const body = Buffer.concat([
      Buffer.from("Ed\0\0B2", "latin1"),
      Buffer.alloc(KDF_BYTES),
      keyIdBytes(this.publicKey.keyId),
      this.#seed,
      this.publicKey.point,
      Buffer.alloc(CHECKSUM_BYTES),
    ]);
    return `${UNTRUSTED_PREFIX}rayos secret key, not encrypted\n${body.toString("base64")}\n`;
  }
}

/** Salt, operations limit and memory limit; all zero without a password. */
const KDF_BYTES = 32 + 8 + 8;
/** Zero without a password, as the reference tool leaves it. */
const CHECKSUM_BYTES = 32;
const KEY_OFFSET = 6 + KDF_BYTES;
const FILE_BYTES = KEY_OFFSET + 8 + 64 + CHECKSUM_BYTES;

/**
 * Makes a key pair.
 *
 * @param random fills that many bytes from a cryptographic source; 40 are asked for
 */
export function generateKeyPair(
  random: (bytes: number) => Uint8Array,
): { secretKey: SecretKey; publicKey: PublicKey; secretText: string; publicText: string } {
  const bytes = random(40);
  if (bytes.length !== 40) {
    throw new Fault("cli", "key.random", "make a key pair: the random source gave too few bytes");
  }
  const secretKey = new SecretKey(bytes.subarray(0, 32), keyIdOf(bytes.subarray(32)));
  return {
    secretKey,
    publicKey: secretKey.publicKey,
    secretText: secretKey.render(),
    publicText: renderPublicKey(secretKey.publicKey),
  };
}

/** Reads a secret key file; an issue `key.form` or `key.encrypted` says why it cannot be used. */
export function parseSecretKey(
  text: string,
): { ok: true; secretKey: SecretKey } | { ok: false; issue: Issue } {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const bytes = lines.length === 2 && (lines[0] ?? "").startsWith(UNTRUSTED_PREFIX)
    ? decodeBase64(lines[1], FILE_BYTES)
    : null;
  if (bytes === null) return bad("key.form", "a minisign secret key", "something else");
  const head = Buffer.from(bytes.subarray(0, 6)).toString("latin1");
  if (head === "EdScB2") {
    return bad("key.encrypted", "a secret key without a password", "one with a password");
  }
  if (head !== "Ed\0\0B2") return bad("key.form", "an Ed25519 key", "another algorithm");
  const key = bytes.subarray(KEY_OFFSET);
  const secretKey = new SecretKey(key.subarray(8, 40), keyIdOf(key.subarray(0, 8)));
  return Buffer.from(key.subarray(40, 72)).equals(Buffer.from(secretKey.publicKey.point))
    ? { ok: true, secretKey }
    : bad("key.form", "a public half that belongs to the secret one", "another");
}

/**
 * The text of a detached signature, prehashed (`ED`), as `minisign -S` makes it.
 *
 * @param comments one line each; a line end in one is a fault `key.comment`
 */
export function signDetached(
  bytes: Uint8Array,
  secretKey: SecretKey,
  comments: { readonly trustedComment: string; readonly untrustedComment?: string },
): string {
  const trusted = commentBytes(comments.trustedComment, 8192 - TRUSTED_PREFIX.length);
  const untrusted = commentBytes(
    comments.untrustedComment ?? "signature from rayos secret key",
    1024 - UNTRUSTED_PREFIX.length,
  );
  const over = secretKey.sign(createHash("blake2b512").update(bytes).digest());
  const body = Buffer.concat([Buffer.from("ED"), keyIdBytes(secretKey.publicKey.keyId), over]);
  const globalSignature = secretKey.sign(Buffer.concat([over, trusted]));
  return [
    `${UNTRUSTED_PREFIX}${untrusted.toString("utf8")}`,
    body.toString("base64"),
    `${TRUSTED_PREFIX}${trusted.toString("utf8")}`,
    Buffer.from(globalSignature).toString("base64"),
    "",
  ].join("\n");
}

/** @param room bytes for the comment, its line end and the reference tool's closing NUL */
function commentBytes(comment: string, room: number): Buffer {
  const bytes = Buffer.from(comment, "utf8");
  if (/[\0\r\n]/.test(comment) || bytes.length > room - 2) {
    throw new Fault(
      "cli",
      "key.comment",
      `sign: a comment must be one line of at most ${room - 2} bytes; give a shorter one`,
    );
  }
  return bytes;
}

function bad(rule: string, expected: string, found: string): { ok: false; issue: Issue } {
  const hint = rule === "key.encrypted"
    ? "use a key made without a password (minisign -G -W), or sign with minisign itself"
    : "give the file that `ray policy keygen` or `minisign -G` made";
  return { ok: false, issue: issue(rule, { expected, found, hint }) };
}
