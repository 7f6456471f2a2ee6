import assert from "node:assert/strict";
import { type GateEvent, MOST_WAITING } from "./gate.ts";
import {
  A,
  ALL,
  attention,
  B,
  hide,
  ok,
  openShell,
  outcomes,
  present,
  press,
  release,
  run,
  turn,
  words,
} from "./sample_turns.ts";

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
