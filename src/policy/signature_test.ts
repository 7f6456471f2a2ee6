import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { randomBytes } from "node:crypto";
import { parseCmdline } from "../boot/cmdline.ts";
import { makeKeyring, parseRevoked } from "./keyring.ts";
import { parsePublicKey, parseSignature, renderPublicKey } from "./minisign.ts";
import { generateKeyPair, parseSecretKey, SecretKey, signDetached } from "./secret_key.ts";
import { acceptUnsigned, MAX_POLICY_BYTES, sizeIssue, verify } from "./signature.ts";

const text = (value: string) => new TextEncoder().encode(value);
const random = (count: number) => new Uint8Array(randomBytes(count));
const pair = generateKeyPair(random);
const other = generateKeyPair(random);
const bytes = text("version = 0\n");
const { keyring } = makeKeyring([{ name: "policy-a.pub", content: pair.publicText }]);
const none = new Set<string>();

function signed(content = bytes, key = pair.secretKey, trustedComment = "made in a test"): string {
  return signDetached(content, key, { trustedComment });
}

function ruleOf(signature: string | Uint8Array | null, content: Uint8Array | null = bytes): string {
  const given = typeof signature === "string" ? text(signature) : signature;
  const found = verify({ bytes: content, signature: given, keyring, revoked: none });
  return found.ok ? "ok" : found.issue.rule;
}

function line(signature: string, index: number, value: string): string {
  return signature.split("\n").with(index, value).join("\n");
}

Deno.test("verify accepts what the key signed, and keeps a copy of exactly those bytes", () => {
  const given = bytes.slice();
  const found = verify({ bytes: given, signature: text(signed()), keyring, revoked: none });
  assert(found.ok);
  assert.equal(found.keyId, pair.publicKey.keyId);
  assert.equal(found.trustedComment, "made in a test");
  given[0] = 0;
  found.verified.bytes[1] = 0;
  assert.deepEqual(found.verified.bytes, bytes);
});

Deno.test("verify names the rule of each refusal", () => {
  const good = signed();
  assert.equal(ruleOf(null), "sig.missing");
  assert.equal(ruleOf(""), "sig.form");
  assert.equal(ruleOf(signed(bytes, other.secretKey)), "sig.unknown_key");
  assert.equal(ruleOf(signed(text("version = 1\n"))), "sig.mismatch");
  assert.equal(ruleOf(line(good, 2, "trusted comment: made in a tent")), "sig.comment");
  assert.equal(ruleOf(line(good, 2, "trusted comment: made in a test ")), "sig.comment");
  const elsewhere = signed(text("x"));
  assert.equal(ruleOf(line(good, 3, elsewhere.split("\n")[3] ?? "")), "sig.comment");
});

Deno.test("verify ignores what the untrusted comment says", () => {
  assert.equal(ruleOf(line(signed(), 0, "untrusted comment: anything at all")), "ok");
});

Deno.test("verify refuses a changed byte at every place of the policy", () => {
  const signature = signed();
  for (let at = 0; at < bytes.length; at++) {
    const changed = bytes.slice();
    changed[at] = (changed[at] ?? 0) ^ 1;
    assert.equal(ruleOf(signature, changed), "sig.mismatch");
  }
});

Deno.test("verify refuses a flipped bit at every place of the signature", () => {
  const good = signed();
  for (const index of [1, 3]) {
    const raw = Buffer.from(good.split("\n")[index] ?? "", "base64");
    for (let bit = 0; bit < raw.length * 8; bit++) {
      const flipped = Buffer.from(raw);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      const found = ruleOf(line(good, index, flipped.toString("base64")));
      assert(found.startsWith("sig."), `line ${index}, bit ${bit}: ${found}`);
    }
  }
});

Deno.test("verify refuses a signature cut at every length", () => {
  const good = text(signed());
  // Without the last line end it is whole: the reference tool takes it so too.
  for (let length = 0; length < good.length - 1; length++) {
    assert(ruleOf(good.subarray(0, length)).startsWith("sig."), `${length}`);
  }
  assert.equal(ruleOf(good.subarray(0, good.length - 1)), "ok");
});

