/**
 * The states of a guest's machine and what each event means in each of them. Pure: a row is data, and
 * whoever holds the guest carries the actions out.
 *
 * - `defined`: there is a record and in this boot there was no machine.
 * - `starting`: the launcher was asked; QEMU, if it is there, is paused and has run no instruction.
 * - `running`: it was read back as confined and let go.
 * - `paused`: QEMU holds its vCPUs, because it was told to or because it could not go on.
 * - `stopping`: it was asked to end and a clock runs, or it was killed and the kernel is not done with it.
 * - `stopped`: no process, ended as it should.
 * - `suspending`: its vCPUs are held and its memory is being written to a file of the host's.
 * - `suspended`: no process; a saved state is there.
 * - `resuming`: as `starting`, with the saved state read into the new QEMU before it is let go.
 * - `failed`: no process (any that was there is killed), and the reason was said.
 *
 * A command that QEMU must obey first (`pause`, `resume`) leaves the state and gives the action; what
 * QEMU then says it did (`held`, `let_go`) moves it. Nothing a guest says is an event here but the end
 * of its own machine and that its agent answered.
 */

import type { GuestState } from "../event.ts";

/** What can happen, and who says so. */
export const GUEST_EVENTS = {
  start: "command: begin without a saved state",
  load: "command: begin from the saved state, which was checked whole",
  stop: "command: end in order",
  kill: "command: end at once",
  pause: "command: hold the vCPUs",
  resume: "command: let the vCPUs go on",
  suspend: "command: write the machine's state to a file and end",
  reset: "command: set the saved state aside",
  found_saved: "no process, and a saved state is there",
  confined: "the read-back equals the plan, and QEMU let the guest go",
  held: "QEMU holds the vCPUs",
  let_go: "QEMU runs the vCPUs",
  saved: "the saved state is whole on the disk, and the process is gone",
  save_failed: "no state was saved; QEMU is there and holds the vCPUs",
  agent_ready: "the guest's agent answered",
  exited: "the process is gone after a shutdown, asked or of the guest's own",
  crashed: "the process is gone for another reason",
  timeout: "something that has a time limit took longer",
  denied: "what was found breaks a rule",
  fault: "a step of the host's own failed",
  adopt_running: "found running after the program was started again, and read back",
  adopt_paused: "found with its vCPUs held after the program was started again, and read back",
  adopt_stopping: "found in the middle of its end after the program was started again",
} as const;
export type GuestEvent = keyof typeof GUEST_EVENTS;

/** What is to be done, by whoever holds the guest. */
export type GuestAction =
  /** Files, launcher, read-back, then let it go. */
  | "launch"
  /** As `launch`, with the saved state. */
  | "load"
  /** QMP `stop`. */
  | "hold"
  /** QMP `cont`. */
  | "release"
  /** ACPI power-down, with what follows when the guest does not obey. */
  | "power_down"
  /** Stream the state to the host, then end QEMU. */
  | "save"
  /** Kill everything in the cgroup. */
  | "kill"
  /** Say that the guest is up. */
  | "tell_ready";

export interface Transition {
  readonly to: GuestState;
  readonly actions: readonly GuestAction[];
}

const to = (state: GuestState, ...actions: GuestAction[]): Transition => ({ to: state, actions });

/** What each event means in one state; null: it cannot happen there, or changes nothing. */
type Row = Record<GuestEvent, Transition | null>;

