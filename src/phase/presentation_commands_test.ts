import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { Outcome } from "../control/protocol.ts";
import type { VmId } from "../id.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { GateOutcome, Turn } from "../presentation/gate.ts";
import type { Runtime } from "../runtime.ts";
import { presentAtBoot, presentationOperations } from "./presentation_commands.ts";

const vm = "desk" as VmId;

/** Carries out one operation that was allowed; gives its outcome and what was asked of the gate. */
async function run(
  op: string,
  args: Record<string, unknown>,
  gate: (turn: Turn) => GateOutcome = () => "done",
  turn: () => number = () => 1,
): Promise<{ outcome: Outcome; asked: Turn[] }> {
  const asked: Turn[] = [];
  const presenter = {
    shown: vm,
    get turn() {
      return turn();
    },
    ask: (turn: Turn) => {
      asked.push(turn);
      return Promise.resolve(gate(turn));
    },
  };
  const operations = new Map<string, unknown>(
    presentationOperations({ host: new FakeHost(), presenter } as unknown as Runtime),
  );
  const operation = operations.get(op) as (
    permit: Allowed,
    args: Record<string, unknown>,
  ) => Promise<Outcome> | Outcome;
  return { outcome: await operation({ op, vm } as unknown as Allowed, args), asked };
}

const words = (turns: readonly Turn[]) =>
  turns.map((one) => "key" in one ? `${one.type} ${one.key} ${one.to}` : one.type);

Deno.test("input.text types each character for that guest alone, with shift where it stands above", async () => {
  const { outcome, asked } = await run("input.text", { vm, text: "aB" });
  assert.deepEqual(outcome, { ok: true, result: { sent: 6 } });
  assert.deepEqual(words(asked), [
    "press key:a desk",
    "release key:a desk",
    "press key:shift desk",
    "press key:b desk",
    "release key:b desk",
    "release key:shift desk",
  ]);
});

Deno.test("input.key presses in order and releases in the other one, or does one half of it", async () => {
  const keys = ["ctrl", "alt", "delete"];
  assert.equal(
    words((await run("input.key", { keys })).asked).join(),
    [
      ...["press key:ctrl desk", "press key:alt desk", "press key:delete desk"],
      ...["release key:delete desk", "release key:alt desk", "release key:ctrl desk"],
    ].join(),
  );
  assert.equal((await run("input.key", { keys, act: "press" })).asked.length, 3);
  assert.equal((await run("input.key", { keys, act: "release" })).asked.length, 3);
});

Deno.test("input of another shape is refused before the gate is asked, and never repeated", async () => {
  const secret = "hunter2";
  const wrong: [string, Record<string, unknown>][] = [
    ["input.text", {}],
    ["input.text", { text: "" }],
    ["input.text", { text: `${secret}\u0000` }],
    ["input.text", { text: `${secret}ä` }],
    ["input.text", { text: "a".repeat(201) }],
    ["input.text", { text: [secret] }],
    ["input.key", { keys: [] }],
    ["input.key", { keys: [secret] }],
    ["input.key", { keys: "a" }],
    ["input.key", { keys: ["power"] }],
    ["input.key", { keys: ["alt", "sysrq"] }],
    ["input.key", { keys: Array(9).fill("a") }],
    ["input.key", { keys: ["a"], act: "hold" }],
    ["input.pointer", { x: 0 }],
    ["input.pointer", { x: -1, y: 0 }],
    ["input.pointer", { x: 0.5, y: 0 }],
    ["input.pointer", { x: 0, y: 0x8000 }],
    ["input.pointer", { button: secret }],
  ];
  for (const [op, args] of wrong) {
    const { outcome, asked } = await run(op, args);
    assert.deepEqual([outcome.ok, asked], [false, []], JSON.stringify(args));
    assert.ok(!JSON.stringify(outcome).includes(secret));
  }
});

Deno.test("input ends at the first stroke that was not taken, and says why", async () => {
  const { outcome, asked } = await run(
    "input.text",
    { text: "abc" },
    (turn) => "key" in turn && turn.key === "key:b" ? "not_presented" : "done",
  );
  assert.equal(asked.length, 3);
  assert.deepEqual([outcome.ok, "rule" in outcome && outcome.rule], [false, "input.not_presented"]);
});

Deno.test("input that ends in the middle of a chord leaves no key of it down", async () => {
  const { outcome, asked } = await run(
    "input.key",
    { keys: ["ctrl", "c"] },
    (turn) => "key" in turn && turn.key === "key:c" ? "full" : "done",
  );
  assert.deepEqual(words(asked), [
    "press key:ctrl desk",
    "press key:c desk",
    "release key:ctrl desk",
  ]);
  assert.ok(!outcome.ok);
});

Deno.test("input ends where the guest was hidden and shown again meanwhile", async () => {
  let turns = 0;
  const { asked } = await run(
    "input.text",
    { text: "Ab" },
    () => "done",
    () => turns++ < 2 ? 1 : 3,
  );
  assert.deepEqual(words(asked), ["press key:shift desk", "release key:shift desk"]);
});

Deno.test("present and hide ask the gate for that guest, and say what it says", async () => {
  assert.deepEqual((await run("present", {})).asked, [{ type: "present", vm }]);
  assert.deepEqual((await run("hide", {})).asked, [{ type: "hide", vm }]);
  const { outcome } = await run("present", {}, () => "not_allowed");
  assert.deepEqual([outcome.ok, "rule" in outcome && outcome.rule], [false, "vm.not_presentable"]);
});

Deno.test("presentAtBoot shows the first that the policy shows, until somebody was presented in this boot", async () => {
  const host = new FakeHost();
  const start = async (asks: (runtime: Runtime) => Promise<unknown>) => {
    const asked: Turn[] = [];
    const presenter = {
      shown: null,
      host: null,
      ask: (turn: Turn) => {
        asked.push(turn);
        return Promise.resolve("done");
      },
    };
    const runtime = {
      host,
      guests: new Map([["other", null], [vm, null]]),
      presenter,
      decide: (caller: string, request: { vm: VmId }) =>
        caller === "policy" && request.vm === vm
          ? { allow: true, permit: { op: "present", vm } }
          : { allow: false },
    };
    await asks(runtime as unknown as Runtime);
    return asked;
  };
  // One that died before it came to that has shown nobody.
  assert.deepEqual(await start(presentAtBoot), [{ type: "present", vm }]);
  assert.deepEqual(await start(presentAtBoot), []);
  host.remove("/run/rayos/presented");
  await start((runtime) => {
    const present = new Map(presentationOperations(runtime)).get("present");
    return Promise.resolve(present?.({ op: "present", vm } as unknown as Allowed, {}, "socket"));
  });
  assert.deepEqual(await start(presentAtBoot), [], "a person has presented one meanwhile");
});
