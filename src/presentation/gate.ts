/**
 * The gate: which guest the user sees, and so which one receives what the user does. Pure: an event and
 * the state become the next state and what is to be done; it sends nothing itself.
 *
 * **nobody**: the host's own screen. What is typed goes nowhere, unless the host itself is asked: after the
 * secure attention chord (`asked`) it goes to the question whether the recovery shell is wanted, and while that is
 * open (`shell`) to it.
 * **shown**: one guest, and every key and button that it was told is down.
 * **closing**: that guest is being left. It was told that everything is up again, and until it has
 * acknowledged that nobody else is shown and it is told nothing more.
 *
 * | event | nobody | shown | closing |
 * | --- | --- | --- | --- |
 * | `press`, `repeat`, `release`, `move` | dropped; keys go to the host where it is asked | sent, where the guest is given input | waits |
 * | `present` that guest | the host is asked no more, on | nothing | waits |
 * | `present` another | the same | closing, then on | waits |
 * | `hide` | the host is asked no more | closing | waits |
 * | `attention` | asked, whatever was before | closing, then asked | waits |
 * | `open_shell` | shell, where asked before, or where the host may open it by itself | nothing | waits |
 * | `close_shell` | the host is asked no more | nothing | waits |
 * | `left`: that guest runs no more; or it is `found` | nothing | off after the last acknowledgement | the same |
 * | `settled`: what was sent is acknowledged, or never will be | nothing | the next that waits | off, then the next |
 *
 * What comes while something is unacknowledged waits in order, a bounded number of it: at most one thing is
 * ever on its way, and each is decided when it is sent, not when it was read. A switch stands in the same
 * queue, so what was typed before it goes where it was typed; what has waited too long goes nowhere, so that
 * nothing holds a switch up. A guest that may not be shown any more is left before anything else is sent. A guest that leaves without having been told
 * that a key is up is owed that: it is told before anything else when it is shown again. One that was
 * there before the program was (`found`) may believe anything, and is owed every key; one that has just
 * `began` is owed nothing.
 */

import type { VmId } from "../id.ts";
import type { Key, Place, Stroke } from "../guest/input.ts";
import { EVERY_KEY } from "./keys.ts";

/** What is typed or pointed; `to` names the guest that is meant, null: whichever is shown. */
type InputTurn =
  | { readonly type: "press" | "repeat" | "release"; readonly key: Key; readonly to: VmId | null }
  | { readonly type: "move"; readonly place: Place; readonly to: VmId | null };

/** What takes its turn. `hide` without a guest: whichever is shown. */
export type Turn =
  | InputTurn
  | { readonly type: "present"; readonly vm: VmId }
  | { readonly type: "hide"; readonly vm: VmId | null }
  /** The secure attention chord. */
  | { readonly type: "attention" }
  | { readonly type: "open_shell" }
  | { readonly type: "close_shell" };

/** What the host shows of itself while nobody is presented, and so who gets what is typed. */
export type HostView = "status" | "asked" | "shell";

/** A key that went down, or is held, for the host itself. */
export interface Typed {
  readonly to: Exclude<HostView, "status">;
  readonly key: Key;
  readonly repeated: boolean;
  /** What went down before it, for the host, and is still. */
  readonly held: readonly Key[];
}

/** What happens. A turn's ticket names whoever asked, who is answered once. */
export type GateEvent =
  | {
    readonly type: "turn";
    readonly ticket: number;
    readonly turn: Turn;
    /** When it was asked, in ms of any clock. */
    readonly atMs: number;
  }
  | { readonly type: "settled"; readonly ok: boolean }
  | { readonly type: "left"; readonly vm: VmId }
  /** A guest that was there before this gate was, or one that begins anew. */
  | { readonly type: "found" | "began"; readonly vm: VmId };

/** `late`: it waited too long. */
export type GateOutcome =
  | "done"
  | "not_presented"
  | "not_given"
  | "not_allowed"
  | "full"
  | "late";

/** What is to be done, in this order. */
export type GateAction =
  | { readonly type: "send"; readonly vm: VmId; readonly stroke: Stroke }
  | { readonly type: "tell"; readonly on: boolean; readonly vm: VmId }
  /** From now on the host shows that of itself. Said again where what was begun there is to be forgotten. */
  | { readonly type: "turn_host"; readonly view: HostView }
  | { readonly type: "typed"; readonly typed: Typed }
  | { readonly type: "answer"; readonly ticket: number; readonly outcome: GateOutcome };

/** What policy and machine say at this moment. */
export interface GateRights {
  /** Whether the guest may be shown. */
  readonly show: (vm: VmId) => boolean;
  /** Whether it is given what the user does. */
  readonly input: (vm: VmId) => boolean;
  /** Whether what was asked then is too old to be sent. */
  readonly late: (atMs: number) => boolean;
  /** Whether the host has a screen of its own on which a person sees what they do. */
  readonly host: () => boolean;
  /** Whether the recovery shell may be opened there without the chord. */
  readonly unasked: () => boolean;
}

