import assert from "node:assert/strict";
import { existsSync, readdirSync } from "node:fs";
import plugin, { LAYERS, whyNotImport, whyNotMessage, whyNotModule } from "./lint_plugin.ts";

/** The rules that a source breaks when it lies at that path. */
function rules(path: string, source: string): string[] {
  return Deno.lint.runPlugin(plugin, `/checkout/${path}`, source).map((one) =>
    one.id.replace("rayos/", "")
  );
}

function refuses(from: string, specifier: string, typeOnly = false): boolean {
  return whyNotImport(`/checkout/src/${from}`, specifier, typeOnly) !== null;
}

Deno.test("import-direction lets right import left and never the other way", () => {
  const flat = LAYERS.flatMap((names, rank) => names.map((name) => ({ name, rank })));
  for (const one of flat) {
    for (const other of flat) {
      const from = one.name.endsWith(".ts") ? one.name : `${one.name}/a.ts`;
      const up = one.name.endsWith(".ts") ? "./" : "../";
      const to = `${up}${other.name.endsWith(".ts") ? other.name : `${other.name}/b.ts`}`;
      assert.equal(refuses(from, to), other.rank > one.rank, `${from} imports ${to}`);
    }
  }
});

Deno.test("import-direction keeps audit apart", () => {
  assert(!refuses("audit/line.ts", "../event.ts"));
  assert(refuses("audit/line.ts", "../policy/policy.ts"));
  for (const from of ["policy/a.ts", "plan/a.ts", "guest/a.ts", "supervisor/a.ts", "event.ts"]) {
    assert(refuses(from, from.includes("/") ? "../audit/line.ts" : "./audit/line.ts"), from);
  }
  for (const from of ["control/a.ts", "recovery/a.ts", "phase/a.ts", "cli/a.ts"]) {
    assert(!refuses(from, "../audit/line.ts"), from);
  }
});

Deno.test("import-direction lets nobody but runtime.ts decide, and logs be read back for display only", () => {
  const direction = ["import-direction"];
  const decides = 'import { type Allowed, authorize } from "../policy/authorize.ts";';
  assert.deepEqual(rules("src/phase/a.ts", decides), direction);
  assert.deepEqual(rules("src/runtime.ts", decides.replace("..", ".")), []);
  const type = 'import { type Allowed } from "../policy/authorize.ts";';
  assert.deepEqual(rules("src/phase/a.ts", type), []);
  const reads = 'import { matching } from "../audit/reader.ts";';
  assert.deepEqual(rules("src/phase/a.ts", reads), direction);
  assert.deepEqual(rules("src/phase/audit_commands.ts", reads), []);
  for (const place of ["cli", "control", "recovery"]) {
    assert.deepEqual(rules(`src/${place}/a.ts`, reads), []);
  }
});

Deno.test("no-console lets a few named files print, and nobody else", () => {
  const prints = ["no-console"];
  for (
    const source of ['host.console("x")', 'this.host.console("x")', 'runtime.host.harness("x")']
  ) {
    assert.deepEqual(rules("src/phase/a.ts", source), prints, source);
    assert.deepEqual(rules("src/supervisor/a.ts", source), prints, source);
    assert.deepEqual(rules("src/audit/sinks.ts", source), [], source);
  }
  assert.deepEqual(rules("src/cli/a.ts", 'console.log("x")'), prints);
  assert.deepEqual(rules("src/host/a.ts", 'console.log("x")'), prints);
  assert.deepEqual(rules("src/phase/a.ts", "runtime.sinks.lastLines(3)"), prints);
  assert.deepEqual(rules("src/phase/host_view.ts", "runtime.sinks.lastLines(3)"), []);
});

Deno.test("import-direction lets folders know the port as a type, and the real host not at all", () => {
  assert(!refuses("supervisor/a.ts", "../host/port.ts", true));
  assert(refuses("supervisor/a.ts", "../host/port.ts", false));
  assert(refuses("supervisor/a.ts", "../host/linux_host.ts", true));
  assert(!refuses("cli/a.ts", "../host/linux_host.ts"));
  assert(!refuses("host/linux_host.ts", "./port.ts"));
  assert(!refuses("host/port.ts", "../id.ts"));
  assert(refuses("host/port.ts", "../policy/policy.ts"));
});

