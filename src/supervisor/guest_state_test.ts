import assert from "node:assert/strict";
import fc from "fast-check";
import type { GuestState } from "../event.ts";
import { type GuestEvent, TABLE, transition } from "./guest_state.ts";

const EVENTS = Object.keys(TABLE.defined) as GuestEvent[];
const STATES = Object.keys(TABLE) as GuestState[];

/** Whether a QEMU process can be there in that state. */
const HAS_PROCESS: readonly GuestState[] = [
  "starting",
  "running",
  "paused",
  "stopping",
  "suspending",
  "resuming",
];

Deno.test("guest states: no sequence of events launches a second process beside one", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS)), (events) => {
      let state: GuestState = "defined";
      let processes = 0;
      for (const event of events) {
        const next = transition(state, event);
        if (next === null) continue;
        if (next.actions.includes("launch") || event === "adopt") processes++;
        if (next.actions.includes("kill") || event === "exited" || event === "crashed") {
          processes = 0;
        }
        assert.ok(processes <= 1, `${state} --${event}`);
        state = next.to;
        if (!HAS_PROCESS.includes(state)) assert.equal(processes, 0, `${state} after ${event}`);
      }
    }),
  );
});

Deno.test("guest states: every state has a way out, and every way leads to a known state", () => {
  for (const state of STATES) {
    const ways = EVENTS.flatMap((event) => transition(state, event) ?? []);
    assert.ok(ways.some((way) => way.to !== state), state);
    for (const way of ways) assert.ok(STATES.includes(way.to));
  }
});

Deno.test("guest states: a guest runs only after a read-back, whatever happened before", () => {
  for (const state of STATES) {
    for (const event of EVENTS) {
      if (transition(state, event)?.to !== "running") continue;
      assert.ok(event === "confined" || event === "adopt", `${state} --${event}`);
    }
  }
});

Deno.test("guest states: a fault in a state with a process kills it", () => {
  for (const state of HAS_PROCESS) {
    assert.deepEqual(transition(state, "fault"), { to: "failed", actions: ["kill"] }, state);
  }
});