interface Waiting {
  readonly ticket: number;
  readonly turn: Turn;
  readonly atMs: number;
}

/** Something sent that is not acknowledged. */
interface Busy {
  /** Who is answered then; null: nobody. */
  readonly ticket: number | null;
  /** What the guest knows to be up once it acknowledges; until then it may believe it down. */
  readonly up: readonly Key[];
}

export interface GateState {
  readonly shown: VmId | null;
  /** What the host shows of itself; `status` while a guest is shown. */
  readonly host: HostView;
  /** What the shown guest, or the host itself, was told is down, in that order. */
  readonly down: readonly Key[];
  readonly closing: boolean;
  readonly busy: Busy | null;
  readonly waiting: readonly Waiting[];
  /** What each other guest believes is down. */
  readonly owed: ReadonlyMap<VmId, readonly Key[]>;
}

/** So it begins, whoever was shown before the program was started. */
export const NOBODY: GateState = {
  shown: null,
  host: "status",
  down: [],
  closing: false,
  busy: null,
  waiting: [],
  owed: new Map(),
};

/** A person does not type so far ahead. */
export const MOST_WAITING = 256;

export interface GateStep {
  readonly state: GateState;
  readonly actions: readonly GateAction[];
}

/** What an event does. */
export function gateStep(state: GateState, event: GateEvent, rights: GateRights): GateStep {
  switch (event.type) {
    case "turn": {
      const { ticket, turn, atMs } = event;
      if (state.waiting.length >= MOST_WAITING && !mustWait(state, turn)) {
        return { state, actions: [answer(ticket, "full")] };
      }
      return goOn({ ...state, waiting: [...state.waiting, { ticket, turn, atMs }] }, [], rights);
    }
    case "settled": {
      const { busy } = state;
      if (busy === null) return { state, actions: [] };
      const outcome = event.ok ? "done" : "not_presented";
      const answered = busy.ticket === null ? [] : [answer(busy.ticket, outcome)];
      const down = event.ok ? state.down.filter((key) => !busy.up.includes(key)) : state.down;
      return goOn({ ...state, busy: null, down }, answered, rights);
    }
    case "left":
      return state.shown === event.vm
        ? goOn({ ...state, closing: true }, [], rights)
        : { state, actions: [] };
    case "found":
      // Whoever is shown was found before: whatever this one is, it is left as one that believes anything.
      if (state.shown === event.vm) {
        return goOn({ ...state, closing: true, down: EVERY_KEY }, [], rights);
      }
      return { state: { ...state, owed: owing(state.owed, event.vm, EVERY_KEY) }, actions: [] };
    case "began":
      return { state: { ...state, owed: owing(state.owed, event.vm, []) }, actions: [] };
  }
}

/**
 * To get a guest off the screen is never refused; once at the end of the queue is enough. Neither is the
 * release of what is down or will be: a key would stay down.
 */
function mustWait({ shown, waiting, down }: GateState, turn: Turn): boolean {
  const last = waiting.at(-1)?.turn;
  if (turn.type === "attention") return last?.type !== "attention";
  if (turn.type === "hide") {
    const concerns = turn.vm === null || turn.vm === shown;
    const already = last?.type === "attention" ||
      last?.type === "hide" && (last.vm === null || last.vm === turn.vm);
    return concerns && !already;
  }
  if (turn.type !== "release") return false;
  const of = (type: Turn["type"]) =>
    waiting.filter((one) =>
      one.turn.type === type && "key" in one.turn && one.turn.key === turn.key
    );
  return of("release").length < of("press").length + (down.includes(turn.key) ? 1 : 0);
}

/** Takes turns until one of them has to be acknowledged. */
function goOn(from: GateState, done: readonly GateAction[], rights: GateRights): GateStep {
  let state = from;
  const actions = [...done];
  while (state.busy === null) {
    if (state.closing && state.shown !== null) {
      actions.push({ type: "tell", on: false, vm: state.shown });
      const owed = owing(state.owed, state.shown, state.down);
      state = { ...state, shown: null, down: [], closing: false, owed };
    }
    const [next, ...rest] = state.waiting;
    if (next === undefined) break;
    const step = take(state, next, rest, rights);
    actions.push(...step.actions);
    state = step.state;
  }
  return { state, actions };
}

