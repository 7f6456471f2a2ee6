import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmId } from "../id.ts";
import {
  type GateAction,
  type GateEvent,
  type GateRights,
  type GateState,
  gateStep,
  MOST_WAITING,
  NOBODY,
  type Turn,
} from "./gate.ts";
import type { Key } from "../guest/input.ts";

const [A, B, C] = ["a", "b", "c"] as VmId[] as [VmId, VmId, VmId];
const ALL: GateRights = { show: () => true, input: () => true, late: () => false };

/** Runs events through the gate; a turn without a ticket gets the next one. */
function run(events: readonly GateEvent[], rights = ALL, from: GateState = NOBODY) {
  let state = from;
  const steps: { event: GateEvent; actions: readonly GateAction[]; state: GateState }[] = [];
  for (const event of events) {
    const step = gateStep(state, event, rights);
    steps.push({ event, ...step });
    state = step.state;
  }
  return { state, steps, actions: steps.flatMap((one) => one.actions) };
}

let tickets = 0;
const turn = (what: Turn): GateEvent => ({
  type: "turn",
  ticket: tickets++,
  turn: what,
  atMs: 0,
});
const press = (key: Key, to: VmId | null = null) => turn({ type: "press", key, to });
const release = (key: Key) => turn({ type: "release", key, to: null });
const present = (vm: VmId) => turn({ type: "present", vm });
const hide = turn({ type: "hide", vm: null });
const ok: GateEvent = { type: "settled", ok: true };

/** What happened, one word an action; answers left out. */
const words = (actions: readonly GateAction[]) =>
  actions.flatMap((one) => {
    if (one.type === "tell") return [`${one.on ? "on" : "off"} ${one.vm}`];
    if (one.type === "answer") return [];
    const { stroke } = one;
    return "place" in stroke
      ? [`${one.vm} at ${stroke.place.x}`]
      : [`${one.vm} ${stroke.down ? "down" : "up"} ${stroke.keys.join("+")}`];
  });
const outcomes = (actions: readonly GateAction[]) =>
  actions.flatMap((one) => one.type === "answer" ? [one.outcome] : []);

Deno.test("gateStep lets go of what is held before a switch, and the new guest sees none of it", () => {
  const { actions } = run([
    present(A),
    press("key:ctrl"),
    ok,
    present(B),
    press("key:c"),
    ok,
    release("key:ctrl"),
    turn({ type: "repeat", key: "key:ctrl", to: null }),
    ok,
  ]);
  assert.deepEqual(words(actions), [
    "on a",
    "a down key:ctrl",
    "a up key:ctrl",
    "off a",
    "on b",
    "b down key:c",
  ]);
});

Deno.test("gateStep says off only when the last stroke is acknowledged, and on only after off", () => {
  const { steps } = run([present(A), press("key:x"), present(B), ok, ok]);
  assert.deepEqual(steps.map((one) => words(one.actions)), [
    ["on a"],
    ["a down key:x"],
    [],
    ["a up key:x"],
    ["off a", "on b"],
  ]);
});

Deno.test("gateStep owes a guest that left with a key down its release, before anything else", () => {
  const { steps } = run([
    present(A),
    press("key:shift"),
    { type: "left", vm: A },
    { type: "settled", ok: false },
    present(A),
    press("key:x"),
    ok,
    ok,
  ]);
  assert.deepEqual(steps.map((one) => words(one.actions)), [
    ["on a"],
    ["a down key:shift"],
    [],
    ["off a"],
    ["on a", "a up key:shift"],
    [],
    ["a down key:x"],
    [],
  ]);
});

Deno.test("gateStep drops what is typed at nobody, at another guest, and at one that is given no input", () => {
  const none = run([press("key:x"), present(A), press("key:x", B)]);
  assert.deepEqual(words(none.actions), ["on a"]);
  assert.deepEqual(outcomes(none.actions), ["not_presented", "done", "not_presented"]);
  const deaf = run([present(A), press("key:x")], { ...ALL, input: () => false });
  assert.deepEqual(words(deaf.actions), ["on a"]);
  assert.deepEqual(outcomes(deaf.actions), ["done", "not_given"]);
});

Deno.test("gateStep leaves the guest that is shown where the next one may not be", () => {
  const { actions, state } = run([present(A), present(B)], { ...ALL, show: (vm) => vm === A });
  assert.deepEqual(outcomes(actions), ["done", "not_allowed"]);
  assert.equal(state.shown, A);
});

Deno.test("gateStep takes the release of a key that is down when it takes nothing else, and no second one", () => {
  const many = Array.from({ length: MOST_WAITING + 1 }, () => press("key:x"));
  const { actions, state } = run([
    present(A),
    press("key:a"),
    ...many,
    release("key:a"),
    release("key:a"),
  ]);
  assert.deepEqual(outcomes(actions), ["done", "full", "full"]);
  const end = run(Array(MOST_WAITING + 3).fill(ok), ALL, state);
  assert.deepEqual(end.state.down, ["key:x"]);
});

Deno.test("gateStep sends nothing that waited too long but a release, so that a switch comes soon", () => {
  const many = Array.from({ length: 50 }, () => press("key:x"));
  const { state } = run([present(A), press("key:a"), ...many, release("key:a"), present(B)]);
  const { actions } = run([ok, ok, ok], { ...ALL, late: () => true }, state);
  assert.deepEqual(words(actions), ["a up key:a", "off a", "on b"]);
  assert.equal(outcomes(actions).filter((one) => one === "late").length, 50);
});

