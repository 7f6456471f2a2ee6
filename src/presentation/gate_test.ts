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
import { EVERY_KEY } from "./keys.ts";

const [A, B, C] = ["a", "b", "c"] as VmId[] as [VmId, VmId, VmId];
const ALL: GateRights = {
  show: () => true,
  input: () => true,
  late: () => false,
  host: () => true,
  unasked: () => false,
};

/** Runs events through the gate; a turn without a ticket gets the next one. */
function run(events: readonly GateEvent[], rights = ALL, from: GateState = NOBODY) {
  return runEach(events.map((event) => ({ event, rights })), from);
}

/** An event, and what policy and machine say when it comes. */
interface Moment {
  readonly event: GateEvent;
  readonly rights: GateRights;
}

function runEach(moments: readonly Moment[], from: GateState = NOBODY) {
  let state = from;
  const steps: (Moment & { actions: readonly GateAction[]; state: GateState })[] = [];
  for (const moment of moments) {
    const step = gateStep(state, moment.event, moment.rights);
    steps.push({ ...moment, ...step });
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
const attention = turn({ type: "attention" });
const openShell = turn({ type: "open_shell" });
const ok: GateEvent = { type: "settled", ok: true };

/** What happened, one word an action; answers left out. */
const words = (actions: readonly GateAction[]) =>
  actions.flatMap((one) => {
    if (one.type === "tell") return [`${one.on ? "on" : "off"} ${one.vm}`];
    if (one.type === "answer") return [];
    if (one.type === "turn_host") return [`host ${one.view}`];
    if (one.type === "typed") {
      const { to, key, repeated, held } = one.typed;
      return [`${to} ${repeated ? "again" : "down"} ${[...held, key].join("+")}`];
    }
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

Deno.test("gateStep lets the release of a key that is down through when the guest is given no input any more, and nothing else", () => {
  const { state } = run([present(A), press("key:a"), ok]);
  const { actions } = run(
    [
      press("key:x"),
      turn({ type: "repeat", key: "key:a", to: null }),
      turn({ type: "move", place: { x: 1, y: 2 }, to: null }),
      release("key:x"),
      release("key:a"),
      ok,
      release("key:a"),
    ],
    { ...ALL, input: () => false },
    state,
  );
  assert.deepEqual(words(actions), ["a up key:a"]);
  assert.deepEqual(outcomes(actions), [...Array(4).fill("not_given"), "done", "not_given"]);
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

Deno.test("gateStep asks the host after the chord, and gives what is typed to the shell only once it is opened", () => {
  const { actions } = run([
    press("key:a"),
    attention,
    press("key:b"),
    openShell,
    press("key:shift"),
    press("key:c"),
    turn({ type: "repeat", key: "key:c", to: null }),
    release("key:shift"),
    press("key:d"),
    turn({ type: "close_shell" }),
    press("key:e"),
  ]);
  assert.deepEqual(words(actions), [
    "host asked",
    "asked down key:b",
    "host shell",
    "shell down key:shift",
    "shell down key:shift+key:c",
    "shell again key:shift+key:c",
    "shell down key:c+key:d",
    "host status",
  ]);
});

Deno.test("gateStep opens no shell without the chord, behind a guest, on a host without a screen, or after the chord was answered", () => {
  const refused = (before: readonly GateEvent[], rights = ALL) => {
    const { actions, state } = run([...before, openShell], rights);
    assert.equal(outcomes(actions).at(-1), "not_allowed");
    assert.notEqual(state.host, "shell");
  };
  refused([]);
  refused([attention, present(A)]);
  refused([attention, hide]);
  refused([attention, openShell, turn({ type: "close_shell" })]);
  refused([attention], { ...ALL, host: () => false });
  refused([], { ...ALL, host: () => false, unasked: () => true });
  refused([present(A)], { ...ALL, unasked: () => true });
  assert.equal(run([openShell], { ...ALL, unasked: () => true }).state.host, "shell");
});

Deno.test("gateStep leaves the shell by a guest that is shown, the chord and hide, and nothing held there goes on", () => {
  const { actions } = run([attention, openShell, press("key:x"), present(A), release("key:x")]);
  assert.deepEqual(words(actions), [
    "host asked",
    "host shell",
    "shell down key:x",
    "host status",
    "on a",
  ]);
  const chord = run([attention, openShell, press("key:x"), attention, press("key:y")]);
  assert.deepEqual(words(chord.actions).slice(3), ["host asked", "asked down key:y"]);
  assert.deepEqual(words(run([attention, openShell, hide]).actions).at(-1), "host status");
  const named = run([attention, openShell, turn({ type: "hide", vm: A })]);
  assert.equal(named.state.host, "shell", "a guest that is not shown is hidden already");
});

Deno.test("gateStep gives the host no key that a program asked for, none that waited too long, and none it cannot show", () => {
  const open = run([attention, openShell]).state;
  const named = run([press("key:a", A)], ALL, open);
  assert.deepEqual([words(named.actions), outcomes(named.actions)], [[], ["not_presented"]]);
  const late = run([press("key:a")], { ...ALL, late: () => true }, open);
  assert.deepEqual([words(late.actions), outcomes(late.actions)], [[], ["late"]]);
  const blind = run([press("key:a")], { ...ALL, host: () => false }, open);
  assert.deepEqual(words(blind.actions), ["host status"]);
});

Deno.test("gateStep leaves a guest by the chord as by hide, and what is typed meanwhile waits for the host", () => {
  const { steps } = run([present(A), press("key:x"), attention, press("key:y"), ok, ok]);
  assert.deepEqual(steps.map((one) => words(one.actions)), [
    ["on a"],
    ["a down key:x"],
    [],
    [],
    ["a up key:x"],
    ["off a", "host asked", "asked down key:y"],
  ]);
});

Deno.test("gateStep takes the chord when it takes nothing else, and no second one", () => {
  const many = Array.from({ length: MOST_WAITING + 1 }, () => press("key:x"));
  const { actions } = run([present(A), ...many, hide, attention, attention, hide]);
  assert.deepEqual(outcomes(actions), ["done", "full", "full"]);
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
      to: fc.option(vms, { freq: 1 }),
    }),
  },
  fc.record({
    type: fc.constant("move" as const),
    place: fc.constant({ x: 1, y: 2 }),
    to: fc.option(vms, { freq: 1 }),
  }),
  { weight: 2, arbitrary: fc.record({ type: fc.constant("present" as const), vm: vms }) },
  fc.record({ type: fc.constant("hide" as const), vm: fc.option(vms, { freq: 1 }) }),
  fc.record({
    type: fc.constantFrom("attention" as const, "open_shell" as const, "close_shell" as const),
  }),
);
const events: fc.Arbitrary<GateEvent> = fc.oneof(
  { weight: 5, arbitrary: turns.map(turn) },
  {
    weight: 4,
    arbitrary: fc.boolean().map((done): GateEvent => ({ type: "settled", ok: done })),
  },
  fc.record({
    type: fc.constantFrom("left" as const, "found" as const, "began" as const),
    vm: vms,
  }),
);
const often = fc.integer({ min: 0, max: 4 }).map((n) => n > 0);
const someVms = fc.subarray([A, B, C]);
const rights: fc.Arbitrary<GateRights> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(ALL) },
  fc.record({ shown: someVms, given: someVms, late: often, host: often, unasked: fc.boolean() })
    .map(({ shown, given, late, host, unasked }) => ({
      show: (vm: VmId) => shown.includes(vm),
      input: (vm: VmId) => given.includes(vm),
      late: () => !late,
      host: () => host,
      unasked: () => unasked,
    })),
);
/** All lengths alike; by itself fast-check makes ten at most. */
const moments = fc.array(fc.record({ event: events, rights }), { maxLength: 120, size: "max" });

Deno.test("gateStep: after any events at most one guest is on, and nothing is sent to any other, nor what it may not have", () => {
  fc.assert(
    fc.property(moments, (all) => {
      let on: VmId | null = null;
      let host = "status";
      let onItsWay = false;
      for (const { event, rights, actions } of runEach(all).steps) {
        if (event.type === "settled") onItsWay = false;
        for (const one of actions) {
          if (one.type === "answer") continue;
          assert.ok(!onItsWay, "one thing at a time, and no word while it is on its way");
          if (one.type === "send") {
            assert.equal(one.vm, on);
            const frees = "keys" in one.stroke && !one.stroke.down;
            assert.ok(frees || rights.show(one.vm) && rights.input(one.vm) && !rights.late(0));
            onItsWay = true;
          } else if (one.type === "turn_host") {
            assert.equal(on, null, "the host is asked only while nobody is shown");
            if (one.view === "shell") {
              assert.ok(rights.host() && (host === "asked" || rights.unasked()));
            }
            host = one.view;
          } else if (one.type === "typed") {
            assert.deepEqual([on, one.typed.to], [null, host]);
            assert.ok(rights.host() && !rights.late(0));
          } else {
            assert.deepEqual([on, host], [one.on ? null : one.vm, "status"]);
            assert.ok(!one.on || rights.show(one.vm));
            on = one.on ? one.vm : null;
          }
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("gateStep: after any events no guest believes a key down that it will not be told is up", () => {
  fc.assert(
    fc.property(moments, (all) => {
      const believes = new Map<VmId, Set<Key>>();
      let sent: Extract<GateAction, { type: "send" }> | null = null;
      for (const { event, actions, state } of runEach(all).steps) {
        if (event.type === "settled" && event.ok && sent !== null && "keys" in sent.stroke) {
          const own = believes.get(sent.vm) ?? new Set();
          for (const key of sent.stroke.keys) sent.stroke.down ? own.add(key) : own.delete(key);
          believes.set(sent.vm, own);
        }
        if (event.type === "settled") sent = null;
        if (event.type === "found") believes.set(event.vm, new Set(EVERY_KEY));
        if (event.type === "began") believes.delete(event.vm);
        for (const one of actions) if (one.type === "send") sent = one;
        for (const [vm, own] of believes) {
          const told = vm === state.shown ? state.down : state.owed.get(vm) ?? [];
          assert.deepEqual([...own].filter((key) => !told.includes(key)), [], vm);
        }
      }
    }),
    { numRuns: 2_000 },
  );
});

Deno.test("gateStep: each guest, and the host's own shell, gets exactly what was typed while it had the screen, in that order", () => {
  fc.assert(
    fc.property(fc.array(turns, { maxLength: 60, size: "max" }), (all) => {
      // One after the other, each acknowledged before the next.
      let has = "status" as VmId | "status" | "asked" | "shell";
      const down = new Set<Key>();
      const expected: string[] = [];
      const turnTo = (next: typeof has) => {
        if (next !== has || next === "asked") down.clear();
        has = next;
      };
      const isGuest = () => has === A || has === B || has === C;
      for (const one of all) {
        if (one.type === "present") turnTo(one.vm);
        else if (one.type === "hide") {
          if (one.vm === null || one.vm === has) turnTo("status");
        } else if (one.type === "attention") turnTo("asked");
        else if (one.type === "open_shell") {
          if (has === "asked") turnTo("shell");
        } else if (one.type === "close_shell") {
          if (has === "shell") turnTo("status");
        } else if (isGuest() && (one.to === null || one.to === has)) {
          if (one.type === "move") expected.push(`${has} at 1`);
          else if (one.type === "press" || down.has(one.key)) {
            expected.push(`${has} ${one.type === "release" ? "up" : "down"} ${one.key}`);
            one.type === "release" ? down.delete(one.key) : down.add(one.key);
          }
        } else if (!isGuest() && has !== "status" && one.to === null && one.type !== "move") {
          if (one.type === "release") down.delete(one.key);
          else if (one.type === "press" || down.has(one.key)) {
            down.delete(one.key);
            const word = one.type === "press" ? "down" : "again";
            expected.push(`${has} ${word} ${[...down, one.key].join("+")}`);
            down.add(one.key);
          }
        }
      }
      // All at once, acknowledged later; what closes a guest lets go of keys besides.
      const sent: string[] = [];
      const { steps } = run([...all.map(turn), ...Array(200).fill(ok)]);
      for (const { actions, state } of steps) {
        const typed = actions.filter((one) =>
          one.type === "typed" || one.type === "send" && state.busy?.ticket !== null
        );
        sent.push(...words(typed));
      }
      assert.deepEqual(sent, expected);
    }),
    { numRuns: 3_000 },
  );
});

Deno.test("gateStep: whoever asked is answered once, as soon as all is acknowledged", () => {
  fc.assert(
    fc.property(moments, rights, (all, last) => {
      const oks = Array.from({ length: 400 }, () => ({ event: ok, rights: last }));
      const { actions, state } = runEach([...all, ...oks]);
      const asked = all.flatMap(({ event }) => event.type === "turn" ? [event.ticket] : []);
      const answered = actions.flatMap((one) => one.type === "answer" ? [one.ticket] : []);
      assert.deepEqual(answered.toSorted((a, b) => a - b), asked);
      assert.equal(state.busy, null);
    }),
    { numRuns: 1_000 },
  );
});
