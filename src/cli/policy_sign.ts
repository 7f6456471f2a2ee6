/**
 * `ray policy sign FILE --secret KEY [--password-file F]`: the text of `FILE.minisig`, as minisign itself would make it.
 * It reads and writes no file and never shows the key.
 */
import type { Issue } from "../issue.ts";
import { parseSecretKey, type SecretKey, signDetached } from "../policy/secret_key.ts";
import { sizeIssue } from "../policy/signature.ts";
import { type CommandResult, printable, refused } from "./policy_result.ts";

/** The signature's text, or why there is none. */
export interface SignResult {
  readonly result: CommandResult;
  /** To be written to `FILE.minisig`; null when refused. */
  readonly signature: string | null;
}

/**
 * Signs a policy's exact bytes.
 *
 * @param name the file's name without its folder, for the trusted comment
 * @param passwordFile the file whose first line opens the key; null for a key without a password
 * @param nowS seconds since 1970, for the trusted comment
 */
export async function policySign(
  { name, bytes, secretText, passwordFile, nowS }: {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly secretText: string;
    readonly passwordFile: Uint8Array | null;
    readonly nowS: number;
  },
): Promise<SignResult> {
  const size = sizeIssue(bytes);
  if (size !== null) return { result: refused(`sign ${name}`, size, false), signature: null };
  const key = passwordFile === null
    ? parseSecretKey(secretText)
    : await openWith(secretText, passwordFile);
  if (!key.ok) return { result: refused(`sign ${name}`, key.issue, false), signature: null };
  const signature = signDetached(bytes, key.secretKey, {
    trustedComment: `timestamp:${Math.floor(nowS)}\tfile:${printable(name)}\thashed`,
  });
  const stdout = `signed ${printable(name)} with key ${key.secretKey.publicKey.keyId}\n`;
  return { result: { exit: 0, stdout, stderr: "" }, signature };
}

async function openWith(
  secretText: string,
  passwordFile: Uint8Array,
): Promise<{ ok: true; secretKey: SecretKey } | { ok: false; issue: Issue }> {
  const { openSecretKey, passwordIn } = await import("../policy/sealed_key.ts");
  const found = passwordIn(passwordFile);
  return found.ok ? openSecretKey(secretText, found.password) : found;
}
