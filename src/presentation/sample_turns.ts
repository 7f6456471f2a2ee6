/** What people, programs and guests may do to the gate, run through it and told in words. For tests only. */

import type { VmId } from "../id.ts";
import {
  type GateAction,
  type GateEvent,
  type GateRights,
  type GateState,
  gateStep,
  NOBODY,
  type Turn,
} from "./gate.ts";
import type { Key } from "../guest/input.ts";

export const [A, B, C] = ["a", "b", "c"] as VmId[] as [VmId, VmId, VmId];
export const ALL: GateRights = {
  show: () => true,
  input: () => true,
  late: () => false,
  host: () => true,
  unasked: () => false,
};

/** Runs events through the gate; a turn without a ticket gets the next one. */
export function run(events: readonly GateEvent[], rights = ALL, from: GateState = NOBODY) {
  return runEach(events.map((event) => ({ event, rights })), from);
}

/** An event, and what policy and machine say when it comes. */
interface Moment {
  readonly event: GateEvent;
  readonly rights: GateRights;
}

export function runEach(moments: readonly Moment[], from: GateState = NOBODY) {
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
export const turn = (what: Turn): GateEvent => ({
  type: "turn",
  ticket: tickets++,
  turn: what,
  atMs: 0,
});
export const press = (key: Key, to: VmId | null = null) => turn({ type: "press", key, to });
export const release = (key: Key) => turn({ type: "release", key, to: null });
export const present = (vm: VmId) => turn({ type: "present", vm });
export const hide = turn({ type: "hide", vm: null });
export const attention = turn({ type: "attention" });
export const openShell = turn({ type: "open_shell" });
export const ok: GateEvent = { type: "settled", ok: true };

/** What happened, one word an action; answers left out. */
export const words = (actions: readonly GateAction[]) =>
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
export const outcomes = (actions: readonly GateAction[]) =>
  actions.flatMap((one) => one.type === "answer" ? [one.outcome] : []);
