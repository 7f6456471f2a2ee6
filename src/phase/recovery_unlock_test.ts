import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { CMDLINE_DEFAULTS } from "../boot/cmdline.ts";
import type { Outcome } from "../control/protocol.ts";
import type { HostEvent } from "../event.ts";
import { Fault } from "../fault.ts";
import type { Allowed } from "../policy/authorize.ts";
import { renderAccepted } from "../policy/accepted.ts";
import { hashPassphrase } from "../policy/passphrase.ts";
import type { Runtime } from "../runtime.ts";
import { hasPassphrase, nextWait, unlock } from "./recovery_unlock.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const HASH = await hashPassphrase(
  bytes("three at night"),
  (count) => Uint8Array.from(randomBytes(count)),
  { logN: 10, r: 8, p: 1 },
);
const COUNT = "/var/rayos/boot/recovery_attempts.json";
const STATE = "/var/rayos/policy/state.json";
/** Stands for the content of what is no file. */
const DIRECTORY = "a directory";
const PERMIT = {} as Allowed<"recovery.unlock">;

/** A host in safe mode that remembers a policy with the passphrase. */
class Locked {
  readonly files = new Map<string, string>([
    [STATE, renderAccepted({ serial: 2, sha256: "a".repeat(64), passphrase: HASH })],
  ]);
  readonly events: HostEvent[] = [];
  waitedMs = 0;
  full = false;
  cut = false;

  readonly runtime = {
    host: {
      readText: () => null,
      read: (path: string) => {
        const text = this.files.get(path);
        if (text === DIRECTORY) throw new Fault("data", "file.not_plain", path);
        return text === undefined ? null : bytes(text);
      },
      list: () => [],
      replace: (path: string, text: string) => {
        if (this.full) throw new Error("ENOSPC");
        this.files.set(path, text);
      },
      clock: {
        sleep: (ms: number) => {
          this.waitedMs += ms;
          if (this.cut) throw new Error("the power is cut");
          return Promise.resolve();
        },
      },
    },
    emit: (event: HostEvent) => this.events.push(event),
    cmdline: CMDLINE_DEFAULTS,
    inForce: null,
  } as unknown as Runtime;

  try(passphrase: string): Promise<Outcome> {
    return unlock(this.runtime, PERMIT, { passphrase: bytes(passphrase) });
  }
}

const ruleOf = (outcome: Outcome) => outcome.ok ? "ok" : outcome.rule;

Deno.test("unlock counts an attempt on the disk before it looks at it, so that a power cut takes none back", async () => {
  const host = new Locked();
  for (let n = 0; n < 3; n++) await host.try("wrong");
  host.cut = true;
  await assert.rejects(host.try("three at night"), /power/);
  assert.deepEqual(nextWait(host.runtime), { failed: 4, waitMs: 4_000 });
});

Deno.test("unlock opens by the passphrase alone, and then counts anew", async () => {
  const host = new Locked();
  assert.equal(ruleOf(await host.try("three at nigh")), "recovery.passphrase");
  assert.equal(ruleOf(await host.try("three at night")), "ok");
  assert.deepEqual(nextWait(host.runtime), { failed: 0, waitMs: 0 });
  assert.deepEqual(host.events.map((one) => "ok" in one && one.ok), [false, true]);
});

Deno.test("unlock waits longer after each failure, also with the right passphrase and after a reboot", async () => {
  const host = new Locked();
  for (let n = 0; n < 4; n++) await host.try("wrong");
  assert.equal(host.waitedMs, 0 + 0 + 1_000 + 2_000);
  const rebooted = new Locked();
  rebooted.files.set(COUNT, host.files.get(COUNT) ?? "");
  assert.equal(ruleOf(await rebooted.try("three at night")), "ok");
  assert.equal(rebooted.waitedMs, 4_000);
});

Deno.test("nextWait counts very many attempts where the file is none, and hasPassphrase finds none in one", () => {
  const host = new Locked();
  host.files.set(COUNT, DIRECTORY);
  assert.deepEqual(nextWait(host.runtime), { failed: 1_000_000, waitMs: 300_000 });
  assert.equal(hasPassphrase(host.runtime), true);
  host.files.set(STATE, DIRECTORY);
  assert.equal(hasPassphrase(host.runtime), false);
});

Deno.test("unlock looks at no attempt that it cannot count", async () => {
  const host = new Locked();
  host.full = true;
  assert.equal(ruleOf(await host.try("three at night")), "recovery.uncounted");
});

Deno.test("unlock opens nothing where no policy with a passphrase was ever accepted", async () => {
  for (const state of [null, renderAccepted({ serial: 2, sha256: "a".repeat(64) }), "{"]) {
    const host = new Locked();
    host.files.delete(STATE);
    if (state !== null) host.files.set(STATE, state);
    assert.equal(hasPassphrase(host.runtime), false);
    assert.equal(ruleOf(await host.try("three at night")), "recovery.no_passphrase");
    assert.equal(host.files.has(COUNT), false);
  }
});

Deno.test("unlock overwrites the passphrase, and no event has it", async () => {
  const host = new Locked();
  const passphrase = bytes("three at night");
  await unlock(host.runtime, PERMIT, { passphrase });
  assert.ok(passphrase.every((byte) => byte === 0));
  assert.doesNotMatch(JSON.stringify(host.events), /night|scrypt/);
});