Deno.test("verify refuses a revoked key even when it is trusted too", () => {
  const { revoked, issues } = parseRevoked(
    `# lost\n${pair.publicKey.keyId.toLowerCase()} # 2026\n\n`,
  );
  assert.deepEqual(issues, []);
  const found = verify({ bytes, signature: text(signed()), keyring, revoked });
  assert(!found.ok && found.issue.rule === "sig.revoked");
});

Deno.test("verify takes any of several trusted keys", () => {
  const both = makeKeyring([
    { name: "a", content: pair.publicText },
    { name: "b", content: text(other.publicText) },
  ]);
  assert.deepEqual(both.issues, []);
  const signature = text(signed(bytes, other.secretKey));
  const found = verify({ bytes, signature, keyring: both.keyring, revoked: none });
  assert(found.ok && found.keyId === other.publicKey.keyId);
});

Deno.test("verify judges size before anything else", () => {
  const most = new Uint8Array(MAX_POLICY_BYTES).fill(32);
  assert.equal(ruleOf(signed(most), most), "ok");
  assert.equal(ruleOf(null, new Uint8Array(MAX_POLICY_BYTES + 1)), "policy.size");
  assert.equal(ruleOf(null, new Uint8Array(0)), "policy.empty");
  assert.equal(ruleOf(null, null), "policy.missing");
  assert.equal(sizeIssue(bytes), null);
});

Deno.test("verify refuses a signature whose scalar is not reduced", () => {
  const good = signed();
  const raw = Buffer.from(good.split("\n")[1] ?? "", "base64");
  raw.fill(0xff, 42);
  assert.equal(ruleOf(line(good, 1, raw.toString("base64"))), "sig.weak_signature");
});

Deno.test("verify shows a trusted comment without control or bidirectional characters", () => {
  const signature = text(signed(bytes, pair.secretKey, "a\u001b[31m\u202eb"));
  const found = verify({ bytes, signature, keyring, revoked: none });
  assert(found.ok);
  assert.equal(found.trustedComment, "a\\u001b[31m\\u202eb");
});

Deno.test("parseSignature takes LF and CR LF, and no other form", () => {
  const good = signed();
  assert.equal(ruleOf(good.replaceAll("\n", "\r\n")), "ok");
  assert.equal(ruleOf(`${good}\n`), "sig.form");
  assert.equal(ruleOf(`\n${good}`), "sig.form");
  assert.equal(ruleOf(`${good}more\n`), "sig.form");
  assert.equal(
    ruleOf(good.replace("trusted comment: made", "trusted comment: ma\0de")),
    "sig.form",
  );
  assert.equal(ruleOf(good.replace("made in", "made\rin")), "sig.form");
  assert.equal(ruleOf(good.replace("untrusted comment: ", "comment: ")), "sig.form");
  const second = good.split("\n")[1] ?? "";
  assert.equal(ruleOf(line(good, 1, `${second}=`)), "sig.form");
  assert.equal(ruleOf(line(good, 1, ` ${second}`)), "sig.form");
  assert.equal(ruleOf(line(good, 1, `AA${second.slice(2)}`)), "sig.form");
  assert.equal(ruleOf("x".repeat(20_000)), "sig.form");
});

Deno.test("parseSignature takes comments as long as the format allows, and no longer", () => {
  const longest = signed(bytes, pair.secretKey, "x".repeat(8192 - 17 - 2));
  assert.equal(ruleOf(longest), "ok");
  assert.equal(ruleOf(longest.replace("trusted comment: x", "trusted comment: xx")), "sig.form");
  assert.throws(() => signed(bytes, pair.secretKey, "x".repeat(8192 - 17 - 1)), /shorter/);
  assert.throws(() => signed(bytes, pair.secretKey, "two\nlines"), /one line/);
});

Deno.test("parsePublicKey and renderPublicKey are each other's inverse", () => {
  const parsed = parsePublicKey(pair.publicText);
  assert(parsed.ok);
  assert.deepEqual(parsed.key, pair.publicKey);
  assert.equal(renderPublicKey(parsed.key), pair.publicText);
  const bare = parsePublicKey(pair.publicText.split("\n")[1] ?? "");
  assert(bare.ok);
  assert.deepEqual(bare.key.point, pair.publicKey.point);
});

