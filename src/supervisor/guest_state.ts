/**
 * The states of a guest's machine and what each event means in each of them. Pure: a row is data, and
 * whoever holds the guest carries the actions out.
 *
 * - `defined`: there is a record and has never been a machine.
 * - `starting`: the launcher was asked; QEMU, if it is there, is paused and has run no instruction.
 * - `running`: it was read back as confined and let go.
 * - `paused`: QEMU holds its vCPUs.
 * - `stopping`: it was asked to end; a clock runs.
 * - `stopped`: no process, ended as it should.
 * - `suspending`, `suspended`, `resuming`: between a machine and its saved state.
 * - `failed`: no process (any that was there is killed), and the reason was said.
 */

import type { GuestState } from "../event.ts";

export type GuestEvent =
  /** A permitted start. */
  | "start"
  /** Found running after the program was started again, and read back as confined. */
  | "adopt"
  /** The read-back equals the plan, and QEMU obeyed `cont`. */
  | "confined"
  /** A permitted stop. */
  | "stop"
  /** QEMU's process is gone after a shutdown, asked or of the guest's own. */
  | "exited"
  /** QEMU's process is gone for another reason. */
  | "crashed"
  /** A check failed, a violation was found, a time limit passed. */
  | "fault";

export type GuestAction = "launch" | "power_down" | "kill";

export interface Transition {
  readonly to: GuestState;
  readonly actions: readonly GuestAction[];
}

const to = (state: GuestState, ...actions: GuestAction[]): Transition => ({ to: state, actions });
/** The event cannot happen here, or changes nothing. */
const none = null;

/** State × event. */
export const TABLE = {
  defined: row({ start: to("starting", "launch"), adopt: to("running"), fault: to("failed") }),
  starting: row({
    confined: to("running"),
    stop: to("stopping", "kill"),
    exited: to("failed"),
    crashed: to("failed", "kill"),
    fault: to("failed", "kill"),
  }),
  running: row({
    stop: to("stopping", "power_down"),
    exited: to("stopped"),
    crashed: to("failed", "kill"),
    fault: to("failed", "kill"),
  }),
  paused: row({
    stop: to("stopping", "power_down"),
    exited: to("stopped"),
    crashed: to("failed", "kill"),
    fault: to("failed", "kill"),
  }),
  stopping: row({ exited: to("stopped"), crashed: to("stopped"), fault: to("failed", "kill") }),
  stopped: row({ start: to("starting", "launch"), adopt: to("running"), fault: to("failed") }),
  suspending: row({
    exited: to("suspended"),
    crashed: to("failed", "kill"),
    fault: to("failed", "kill"),
  }),
  suspended: row({ start: to("starting", "launch"), fault: to("failed") }),
  resuming: row({
    confined: to("running"),
    stop: to("stopping", "kill"),
    exited: to("failed"),
    crashed: to("failed", "kill"),
    fault: to("failed", "kill"),
  }),
  failed: row({ start: to("starting", "launch"), adopt: to("running") }),
} as const satisfies Record<GuestState, Record<GuestEvent, Transition | null>>;

function row(
  known: Partial<Record<GuestEvent, Transition>>,
): Record<GuestEvent, Transition | null> {
  return {
    start: none,
    adopt: none,
    confined: none,
    stop: none,
    exited: none,
    crashed: none,
    fault: none,
    ...known,
  };
}

/** What the event means in that state; null: nothing. */
export function transition(state: GuestState, event: GuestEvent): Transition | null {
  return TABLE[state][event];
}
