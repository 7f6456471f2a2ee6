import assert from "node:assert/strict";
import { policyDiff } from "./policy_diff.ts";
import { policyExplain } from "./policy_explain.ts";
import { policyRules } from "./policy_rules.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const POLICY = bytes(`version = 0
serial = 3
[linux]
enabled = true
vm_id = "desk"
[profiles.lab]
kind = "linux"
`);

Deno.test("policyExplain shows each sentence with its line or default", () => {
  const { exit, stdout } = policyExplain({ name: "p", bytes: POLICY, vm: null, json: false });
  assert.equal(exit, 0);
  assert.match(stdout, /^the host and all guests\n {2}line 2 {5}Its serial is 3;/);
  assert.match(stdout, /\nprofile linux\n {2}line 4 {5}A linux guest may run: desk\.\n/);
  assert.match(stdout, /\nprofile lab\n {2}default {4}Its guest may not run\.\n/);
});

Deno.test("policyExplain --vm leaves out the other profiles, and knows no other guest", () => {
  const one = policyExplain({ name: "p", bytes: POLICY, vm: "desk", json: true });
  const { ok, statements } = JSON.parse(one.stdout);
  const subjects = new Set(statements.map((each: { subject: string }) => each.subject));
  assert.deepEqual([ok, ...subjects], [true, "host", "linux"]);
  const none = policyExplain({ name: "p", bytes: POLICY, vm: "dask", json: false });
  assert.deepEqual(
    [none.exit, none.stderr],
    [1, "rayos: explain p: no profile for dask; it has desk, lab\n"],
  );
});

Deno.test("policyExplain and policyDiff of what is no policy say what check says", () => {
  const bad = bytes("version = 0\nserial = 0\n");
  const explained = policyExplain({ name: "p", bytes: bad, vm: null, json: false });
  assert.equal(explained.exit, 1);
  assert.match(explained.stdout, /^p:2:10: error: schema\.range/);
  const named = (content: Uint8Array) => ({ name: "p", bytes: content });
  assert.match(policyDiff(named(bad), named(POLICY), false).stdout, /schema\.range/);
  assert.match(policyDiff(named(POLICY), named(bad), false).stdout, /schema\.range/);
});

Deno.test("policyDiff exits 1 exactly when the new policy widens", () => {
  const wider = bytes(`${new TextDecoder().decode(POLICY)}[limits]\nvms = 17\n`);
  const old = { name: "old", bytes: POLICY };
  const next = { name: "new", bytes: wider };
  const up = policyDiff(old, next, false);
  assert.equal(up.exit, 1);
  assert.equal(
    up.stdout,
    "allowed now, and not before:\n" +
      "  - host: At most 16 guests run at once. (limits.vms, default)\n" +
      "  + host: At most 17 guests run at once. (limits.vms, line 9)\n\n" +
      "the new policy widens\n",
  );
  const down = policyDiff(next, old, true);
  assert.equal(down.exit, 0);
  const { widens, differences } = JSON.parse(down.stdout);
  assert.deepEqual([widens, differences.length, differences[0].change], [false, 1, "narrows"]);
  assert.equal(policyDiff(old, old, false).stdout, "the two give the same\n");
});

Deno.test("policyRules prints each rule with its key, or all as JSON", () => {
  assert.match(policyRules(false).stdout, /vm\.limit_vms {2}\(limits\.vms\)\n {2}As many guests/);
  const { rules } = JSON.parse(policyRules(true).stdout);
  assert(rules.length > 20);
  assert.deepEqual(Object.keys(rules[0]), ["rule", "key", "says", "todo"]);
});
