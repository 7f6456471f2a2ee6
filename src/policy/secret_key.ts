/**
 * Minisign secret keys and signing with them: what a checkout's developer key and
 * `ray policy keygen|sign` need. A key that a password protects is taken apart here and opened in
 * sealed_key.ts. It never prints a key and never writes a file.
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

  /** Key id, seed and point, the part that a password protects; the only way the seed leaves. */
  inner(): Uint8Array {
    return new Uint8Array(
      Buffer.concat([keyIdBytes(this.publicKey.keyId), this.#seed, this.publicKey.point]),
    );
  }

  /** The file as `minisign -W` writes it. */
  render(): string {
    return renderSecretFile(
      {
        // Zero without a password, as the reference tool leaves both.
        kdf: new Uint8Array(KDF_BYTES),
        inner: this.inner(),
        checksum: new Uint8Array(CHECKSUM_BYTES),
      },
      PLAIN_HEAD,
      "rayos secret key, not encrypted",
    );
  }
}

/** A secret key file taken apart; `inner` and `checksum` are encrypted together in a sealed one. */
export interface SecretFile {
  /** Salt (32 bytes), operations limit and memory limit (8 bytes each, little-endian). */
  readonly kdf: Uint8Array;
  readonly inner: Uint8Array;
  readonly checksum: Uint8Array;
}

/** Signature algorithm, key derivation, checksum algorithm. */
export const PLAIN_HEAD = "Ed\0\0B2";
export const SEALED_HEAD = "EdScB2";

const KDF_BYTES = 32 + 8 + 8;
const INNER_BYTES = 8 + 64;
const CHECKSUM_BYTES = 32;
const KEY_OFFSET = 6 + KDF_BYTES;
const FILE_BYTES = KEY_OFFSET + INNER_BYTES + CHECKSUM_BYTES;

/** The text of a secret key file. */
export function renderSecretFile(file: SecretFile, head: string, comment: string): string {
  const bytes = [Buffer.from(head, "latin1"), file.kdf, file.inner, file.checksum];
  return `${UNTRUSTED_PREFIX}${comment}\n${Buffer.concat(bytes).toString("base64")}\n`;
}

/** Takes a secret key file apart; an issue `key.form` where it is none. */
export function readSecretFile(
  text: string,
): { ok: true; sealed: boolean; file: SecretFile } | { ok: false; issue: Issue } {
  const lines = text.split(/\r?\n/);
  if (lines.at(-1) === "") lines.pop();
  const bytes = lines.length === 2 && (lines[0] ?? "").startsWith(UNTRUSTED_PREFIX)
    ? decodeBase64(lines[1], FILE_BYTES)
    : null;
  if (bytes === null) return bad("key.form", "a minisign secret key", "something else");
  const head = Buffer.from(bytes.subarray(0, 6)).toString("latin1");
  if (head !== PLAIN_HEAD && head !== SEALED_HEAD) {
    return bad("key.form", "an Ed25519 key", "another algorithm");
  }
  const file = {
    kdf: bytes.subarray(6, KEY_OFFSET),
    inner: bytes.subarray(KEY_OFFSET, KEY_OFFSET + INNER_BYTES),
    checksum: bytes.subarray(KEY_OFFSET + INNER_BYTES),
  };
  return { ok: true, sealed: head === SEALED_HEAD, file };
}

/** Whether it is a secret key file that a password protects. */
export function isSealed(text: string): boolean {
  const read = readSecretFile(text);
  return read.ok && read.sealed;
}

/** The key of an inner part in plain; an issue `key.form` where its halves do not fit. */
export function secretKeyOf(
  inner: Uint8Array,
): { ok: true; secretKey: SecretKey } | { ok: false; issue: Issue } {
  const secretKey = new SecretKey(inner.subarray(8, 40), keyIdOf(inner.subarray(0, 8)));
  return Buffer.from(inner.subarray(40)).equals(Buffer.from(secretKey.publicKey.point))
    ? { ok: true, secretKey }
    : bad("key.form", "a public half that belongs to the secret one", "another");
}

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
  const read = readSecretFile(text);
  if (!read.ok) return read;
  return read.sealed
    ? bad("key.encrypted", "a password", "a secret key that a password protects")
    : secretKeyOf(read.file.inner);
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
    ? "give the file with its password: --password-file F"
    : "give the file that `ray policy keygen` or `minisign -G` made";
  return { ok: false, issue: issue(rule, { expected, found, hint }) };
}
