/**
 * `ray policy keygen --out BASE`: the texts of BASE.key and BASE.pub. The secret one is for a file
 * of mode 0600 that is not there yet; nothing here writes or shows it.
 */
import { generateKeyPair } from "../policy/secret_key.ts";
import type { CommandResult } from "./policy_result.ts";

export interface KeygenResult {
  readonly result: CommandResult;
  /** For BASE.key, mode 0600, never over another file. */
  readonly secretText: string;
  /** For BASE.pub; put it into the image as /etc/rayos/keys/policy-*.pub. */
  readonly publicText: string;
}

/** Makes a key pair from a cryptographic random source. */
export function policyKeygen(random: (bytes: number) => Uint8Array): KeygenResult {
  const pair = generateKeyPair(random);
  const stdout = `made key ${pair.publicKey.keyId}\n`;
  const stderr =
    "rayos: keygen: the secret key is not encrypted; keep it where only you can read\n";
  return {
    result: { exit: 0, stdout, stderr },
    secretText: pair.secretText,
    publicText: pair.publicText,
  };
}
