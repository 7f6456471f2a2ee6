/**
 * Ed25519 (RFC 8032) as strictly as a policy needs it: node's verification, with the checks before
 * it that the common libraries leave out. Keys and points of small order, encodings that are not
 * canonical and scalars that were not reduced are refused, since with them one signature can fit
 * many messages or one message many signatures. It knows nothing of files or formats.
 */
import {
  createPrivateKey,
  createPublicKey,
  sign as signRaw,
  verify as verifyRaw,
} from "node:crypto";
import { Buffer } from "node:buffer";

/** The field's prime, 2^255 - 19. */
const P = (1n << 255n) - 19n;
/** The order of the base point. */
const L = (1n << 252n) + 27742317777372353535851937790883648493n;

/** y of a point of order 8; the other one is its negative. */
const ORDER_8_Y = 2707385501144840649318225287225658788936804267575313519463743609750303402022n;

/** y of every point whose order divides the cofactor 8: orders 4, 1, 2, 8 and 8. */
const SMALL_ORDER_Y: readonly bigint[] = [0n, 1n, P - 1n, ORDER_8_Y, P - ORDER_8_Y];

/** DER around a raw key, RFC 8410. */
const SPKI_PREFIX = Buffer.from("302a300506032b6570032100", "hex");
const PKCS8_PREFIX = Buffer.from("302e020100300506032b657004220420", "hex");

/** What is wrong with an encoded point, or null. */
export function pointWeakness(point: Uint8Array): "non-canonical" | "small order" | null {
  if (point.length !== 32) return "non-canonical";
  const y = littleEndian(point) & ((1n << 255n) - 1n);
  if (y >= P) return "non-canonical";
  return SMALL_ORDER_Y.includes(y) ? "small order" : null;
}

/** What is wrong with a signature's form, or null. */
export function signatureWeakness(signature: Uint8Array): string | null {
  if (signature.length !== 64) return "not 64 bytes";
  const point = pointWeakness(signature.subarray(0, 32));
  if (point !== null) return `point R: ${point}`;
  return littleEndian(signature.subarray(32)) < L ? null : "scalar S: not reduced";
}

/**
 * Whether the signature is the key's for that message, with every check of this module.
 *
 * @param point public key, 32 bytes
 * @param signature 64 bytes
 */
export function verify(point: Uint8Array, message: Uint8Array, signature: Uint8Array): boolean {
  if (pointWeakness(point) !== null || signatureWeakness(signature) !== null) return false;
  try {
    const key = createPublicKey({
      key: Buffer.concat([SPKI_PREFIX, point]),
      format: "der",
      type: "spki",
    });
    return verifyRaw(null, message, key, signature);
  } catch {
    // node throws for a point that is not on the curve; no signature is valid under such a key.
    return false;
  }
}

/** Signs with the secret seed (32 bytes). */
export function sign(seed: Uint8Array, message: Uint8Array): Uint8Array {
  return new Uint8Array(signRaw(null, message, privateKey(seed)));
}

/** The public point of a secret seed. */
export function pointOf(seed: Uint8Array): Uint8Array {
  const der = createPublicKey(privateKey(seed)).export({ format: "der", type: "spki" });
  return new Uint8Array(der.subarray(SPKI_PREFIX.length));
}

function privateKey(seed: Uint8Array) {
  return createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, seed]),
    format: "der",
    type: "pkcs8",
  });
}

function littleEndian(bytes: Uint8Array): bigint {
  return BigInt(`0x${Buffer.from(bytes).reverse().toString("hex")}`);
}
