import assert from "node:assert/strict";
import fc from "fast-check";
import type { GuestState } from "../event.ts";
import { MACHINE_STATES } from "../machine_state.ts";
import { GUEST_EVENTS, type GuestEvent, transition } from "./guest_state.ts";

const EVENTS = Object.keys(GUEST_EVENTS) as GuestEvent[];

/** Whether a QEMU process can be there in that state. */
const HAS_PROCESS: readonly GuestState[] = [
  "starting",
  "running",
  "paused",
  "stopping",
  "suspending",
  "resuming",
];
/** Events after which no process is left. */
const GONE: readonly GuestEvent[] = ["exited", "crashed", "saved"];
const ADOPTED: readonly GuestEvent[] = ["adopt_running", "adopt_paused", "adopt_stopping"];

Deno.test("guest states: no sequence of events launches a second process beside one", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 60, size: "max" }), (events) => {
      let state: GuestState = "defined";
      let processes = 0;
      for (const event of events) {
        const next = transition(state, event);
        if (next === null) continue;
        const begins = next.actions.includes("launch") || next.actions.includes("load");
        if (begins || ADOPTED.includes(event)) processes++;
        // `kill` while a machine ends only hurries it: its end is still to come.
        const killed = next.actions.includes("kill") && next.to !== "stopping";
        if (killed || GONE.includes(event)) processes = 0;
        assert.ok(processes <= 1, `${state} --${event}`);
        state = next.to;
        if (!HAS_PROCESS.includes(state)) assert.equal(processes, 0, `${state} after ${event}`);
      }
    }),
    { numRuns: 2000 },
  );
});

/** Events after which a guest has what its policy gives it: a lease, shares. */
const GIVEN: readonly GuestEvent[] = ["confined", "adopt_running", "adopt_paused", "let_go"];

Deno.test("guest states: no sequence of events leaves a lease with a guest that has no process, nor while it is saved", () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...EVENTS), { maxLength: 60, size: "max" }), (events) => {
      let state: GuestState = "defined";
      let lease = false;
      for (const event of events) {
        const next = transition(state, event);
        if (next === null) continue;
        if (GIVEN.includes(event)) lease = true;
        // What kills a machine takes what it was given, before the state says so; so does an end that is told.
        const ends = next.actions.includes("kill") || GONE.includes(event);
        if (ends || next.actions.includes("save")) lease = false;
        state = next.to;
        const without = !HAS_PROCESS.includes(state) || state === "suspending";
        assert.ok(!lease || !without, `${state} after ${event}`);
      }
    }),
    { numRuns: 2000 },
  );
});

Deno.test("guest states: every state has a way out, and can lead back to rest", () => {
  for (const state of MACHINE_STATES) {
    const ways = EVENTS.flatMap((event) => transition(state, event) ?? []);
    assert.ok(ways.some((way) => way.to !== state), state);
    if (HAS_PROCESS.includes(state)) {
      assert.ok(ways.some((way) => !HAS_PROCESS.includes(way.to)), `${state} can end`);
    }
  }
});

Deno.test("guest states: a guest runs only after a read-back, whatever happened before", () => {
  for (const state of MACHINE_STATES) {
    for (const event of EVENTS) {
      if (transition(state, event)?.to !== "running" || state === "running") continue;
      const read = event === "confined" || event === "adopt_running" ||
        (state === "paused" && event === "let_go");
      assert.ok(read, `${state} --${event}`);
    }
  }
});

Deno.test("guest states: what breaks in a state with a process kills it", () => {
  for (const state of HAS_PROCESS) {
    for (const event of ["fault", "denied", "timeout"] as const) {
      const killed = { to: "failed", actions: ["kill"] };
      assert.deepEqual(transition(state, event), killed, `${state} --${event}`);
    }
  }
});

Deno.test("guest states: nothing but the contract's ways, and the one back from a failed save", () => {
  // Contract §6; from any state to failed, and from what was found to what is there, besides.
  const ways = new Set([
    "defined starting",
    "starting running",
    "running stopping",
    "stopping stopped",
    "running paused",
    "paused running",
    "running suspending",
    "paused suspending",
    "suspending suspended",
    "suspended resuming",
    "resuming running",
    "paused stopping",
    "stopped starting",
    "failed starting",
    "suspended starting",
    // A machine that is being begun or saved can be ended too, and one may end by itself.
    "starting stopping",
    "resuming stopping",
    "suspending stopping",
    "running stopped",
    "paused stopped",
    "suspending paused",
    "suspended stopped",
    "defined suspended",
    "stopped suspended",
    "failed suspended",
    "failed stopped",
  ]);
  const found = new Set<string>();
  for (const state of MACHINE_STATES) {
    for (const event of EVENTS) {
      const to = transition(state, event)?.to;
      if (to === undefined || to === state || to === "failed" || ADOPTED.includes(event)) continue;
      found.add(`${state} ${to}`);
    }
  }
  assert.deepEqual([...found].sort(), [...ways].sort());
});
