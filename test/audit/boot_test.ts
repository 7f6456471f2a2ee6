/**
 * What a whole boot on the fake host leaves in the audit log: the scenario `good_boot`'s policy, a denial
 * and the power button.
 */

import assert from "node:assert/strict";
import { decodeKeyState } from "../../src/audit/key_state.ts";
import { partsIn } from "../../src/audit/reader.ts";
import { readKeyText } from "../../src/audit/verification_key.ts";
import { verifyAll } from "../../src/audit/verify.ts";
import { FakeConnection } from "../../src/guest/fake_connection.ts";
import { init } from "../../src/init.ts";
import { FakeHost } from "../fake_host.ts";
import { turns, until } from "../turns.ts";

function seeded(): FakeHost {
  const host = new FakeHost();
  host.seed(
    "/etc/rayos/build.json",
    JSON.stringify({
      version: "0.1.0",
      build_id: "b",
      profile: "developer",
      form: "compiled",
      runtime: "pinned-test",
      built: "2026-11-01T00:00:00Z",
    }),
  );
  const proc = "/run/rayos/proc";
  host.seed(`${proc}/cmdline`, "console=ttyS0\n");
  host.seed(`${proc}/sys/kernel/random/boot_id`, "11111111-2222-3333-4444-555555555555\n");
  host.seed(`${proc}/meminfo`, "MemTotal:        3000000 kB\n");
  host.seed(`${proc}/1/mountinfo`, "");
  host.launcher = (name, args) => {
    const call = [name, ...args].join(" ");
    const said: Record<string, string> = {
      "mount find LABEL=RAYOS_DATA": "ok /dev/vda",
      "fsck /dev/vda": "ok clean",
      "mount data /dev/vda": "ok /dev/vda",
      "mount space": "ok 99999999 999999999",
    };
    const words = said[call]?.split(" ");
    assert.ok(words !== undefined, call);
    return { code: 0, words };
  };
  return host;
}

async function ask(host: FakeHost, op: string, args: unknown): Promise<string> {
  const client = new FakeConnection();
  host.arrive(client);
  client.feed(`${JSON.stringify({ v: 0, id: "1", op, args })}\n`);
  await until(() => client.written.length > 0);
  return client.written[0] ?? "";
}

Deno.test("a boot shows its key once, records what it decided, and ends with a seal", async () => {
  const host = seeded();
  await init(host);
  await turns(30);
  const console = () => host.consoleText.join("");
  const shown = console().match(/^([A-Z2-7]{5}(-[A-Z2-7]{5}){10})$/m)?.[1] ?? "";
  const key = readKeyText(shown);
  assert.notEqual(key, null, console());
  assert.match(console(), /audit_key fingerprint=[0-9a-f]{32}/);

  const denied = await ask(host, "vm.start", { vm: "nobody" });
  assert.match(denied, /vm\.safe_mode/);
  const verified = await ask(host, "audit.verify", {});
  assert.match(verified, /"ok":true.*"anchor":"none"/);
  const records = await ask(host, "audit.show", { vm: "nobody" });
  assert.match(records, /"op":"vm.start","rule":"vm.safe_mode","vm":"nobody"/);
  assert.match(await ask(host, "audit.show", { head: true }), /"head":"\d+:[0-9a-f]{64}"/);

  const lines = console().split("\n");
  host.powerButton();
  for (let n = 0; n < 50 && host.poweredOff === null; n++) await turns(30);
  assert.equal(host.poweredOff, "off");
  assert.match(console().slice(lines.join("\n").length), /audit_sealed seq=\d+ head=[0-9a-f]{64}/);

  const folder = "/var/rayos/logs/audit";
  const state = decodeKeyState(host.read("/var/rayos/boot/audit.key", 1024) ?? new Uint8Array());
  assert.equal(state?.unshown, null, "the host has forgotten it");
  const report = verifyAll(partsIn(host, folder), { key, head: null, state });
  assert.deepEqual([report.ok, report.anchor], [true, "key"], JSON.stringify(report.bad));
  const text = new TextDecoder().decode(
    host.read(`${folder}/audit-000001.jsonl`, 1e7) ?? undefined,
  );
  const events = text.trimEnd().split("\n").map((line) => JSON.parse(line).event as string);
  assert.deepEqual(events.slice(-2), ["RAYOS_SHUTDOWN:poweroff:power_button", "audit_seal"]);
  for (const wanted of ["RAYOS_INIT_START", "RAYOS_SAFE_MODE", "audit_deny", "audit_allow"]) {
    assert.ok(events.some((event) => event.startsWith(wanted)), `${wanted} in ${events.join(" ")}`);
  }

  // The same disk again: another boot, the same log, and no key is shown.
  const again = seeded();
  for (const [path, bytes] of host.files) {
    if (path.startsWith("/var/rayos/")) again.seed(path, bytes);
  }
  await init(again);
  await turns(30);
  assert.doesNotMatch(again.consoleText.join(""), /verification key|audit_finding/);
  again.powerButton();
  for (let n = 0; n < 50 && again.poweredOff === null; n++) await turns(30);
  const later = decodeKeyState(again.read("/var/rayos/boot/audit.key", 1024) ?? new Uint8Array());
  const both = verifyAll(partsIn(again, folder), { key, head: null, state: later });
  assert.ok(both.ok && both.records > report.records);

  // One whose log somebody emptied.
  const emptied = seeded();
  for (const [path, bytes] of again.files) {
    if (path.startsWith("/var/rayos/") && !path.startsWith(`${folder}/`)) emptied.seed(path, bytes);
  }
  await init(emptied);
  assert.match(emptied.consoleText.join(""), /audit_finding rule=audit\.missing/);
  emptied.powerButton();
  for (let n = 0; n < 50 && emptied.poweredOff === null; n++) await turns(30);
});
