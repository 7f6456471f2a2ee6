/** Arguments of control socket requests as nobody means them, at every operation that there is. */
import assert from "node:assert/strict";
import { whyNotArguments } from "../../src/control/arguments.ts";
import { parseRequest } from "../../src/control/protocol.ts";
import { composeOperations } from "../../src/init.ts";
import { OPS } from "../../src/policy/ops.ts";
import { COMMANDS } from "../../src/recovery/commands.ts";
import { FakeHost } from "../fake_host.ts";
import { fakeRuntime } from "../fake_runtime.ts";

const FIELDS = [
  ...["vm", "dry_run", "profile", "name", "vcpus", "memory_mib", "lines", "read_only", "to"],
  ...["backup", "disk", "bytes", "file", "from", "tag", "keys", "act", "text", "x", "y", "button"],
  ...["event", "follow", "head", "since", "rule", "limit", "boot", "n", "subject", "policy"],
  ...["signature", "from_policy", "source", "path", "passphrase", "entry"],
];
/** Of no type that any argument has. */
const JUNK: readonly unknown[] = [null, {}, [{}], [null], { length: 1 }];
const HUGE = "a".repeat(60_000);

/** The program's own operations, on a host where nothing is in force. */
function desk() {
  const host = new FakeHost();
  const runtime = fakeRuntime(host);
  composeOperations(runtime);
  runtime.ready = true;
  return {
    /** Asks, and gives the rule of a refusal; asserts the two lines around it. */
    async ask(op: string, args: Readonly<Record<string, unknown>>): Promise<string> {
      const from = host.consoleText.length;
      const outcome = await runtime.handle("socket", op, args);
      const what = `${op} ${JSON.stringify(args).slice(0, 80)}`;
      const rule = outcome.ok ? "ok" : outcome.rule;
      const lines = host.consoleText.slice(from).join("").split("\n").filter((line) =>
        line.includes("RAYOS_HOST_")
      );
      assert.equal(lines.length, 2, what);
      assert.ok(lines[0]?.includes(`RAYOS_HOST_EVENT_V0:${op}:`), what);
      assert.ok(lines[1]?.includes(`RAYOS_HOST_ACK:${op}:${outcome.ok ? "ok" : "err"}:`), what);
      assert.ok(outcome.ok || lines[1]?.includes(rule), what);
      assert.ok(!lines.join("").includes(HUGE.slice(0, 1000)), what);
      return rule;
    },
  };
}

Deno.test("an argument of a wrong type, or that the operation does not have, is refused at every operation", async () => {
  for (const op of OPS) {
    // The log takes only so many lines at once.
    const { ask } = desk();
    for (const field of FIELDS) {
      for (const junk of JUNK) {
        assert.equal(await ask(op, { [field]: junk }), "control.form", `${op} ${field}`);
      }
    }
    for (const unknown of ["forse", "Vm", "vm ", "constructor", "", HUGE]) {
      for (const value of [1, "x", true, HUGE, null]) {
        assert.equal(await ask(op, { [unknown]: value }), "control.form", `${op} ${unknown}`);
      }
    }
    // What is right beside it helps nothing.
    assert.equal(await ask(op, { dry_run: true, forse: true }), "control.form", op);
    for (const dry of ["yes", 1]) assert.equal(await ask(op, { dry_run: dry }), "control.form", op);
  }
});

Deno.test("a huge text is refused at every operation, whatever argument it is", async () => {
  for (const op of OPS) {
    // The log takes only so many lines at once.
    const { ask } = desk();
    for (const field of FIELDS) {
      assert.notEqual(await ask(op, { [field]: HUGE }), "ok", `${op} ${field}`);
    }
  }
});

Deno.test("a pointer is asked to move or to press, and never both", async () => {
  const { ask } = desk();
  assert.equal(await ask("input.pointer", { vm: "a", x: 1, y: 1, button: "left" }), "control.form");
  assert.notEqual(await ask("input.pointer", { vm: "a", x: 1, y: 1 }), "control.form");
  assert.notEqual(await ask("input.pointer", { vm: "a", button: "left" }), "control.form");
});

Deno.test("arguments that are none, or a list, are no request", () => {
  for (const args of ["null", "[]", '["vm"]', '"vm"', "1", "true"]) {
    const parsed = parseRequest(`{"v":0,"id":"1","op":"status","args":${args}}`);
    assert.deepEqual([parsed.ok, !parsed.ok && parsed.id], [false, "1"], args);
  }
});

Deno.test("every command of the recovery shell asks with arguments that its operation has", () => {
  for (const { name, args = [], flags = [], asks } of COMMANDS) {
    const words = Object.fromEntries(args.map((one) => [one.name, one.name === "N" ? "3" : "x"]));
    for (const given of [{}, words]) {
      for (const dryRun of [false, true]) {
        const asked = asks({ words: given, flags: new Set(dryRun ? flags : []), dryRun });
        if (asked.kind === "op") assert.equal(whyNotArguments(asked.op, asked.args), null, name);
      }
    }
  }
});

Deno.test("a request with arguments of no form is a denial in the audit log, with whoever asked", async () => {
  const runtime = fakeRuntime(new FakeHost());
  composeOperations(runtime);
  runtime.ready = true;
  const decided: unknown[] = [];
  runtime.audit.decided = (one) => {
    decided.push([one.caller, one.op, one.vm, one.allow, one.rule]);
    return null;
  };
  await runtime.handle("socket", "vm.start", { vm: "desk", dry_run: "yes" });
  assert.deepEqual(decided, [["socket", "vm.start", "desk", false, "control.form"]]);
});
