import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmId } from "../id.ts";
import type { GateAction, GateEvent, GateRights, Turn } from "./gate.ts";
import type { Key } from "../guest/input.ts";
import { EVERY_KEY } from "./keys.ts";
import { A, ALL, B, C, ok, run, runEach, turn, words } from "./sample_turns.ts";

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
