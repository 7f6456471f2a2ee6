import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import {
  type KdfLimits,
  limitsIn,
  openSecretKey,
  passwordIn,
  REFERENCE_LIMITS,
  scryptCost,
  sealSecretKey,
} from "./sealed_key.ts";
import { generateKeyPair, parseSecretKey, signDetached } from "./secret_key.ts";

const text = (value: string) => new TextEncoder().encode(value);
const random = (count: number) => new Uint8Array(randomBytes(count));
/** Small enough for a test: 16 MiB of memory would be asked, 2 MiB are used. */
const CHEAP: KdfLimits = { operations: 32768, memoryBytes: 2 ** 24 };
const PASSWORD = text("correct horse");
const pair = generateKeyPair(random);
const sealed = sealSecretKey(pair.secretKey, PASSWORD, random, CHEAP);
const bodyOf = (file: string) => Buffer.from(file.split("\n")[1] ?? "", "base64");
const withBody = (body: Buffer) => `untrusted comment: x\n${body.toString("base64")}\n`;

function ruleOf(file: string, password = PASSWORD): string {
  const opened = openSecretKey(file, password);
  return opened.ok ? "ok" : opened.issue.rule;
}

Deno.test("openSecretKey gives back the key that sealSecretKey sealed", () => {
  const opened = openSecretKey(sealed, PASSWORD);
  assert(opened.ok);
  assert.deepEqual(opened.secretKey.inner(), pair.secretKey.inner());
  assert(!bodyOf(sealed).includes(Buffer.from(pair.secretKey.inner().subarray(8, 40))));
});

Deno.test("openSecretKey refuses another password", () => {
  assert.equal(ruleOf(sealed, text("correct horse ")), "key.password");
  assert.equal(ruleOf(sealed, text("")), "key.password");
});

Deno.test("openSecretKey refuses one flipped bit at every byte of what is sealed", () => {
  for (let at = 6; at < 158; at += at < 54 ? 1 : 13) {
    // The limits' own bytes are another matter: they say how much may be spent.
    if (at >= 38 && at < 54) continue;
    const body = bodyOf(sealed);
    body[at] = (body[at] ?? 0) ^ 1;
    assert.equal(ruleOf(withBody(body)), "key.password", `byte ${at}`);
  }
});

Deno.test("openSecretKey spends nothing on a file that asks for too much", () => {
  for (const at of [38, 46]) {
    const body = bodyOf(sealed);
    body.writeBigUInt64LE(2n ** 63n, at);
    assert.equal(ruleOf(withBody(body)), "key.cost");
  }
});

Deno.test("openSecretKey and parseSecretKey tell sealed keys from plain ones", () => {
  assert.equal(ruleOf(pair.secretText), "key.plain");
  assert.equal(ruleOf("nonsense"), "key.form");
  const refused = parseSecretKey(sealed);
  assert(!refused.ok && refused.issue.rule === "key.encrypted");
});

Deno.test("scryptCost is libsodium's choice for the reference tool's limits", () => {
  assert.deepEqual(scryptCost(REFERENCE_LIMITS), { N: 2 ** 20, r: 8, p: 1 });
  // crypto_pwhash_scryptsalsa208sha256_*_INTERACTIVE
  assert.deepEqual(scryptCost({ operations: 524288, memoryBytes: 16777216 }), {
    N: 16384,
    r: 8,
    p: 1,
  });
  assert.deepEqual(scryptCost({ operations: 0, memoryBytes: 2 ** 30 }), { N: 1024, r: 8, p: 1 });
  assert.deepEqual(scryptCost({ operations: 2 ** 25, memoryBytes: 2 ** 24 }), {
    N: 16384,
    r: 8,
    p: 64,
  });
});

Deno.test("passwordIn takes the first line alone", () => {
  const of = (content: string) => {
    const found = passwordIn(text(content));
    return found.ok ? new TextDecoder().decode(found.password) : found.issue.rule;
  };
  assert.equal(of("word"), "word");
  assert.equal(of("word\n"), "word");
  assert.equal(of(" word \r\nmore\n"), " word ");
  assert.equal(of(""), "key.password_form");
  assert.equal(of("\nword"), "key.password_form");
  assert.equal(of("a\0b\n"), "key.password_form");
  assert.equal(of("x".repeat(1023)), "x".repeat(1023));
  assert.equal(of("x".repeat(1024)), "key.password_form");
});

const present = spawnSync("minisign", ["-v"]).status === 0;

function inFolder(work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "sealed-"));
  try {
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true });
  }
}

function minisign(folder: string, args: string[], input: string): void {
  const run = spawnSync("minisign", args, { cwd: folder, input });
  assert.equal(run.status, 0, `${args.join(" ")}: ${run.stderr}${run.stdout}`);
}

Deno.test({
  name: "sealSecretKey makes a key with which Debian's minisign signs",
  ignore: !present,
  fn: () =>
    inFolder((folder) => {
      fs.writeFileSync(path.join(folder, "s.key"), sealed);
      fs.writeFileSync(path.join(folder, "p.pub"), pair.publicText);
      fs.writeFileSync(path.join(folder, "f"), "version = 0\n");
      minisign(folder, ["-S", "-s", "s.key", "-m", "f"], "correct horse\n");
      minisign(folder, ["-V", "-p", "p.pub", "-m", "f"], "");
    }),
});