Deno.test("import-direction refuses what lies outside src/, and folders without a place", () => {
  assert(refuses("policy/a.ts", "../../tools/build.ts"));
  assert(refuses("policy/a.ts", "../../test/fake_host.ts"));
  assert(refuses("policy/a.ts", "../utils/b.ts"));
  assert(refuses("policy/a.ts", "./testdata/b.ts"));
  assert(!refuses("policy/testdata/b.ts", "../../plan/a.ts"));
  assert(refuses("utils/a.ts", "../fault.ts"));
});

Deno.test("import-direction sees imports, exports and dynamic imports, and leaves tests and tools alone", () => {
  const direction = ["import-direction"];
  assert.deepEqual(rules("src/policy/a.ts", 'import { x } from "../plan/b.ts";'), direction);
  assert.deepEqual(rules("src/policy/a.ts", 'import type { X } from "../plan/b.ts";'), direction);
  assert.deepEqual(rules("src/policy/a.ts", 'export { x } from "../plan/b.ts";'), direction);
  assert.deepEqual(rules("src/policy/a.ts", 'export * from "../plan/b.ts";'), direction);
  assert.deepEqual(rules("src/policy/a.ts", 'const x = await import("../plan/b.ts");'), direction);
  assert.deepEqual(rules("src/policy/a.ts", 'import { x } from "../boot/b.ts";'), []);
  assert.deepEqual(rules("src/policy/a_test.ts", 'import { x } from "../plan/b.ts";'), []);
  assert.deepEqual(rules("tools/a.ts", 'import { x } from "../src/plan/b.ts";'), []);
  assert.deepEqual(rules("main.ts", 'import { x } from "./src/host/linux_host.ts";'), []);
  const port = "../host/port.ts";
  assert.deepEqual(rules("src/plan/a.ts", `import { type Host } from "${port}";`), []);
  assert.deepEqual(rules("src/plan/a.ts", `import { type Host, make } from "${port}";`), direction);
});

Deno.test("system-module keeps node's system modules in src/host/", () => {
  for (const name of ["node:fs", "node:fs/promises", "node:child_process", "node:net", "fs"]) {
    assert.deepEqual(rules("src/policy/a.ts", `import * as x from "${name}";`), ["system-module"]);
    assert.deepEqual(rules("src/host/a.ts", `import * as x from "${name}";`), []);
    assert.deepEqual(rules("tools/a.ts", `import * as x from "${name}";`), []);
    assert.deepEqual(rules("src/policy/a_test.ts", `import * as x from "${name}";`), []);
  }
  assert.equal(whyNotModule("/checkout/src/policy/a.ts", "node:crypto"), null);
  assert.equal(whyNotModule("/checkout/src/policy/a.ts", "node:path"), null);
});

Deno.test("system-deno keeps Deno in src/host/", () => {
  const found = ["system-deno"];
  assert.deepEqual(rules("src/plan/a.ts", 'Deno.readTextFileSync("x");'), found);
  assert.deepEqual(rules("src/plan/a.ts", "globalThis.Deno.exit(1);"), found);
  assert.deepEqual(rules("src/plan/a.ts", "const { readFile } = Deno;"), found);
  assert.deepEqual(rules("src/runtime.ts", "Deno.exit(1);"), found);
  assert.deepEqual(rules("src/host/a.ts", "Deno.exit(1);"), []);
  assert.deepEqual(rules("src/plan/a_test.ts", "Deno.exit(1);"), []);
  assert.deepEqual(rules("main.ts", "Deno.exit(1);"), []);
  assert.deepEqual(rules("src/plan/a.ts", 'const a = "Deno.exit"; const b = x.Deno;'), []);
});

Deno.test("no-console keeps src/ silent, and leaves tools alone", () => {
  assert.deepEqual(rules("src/policy/a.ts", "console.log(1);"), ["no-console"]);
  assert.deepEqual(rules("tools/a.ts", "console.error(1);"), []);
});

