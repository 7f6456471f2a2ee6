import assert from "node:assert/strict";
import { type Attention, InputBroker } from "./broker.ts";
import type { HostInput } from "./evdev.ts";
import type { GateOutcome, Turn } from "./gate.ts";
import type { Key } from "../guest/input.ts";

function desk(attention: Attention = "ctrl+alt+pause") {
  const asked: Turn[] = [];
  const dropped: number[] = [];
  const state: { outcome: GateOutcome; hold: Promise<void> | null } = {
    outcome: "done",
    hold: null,
  };
  const broker = new InputBroker({
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
  return { broker, words, dropped, state };
}
const press = (key: Key): HostInput => ({ type: "press", key });
const release = (key: Key): HostInput => ({ type: "release", key });
const settle = () => new Promise((resolve) => setTimeout(resolve, 0));

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
  await settle();
  assert.deepEqual(words().slice(1), ["move 32767 32767"]);
  broker.take(0, { type: "by", axis: "x", steps: -1_000_000 });
  await settle();
  assert.deepEqual(words().slice(2), ["move 0 32767"]);
});

Deno.test("InputBroker sends no rest of a chord of which something was dropped", async () => {
  const { broker, words, state } = desk();
  state.outcome = "full";
  broker.take(0, press("key:ctrl"));
  await settle();
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

Deno.test("InputBroker counts what the gate did not take, and says so once", async () => {
  const { broker, dropped, state } = desk();
  state.outcome = "full";
  for (let n = 0; n < 500; n++) broker.take(0, press("key:a"));
  await settle();
  assert.deepEqual(dropped, []);
  state.outcome = "done";
  broker.take(0, release("key:a"));
  broker.take(0, press("key:b"));
  broker.take(0, press("key:c"));
  await settle();
  assert.deepEqual(dropped, [500]);
});
