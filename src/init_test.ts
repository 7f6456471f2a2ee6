import assert from "node:assert/strict";
import { FakeHost } from "../test/fake_host.ts";
import { fakeRuntime } from "../test/fake_runtime.ts";
import { composeOperations } from "./init.ts";
import { samplePlan } from "./plan/sample_plan.ts";
import { DRY_RUNS, isLive, OPS, rowOf } from "./policy/ops.ts";
import { COMMANDS } from "./recovery/commands.ts";
import { onLine } from "./recovery/shell.ts";
import type { Runtime } from "./runtime.ts";

/** Longer than the answer of a power request goes before its end. */
const AFTER_ANSWER_MS = 120;

const PLAN = samplePlan();
const STATES = { stop: "running", kill: "running", "reset-state": "suspended", remove: "stopped" };
const WORDS: Readonly<Record<string, string>> = {
  ID: PLAN.vm,
  FILE: "policy/next.toml",
  PATH: "vm/registry.json.aside",
  ENTRY: "previous",
  SOURCE: "/dev/vdb",
  EVENT: "event3",
};

/** A host in recovery mode whose disk did not come up, with one guest in a state; whoever touches either throws. */
function recovering(state: string): { runtime: Runtime; host: FakeHost } {
  const host = new FakeHost();
  const asked = { "mount find LABEL=RAYOS_DATA": "ok /dev/vda", "fsck /dev/vda check": "ok clean" };
  host.launcher = (name, args) => {
    const said = asked[[name, ...args].join(" ") as keyof typeof asked];
    assert.ok(said !== undefined, `${name} ${args.join(" ")} was launched`);
    return { code: 0, words: said.split(" ") };
  };
  const runtime = fakeRuntime(host);
  runtime.mode = "recovery";
  runtime.dataDevice = "tmpfs";
  runtime.cmdline = { ...runtime.cmdline, dev: "1" as never };
  composeOperations(runtime);
  runtime.guests.set(PLAN.vm, { plan: PLAN, state, beginning: false } as never);
  return { runtime, host };
}

Deno.test("a command of the recovery shell with --dry-run acts on nothing: no launch, no file, no guest, no end of the machine", async () => {
  const changing = COMMANDS.filter((one) => one.changes);
  assert.ok(changing.length > 12);
  for (const { name, args = [] } of changing) {
    const verb = name.replace(/^vm /u, "") as keyof typeof STATES;
    // Where a guest is up, what repairs the host is denied before it could act.
    const { runtime, host } = recovering(STATES[verb] ?? "stopped");
    const line = [name, ...args.map((one) => WORDS[one.name]), "--dry-run"].join(" ");
    const asked = onLine(line);
    if (asked.kind !== "op") {
      assert.equal(asked.kind === "own" && asked.dryRun, true, line);
      continue;
    }
    const before = new Map(host.files);
    const caller = asked.console ? "console" : "recovery";
    const outcome = await runtime.handle(caller, asked.op, asked.args, true);
    await new Promise((resolve) => setTimeout(resolve, AFTER_ANSWER_MS));
    // Nobody is presented outside normal mode.
    if (asked.op === "present") assert.ok(!outcome.ok && outcome.rule === "vm.safe_mode", line);
    else if (!DRY_RUNS.includes(asked.op) && isLive(asked.op)) {
      assert.deepEqual(outcome, {
        ok: true,
        result: { dry_run: true, allowed: asked.op, vm: name.startsWith("vm ") ? PLAN.vm : null },
      }, line);
    }
    assert.equal(host.poweredOff, null, line);
    assert.equal(runtime.ending, false, line);
    const wrote = [...host.files].filter(([path, bytes]) => before.get(path) !== bytes);
    assert.deepEqual(wrote.map(([path]) => path), [], line);
    assert.ok(
      host.launches.every((call) => /^(mount find|fsck \/dev\/vda check)/u.test(call)),
      line,
    );
  }
});

Deno.test("an operation with dry_run is begun only where it has a dry run of its own", async () => {
  for (const op of OPS.filter(isLive).filter((one) => !rowOf(one)?.looks)) {
    const { runtime } = recovering("running");
    let begun = false;
    for (const name of OPS.filter(isLive)) {
      runtime.operations.set(name, () => {
        begun = true;
        return { ok: true, result: null };
      });
    }
    await runtime.handle("console", op, { vm: PLAN.vm, dry_run: true });
    assert.ok(!begun || DRY_RUNS.includes(op), op);
    // The same without it is what the test is about.
    if (op !== "power.reboot") continue;
    await runtime.handle("console", op, {});
    assert.ok(begun);
  }
});

Deno.test("data repair with --dry-run says what it would find, and mends nothing", async () => {
  const { runtime, host } = recovering("stopped");
  const ask = () => runtime.handle("recovery", "data.repair", { dry_run: true });
  const result = { dry_run: true, device: "/dev/vda" };
  assert.deepEqual(await ask(), {
    ok: true,
    result: { ...result, state: "clean", would: "find nothing to mend" },
  });
  const launch = host.launcher;
  host.launcher = (name, args) =>
    name === "fsck"
      ? { code: 1, words: ["fault", "data.damaged", "vda", "e2fsck=4"] }
      : launch(name, args);
  const damaged = await ask();
  assert.ok(damaged.ok);
  assert.match(
    JSON.stringify(damaged.result),
    /"state":"damaged","would":"let e2fsck mend all it finds/u,
  );
  assert.deepEqual(host.launches.filter((call) => call.startsWith("fsck")), [
    "fsck /dev/vda check",
    "fsck /dev/vda check",
  ]);
  const real = await runtime.handle("recovery", "data.repair", {});
  assert.equal(real.ok ? "" : real.rule, "op.locked", "but for its dry run it is a change");
});
