/**
 * `ray policy keygen --out BASE [--password-file F]`: the texts of BASE.key and BASE.pub. The secret
 * one is for a file of mode 0600 that is not there yet; nothing here writes or shows it.
 */
import { generateKeyPair } from "../policy/secret_key.ts";
import { type CommandResult, refused } from "./policy_result.ts";

export interface KeygenResult {
  readonly result: CommandResult;
  /** Null when refused. */
  readonly files: {
    /** For BASE.key, mode 0600, never over another file. */
    readonly secretText: string;
    /** For BASE.pub; put it into the image as /etc/rayos/keys/policy-*.pub. */
    readonly publicText: string;
  } | null;
}

/**
 * Makes a key pair.
 *
 * @param random fills that many bytes from a cryptographic source
 * @param passwordFile a file whose first line protects the key; null: nothing does, said aloud
 */
export async function policyKeygen(
  random: (bytes: number) => Uint8Array,
  passwordFile: Uint8Array | null,
): Promise<KeygenResult> {
  const pair = generateKeyPair(random);
  const { publicText, publicKey } = pair;
  const stdout = `made key ${publicKey.keyId}\n`;
  if (passwordFile === null) {
    const stderr =
      "rayos: keygen: the secret key is not encrypted; keep it where only you can read\n";
    const { secretText } = pair;
    return { result: { exit: 0, stdout, stderr }, files: { secretText, publicText } };
  }
  const { passwordIn, sealSecretKey } = await import("../policy/sealed_key.ts");
  const found = passwordIn(passwordFile);
  if (!found.ok) return { result: refused("keygen", found.issue, false), files: null };
  const secretText = sealSecretKey(pair.secretKey, found.password, random);
  return { result: { exit: 0, stdout, stderr: "" }, files: { secretText, publicText } };
}
