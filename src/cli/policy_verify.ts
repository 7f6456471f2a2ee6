/**
 * `ray policy verify FILE --key PUB [--sig SIG]`: whether that key signed these bytes. It parses
 * nothing of the policy.
 */
import { makeKeyring } from "../policy/keyring.ts";
import { verify } from "../policy/signature.ts";
import { type CommandResult, printable, refused } from "./policy_result.ts";

/**
 * Verifies a policy's signature against one public key.
 *
 * @param signature null where there is no such file
 * @returns exit code 0 when it holds, else 1 with the rule
 */
export function policyVerify(
  { name, bytes, signature, publicText, json }: {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly signature: Uint8Array | null;
    readonly publicText: string;
    readonly json: boolean;
  },
): CommandResult {
  const { keyring, issues } = makeKeyring([{ name: "key", content: publicText }]);
  const [fault] = issues;
  if (fault !== undefined) return refused(`verify ${name}`, fault, json);
  const found = verify({ bytes, signature, keyring, revoked: new Set() });
  if (!found.ok) return refused(`verify ${name}`, found.issue, json);
  const { keyId, trustedComment } = found;
  const stdout = json
    ? `${JSON.stringify({ ok: true, key: keyId, trusted_comment: trustedComment, issues: [] })}\n`
    : `${printable(name)}: signed by key ${keyId}\ntrusted comment: ${trustedComment}\n`;
  return { exit: 0, stdout, stderr: "" };
}
