import assert from "node:assert/strict";
import { parsePublicKey } from "../src/policy/minisign.ts";
import { parseSecretKey } from "../src/policy/secret_key.ts";
import { ToolError } from "./build_host.ts";
import { developerKey, keyLine } from "./build_keys.ts";

async function project(use: (dir: string) => void): Promise<void> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-test-" });
  try {
    use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

Deno.test("developerKey makes a pair once: the secret half is its owner's alone", async () => {
  await project((dir) => {
    const lines: string[] = [];
    const key = developerKey(dir, (line) => lines.push(line));
    assert.equal((Deno.statSync(key.secretFile).mode ?? 0) & 0o777, 0o600);
    const before = [key.secretFile, key.publicFile].map((one) => Deno.readTextFileSync(one));
    developerKey(dir, (line) => lines.push(line));
    const after = [key.secretFile, key.publicFile].map((one) => Deno.readTextFileSync(one));
    assert.deepEqual(after, before);
    assert.equal(lines.length, 1);
    const secret = parseSecretKey(before[0] ?? "");
    assert.ok(secret.ok);
    const shown = parsePublicKey(before[1] ?? "");
    assert.ok(shown.ok && shown.key.keyId === secret.secretKey.publicKey.keyId);
  });
});

Deno.test("developerKey refuses half a pair and leaves it alone", async () => {
  await project((dir) => {
    const key = developerKey(dir, () => {});
    Deno.removeSync(key.publicFile);
    const secret = Deno.readTextFileSync(key.secretFile);
    assert.throws(() => developerKey(dir, () => {}), ToolError);
    assert.equal(Deno.readTextFileSync(key.secretFile), secret);
  });
});

Deno.test("keyLine is the key without its comment and line ends", () => {
  assert.equal(keyLine("untrusted comment: a\r\nRWQ=\r\n"), "RWQ=");
});
