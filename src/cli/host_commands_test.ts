import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { CliContext } from "./context.ts";
import { doctorPermissions } from "./doctor.ts";
import { renderGuests, renderStatus } from "../presentation/status_text.ts";
import { hostCommand } from "./host_commands.ts";

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
/** A host whose control socket gives this answer. */
function contextWith(answer: string): CliContext {
  const connect = () => {
    const connection = new FakeConnection();
    connection.onWrite = () => connection.feed(answer);
    return Promise.resolve(connection);
  };
  return { host: { connect } } as unknown as CliContext;
}

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