/** What nobody says where there is no process. */
const NO_MACHINE = {
  stop: null,
  kill: null,
  pause: null,
  resume: null,
  suspend: null,
  confined: null,
  held: null,
  let_go: null,
  saved: null,
  save_failed: null,
  agent_ready: null,
  exited: null,
  crashed: null,
  timeout: null,
} as const;
/** A process that is found where none was known of. */
const found = {
  found_saved: to("suspended"),
  adopt_running: to("running"),
  adopt_paused: to("paused"),
  adopt_stopping: to("stopping", "power_down"),
} as const;
/** Where there is no process, one may be found, and one may be begun. */
const atRest = {
  ...NO_MACHINE,
  ...found,
  start: to("starting", "launch"),
  load: null,
  reset: null,
  denied: to("failed"),
  fault: to("failed"),
} satisfies Row;
/** What is asked for or found only where there is no process. */
const THERE = {
  start: null,
  load: null,
  reset: null,
  found_saved: null,
  adopt_running: null,
  adopt_paused: null,
  adopt_stopping: null,
} as const;
/** What ends any machine at once. */
const broken = {
  kill: to("stopping", "kill"),
  crashed: to("failed", "kill"),
  timeout: to("failed", "kill"),
  denied: to("failed", "kill"),
  fault: to("failed", "kill"),
} as const;
/** A machine that has run no instruction since it is there. */
const beginning = {
  ...THERE,
  ...broken,
  confined: to("running"),
  stop: to("stopping", "kill"),
  exited: to("failed", "kill"),
  pause: null,
  resume: null,
  suspend: null,
  held: null,
  let_go: null,
  saved: null,
  save_failed: null,
  agent_ready: null,
} satisfies Row;

/** State × event: no pair is left out. */
const KNOWN = {
  defined: atRest,
  starting: beginning,
  running: {
    ...THERE,
    ...broken,
    stop: to("stopping", "power_down"),
    pause: to("running", "hold"),
    held: to("paused"),
    suspend: to("suspending", "save"),
    agent_ready: to("running", "tell_ready"),
    exited: to("stopped"),
    resume: null,
    confined: null,
    let_go: null,
    saved: null,
    save_failed: null,
  },
  paused: {
    ...THERE,
    ...broken,
    // A guest whose vCPUs are held sees no power button.
    stop: to("stopping", "release", "power_down"),
    resume: to("paused", "release"),
    let_go: to("running"),
    suspend: to("suspending", "save"),
    // It is up and cannot show it: that is said once it goes on.
    agent_ready: to("paused"),
    exited: to("stopped"),
    pause: null,
    confined: null,
    held: null,
    saved: null,
    save_failed: null,
  },
  stopping: {
    ...THERE,
    kill: to("stopping", "kill"),
    exited: to("stopped"),
    crashed: to("stopped"),
    timeout: to("failed", "kill"),
    denied: to("failed", "kill"),
    fault: to("failed", "kill"),
    stop: null,
    pause: null,
    resume: null,
    suspend: null,
    confined: null,
    held: null,
    let_go: null,
    saved: null,
    save_failed: null,
    agent_ready: null,
  },
  stopped: atRest,
  suspending: {
    ...THERE,
    ...broken,
    saved: to("suspended"),
    save_failed: to("paused"),
    // As while it is paused, which it is where it is not saved.
    agent_ready: to("suspending"),
    exited: to("failed", "kill"),
    stop: null,
    pause: null,
    resume: null,
    suspend: null,
    confined: null,
    held: null,
    let_go: null,
  },
  suspended: { ...atRest, load: to("resuming", "load"), reset: to("stopped") },
  resuming: beginning,
  failed: {
    ...NO_MACHINE,
    ...found,
    start: to("starting", "launch"),
    load: null,
    reset: to("stopped"),
    // A refusal was said already; another start may find it gone.
    denied: null,
    fault: null,
  },
} as const satisfies Record<GuestState, Row>;

/** What the event means in that state; null: nothing. */
export function transition(state: GuestState, event: GuestEvent): Transition | null {
  const row: Row = KNOWN[state];
  return row[event];
}

/** The table as Markdown, for the documentation. */
export function renderGuestStates(): string {
  const states = Object.keys(KNOWN) as GuestState[];
  const events = Object.keys(GUEST_EVENTS) as GuestEvent[];
  const rows = events.flatMap((event) =>
    states.flatMap((state) => {
      const next = transition(state, event);
      if (next === null) return [];
      return [`| \`${event}\` | ${state} | ${next.to} | ${next.actions.join(", ") || "–"} |`];
    })
  );
  const legend = events.map((event) => `| \`${event}\` | ${GUEST_EVENTS[event]} |`);
  return [
    "| event | who says what |",
    "| --- | --- |",
    ...legend,
    "",
    "| event | in state | to | actions |",
    "| --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}
