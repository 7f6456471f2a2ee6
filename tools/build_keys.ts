/**
 * This checkout's developer signing key: made the first time it is asked for, kept under `.rayos/keys/`,
 * never committed, and trusted by developer images only. It never touches a key that is there.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { generateKeyPair } from "../src/policy/secret_key.ts";
import { ToolError, writeWhole } from "./build_host.ts";

export interface DeveloperKey {
  readonly publicFile: string;
  readonly secretFile: string;
}

/**
 * The developer key of a checkout (minisign format, no passphrase: it guards nothing but trials).
 *
 * @throws ToolError where only half of the pair is there
 */
export function developerKey(project: string, say: (line: string) => void): DeveloperKey {
  const dir = path.join(project, ".rayos", "keys");
  const key = {
    publicFile: path.join(dir, "policy-dev.pub"),
    secretFile: path.join(dir, "policy-dev.key"),
  };
  const there = [key.publicFile, key.secretFile].filter((one) => fs.existsSync(one));
  if (there.length === 2) return key;
  if (there.length === 1) {
    throw new ToolError(`developer key: only ${there[0]} is there; remove it to get a new pair`);
  }
  say("making this checkout's developer key");
  fs.mkdirSync(dir, { recursive: true, mode: 0o700 });
  const { secretText, publicText } = generateKeyPair((count) =>
    crypto.getRandomValues(new Uint8Array(count))
  );
  writeWhole(key.secretFile, secretText, 0o600);
  writeWhole(key.publicFile, publicText);
  return key;
}

/** The key line of a minisign public key file, without its comment. */
export function keyLine(text: string): string {
  return text.trim().split("\n").filter((one) => !one.startsWith("untrusted comment:")).join("\n")
    .trim();
}
