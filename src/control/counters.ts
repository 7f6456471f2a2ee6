/**
 * What happened since the program started, counted as it is reported, for whoever collects numbers. It is
 * shown and nothing is decided by it. The names that it counts by come from a program that may have gone
 * wrong or from a document, so there is a bound to how many there are.
 */

import type { HostEvent } from "../event.ts";

/** Different names of one counter; the rest is counted together. */
const MOST_NAMES = 200;
const OTHERS = "others";

/** Counts by a name. */
export class Tally {
  readonly #counts = new Map<string, number>();

  add(name: string, count = 1): void {
    const key = this.#counts.has(name) || this.#counts.size < MOST_NAMES ? name : OTHERS;
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + count);
  }

  get entries(): [string, number][] {
    return [...this.#counts].sort(([a], [b]) => a.localeCompare(b));
  }
}

/** Something of the course of a boot, in milliseconds since the kernel started. */
export type Mark =
  | { readonly at: number; readonly kind: "phase"; readonly name: string; readonly ended: boolean }
  | { readonly at: number; readonly kind: "guest"; readonly name: string; readonly state: string }
  | { readonly at: number; readonly kind: "marker"; readonly name: string };

/** A host that runs for months is not drawn: its beginning is. */
const MOST_MARKS = 1_000;

export class Counters {
  /** Requests that were denied and documents that were refused, by rule. */
  readonly denials = new Tally();
  /** Requests that were carried out, and that were not, by operation. */
  readonly done = new Tally();
  readonly refused = new Tally();
  readonly faults = new Tally();
  /** Log lines that a sink dropped. */
  readonly dropped = new Tally();
  /** Ends of guests after which they were begun again. */
  readonly restarts = new Tally();
  /** What each phase of the boot took, in milliseconds. */
  readonly phases = new Map<string, number>();
  /** What came before the program, in milliseconds. */
  before: { readonly kernel: number; readonly stage0: number; readonly program: number } | null =
    null;
  /** Milliseconds from the kernel's start to `ready`. */
  readyMs: number | null = null;
  /** The course of this start of the program, in order. */
  readonly marks: Mark[] = [];

  see(event: HostEvent, monoMs: number): void {
    const mark = markOf(event, monoMs);
    if (mark !== null && this.marks.length < MOST_MARKS) this.marks.push(mark);
    switch (event.type) {
      case "violation":
        return this.denials.add(event.issue.rule);
      case "host_ack":
        if (event.ok) return this.done.add(event.op);
        this.refused.add(event.op);
        return this.denials.add(event.detail);
      case "fault":
        return this.faults.add(event.code);
      case "log_dropped":
        return this.dropped.add(event.sink, event.lines);
      case "vm_restart":
        return this.restarts.add(event.subject.vm);
      case "phase_end":
        if (event.result !== "skipped") this.phases.set(event.phase, event.ms);
        return;
      case "before_program":
        this.before = { kernel: event.kernelMs, stage0: event.stage0Ms, program: event.programMs };
        return;
      case "ready":
        this.readyMs = monoMs;
        return;
    }
  }
}

function markOf(event: HostEvent, at: number): Mark | null {
  switch (event.type) {
    case "phase_start":
      return { at, kind: "phase", name: event.phase, ended: false };
    case "phase_end":
      return event.result === "skipped"
        ? null
        : { at, kind: "phase", name: event.phase, ended: true };
    case "vm_state":
      return { at, kind: "guest", name: event.subject.vm, state: event.to };
    case "vm_ready":
      return { at, kind: "guest", name: event.subject.vm, state: "ready" };
    case "ready":
      return { at, kind: "marker", name: "RAYOS_READY" };
    case "safe_mode":
      return { at, kind: "marker", name: "RAYOS_SAFE_MODE" };
    case "data_mounted":
      return { at, kind: "marker", name: "RAYOS_DATA_MOUNTED" };
    case "policy_ok":
      return { at, kind: "marker", name: "RAYOS_POLICY_OK" };
    default:
      return null;
  }
}