Deno.test({
  name: "openSecretKey opens the key that Debian's minisign sealed",
  // A derivation at the reference tool's cost takes 1 GiB and seconds, twice.
  ignore: !present || Deno.env.get("RAYOS_TEST_FULL") !== "1",
  fn: () =>
    inFolder((folder) => {
      minisign(folder, ["-G", "-s", "s.key", "-p", "p.pub"], "pw\npw\n");
      const opened = openSecretKey(fs.readFileSync(path.join(folder, "s.key"), "utf8"), text("pw"));
      assert(opened.ok, JSON.stringify(opened));
      const content = text("version = 0\n");
      fs.writeFileSync(path.join(folder, "f"), content);
      const signature = signDetached(content, opened.secretKey, { trustedComment: "crossed" });
      fs.writeFileSync(path.join(folder, "f.minisig"), signature);
      minisign(folder, ["-V", "-p", "p.pub", "-m", "f"], "");
    }),
});

Deno.test("REFERENCE_LIMITS are those that libsodium calls sensitive", () => {
  assert.deepEqual(REFERENCE_LIMITS, { operations: 33_554_432, memoryBytes: 1_073_741_824 });
});

Deno.test("scryptCost takes what the lower limit leaves, as libsodium does", () => {
  const cost = (operations: number, memoryBytes: number) =>
    Object.values(scryptCost({ operations, memoryBytes }));
  assert.deepEqual(cost(1_030_000, 2 ** 25), [16384, 8, 1], "the operations bind");
  assert.deepEqual(cost(2 ** 20, 2 ** 25), [32768, 8, 1], "both bind");
  assert.deepEqual(cost(2 ** 20 + 1, 2 ** 25), [32768, 8, 1], "the memory binds");
  assert.deepEqual(cost(2 ** 21, 2 ** 25), [32768, 8, 2]);
  assert.deepEqual(cost(2 ** 20, 2 ** 26 - 1), [32768, 8, 1]);
  assert.deepEqual(cost(0, 2048), [2, 8, 512], "two blocks are the least");
  assert.deepEqual(cost(0, 0), [2, 8, 512]);
});

Deno.test("scryptCost has p = 1 wherever the operations bind", () => {
  for (let log = 15; log < 25; log++) {
    for (const more of [-1, 0, 1]) {
      const { N, r, p } = scryptCost({ operations: 2 ** log + more, memoryBytes: 2 ** 30 });
      assert(p === 1 && r === 8 && Number.isInteger(Math.log2(N)), `${log} ${more}: ${p}`);
    }
  }
});

Deno.test("limitsIn takes limits up to those that opening may cost, and no higher", () => {
  const kdf = (operations: bigint, memoryBytes: bigint) => {
    const bytes = Buffer.alloc(48, 0xff);
    bytes.writeBigUInt64LE(operations, 32);
    bytes.writeBigUInt64LE(memoryBytes, 40);
    return limitsIn(new Uint8Array(bytes));
  };
  const [operations, memoryBytes] = [268_435_456n, 1_073_741_824n];
  assert.deepEqual(kdf(operations, memoryBytes), {
    ok: true,
    limits: { operations: 268_435_456, memoryBytes: 1_073_741_824 },
  });
  assert.deepEqual(kdf(1n, 2n), { ok: true, limits: { operations: 1, memoryBytes: 2 } });
  for (const [one, other] of [[operations + 1n, 1n], [1n, memoryBytes + 1n]] as const) {
    const above = kdf(one, other);
    assert(!above.ok);
    assert.deepEqual([above.issue.rule, above.issue.expected, above.issue.found], [
      "key.cost",
      "at most 268435456 operations and 1073741824 bytes",
      `${one} operations, ${other} bytes`,
    ]);
  }
});

Deno.test("sealSecretKey takes no salt that is too short", () => {
  assert.throws(
    () => sealSecretKey(pair.secretKey, PASSWORD, (count) => random(count - 1), CHEAP),
    { code: "key.random", message: /the random source gave too few bytes/ },
  );
});

Deno.test("sealSecretKey and openSecretKey spend as much memory as the limits say", () => {
  const limits = { operations: 524_288, memoryBytes: 2 ** 24 };
  assert.equal(scryptCost(limits).N, 16384);
  assert.equal(ruleOf(sealSecretKey(pair.secretKey, PASSWORD, random, limits)), "ok");
});

Deno.test("passwordIn takes a password of one byte, and says what is wrong with another", () => {
  const found = (content: string) => {
    const read = passwordIn(text(content));
    return read.ok ? read.password.length : `${read.issue.expected}: ${read.issue.found}`;
  };
  assert.equal(found("x"), 1);
  assert.equal(found("\r\n"), "a first line of 1 to 1023 bytes: nothing");
  assert.equal(found("\0"), "a first line of 1 to 1023 bytes: a longer one, or a NUL in it");
});