Deno.test("makeKeyring trusts no weak, unreadable or ambiguous key, and says so", () => {
  const keyId = "0123456789ABCDEF";
  const weak = renderPublicKey({ keyId, point: new Uint8Array(32), comment: "weak" });
  const clash = renderPublicKey({ ...other.publicKey, keyId: pair.publicKey.keyId });
  const made = makeKeyring([
    { name: "weak.pub", content: weak },
    { name: "bad.pub", content: "nonsense" },
    { name: "one.pub", content: pair.publicText },
    { name: "two.pub", content: clash },
    { name: "good.pub", content: other.publicText },
  ]);
  assert.deepEqual([...made.keyring.keys()], [other.publicKey.keyId]);
  assert.deepEqual(made.issues.map((one) => [one.path, one.rule]), [
    ["weak.pub", "sig.weak_key"],
    ["bad.pub", "sig.form"],
    ["two.pub", "sig.key_clash"],
  ]);
});

Deno.test("parseRevoked says which line is no key id", () => {
  const { revoked, issues } = parseRevoked("0123456789abcdef\nnot a key\n");
  assert.deepEqual([...revoked], ["0123456789ABCDEF"]);
  assert.deepEqual(issues.map((one) => [one.rule, one.line, one.column]), [
    ["sig.revoked_list", 2, 1],
  ]);
  const long = parseRevoked("x".repeat(41)).issues[0]?.found;
  assert.equal(long, "x".repeat(40));
});

Deno.test("acceptUnsigned skips the signature and not the size", () => {
  const { dev } = parseCmdline("rayos.dev=1", "developer").cmdline;
  assert(dev !== null);
  const found = acceptUnsigned(bytes, dev);
  assert(found.ok && found.keyId === null && found.verified.keyId === null);
  const big = acceptUnsigned(new Uint8Array(MAX_POLICY_BYTES + 1), dev);
  assert(!big.ok && big.issue.rule === "policy.size");
  const empty = acceptUnsigned(null, dev);
  assert(!empty.ok && empty.issue.rule === "policy.missing");
});

Deno.test("SecretKey shows its seed neither as JSON nor when inspected", () => {
  const seed = new Uint8Array(32).fill(0xa5);
  const key = new SecretKey(seed, "0123456789ABCDEF");
  const shown = `${JSON.stringify(key)} ${Deno.inspect(key, { showHidden: true, depth: 9 })}`;
  assert(!shown.includes("165,165") && !shown.includes("165, 165") && !shown.includes("a5a5"));
});

Deno.test("parseSecretKey reads what SecretKey.render wrote, and refuses what is damaged", () => {
  const again = parseSecretKey(pair.secretText);
  assert(again.ok);
  assert.equal(again.secretKey.publicKey.keyId, pair.publicKey.keyId);
  const raw = Buffer.from(pair.secretText.split("\n")[1] ?? "", "base64");
  raw[62] = (raw[62] ?? 0) ^ 1;
  const damaged = parseSecretKey(`untrusted comment: x\n${raw.toString("base64")}\n`);
  assert(!damaged.ok && damaged.issue.rule === "key.form");
  for (let length = 0; length < pair.secretText.length - 1; length++) {
    assert(!parseSecretKey(pair.secretText.slice(0, length)).ok);
  }
  assert(parseSignature(signed()).ok);
});

Deno.test("sizeIssue takes 256 KiB, and says of one byte more how much it is", () => {
  assert.equal(sizeIssue(new Uint8Array(262_144)), null);
  const above = sizeIssue(new Uint8Array(262_145));
  assert.deepEqual([above?.rule, above?.expected, above?.found], [
    "policy.size",
    "at most 262144 bytes",
    "262145 bytes",
  ]);
});

Deno.test("verify names the trusted keys to whom signed with another, or none", () => {
  const expected = (trusted: typeof keyring) => {
    const signature = text(signed(bytes, other.secretKey));
    const found = verify({ bytes, signature, keyring: trusted, revoked: none });
    assert(!found.ok);
    return [found.issue.rule, found.issue.expected, found.issue.found];
  };
  const key = `key ${other.publicKey.keyId}`;
  assert.deepEqual(expected(keyring), [
    "sig.unknown_key",
    `one of the trusted keys (${pair.publicKey.keyId})`,
    key,
  ]);
  assert.deepEqual(expected(new Map()), ["sig.unknown_key", "one of the trusted keys (none)", key]);
});
