/**
 * Policies that are installed while another one still is: each waits for the one before it, through the
 * operation as the program composes it.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import type { Guest } from "../../src/supervisor/guest.ts";
import { diskRuntime, seedGuest, VM } from "../disk/disk_world.ts";
import { FakeHost } from "../fake_host.ts";

const pair = generateKeyPair((count) => Uint8Array.from(randomBytes(count)));
const POLICY = "/var/rayos/policy/rayos-policy.toml";
const text = (serial: number) => `version = 0\nserial = ${serial}\n`;

Deno.test("policy.install begins none while one is under way: the last asked is in force, also on the disk", async () => {
  const host = new FakeHost();
  seedGuest(host);
  host.seed("/etc/rayos/keys/policy-a.pub", pair.publicText);
  for (const serial of [2, 3]) {
    const bytes = new TextEncoder().encode(text(serial));
    const signature = signDetached(bytes, pair.secretKey, { trustedComment: "t" });
    host.seed(`/var/rayos/${serial}.toml`, bytes);
    host.seed(`/var/rayos/${serial}.toml.minisig`, signature);
  }
  const runtime = await diskRuntime(host);
  // Whatever was in force is no matter here.
  Object.assign(runtime, { inForce: null });
  // Under the first of them it may not run any more, and it takes its time to end.
  const ending = Promise.withResolvers<boolean>();
  const stops: string[] = [];
  const guest = {
    plan: runtime.plans[0],
    state: "running",
    beginning: false,
    violations: [],
    replan: () => false,
    stop: (_: unknown, reason: string) => {
      stops.push(reason);
      return ending.promise;
    },
  };
  runtime.guests.set(VM, guest as unknown as Guest);
  const inPlace = () => new TextDecoder().decode(host.read(POLICY, 1024) ?? undefined);
  const install = (serial: number) =>
    runtime.handle("console", "policy.install", { file: `${serial}.toml` });
  const both = [install(2), install(3)];
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(stops, ["policy_narrowed"]);
  assert.equal(inPlace(), text(2), "the second has not begun");
  assert.equal(runtime.inForce?.policy.serial, 2);
  ending.resolve(true);
  const outcomes = await Promise.all(both);
  assert.deepEqual(outcomes.map((one) => one.ok ? "ok" : one), ["ok", "ok"]);
  assert.equal(inPlace(), text(3));
  assert.equal(runtime.inForce?.policy.serial, 3);
});
