import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { CMDLINE_DEFAULTS } from "../boot/cmdline.ts";
import { generateKeyPair, signDetached } from "../policy/secret_key.ts";
import type { Runtime } from "../runtime.ts";
import { finishInstall, replacePolicy } from "./policy_install.ts";
import { loadPolicy, policyFiles } from "./policy_source.ts";

const pair = generateKeyPair((count) => Uint8Array.from(randomBytes(count)));
const policyOf = (serial: number) => new TextEncoder().encode(`version = 0\nserial = ${serial}\n`);
const signed = (bytes: Uint8Array) =>
  new TextEncoder().encode(signDetached(bytes, pair.secretKey, { trustedComment: "t" }));

class PowerCut extends Error {}

/** Files in memory whose power fails after so many changes. */
class Disk {
  readonly files = new Map<string, Uint8Array>([
    ["/etc/rayos/keys/policy-a.pub", new TextEncoder().encode(pair.publicText)],
  ]);
  changesLeft = Infinity;

  #change(work: () => void): void {
    if (this.changesLeft-- <= 0) throw new PowerCut();
    work();
  }
  read(path: string): Uint8Array | null {
    return this.files.get(path) ?? null;
  }
  readText(path: string): string | null {
    const bytes = this.read(path);
    return bytes === null ? null : new TextDecoder().decode(bytes);
  }
  list(path: string): string[] {
    return [...this.files.keys()].filter((one) => one.startsWith(`${path}/`))
      .map((one) => one.slice(path.length + 1));
  }
  lstat(path: string) {
    return this.files.has(path) ? { type: "file" } : null;
  }
  replace(path: string, bytes: Uint8Array): void {
    this.#change(() => this.files.set(path, bytes));
  }
  rename(from: string, to: string): void {
    const bytes = this.files.get(from);
    assert.ok(bytes !== undefined, `no ${from}`);
    this.#change(() => {
      this.files.delete(from);
      this.files.set(to, bytes);
    });
  }
  remove(path: string): void {
    this.#change(() => this.files.delete(path));
  }
}

function installed(disk: Disk): number | string | null {
  const runtime = {
    host: disk,
    emit: () => {},
    cmdline: CMDLINE_DEFAULTS,
    bootId: "b",
  } as unknown as Runtime;
  disk.changesLeft = Infinity;
  finishInstall(runtime);
  const loaded = loadPolicy(runtime, policyFiles(false));
  return loaded.ok ? loaded.policy.serial : loaded.issues[0]?.rule ?? "none";
}

/** Installs with the power failing after so many changes; whether it came to its end. */
function install(disk: Disk, changes: number): boolean {
  const next = policyOf(2);
  disk.changesLeft = changes;
  try {
    replacePolicy(disk as never, next, signed(next));
    return true;
  } catch (error) {
    if (error instanceof PowerCut) return false;
    throw error;
  }
}

function diskWith(serial: number): Disk {
  const disk = new Disk();
  const { policy, signature } = policyFiles(false);
  disk.files.set(policy, policyOf(serial));
  disk.files.set(signature, signed(policyOf(serial)));
  return disk;
}

Deno.test("replacePolicy leaves one whole policy in force wherever the power is cut", () => {
  const outcomes: (number | string | null)[] = [];
  let ended = false;
  for (let changes = 0; !ended; changes++) {
    const disk = diskWith(1);
    ended = install(disk, changes);
    outcomes.push(installed(disk));
  }
  // The old one, then from one change on the new one; never neither.
  assert.deepEqual(outcomes, [1, 1, 1, 1, 1, 2, 2]);
});

Deno.test("replacePolicy keeps the old pair as .previous", () => {
  const disk = diskWith(1);
  assert.ok(install(disk, Infinity));
  const { policy } = policyFiles(false);
  assert.deepEqual(disk.files.get(`${policy}.previous`), policyOf(1));
  assert.ok(disk.files.has(`${policy}.previous.minisig`));
  assert.ok(![...disk.files.keys()].some((name) => name.includes(".next")));
});

Deno.test("replacePolicy in the middle of nothing: a host without a policy gets one", () => {
  const disk = new Disk();
  assert.equal(installed(disk), "policy.missing");
  assert.ok(install(disk, Infinity));
  assert.equal(installed(disk), 2);
});

Deno.test("finishInstall takes up no waiting policy that the signature in place does not sign", () => {
  const disk = diskWith(1);
  const { policy, signature } = policyFiles(false);
  disk.files.set(`${policy}.next`, policyOf(9));
  assert.equal(installed(disk), 1, "the pair in place holds");
  disk.files.set(signature, signed(policyOf(3)));
  assert.equal(installed(disk), "sig.mismatch", "and where it does not, a stranger is no cure");
});
