import assert from "node:assert/strict";
import { type Attention, InputBroker } from "./broker.ts";
import type { HostInput } from "./evdev.ts";
import { type GateEvent, type GateOutcome, gateStep, NOBODY, type Turn } from "./gate.ts";
import type { Key } from "../guest/input.ts";
import type { VmId } from "../id.ts";
import { turns } from "../../test/turns.ts";

/** A clock that stands still until it is told of time that went by. */
function handClock() {
  const sleepers: { readonly atMs: number; readonly wake: () => void }[] = [];
  let nowMs = 0;
  return {
    monoMs: () => nowMs,
    sleep: (ms: number) =>
      new Promise<void>((wake) => void sleepers.push({ atMs: nowMs + ms, wake })),
    async pass(ms: number) {
      nowMs += ms;
      const due = sleepers.filter((one) => one.atMs <= nowMs);
      for (const one of due) sleepers.splice(sleepers.indexOf(one), 1);
      for (const one of due) one.wake();
      for (let n = 0; n < 5; n++) await Promise.resolve();
    },
  };
}

function desk(attention: Attention = "ctrl+alt+pause") {
  const asked: Turn[] = [];
  const dropped: number[] = [];
  const state: { outcome: GateOutcome; hold: Promise<void> | null } = {
    outcome: "done",
    hold: null,
  };
  const clock = handClock();
  const broker = new InputBroker({
    clock,
    ask: async (turn) => {
      asked.push(turn);
      await state.hold;
      return state.outcome;
    },
    attention: () => attention,
    onDropped: (count) => void dropped.push(count),
  });
  const words = () =>
    asked.map((one) => {
      if ("key" in one) return `${one.type} ${one.key}`;
      return one.type === "move" ? `move ${one.place.x} ${one.place.y}` : one.type;
    });
  return { broker, words, dropped, state, clock };
}
const press = (key: Key): HostInput => ({ type: "press", key });
const release = (key: Key): HostInput => ({ type: "release", key });

Deno.test("InputBroker keeps the attention chord for the host, whichever Ctrl and Alt, on whichever keyboard", () => {
  for (const [ctrl, alt] of [["key:ctrl", "key:alt"], ["key:ctrl_r", "key:alt_r"]] as const) {
    const { broker, words } = desk();
    broker.take(0, press(ctrl));
    broker.take(1, press(alt));
    broker.take(0, press("key:pause"));
    assert.deepEqual(words(), [`press ${ctrl}`, `press ${alt}`, "attention"]);
  }
  const { broker, words } = desk("ctrl+alt+end");
  broker.take(0, press("key:ctrl"));
  broker.take(0, press("key:alt"));
  broker.take(0, press("key:pause"));
  broker.take(0, press("key:end"));
  assert.deepEqual(words().slice(2), ["press key:pause", "attention"]);
});

Deno.test("InputBroker gives Ctrl-Alt-Del to the guest, and SysRq to nobody", () => {
  const { broker, words } = desk();
  for (const key of ["key:ctrl", "key:alt", "key:delete", "key:print"] as const) {
    broker.take(0, press(key));
  }
  assert.deepEqual(words(), ["press key:ctrl", "press key:alt", "press key:delete"]);
});

Deno.test("InputBroker takes no part of the chord for the whole of it", () => {
  const { broker, words } = desk();
  broker.take(0, press("key:ctrl"));
  broker.take(0, press("key:pause"));
  broker.take(0, release("key:ctrl"));
  broker.take(0, press("key:alt"));
  broker.take(0, press("key:pause"));
  assert.ok(!words().includes("attention"));
});

Deno.test("InputBroker releases what is down on a device that is gone or lost count, and nothing of another", () => {
  const { broker, words } = desk();
  broker.take(0, press("key:a"));
  broker.take(1, press("key:b"));
  broker.take(0, { type: "lost" });
  broker.gone(1);
  broker.gone(1);
  assert.deepEqual(words().slice(2), ["release key:a", "release key:b"]);
});

Deno.test("InputBroker turns movements into places on the screen, one on its way at a time", async () => {
  const { broker, words, state } = desk();
  const held = Promise.withResolvers<void>();
  state.hold = held.promise;
  for (let n = 0; n < 10_000; n++) broker.take(0, { type: "by", axis: "x", steps: 1 });
  broker.take(0, { type: "at", axis: "y", value: 1_000_000 });
  assert.equal(words().length, 1);
  held.resolve();
  await turns();
  assert.deepEqual(words().slice(1), ["move 32767 32767"]);
  broker.take(0, { type: "by", axis: "x", steps: -1_000_000 });
  await turns();
  assert.deepEqual(words().slice(2), ["move 0 32767"]);
});

