/**
 * From bytes and a detached minisign file to `VerifiedBytes`, a type that only this module can
 * make: nothing else of a policy is ever parsed. The order is size, form, key, signature over the
 * exact bytes, signature over the trusted comment. It never looks inside the bytes.
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import type { DevMode } from "../boot/cmdline.ts";
import { escapeUnsafe } from "../escape.ts";
import { type Issue, issue } from "../issue.ts";
import { signatureWeakness, verify as verifyEd25519 } from "./ed25519.ts";
import type { Keyring } from "./keyring.ts";
import { parseSignature } from "./minisign.ts";

/** Largest policy in bytes. */
export const MAX_POLICY_BYTES = 256 * 1024;

class Verified {
  readonly #bytes: Uint8Array;
  /** Id of the key that signed, or null where developer mode took them unsigned. */
  readonly keyId: string | null;
  constructor(bytes: Uint8Array, keyId: string | null) {
    this.#bytes = bytes;
    this.keyId = keyId;
  }
  /** A copy, so that what was verified cannot change. */
  get bytes(): Uint8Array {
    return this.#bytes.slice();
  }
}

/** Bytes that a trusted key signed, or that developer mode let in; only this module makes them. */
export type VerifiedBytes = Verified;

/** What became of a policy's bytes. */
export type Verification =
  | {
    readonly ok: true;
    readonly verified: VerifiedBytes;
    readonly keyId: string;
    /** The signer's own words, control characters escaped. */
    readonly trustedComment: string;
  }
  | { readonly ok: false; readonly issue: Issue };

/**
 * The finding about bytes that cannot be a policy whatever is in them: none, empty, too many.
 *
 * @param bytes null where there is no such file
 */
export function sizeIssue(bytes: Uint8Array | null): Issue | null {
  if (bytes === null) {
    return issue("policy.missing", {
      expected: "policy/rayos-policy.toml on RayOS Data",
      found: "no such file",
      hint: "put a signed policy there; `ray policy sign` signs one",
    });
  }
  if (bytes.length === 0) {
    return issue("policy.empty", {
      expected: "a policy",
      found: "an empty file",
      hint: "the least policy is the line `version = 0`",
    });
  }
  if (bytes.length > MAX_POLICY_BYTES) {
    return issue("policy.size", {
      expected: `at most ${MAX_POLICY_BYTES} bytes`,
      found: `${bytes.length} bytes`,
      hint: "make the policy shorter",
    });
  }
  return null;
}

/**
 * Verifies a policy, or any other file that is signed in the same way.
 *
 * @param bytes the exact bytes of the file; null where there is none
 * @param signature the exact bytes of the file beside it; null where there is none
 * @param keyring the trusted keys
 * @param revoked key ids that are trusted no longer, which wins over the keyring
 * @returns the verified bytes, or one issue `policy.*` or `sig.*`
 */
export function verify(
  { bytes, signature, keyring, revoked }: {
    readonly bytes: Uint8Array | null;
    readonly signature: Uint8Array | null;
    readonly keyring: Keyring;
    readonly revoked: ReadonlySet<string>;
  },
): Verification {
  const size = sizeIssue(bytes);
  if (size !== null || bytes === null) return { ok: false, issue: size ?? missing() };
  if (signature === null) return { ok: false, issue: missing() };
  const parsed = parseSignature(signature);
  if (!parsed.ok) return parsed;
  const { algorithm, keyId, signature: over, trustedComment, globalSignature } = parsed.signature;
  if (revoked.has(keyId)) {
    return no("sig.revoked", "a key that is not revoked", `key ${keyId}`, "sign with another key");
  }
  const key = keyring.get(keyId);
  if (key === undefined) {
    const trusted = [...keyring.keys()].join(", ") || "none";
    return no(
      "sig.unknown_key",
      `one of the trusted keys (${trusted})`,
      `key ${keyId}`,
      "sign with a trusted key, or put its public key into the image as /etc/rayos/keys/policy-*.pub",
    );
  }
  for (const part of [over, globalSignature]) {
    const weakness = signatureWeakness(part);
    if (weakness !== null) {
      return no("sig.weak_signature", "a canonical Ed25519 signature", weakness, "sign again");
    }
  }
  const copy = bytes.slice();
  const message = algorithm === "ED" ? createHash("blake2b512").update(copy).digest() : copy;
  if (!verifyEd25519(key.point, message, over)) {
    return no(
      "sig.mismatch",
      `a signature of key ${keyId} over these bytes`,
      "one over other bytes, or of another key",
      "the file was changed after it was signed, or the signature is another file's: sign again",
    );
  }
  if (!verifyEd25519(key.point, Buffer.concat([over, trustedComment]), globalSignature)) {
    return no(
      "sig.comment",
      "the trusted comment as it was signed",
      "another comment",
      "the trusted comment was changed: sign again",
    );
  }
  return {
    ok: true,
    verified: new Verified(copy, keyId),
    keyId,
    trustedComment: escapeUnsafe(new TextDecoder().decode(trustedComment)),
  };
}

/**
 * Lets bytes in without a signature. Only developer mode can, and it only skips the signature.
 *
 * @param devMode the proof that developer mode is on
 */
export function acceptUnsigned(
  bytes: Uint8Array | null,
  devMode: DevMode,
):
  | { readonly ok: true; readonly verified: VerifiedBytes; readonly keyId: null }
  | { readonly ok: false; readonly issue: Issue } {
  const size = sizeIssue(bytes);
  if (size !== null || bytes === null || !devMode.granted) {
    return { ok: false, issue: size ?? missing() };
  }
  return { ok: true, verified: new Verified(bytes.slice(), null), keyId: null };
}

function missing(): Issue {
  return issue("sig.missing", {
    expected: "a minisign signature beside the policy (rayos-policy.toml.minisig)",
    found: "no such file",
    hint: "sign the policy with `ray policy sign` or `minisign -S`",
  });
}

function no(rule: string, expected: string, found: string, hint: string): Verification {
  return { ok: false, issue: issue(rule, { expected, found, hint }) };
}
