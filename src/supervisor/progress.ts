/**
 * Where a guest's machine stands, and everything that is said of it on the way: state changes, denials,
 * faults. It does nothing to a machine; what an event asks for comes back as actions.
 */

import type { Emit, GuestState, Subject } from "../event.ts";
import type { Fault } from "../fault.ts";
import type { VmId } from "../id.ts";
import type { Issue } from "../issue.ts";
import { type GuestAction, type GuestEvent, transition } from "./guest_state.ts";

/** Why a command did not come to its end. */
export interface Refusal {
  readonly rule: string;
  readonly detail: string;
}

/** Events that leave the reason of a refusal standing. */
const BROKEN: readonly GuestEvent[] = ["fault", "denied", "timeout"];

export class Progress {
  #state: GuestState = "defined";
  #violations: readonly Issue[] = [];
  #refusal: Refusal | null = null;

  constructor(
    readonly subject: Subject,
    readonly emit: Emit,
    /** Told of each change of state before anybody else is. */
    readonly onMove: (vm: VmId, from: GuestState, to: GuestState) => void,
  ) {}

  get state(): GuestState {
    return this.#state;
  }

  /** What stands against the guest since its last start. */
  get violations(): readonly Issue[] {
    return this.#violations;
  }

  /** Why the last command did not come to its end; null where it did. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  /** Whether the event means anything now. */
  takes(event: GuestEvent): boolean {
    return transition(this.#state, event) !== null;
  }

  is(...states: readonly GuestState[]): boolean {
    return states.includes(this.#state);
  }

  /** Moves on. @returns what is to be done, or null where the event means nothing */
  move(event: GuestEvent, reason: string): readonly GuestAction[] | null {
    const next = transition(this.#state, event);
    if (next === null) return null;
    const from = this.#state;
    this.#state = next.to;
    if (!BROKEN.includes(event)) this.#refusal = null;
    if (event === "start" || event === "load") this.#violations = [];
    if (from !== next.to) {
      this.onMove(this.subject.vm, from, next.to);
      this.emit({ type: "vm_state", subject: this.subject, from, to: next.to, reason });
    }
    return next.actions;
  }

  /** Reports violations. @returns the first one's rule */
  denied(issues: readonly Issue[]): string {
    this.#violations = issues;
    for (const one of issues) this.emit({ type: "violation", issue: one, vm: this.subject.vm });
    const [first] = issues;
    const rule = first?.rule ?? "vm.violation";
    const detail = `${first?.path ?? ""}: expected ${first?.expected}, found ${first?.found}`;
    this.#refusal = { rule, detail };
    return rule;
  }

  /** Reports a fault that ends the guest. @param words what QEMU said last, for a person */
  failed(fault: Fault, words: string): void {
    const { stage, code } = fault;
    const message = words === "" ? fault.message : `${fault.message}; QEMU's last words: ${words}`;
    this.emit({ type: "fault", stage, code, message, vm: this.subject.vm });
    this.#refusal = { rule: code, detail: fault.message };
  }

  /** Reports a fault that the guest lives on with. */
  noticed({ stage, code, message }: Fault): void {
    this.emit({ type: "fault", stage, code, message, vm: this.subject.vm });
  }
}
