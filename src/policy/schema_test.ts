import assert from "node:assert/strict";
import { faults, V } from "./testdata/parse_text.ts";

/** Numbers: the least and the greatest that a key takes. */
const RANGES: readonly (readonly [key: string, least: number, most: number])[] = [
  ["serial", 1, 9_007_199_254_740_991],
  ["limits.cpu_percent", 1, 100],
  ["limits.mem_mib", 64, 16_777_216],
  ["limits.vms", 1, 64],
  ["linux.limits.cpus", 1, 64],
  ["linux.limits.mem_mib", 32, 16_777_216],
  ["linux.limits.io_mib_s", 1, 16_777_216],
  ["linux.limits.console_kib_s", 1, 65_536],
];

const rules = (text: string) => faults(V + text).map((one) => one.split(" ")[0]);

Deno.test("policySchema takes each number from its least to its greatest, and no other", () => {
  for (const [key, least, most] of RANGES) {
    for (const value of [least, most]) {
      assert.deepEqual(rules(`${key} = ${value}`), [], `${key} = ${value}`);
    }
    for (const value of [least - 1, most + 1]) {
      assert.deepEqual(rules(`${key} = ${value}`), ["schema.range"], `${key} = ${value}`);
    }
  }
  const minutes = (value: number) =>
    rules(`linux = { networking = "provisioning_only", provisioning_minutes = ${value} }`);
  for (const value of [1, 1440]) assert.deepEqual(minutes(value), []);
  for (const value of [0, 1441]) assert.deepEqual(minutes(value), ["schema.range"]);
  const quota = (value: number) =>
    rules(
      `linux.storage.shares = [{ tag = "t", path = "linux-guest/s", quota_mib = ${value} }]`,
    );
  for (const value of [1, 16_777_216]) assert.deepEqual(quota(value), []);
  for (const value of [0, 16_777_217]) assert.deepEqual(quota(value), ["schema.range"]);
});

Deno.test("policySchema takes lists up to their length, and no longer", () => {
  const list = (count: number, of: (n: number) => string) =>
    `[${Array.from({ length: count }, (_, n) => of(n)).join(", ")}]`;
  const hosts = (count: number) => rules(`hosts = ${list(count, (n) => `"h${n}"`)}`);
  // The desk has no name, so a policy for any number of hosts is not for it.
  assert.deepEqual([hosts(1), hosts(256)], [["meaning.hosts"], ["meaning.hosts"]]);
  assert.deepEqual([hosts(0), hosts(257)], [["schema.length"], ["schema.length"]]);
  const nets = (count: number) =>
    rules(`network.allow_private = ${list(count, (n) => `"10.0.${n}.0/24"`)}`);
  assert.deepEqual([nets(0), nets(64), nets(65)], [[], [], ["schema.length"]]);
  const shares = (count: number) =>
    rules(
      `linux.storage.shares = ${
        list(count, (n) => `{ tag = "t${n}", path = "linux-guest/${n}" }`)
      }`,
    );
  assert.deepEqual([shares(0), shares(16), shares(17)], [[], [], ["schema.length"]]);
});