Deno.test("InputBroker sends no rest of a chord of which something was dropped", async () => {
  const { broker, words, state } = desk();
  state.outcome = "full";
  broker.take(0, press("key:ctrl"));
  await turns();
  state.outcome = "done";
  broker.take(0, press("key:w"));
  broker.take(0, release("key:w"));
  broker.take(0, release("key:ctrl"));
  broker.take(0, press("key:x"));
  assert.deepEqual(words(), [
    "press key:ctrl",
    "release key:w",
    "release key:ctrl",
    "press key:x",
  ]);
});

Deno.test("InputBroker counts what the gate did not take, and says so once, soon after the last of it", async () => {
  const { broker, dropped, state, clock } = desk();
  state.outcome = "full";
  for (let n = 0; n < 500; n++) broker.take(0, press("key:a"));
  await turns();
  state.outcome = "done";
  broker.take(0, release("key:a"));
  broker.take(0, press("key:b"));
  await turns();
  assert.deepEqual(dropped, []);
  for (let n = 0; n < 4; n++) await clock.pass(250);
  assert.deepEqual(dropped, [500]);
  for (let n = 0; n < 40; n++) await clock.pass(250);
  assert.deepEqual(dropped, [500]);
});

/** The gate itself, with one guest shown; whoever plays the guest acknowledges. */
function realGate() {
  const rights = {
    show: () => true,
    input: () => true,
    late: () => false,
    host: () => true,
    unasked: () => false,
  };
  const outcomes: GateOutcome[] = [];
  const asking = new Map<number, (outcome: GateOutcome) => void>();
  let state = NOBODY;
  let tickets = 0;
  const apply = (event: GateEvent) => {
    const step = gateStep(state, event, rights);
    state = step.state;
    for (const one of step.actions) {
      if (one.type !== "answer") continue;
      outcomes.push(one.outcome);
      asking.get(one.ticket)?.(one.outcome);
    }
  };
  const ask = (turn: Turn) =>
    new Promise<GateOutcome>((resolve) => {
      asking.set(tickets, resolve);
      apply({ type: "turn", ticket: tickets++, turn, atMs: 0 });
    });
  void ask({ type: "present", vm: "desk" as VmId });
  outcomes.length = 0;
  return { ask, outcomes, acknowledge: () => apply({ type: "settled", ok: true }) };
}

for (
  const [hand, keys] of [
    ["one key after the other", ["key:a", "key:b", "key:c"]],
    ["with a key held", ["key:d"]],
  ] as const
) {
  Deno.test(`InputBroker says few words of 10,000 events a second that a guest is slow to acknowledge, and loses none: ${hand}`, async () => {
    const { ask, outcomes, acknowledge } = realGate();
    const clock = handClock();
    const said: { count: number; atMs: number }[] = [];
    const broker = new InputBroker({
      ask,
      clock,
      attention: () => "ctrl+alt+pause",
      onDropped: (count) => void said.push({ count, atMs: clock.monoMs() }),
    });
    if (keys.length === 1) broker.take(1, press("key:shift"));
    let taken = keys.length === 1 ? 1 : 0;
    const flood = async (events: number) => {
      for (let n = 0; n < events; n++) {
        const key = keys[(taken >> 1) % keys.length] ?? "key:a";
        broker.take(0, n % 2 === 0 ? press(key) : release(key));
        taken++;
        if (n % 10 !== 9) continue;
        acknowledge();
        await clock.pass(1);
      }
    };
    await flood(10_000);
    assert.equal(said.length, 0, "it is not over");
    const drained = async () => {
      for (let n = 0; n < 400; n++) acknowledge();
      const fromMs = clock.monoMs();
      for (let n = 0; n < 10; n++) await clock.pass(100);
      return fromMs;
    };
    const sum = () => said.reduce((all, { count }) => all + count, 0);
    const lost = () => taken - outcomes.filter((one) => one === "done").length;
    const fromMs = await drained();
    assert.ok(lost() > 1_000, `${lost()} lost`);
    assert.deepEqual([said.length, sum()], [1, lost()]);
    assert.ok((said[0]?.atMs ?? Infinity) - fromMs <= 1_000, "soon");
    // One that does not end is told of while it lasts.
    await flood(120_000);
    assert.equal(said.length, 1 + 2);
    await drained();
    assert.deepEqual([said.length, sum()], [1 + 3, lost()]);
  });
}
