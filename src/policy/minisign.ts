/**
 * The texts of the minisign format (https://jedisct1.github.io/minisign/): public keys and detached
 * signatures, as bytes and comments. It only takes them apart; what a signature is worth is decided
 * in signature.ts. Nothing here keeps or reads a secret.
 */
import { Buffer } from "node:buffer";
import { type Issue, issue } from "../issue.ts";

/** `ED` signs the BLAKE2b-512 hash of the file, the legacy `Ed` the file itself. */
export type Algorithm = "ED" | "Ed";

/** A key that may be trusted. */
export interface PublicKey {
  /** 16 upper-case hex digits, as minisign shows it. */
  readonly keyId: string;
  /** Ed25519 point, 32 bytes. */
  readonly point: Uint8Array;
  readonly comment: string;
}

/** A detached signature. */
export interface Signature {
  readonly algorithm: Algorithm;
  readonly keyId: string;
  /** Over the file or its hash, 64 bytes. */
  readonly signature: Uint8Array;
  readonly untrustedComment: string;
  /** Exactly the bytes that the global signature covers. */
  readonly trustedComment: Uint8Array;
  /** Over the signature and the trusted comment, 64 bytes. */
  readonly globalSignature: Uint8Array;
}

/** First words of the lines that carry a comment. */
export const UNTRUSTED_PREFIX = "untrusted comment: ";
export const TRUSTED_PREFIX = "trusted comment: ";

/** Longest lines in bytes that the reference tool reads, its prefix and line end included. */
const UNTRUSTED_LINE_MAX = 1023;
const TRUSTED_LINE_MAX = 8191;
/** No signature in the format is longer; a bigger file is none. */
const SIGNATURE_FILE_MAX = 16 * 1024;

/**
 * Reads a public key file, or the bare base64 line of one.
 *
 * @returns the key, or an issue `sig.form`; whether it is a weak key is asked of `weakness`
 */
export function parsePublicKey(
  text: string | Uint8Array,
): { ok: true; key: PublicKey } | { ok: false; issue: Issue } {
  const lines = linesOf(text);
  if (lines === null) return bad("a minisign public key", "a control byte or a file too long");
  const bare = lines.length === 1 && !(lines[0] ?? "").startsWith(UNTRUSTED_PREFIX);
  const comment = bare ? "" : commentOf(lines[0], UNTRUSTED_PREFIX, UNTRUSTED_LINE_MAX);
  if (comment === null || lines.length !== (bare ? 1 : 2)) {
    return bad("a comment line and a line of base64", `${lines.length} lines`);
  }
  const bytes = decodeBase64(lines.at(-1), 42);
  if (bytes === null) return bad("42 bytes as base64", "something else");
  if (latin1(bytes.subarray(0, 2)) !== "Ed") return bad("an Ed25519 key (Ed)", "another algorithm");
  return {
    ok: true,
    key: { keyId: keyIdOf(bytes.subarray(2, 10)), point: bytes.slice(10), comment: utf8(comment) },
  };
}

/**
 * Reads a detached signature. Lines end in LF or CR LF, as the reference tool takes them.
 *
 * @returns the signature, or an issue `sig.form`
 */
export function parseSignature(
  text: string | Uint8Array,
): { ok: true; signature: Signature } | { ok: false; issue: Issue } {
  const lines = linesOf(text);
  if (lines === null) return bad("a minisign signature", "a control byte or a file too long");
  if (lines.length !== 4) return bad("four lines", `${lines.length} lines`);
  const untrusted = commentOf(lines[0], UNTRUSTED_PREFIX, UNTRUSTED_LINE_MAX);
  if (untrusted === null) return bad(`a first line "${UNTRUSTED_PREFIX}…"`, "another line");
  const bytes = decodeBase64(lines[1], 74);
  if (bytes === null) return bad("74 bytes as base64 in line 2", "something else");
  const algorithm = latin1(bytes.subarray(0, 2));
  if (algorithm !== "ED" && algorithm !== "Ed") {
    return bad("the algorithm ED or Ed", "another algorithm");
  }
  const trusted = commentOf(lines[2], TRUSTED_PREFIX, TRUSTED_LINE_MAX);
  if (trusted === null) return bad(`a third line "${TRUSTED_PREFIX}…"`, "another line");
  const globalSignature = decodeBase64(lines[3], 64);
  if (globalSignature === null) return bad("64 bytes as base64 in line 4", "something else");
  return {
    ok: true,
    signature: {
      algorithm,
      keyId: keyIdOf(bytes.subarray(2, 10)),
      signature: bytes.slice(10),
      untrustedComment: utf8(untrusted),
      trustedComment: fromLatin1(trusted),
      globalSignature,
    },
  };
}

/** The public key file that `minisign` would write. */
export function renderPublicKey(key: PublicKey): string {
  const body = Buffer.concat([Buffer.from("Ed"), keyIdBytes(key.keyId), key.point]);
  return `${UNTRUSTED_PREFIX}${key.comment}\n${body.toString("base64")}\n`;
}

/** Key id as minisign shows it: the eight bytes as a little-endian number in hex. */
export function keyIdOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).reverse().toString("hex").toUpperCase();
}

/** The eight bytes of a shown key id. */
export function keyIdBytes(keyId: string): Uint8Array {
  return Buffer.from(keyId, "hex").reverse();
}

/** Exactly `length` bytes of canonical base64, or null. */
export function decodeBase64(text: string | undefined, length: number): Uint8Array | null {
  if (text === undefined || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) return null;
  const bytes = Buffer.from(text, "base64");
  return bytes.length === length && bytes.toString("base64") === text
    ? new Uint8Array(bytes)
    : null;
}

/**
 * The lines, byte for byte as Latin-1. A line end at the end of the file starts no further line; a
 * NUL, or a CR that ends no line, makes it no text of this format.
 */
function linesOf(text: string | Uint8Array): string[] | null {
  const bytes = typeof text === "string" ? Buffer.from(text, "utf8") : Buffer.from(text);
  if (bytes.length > SIGNATURE_FILE_MAX) return null;
  const lines = bytes.toString("latin1").split("\n").map((line) => line.replace(/\r$/, ""));
  if (lines.at(-1) === "") lines.pop();
  return lines.some((line) => /[\0\r]/.test(line)) ? null : lines;
}

function commentOf(line: string | undefined, prefix: string, longest: number): string | null {
  if (line === undefined || !line.startsWith(prefix) || line.length >= longest) return null;
  return line.slice(prefix.length);
}

function bad(expected: string, found: string): { ok: false; issue: Issue } {
  const hint = "make it again with `ray policy sign` or `ray policy keygen`, or with minisign";
  return { ok: false, issue: issue("sig.form", { expected, found, hint }) };
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

function fromLatin1(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text, "latin1"));
}

function utf8(text: string): string {
  return Buffer.from(text, "latin1").toString("utf8");
}