Deno.test("input-gate lets the presenter alone send input, in whatever quotes", () => {
  const wrong = ["input-gate"];
  for (const name of [`"input-send-event"`, "`input-send-event`", "`${prefix}input-send-event`"]) {
    const send = `await qmp.command(${name}, 1, stroke);`;
    for (const file of ["supervisor/guest", "phase/launch", "guest/agent"]) {
      assert.deepEqual(rules(`src/${file}.ts`, send), wrong, `${file} ${name}`);
    }
    for (const file of ["broker", "gate", "screen", "rfb", "deep/presenter"]) {
      assert.deepEqual(rules(`src/presentation/${file}.ts`, send), wrong, `${file} ${name}`);
    }
    assert.deepEqual(rules("src/presentation/presenter.ts", send), []);
  }
  assert.deepEqual(rules("src/guest/qmp.ts", `const table = { "input-send-event": 1 };`), []);
});

Deno.test("picture-only lets one file speak to a guest's VNC, and one place connect to it", () => {
  const send = "await connection.write(bytes);";
  const connect = 'const path = socketPath(slot, "vnc");';
  const wrong = ["picture-only"];
  for (const file of ["screen", "rfb", "presenter", "broker"]) {
    assert.deepEqual(rules(`src/presentation/${file}.ts`, send), wrong);
    assert.deepEqual(rules(`src/presentation/${file}.ts`, connect), wrong);
  }
  assert.deepEqual(rules("src/presentation/screen.ts", "const { write } = x; x.write;"), wrong);
  assert.deepEqual(rules("src/phase/screen.ts", send), wrong);
  assert.deepEqual(rules("src/phase/input.ts", connect), wrong);
  assert.deepEqual(rules("src/guest/qmp.ts", connect), wrong);
  assert.deepEqual(rules("src/phase/screen.ts", connect), []);
  assert.deepEqual(rules("src/presentation/rfb_messages.ts", send), []);
  assert.deepEqual(rules("src/presentation/framebuffer.ts", "frame.write(0, bytes);"), []);
  assert.deepEqual(rules("src/guest/qmp.ts", send), []);
});

Deno.test("fault-message holds code and message to their grammar", () => {
  const fault = (rest: string) => rules("src/plan/a.ts", `throw new Fault("plan", ${rest});`);
  const wrong = ["fault-message"];
  assert.deepEqual(fault('"plan.bad", "plan of x: too large; name fewer disks"'), []);
  assert.deepEqual(fault('"plan.bad", `plan of ${vm}: ${why}; do ${what}`'), []);
  assert.deepEqual(fault('"plan.bad", `plan of ${vm}: ` + "too large; " + hint'), []);
  assert.deepEqual(fault('"plan.bad", message'), []);
  assert.deepEqual(fault('"plan.bad", "it went wrong"'), wrong);
  assert.deepEqual(fault('"plan.bad", `${vm} went wrong`'), wrong);
  assert.deepEqual(fault('"plan.bad", "plan: too large."'), wrong);
  assert.deepEqual(fault('"plan.bad", "plan: too large!"'), wrong);
  assert.deepEqual(fault('"Bad", "plan: too large"'), wrong);
  assert.deepEqual(fault('"plan", "plan: too large"'), wrong);
});

Deno.test("whyNotMessage wants what, why, and one line without a stop", () => {
  assert.equal(whyNotMessage("a: b"), null);
  assert.equal(whyNotMessage("a: b; c"), null);
  assert.equal(whyNotMessage("a: b; the last lines:\nx"), null);
  for (const bad of ["", "a", ": b", "a: ", "a: ;b", "a: b.", "a: b;", " a: b", "a: b\nc"]) {
    assert(whyNotMessage(bad) !== null, JSON.stringify(bad));
  }
});

Deno.test("LAYERS has a place for everything that lies in src/", () => {
  const known = [...LAYERS.flat(), "host", "audit"];
  const src = new URL("../src/", import.meta.url);
  assert(existsSync(src));
  const entries = readdirSync(src).filter((name) => !name.endsWith("_test.ts"));
  assert.deepEqual(entries.filter((name) => !known.includes(name)), []);
});
