import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import { packPolicy } from "../../tools/policy_package.ts";

const PROJECT = path.join(import.meta.dirname ?? ".", "../..");
const present = ["node", "npm"].every((tool) => spawnSync(tool, ["--version"]).status === 0);

/** A clean Node project with the package installed by npm, from files alone. */
function installed(work: (folder: string) => void): void {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), "policy-user-"));
  const npm = (...args: string[]) => {
    const run = spawnSync("npm", args, { cwd: folder, encoding: "utf8" });
    assert.equal(run.status, 0, `npm ${args[0]}: ${run.stderr}${run.stdout}`);
    return run.stdout;
  };
  try {
    const files = packPolicy(path.join(folder, "policy.tgz"));
    assert(files.length > 20);
    const modules = path.join(PROJECT, "node_modules");
    const own = fs.readdirSync(path.join(modules, ".deno")).filter((name) =>
      /^(zod|toml-eslint-parser|eslint-visitor-keys)@/.test(name)
    );
    assert.equal(own.length, 3);
    const tarballs = own.map((name) => {
      const [bare] = name.split("@");
      const at = path.join(modules, ".deno", name, "node_modules", bare ?? "");
      return npm("pack", "--silent", "--ignore-scripts", at).trim().split("\n").at(-1) ?? "";
    });
    fs.writeFileSync(path.join(folder, "package.json"), '{"name":"user","type":"module"}');
    const all = [...tarballs, "policy.tgz"].map((name) => `./${name}`);
    npm("install", "--offline", "--no-audit", "--no-fund", ...all);
    work(folder);
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

const USER_JS = `
import { readFileSync } from "node:fs";
import {
  authorize, checkPolicy, difference, explain, judge, makeKeyring, parsePolicy, policyJsonSchema,
  readOnDesk, verify, vmId, widens,
} from "@rayos/policy";

const read = (name) => readFileSync(new URL(name, import.meta.url));
const bytes = new Uint8Array(read("p.toml"));
const { keyring } = makeKeyring([{ name: "k.pub", content: read("k.pub") }]);
const found = verify({ bytes, signature: read("p.toml.minisig"), keyring, revoked: new Set() });
if (!found.ok) throw new Error(found.issue.rule);
const facts = { hostName: null, minSerial: 0, remembered: null };
const { policy } = parsePolicy(found.verified, facts);
const changed = verify({
  bytes: new Uint8Array([...bytes, 10]), signature: read("p.toml.minisig"), keyring, revoked: new Set(),
});
const desk = vmId("desk");
const guest = { kind: "linux", profile: "linux", state: "stopped", memoryMiB: 512, violations: [] };
const state = {
  mode: "normal", virtualization: "kvm", memoryMiB: 8192, guests: new Map([[desk, guest]]),
};
const start = { op: "vm.start", vm: desk };
const old = readOnDesk(bytes);
const next = readOnDesk(new TextEncoder().encode("version = 0\\nserial = 1\\n"));
console.log(JSON.stringify({
  refused: changed.ok ? null : changed.issue.rule,
  console: authorize(policy, state, "console", start).allow,
  agent: judge(policy, state, "agent", start)?.rule,
  issues: checkPolicy(new TextEncoder().encode("version = 0\\nserail = 1\\n")).map((one) =>
    [one.rule, one.line, one.hint]),
  sentence: explain(old)[0].text,
  widens: widens(difference(next, old)),
  schema: policyJsonSchema().$schema,
}));
`;

const USER_TS = `
import { type Caller, judge, type Policy, readOnDesk, type Statement, explain } from "@rayos/policy";

export function allowed(bytes: Uint8Array, caller: Caller): boolean {
  const read = readOnDesk(bytes);
  if (read.policy === null) throw new Error(read.issues[0]?.hint);
  const policy: Policy = read.policy;
  const statements: Statement[] = explain(read);
  const state = {
    mode: "normal", virtualization: "kvm", memoryMiB: policy.limits.vms + statements.length,
    guests: new Map(),
  } as const;
  return judge(policy, state, caller, { op: "status" }) === null;
}
`;

const WRONG_TS = `
import { judge, readOnDesk } from "@rayos/policy";
const read = readOnDesk("version = 0");
judge(read.policy, {}, "nobody", { op: 1 });
`;

Deno.test({
  name:
    "@rayos/policy installs into a clean Node project and is used from JavaScript and TypeScript",
  ignore: !present,
  fn: () =>
    installed((folder) => {
      const pair = generateKeyPair((count) => new Uint8Array(randomBytes(count)));
      const policy = new TextEncoder().encode(
        'version = 0\nserial = 1\n[linux]\nenabled = true\nvm_id = "desk"\n',
      );
      const write = (name: string, text: string | Uint8Array) =>
        fs.writeFileSync(path.join(folder, name), text);
      write("p.toml", policy);
      write("k.pub", pair.publicText);
      write("p.toml.minisig", signDetached(policy, pair.secretKey, { trustedComment: "t" }));
      write("user.js", USER_JS);
      const ran = spawnSync("node", ["user.js"], { cwd: folder, encoding: "utf8" });
      assert.equal(ran.status, 0, ran.stderr);
      assert.deepEqual(JSON.parse(ran.stdout), {
        refused: "sig.mismatch",
        console: true,
        agent: "op.caller",
        issues: [["schema.unknown_key", 2, "did you mean serial?"]],
        sentence: "Its serial is 1; a policy with a lower one is refused from then on.",
        widens: true,
        schema: "https://json-schema.org/draft/2020-12/schema",
      });
      write("user.ts", USER_TS);
      write("wrong.ts", WRONG_TS);
      // TypeScript's own compiler, which Deno carries; types come from the package alone.
      const check = (file: string) =>
        spawnSync(Deno.execPath(), ["check", "--quiet", "--node-modules-dir=manual", file], {
          cwd: folder,
          encoding: "utf8",
        });
      const good = check("user.ts");
      assert.equal(good.status, 0, good.stderr);
      const bad = check("wrong.ts").stderr;
      assert.match(bad, /'string' is not assignable to parameter of type 'Uint8Array/);
      assert.match(bad, /"nobody"/);
      const packed = path.join(folder, "node_modules/@rayos/policy");
      for (const name of fs.readdirSync(packed, { recursive: true, encoding: "utf8" })) {
        if (!name.endsWith(".js")) continue;
        const text = fs.readFileSync(path.join(packed, name), "utf8");
        assert(!/\bDeno\.|node:(fs|child_process|net)/.test(text), `${name} touches a machine`);
      }
    }),
});
