import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { CliContext } from "./context.ts";
import { doctorPermissions } from "./doctor.ts";
import { hostCommand, renderGuests, renderStatus } from "./host_commands.ts";

const GUEST = {
  vm: "demo",
  kind: "linux",
  slot: 0,
  state: "running",
  agent: true,
  emulated: false,
  memory_mib: 256,
  violations: [],
};
const STATUS = {
  version: "0.1.0",
  boot_id: "b",
  start: 1,
  mode: "safe",
  ready: true,
  uptime_ms: 12_345,
  data: "/dev/vda",
  virtualization: "kvm",
  policy: null,
  troubles: [{ code: "sig.mismatch", text: "found \u001b[2J", hint: "sign again" }],
  guests: [GUEST, { vm: "broken", state: "failed", violations: ["path.missing"] }],
};

/** A host whose control socket gives this answer. */
function contextWith(answer: string): CliContext {
  const connect = () => {
    const connection = new FakeConnection();
    connection.onWrite = () => connection.feed(answer);
    return Promise.resolve(connection);
  };
  return { host: { connect } } as unknown as CliContext;
}

Deno.test("renderStatus says mode, trouble with its mend, and guests, escaping the terminal's", () => {
  const text = renderStatus(STATUS);
  assert.match(text, /^mode {11}safe\n/);
  assert.match(text, /! sig\.mismatch: found \\u001b\[2J\n {2}-> sign again\n/);
  assert.match(text, /demo +linux +0 +running +ready +- +256 MiB/);
  assert.match(text, /broken +- +- +failed .*path\.missing/);
  assert.ok(text.split("\n").every((line) => line.length <= 80), text);
});

Deno.test("renderStatus and renderGuests say so when the host answers in another shape", () => {
  assert.match(renderStatus({}), /another shape/);
  assert.match(renderGuests([{ vm: 1 }]), /another shape/);
  assert.equal(renderGuests([]), "no guests\n");
});

Deno.test("hostCommand gives JSON alone, and exit code 1 with the rule for a denial", async () => {
  const ok = contextWith(JSON.stringify({ v: 0, id: "1", ok: true, result: [GUEST] }) + "\n");
  const shown = await hostCommand(ok, "vm.list", {}, true, renderGuests);
  assert.deepEqual([shown.exit, JSON.parse(shown.stdout), shown.stderr], [0, [GUEST], ""]);
  const error = { rule: "vm.unknown", detail: "no guest x" };
  const no = contextWith(JSON.stringify({ v: 0, id: "1", ok: false, error }) + "\n");
  const denied = await hostCommand(no, "vm.stop", { vm: "x" }, false, String);
  assert.deepEqual(denied, {
    exit: 1,
    stdout: "",
    stderr: "rayos: vm.stop: denied by vm.unknown: no guest x\n",
  });
  const json = await hostCommand(no, "vm.stop", { vm: "x" }, true, String);
  assert.deepEqual(JSON.parse(json.stdout), { ok: false, error });
});

Deno.test("hostCommand turns an unreadable answer into a fault", async () => {
  await assert.rejects(
    hostCommand(contextWith("nonsense\n"), "status", {}, false, renderStatus),
    /gave no answer that can be read/,
  );
});

Deno.test("doctorPermissions fails as soon as one attempt was not refused", () => {
  const row = { kind: "read", tried: "/etc/inittab", refused: true, outcome: "NotCapable" };
  assert.equal(doctorPermissions([row], false).exit, 0);
  const bad = doctorPermissions([row, { ...row, refused: false, outcome: "done" }], false);
  assert.equal(bad.exit, 1);
  assert.match(bad.stdout, /^refused .*\nALLOWED {2}read/);
  assert.equal(JSON.parse(doctorPermissions([row], true).stdout).ok, true);
});
