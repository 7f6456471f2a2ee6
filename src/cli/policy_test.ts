import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { policyCheck } from "./policy_check.ts";
import { policyKeygen } from "./policy_keygen.ts";
import { policySign } from "./policy_sign.ts";
import { policyVerify } from "./policy_verify.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const random = (count: number) => new Uint8Array(randomBytes(count));

Deno.test("policyCheck shows the source line with a caret under the place", () => {
  const result = policyCheck(
    "p.toml",
    bytes("version = 0\nserial = 1\n[linux]\n  enabeld = true\n"),
    false,
  );
  assert.equal(result.exit, 1);
  assert.equal(result.stderr, "");
  const lines = result.stdout.split("\n");
  assert.match(
    lines[0] ?? "",
    /^p\.toml:4:3: error: schema\.unknown_key: linux\.enabeld: expected /,
  );
  assert.deepEqual(lines.slice(1), [
    "  4 |   enabeld = true",
    "    |   ^",
    "  did you mean enabled?",
    "p.toml: the policy does not hold (1 error)",
    "",
  ]);
});

Deno.test("policyCheck of a good policy exits 0 and counts warnings and notes", () => {
  const result = policyCheck(
    "p.toml",
    bytes("version = 0\nlogging.input = 'redacted'\n"),
    false,
  );
  assert.equal(result.exit, 0);
  assert(result.stdout.endsWith("p.toml: the policy holds (1 warning, 1 note)\n"));
});

Deno.test("policyCheck --json prints JSON alone, with the documented keys", () => {
  const result = policyCheck("p.toml", bytes("version = 0\nx = 1\n"), true);
  const { ok, issues } = JSON.parse(result.stdout);
  assert.deepEqual([result.exit, result.stderr, ok], [1, "", false]);
  assert.deepEqual(Object.keys(issues[0]), [
    "rule",
    "path",
    "line",
    "column",
    "expected",
    "found",
    "hint",
    "severity",
  ]);
  assert.deepEqual([issues[0].rule, issues[0].line, issues[0].column], [
    "schema.unknown_key",
    2,
    1,
  ]);
  assert.equal(JSON.parse(policyCheck("p", bytes("version = 0"), true).stdout).ok, true);
});

Deno.test("policyCheck shows no control or bidirectional character of a policy", () => {
  const result = policyCheck("a\u001b[2J", bytes("version = 0\nx\u202e\u001b[31m = 1\n"), false);
  assert.match(result.stdout, /^[\x20-\x7e\n…]+$/);
});

Deno.test("policyCheck shows a long line around the place", () => {
  const text = `version = 0\nlinux = { enabled = ${" ".repeat(500)}false, wrong = 1 }\n`;
  const { stdout } = policyCheck("p", bytes(text), false);
  assert(stdout.split("\n").every((line) => line.length < 400));
  const [, shown, caret] = stdout.split("\n");
  const at = (caret ?? "").indexOf("^");
  assert.equal((shown ?? "").slice(at, at + 5), "wrong");
});

async function plainKeys() {
  const { result, files } = await policyKeygen(random, null);
  assert(files !== null);
  return { result, ...files };
}

Deno.test("policySign and policyVerify go together with policyKeygen's keys", async () => {
  const keys = await plainKeys();
  const policy = bytes("version = 0\n");
  const { result, signature } = await policySign({
    name: "p.toml",
    bytes: policy,
    secretText: keys.secretText,
    passwordFile: null,
    nowS: 1.5,
  });
  assert.equal(result.exit, 0);
  assert(signature?.includes("timestamp:1\tfile:p.toml\thashed"));
  const verify = (content: Uint8Array, json = false) =>
    policyVerify({
      name: "p.toml",
      bytes: content,
      signature: bytes(signature ?? ""),
      publicText: keys.publicText,
      json,
    });
  assert.equal(verify(policy).exit, 0);
  assert.equal(JSON.parse(verify(policy, true).stdout).ok, true);
  const bad = verify(bytes("version = 1\n"));
  assert.equal(bad.exit, 1);
  assert.match(bad.stderr, /^rayos: verify p\.toml: sig\.mismatch: /);
  const badJson = JSON.parse(verify(bytes("version = 1\n"), true).stdout);
  assert.deepEqual([badJson.ok, badJson.issues[0].rule], [false, "sig.mismatch"]);
});

Deno.test("policySign refuses what is no policy, no key or no password, and gives no signature", async () => {
  const keys = await plainKeys();
  const sign = (content: string, secretText: string, password: string | null = null) =>
    policySign({
      name: "p",
      bytes: bytes(content),
      secretText,
      passwordFile: password === null ? null : bytes(password),
      nowS: 0,
    });
  for (
    const [asked, rule] of [
      [sign("", keys.secretText), /policy\.empty/],
      [sign("x", "nonsense"), /key\.form/],
      [sign("x", keys.publicText), /key\.form/],
      [sign("x", keys.secretText, "word\n"), /key\.plain/],
      [sign("x", keys.secretText, "\nword\n"), /key\.password_form/],
    ] as const
  ) {
    const { result, signature } = await asked;
    assert.deepEqual([result.exit, signature], [1, null]);
    assert.match(result.stderr, rule);
  }
});

Deno.test("policyKeygen prints no secret, and says aloud when nothing protects it", async () => {
  const { result, secretText } = await plainKeys();
  const secret = secretText.split("\n")[1] ?? "";
  assert(!`${result.stdout}${result.stderr}`.includes(secret.slice(20)));
  assert.match(result.stderr, /not encrypted/);
});

Deno.test("policyKeygen with an empty password file makes no key", async () => {
  const { result, files } = await policyKeygen(random, bytes("\n"));
  assert.deepEqual([result.exit, files], [1, null]);
  assert.match(result.stderr, /key\.password_form/);
});
