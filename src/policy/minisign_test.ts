import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { makeKeyring } from "./keyring.ts";
import { parsePublicKey } from "./minisign.ts";
import { generateKeyPair, parseSecretKey, signDetached } from "./secret_key.ts";
import { verify } from "./signature.ts";

const present = spawnSync("minisign", ["-v"]).status === 0;
const random = (count: number) => new Uint8Array(randomBytes(count));

type Tool = (...args: string[]) => { status: number | null; stdout: unknown; stderr: unknown };

/** Hands over a folder of its own and Debian's minisign, run in it. */
function inFolder(run: (path: (name: string) => string, tool: Tool) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "rayos-minisign-"));
  const tool: Tool = (...args) => spawnSync("minisign", args, { cwd: folder, input: "" });
  try {
    run((name) => join(folder, name), tool);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function withMinisign(name: string, fn: () => void): void {
  const reason = present ? "" : " (skipped: Debian's minisign is not installed)";
  Deno.test({ name: `${name}${reason}`, ignore: !present, fn });
}

withMinisign("verify accepts what minisign signed, prehashed and legacy, over random files", () => {
  inFolder((path, tool) => {
    assert.equal(tool("-G", "-W", "-p", "k.pub", "-s", "k.key").status, 0);
    const { keyring, issues } = makeKeyring([{ name: "k", content: readFileSync(path("k.pub")) }]);
    assert.deepEqual(issues, []);
    for (const size of [1, 63, 64, 65, 1000, 200_000]) {
      for (const legacy of [false, true]) {
        const bytes = random(size);
        writeFileSync(path("f"), bytes);
        const comment = `size ${size} ümlaut\t${"c".repeat(size % 997)}`;
        const options = ["-Sm", "f", "-s", "k.key", "-t", comment, ...legacy ? ["-l"] : []];
        assert.equal(tool(...options).status, 0);
        const signature = new Uint8Array(readFileSync(path("f.minisig")));
        const found = verify({ bytes, signature, keyring, revoked: new Set() });
        assert(found.ok, `${size} ${legacy} ${JSON.stringify(found)}`);
        const changed = bytes.with(0, (bytes[0] ?? 0) ^ 0x80);
        assert(!verify({ bytes: changed, signature, keyring, revoked: new Set() }).ok);
      }
    }
  });
});

withMinisign(
  "minisign accepts what signDetached signed with a key of our own, and of its own",
  () => {
    inFolder((path, tool) => {
      const own = generateKeyPair(random);
      writeFileSync(path("own.key"), own.secretText);
      writeFileSync(path("own.pub"), own.publicText);
      assert.equal(tool("-G", "-W", "-p", "its.pub", "-s", "its.key").status, 0);
      for (const name of ["own", "its"]) {
        const key = parseSecretKey(readFileSync(path(`${name}.key`), "utf8"));
        assert(key.ok);
        for (const size of [1, 128, 100_000]) {
          const bytes = random(size);
          writeFileSync(path("f"), bytes);
          const comments = { trustedComment: `t ${size}`, untrustedComment: "u" };
          writeFileSync(path("f.minisig"), signDetached(bytes, key.secretKey, comments));
          const held = tool("-Vm", "f", "-p", `${name}.pub`);
          assert.equal(held.status, 0, String(held.stderr));
          assert(String(held.stdout).includes(`t ${size}`));
          writeFileSync(path("f"), bytes.with(0, (bytes[0] ?? 0) ^ 1));
          assert.notEqual(tool("-Vm", "f", "-p", `${name}.pub`).status, 0);
        }
      }
    });
  },
);

withMinisign("minisign signs with a secret key that SecretKey.render wrote", () => {
  inFolder((path, tool) => {
    const own = generateKeyPair(random);
    writeFileSync(path("own.key"), own.secretText);
    const bytes = random(500);
    writeFileSync(path("f"), bytes);
    const made = tool("-Sm", "f", "-s", "own.key");
    assert.equal(made.status, 0, String(made.stderr));
    const { keyring } = makeKeyring([{ name: "k", content: own.publicText }]);
    const signature = new Uint8Array(readFileSync(path("f.minisig")));
    assert(verify({ bytes, signature, keyring, revoked: new Set() }).ok);
  });
});

withMinisign("keyId is the one that minisign shows", () => {
  inFolder((path, tool) => {
    for (let n = 0; n < 5; n++) {
      assert.equal(tool("-G", "-W", "-f", "-p", "k.pub", "-s", "k.key").status, 0);
      const text = readFileSync(path("k.pub"), "utf8");
      const parsed = parsePublicKey(text);
      assert(parsed.ok);
      const shown = /public key ([0-9A-F]+)/.exec(text)?.[1] ?? "";
      assert.equal(parsed.key.keyId, shown.padStart(16, "0"));
    }
  });
});

withMinisign("verify and minisign judge altered signature files alike", () => {
  inFolder((path, tool) => {
    const own = generateKeyPair(random);
    writeFileSync(path("k.pub"), own.publicText);
    const bytes = random(100);
    writeFileSync(path("f"), bytes);
    const good = signDetached(bytes, own.secretKey, { trustedComment: "a comment" });
    const { keyring } = makeKeyring([{ name: "k", content: own.publicText }]);
    const altered = {
      "as it is": good,
      "CR LF": good.replaceAll("\n", "\r\n"),
      "no last line end": good.trimEnd(),
      "another untrusted comment": good.replace(/^.*/, "untrusted comment: z"),
      "an empty untrusted comment": good.replace(/^.*/, "untrusted comment: "),
      "another trusted comment": good.replace("a comment", "b comment"),
      "a blank at the end of the trusted comment": good.replace("a comment", "a comment "),
      "no trusted comment": good.split("\n").slice(0, 2).join("\n"),
      "another prefix": good.replace("trusted comment: a", "trusted commend: a"),
      "empty": "",
    };
    for (const [what, text] of Object.entries(altered)) {
      writeFileSync(path("f.minisig"), text);
      const theirs = tool("-Vm", "f", "-p", "k.pub").status === 0;
      const signature = new TextEncoder().encode(text);
      const ours = verify({ bytes, signature, keyring, revoked: new Set() }).ok;
      assert.equal(ours, theirs, what);
    }
  });
});