function take(
  state: GateState,
  { ticket, turn, atMs }: Waiting,
  rest: readonly Waiting[],
  rights: GateRights,
): GateStep {
  const { shown } = state;
  const over = (
    outcome: GateOutcome,
    from = state,
    before: readonly GateAction[] = [],
  ): GateStep => ({
    state: { ...from, waiting: rest },
    actions: [...before, answer(ticket, outcome)],
  });
  const turned = (view: HostView): GateStep => {
    const step = turnHost(state, view);
    return over("done", step.state, step.actions);
  };
  switch (turn.type) {
    case "present":
      if (shown === turn.vm) return over("done");
      // Whoever is shown stays where the other one may not be.
      if (!rights.show(turn.vm)) return over("not_allowed");
      return shown === null ? show(state, turn.vm, ticket, rest) : close(state, shown);
    case "hide":
      if (shown === null) return turn.vm === null ? turned("status") : over("done");
      return turn.vm !== null && turn.vm !== shown ? over("done") : close(state, shown);
    case "attention":
      if (shown !== null) return close(state, shown);
      return turned(rights.host() ? "asked" : "status");
    case "open_shell":
      return shown === null && rights.host() && (state.host === "asked" || rights.unasked())
        ? turned("shell")
        : over("not_allowed");
    case "close_shell":
      return state.host === "shell" ? turned("status") : over("done");
    default: {
      if (shown === null) {
        const step = typeAtHost(state, turn, rights.late(atMs), rights.host());
        return over(step.outcome, step.state, step.actions);
      }
      if (turn.to !== null && turn.to !== shown) return over("not_presented");
      if (!rights.show(shown)) return close(state, shown);
      // A release is never too late, nor withheld where input is revoked: the guest would believe the key down.
      if (turn.type !== "release" && rights.late(atMs)) return over("late");
      const frees = turn.type === "release" && state.down.includes(turn.key);
      if (!frees && !rights.input(shown)) return over("not_given");
      return send(state, shown, turn, ticket, rest) ?? over("done");
    }
  }
}

/** Nothing that was down before counts there. */
function turnHost(state: GateState, view: HostView): GateStep {
  if (view === "status" && state.host === "status") return { state, actions: [] };
  return { state: { ...state, host: view, down: [] }, actions: [{ type: "turn_host", view }] };
}

/** What is typed while nobody is shown: by whoever is asked for a guest it is never for the host. */
function typeAtHost(
  state: GateState,
  turn: InputTurn,
  late: boolean,
  sees: boolean,
): GateStep & { readonly outcome: GateOutcome } {
  const { host, down } = state;
  const nowhere = { state, actions: [], outcome: "not_presented" } as const;
  if (host === "status" || turn.to !== null || turn.type === "move") return nowhere;
  // Nobody types blindly into a shell.
  if (!sees) return { ...turnHost(state, "status"), outcome: "not_presented" };
  const { key, type } = turn;
  const others = down.filter((one) => one !== key);
  const wasDown = others.length < down.length;
  if (type === "release") {
    return { state: { ...state, down: others }, actions: [], outcome: "done" };
  }
  if (late) return { ...nowhere, outcome: "late" };
  // It went down elsewhere, and belongs there.
  if (type === "repeat" && !wasDown) return { ...nowhere, outcome: "done" };
  const typed: Typed = { to: host, key, repeated: type === "repeat", held: others };
  return {
    state: { ...state, down: [...others, key] },
    actions: [{ type: "typed", typed }],
    outcome: "done",
  };
}

function show(state: GateState, vm: VmId, ticket: number, rest: readonly Waiting[]): GateStep {
  const left = turnHost(state, "status");
  const down = state.owed.get(vm) ?? [];
  const owed = owing(state.owed, vm, []);
  const shown = { ...left.state, shown: vm, down, waiting: rest, owed };
  const told: readonly GateAction[] = [
    ...left.actions,
    { type: "tell", on: true, vm },
    answer(ticket, "done"),
  ];
  const freed = letGo(shown, vm);
  return { state: freed.state, actions: [...told, ...freed.actions] };
}

/** Leaves a guest; whatever led here stays at the head of the queue. */
function close(state: GateState, vm: VmId): GateStep {
  return letGo({ ...state, closing: true }, vm);
}

/** Tells a guest that everything is up that it believes down; the last key first. */
function letGo(state: GateState, vm: VmId): GateStep {
  if (state.down.length === 0) return { state, actions: [] };
  const keys = [...state.down].reverse();
  return {
    state: { ...state, busy: { ticket: null, up: keys } },
    actions: [{ type: "send", vm, stroke: { down: false, keys } }],
  };
}

/** @returns null where the guest is not concerned: it never saw that key go down */
function send(
  state: GateState,
  vm: VmId,
  turn: InputTurn,
  ticket: number,
  rest: readonly Waiting[],
): GateStep | null {
  const sending = (stroke: Stroke, down = state.down, up: readonly Key[] = []): GateStep => ({
    state: { ...state, waiting: rest, down, busy: { ticket, up } },
    actions: [{ type: "send", vm, stroke }],
  });
  if (turn.type === "move") return sending({ place: turn.place });
  const { key, type } = turn;
  if (type !== "press" && !state.down.includes(key)) return null;
  if (type === "release") return sending({ down: false, keys: [key] }, state.down, [key]);
  const others = state.down.filter((one) => one !== key);
  return sending({ down: true, keys: [key] }, [...others, key]);
}

function owing(
  owed: GateState["owed"],
  vm: VmId,
  keys: readonly Key[],
): ReadonlyMap<VmId, readonly Key[]> {
  const next = new Map(owed);
  if (keys.length === 0) next.delete(vm);
  else next.set(vm, keys);
  return next;
}

function answer(ticket: number, outcome: GateOutcome): GateAction {
  return { type: "answer", ticket, outcome };
}