Deno.test("gateStep leaves a guest that may not be shown any more before anything else is sent to it", () => {
  const { state } = run([present(A), press("key:a"), press("key:b")]);
  const { actions } = run([ok, ok], { ...ALL, show: () => false }, state);
  assert.deepEqual(words(actions), ["a up key:a", "off a"]);
  assert.deepEqual(outcomes(actions), ["done", "not_presented"]);
});

Deno.test("gateStep takes the hide of the guest that is shown when it takes nothing else", () => {
  const many = Array.from({ length: MOST_WAITING + 1 }, () => press("key:x"));
  const byName = turn({ type: "hide", vm: A });
  const { actions } = run([present(A), ...many, byName, byName, turn({ type: "hide", vm: B })]);
  assert.deepEqual(outcomes(actions), ["done", "full", "full"]);
});

Deno.test("gateStep refuses to queue without end, and never refuses to hide", () => {
  const many = Array.from({ length: MOST_WAITING + 10 }, () => press("key:x"));
  const { actions, state } = run([present(A), ...many, hide, hide]);
  assert.deepEqual(outcomes(actions), ["done", ...Array(9).fill("full"), "full"]);
  const end = run([...Array(MOST_WAITING + 3).fill(ok)], ALL, state);
  assert.equal(end.state.shown, null);
});

// --- properties ---

const KEYS: readonly Key[] = ["key:a", "key:shift", "button:left"];
const vms = fc.constantFrom(A, B, C);
const turns: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      type: fc.constantFrom("press" as const, "repeat" as const, "release" as const),
      key: fc.constantFrom(...KEYS),
      to: fc.option(vms),
    }),
  },
  fc.record({
    type: fc.constant("move" as const),
    place: fc.constant({ x: 1, y: 2 }),
    to: fc.option(vms),
  }),
  { weight: 2, arbitrary: fc.record({ type: fc.constant("present" as const), vm: vms }) },
  fc.record({ type: fc.constant("hide" as const), vm: fc.option(vms) }),
);
const events = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: turns.map(turn) },
    {
      weight: 4,
      arbitrary: fc.boolean().map((done): GateEvent => ({ type: "settled", ok: done })),
    },
    vms.map((vm): GateEvent => ({ type: "left", vm })),
  ),
  { maxLength: 120 },
);

Deno.test("gateStep: after any events at most one guest is on, and nothing is sent to any other", () => {
  fc.assert(
    fc.property(events, (all) => {
      let on: VmId | null = null;
      let onItsWay = false;
      for (const { event, actions } of run(all).steps) {
        if (event.type === "settled") onItsWay = false;
        for (const one of actions) {
          if (one.type === "answer") continue;
          assert.ok(!onItsWay, "one thing at a time, and no word while it is on its way");
          if (one.type === "send") {
            assert.equal(one.vm, on);
            onItsWay = true;
          } else {
            assert.equal(on, one.on ? null : one.vm);
            on = one.on ? one.vm : null;
          }
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("gateStep: after any events a guest that is not shown believes nothing down that is not owed to it", () => {
  fc.assert(
    fc.property(events, (all) => {
      const believes = new Map<VmId, Set<Key>>();
      let sent: Extract<GateAction, { type: "send" }> | null = null;
      for (const { event, actions, state } of run(all).steps) {
        if (event.type === "settled" && event.ok && sent !== null && "keys" in sent.stroke) {
          const own = believes.get(sent.vm) ?? new Set();
          for (const key of sent.stroke.keys) sent.stroke.down ? own.add(key) : own.delete(key);
          believes.set(sent.vm, own);
        }
        if (event.type === "settled") sent = null;
        for (const one of actions) if (one.type === "send") sent = one;
        for (const [vm, own] of believes) {
          if (vm === state.shown) continue;
          const owed = state.owed.get(vm) ?? [];
          assert.deepEqual([...own].filter((key) => !owed.includes(key)), []);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("gateStep: each guest gets exactly what was typed while it was shown, in that order", () => {
  fc.assert(
    fc.property(fc.array(turns, { maxLength: 60 }), (all) => {
      // One after the other, each acknowledged before the next.
      let shown: VmId | null = null;
      const down = new Set<Key>();
      const expected: string[] = [];
      for (const one of all) {
        if (one.type === "present") {
          if (shown !== one.vm) down.clear();
          shown = one.vm;
        } else if (one.type === "hide") {
          if (one.vm !== null && one.vm !== shown) continue;
          shown = null;
          down.clear();
        } else if (shown !== null && (one.to === null || one.to === shown)) {
          if (one.type === "move") expected.push(`${shown} at 1`);
          else if (one.type === "press" || down.has(one.key)) {
            expected.push(`${shown} ${one.type === "release" ? "up" : "down"} ${one.key}`);
            one.type === "release" ? down.delete(one.key) : down.add(one.key);
          }
        }
      }
      // All at once, acknowledged later; what closes a guest lets go of keys besides.
      const sent: string[] = [];
      const { steps } = run([...all.map(turn), ...Array(200).fill(ok)]);
      for (const { actions, state } of steps) {
        const typed = actions.filter((one) => one.type === "send" && state.busy?.ticket !== null);
        sent.push(...words(typed));
      }
      assert.deepEqual(sent, expected);
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("gateStep: whoever asked is answered once, as soon as all is acknowledged", () => {
  fc.assert(
    fc.property(events, (all) => {
      const { actions, state } = run([...all, ...Array(400).fill(ok)]);
      const asked = all.flatMap((one) => one.type === "turn" ? [one.ticket] : []);
      const answered = actions.flatMap((one) => one.type === "answer" ? [one.ticket] : []);
      assert.deepEqual(answered.toSorted((a, b) => a - b), asked);
      assert.equal(state.busy, null);
    }),
    { numRuns: 1_000 },
  );
});
