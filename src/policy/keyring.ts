/**
 * The trusted keys of an image, by key id, and the list of those that are trusted no longer. A key
 * that is weak, or that cannot be read, is not trusted, and says so. Nothing here reads a file.
 */
import { Buffer } from "node:buffer";
import { type Issue, issue } from "../issue.ts";
import { pointWeakness } from "./ed25519.ts";
import { parsePublicKey, type PublicKey } from "./minisign.ts";

/** Trusted keys by key id. */
export type Keyring = ReadonlyMap<string, PublicKey>;

/**
 * The keyring of some key files.
 *
 * @param files name and content of each, e.g. of `/etc/rayos/keys/policy-*.pub`
 * @returns the keys that can be trusted, and a finding for each file that gives none: `sig.form`,
 *   `sig.weak_key`, or `sig.key_clash` when two keys have one id, of which then neither is trusted
 */
export function makeKeyring(
  files: readonly { readonly name: string; readonly content: string | Uint8Array }[],
): { keyring: Keyring; issues: Issue[] } {
  const keyring = new Map<string, PublicKey>();
  const clashes = new Set<string>();
  const issues: Issue[] = [];
  for (const { name, content } of files) {
    const parsed = parsePublicKey(content);
    if (!parsed.ok) {
      issues.push({ ...parsed.issue, path: name });
      continue;
    }
    const { key } = parsed;
    const weakness = pointWeakness(key.point);
    const other = keyring.get(key.keyId);
    if (weakness !== null) {
      issues.push(issue("sig.weak_key", {
        path: name,
        expected: "an Ed25519 key of full order in canonical form",
        found: `key ${key.keyId}: ${weakness}`,
        hint: "remove the file; anyone can sign for such a key",
      }));
    } else if (other !== undefined && !Buffer.from(other.point).equals(key.point)) {
      clashes.add(key.keyId);
      issues.push(issue("sig.key_clash", {
        path: name,
        expected: "one key for each key id",
        found: `two keys of id ${key.keyId}`,
        hint: "remove one of them; until then neither is trusted",
      }));
    } else keyring.set(key.keyId, key);
  }
  for (const keyId of clashes) keyring.delete(keyId);
  return { keyring, issues };
}

/**
 * Reads the revocation list: one key id a line, 16 hex digits, `#` starts a comment.
 *
 * @returns the ids, and a finding `sig.revoked_list` for each line that is none; a caller must not
 *   trust any key while there is one, since the line may have meant it
 */
export function parseRevoked(text: string): { revoked: ReadonlySet<string>; issues: Issue[] } {
  const revoked = new Set<string>();
  const issues: Issue[] = [];
  text.split("\n").forEach((raw, index) => {
    const line = raw.replace(/#.*/, "").trim();
    if (line === "") return;
    if (/^[0-9A-Fa-f]{16}$/.test(line)) revoked.add(line.toUpperCase());
    else {
      issues.push(issue("sig.revoked_list", {
        path: "revoked",
        line: index + 1,
        column: 1,
        expected: "a key id of 16 hex digits",
        found: line.slice(0, 40),
        hint: "write the id as `minisign` shows it",
      }));
    }
  });
  return { revoked, issues };
}
