/**
 * The gate at work: takes what is asked, sends what the gate says to the one guest that it says, and waits
 * for each acknowledgement. It is the only place in the program from which a key or a pointer reaches a
 * guest; every way to it leads through the gate.
 */

import type { Emit, GuestState, Subject } from "../event.ts";
import { asFault, Fault } from "../fault.ts";
import type { Stroke } from "../guest/input.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { VmId } from "../id.ts";
import type { DeviceName } from "../plan/device.ts";
import { hasDevice, type LaunchPlan } from "../plan/launch_plan.ts";
import {
  type GateAction,
  type GateEvent,
  type GateOutcome,
  gateStep,
  type HostView,
  NOBODY,
  type Turn,
  type Typed,
} from "./gate.ts";
import { HEADLESS, type Pictures } from "./screen.ts";

/** Milliseconds in which a guest's QEMU must acknowledge what was sent; an idle one takes a few. */
const ACKNOWLEDGE_MS = 10_000;
/** So many more for each further part of what is sent together: a slow host is not a silent QEMU. */
const FURTHER_PART_MS = 1_000;
/** Milliseconds after which nobody expects any more that what was typed is typed. */
const LATE_MS = 5_000;

/** Keys that are sent together, and milliseconds in which a guest takes them. */
const PART_KEYS = 8;
const PART_MS = 40;

/** What the presenter needs of a guest. */
export interface Presentable {
  readonly subject: Subject;
  readonly state: GuestState;
  /** The plan by which it runs. */
  readonly plan: LaunchPlan;
  /** Null where its QEMU cannot be asked. */
  readonly monitor: QmpClient | null;
  /** Ends it, since it answers nothing; resolves when it is ended. */
  readonly endSilent: () => Promise<void>;
}

/** Whoever at the host gets what is typed while nobody is presented, and the host itself is asked. */
export interface HostSeat {
  /** Whether a person sees there what they do. */
  readonly sees: () => boolean;
  /** Whether the recovery shell may be opened there without the chord. */
  readonly unasked: () => boolean;
  readonly turned: (view: HostView) => void;
  /** It asks nothing of the presenter from within this. */
  readonly typed: (typed: Typed) => void;
}

/** Nobody: what is typed goes nowhere. */
const EMPTY_SEAT: HostSeat = {
  sees: () => false,
  unasked: () => false,
  turned: () => {},
  typed: () => {},
};

export interface PresenterAround {
  readonly emit: Emit;
  readonly guest: (vm: VmId) => Presentable | undefined;
  /** Whether policy and mode let it be shown; that it runs is looked at here. */
  readonly show: (vm: VmId) => boolean;
  /** Whether the policy gives it what the user does. */
  readonly input: (vm: VmId) => boolean;
}

export class Presenter {
  #state = NOBODY;
  #tickets = new Map<number, (outcome: GateOutcome) => void>();
  #nextTicket = 1;
  #turn = 0;
  /** Who is told of, so that the last word about a guest names it even when it is gone. */
  #subject: Subject | null = null;
  /** Whether the screen was given a guest. */
  #pictured = false;
  /** What a person sees; given by whoever finds a screen. */
  pictures: Pictures = HEADLESS;
  /** Given when the boot is over, where there is a screen. */
  seat: HostSeat = EMPTY_SEAT;

  constructor(readonly around: PresenterAround, readonly acknowledgeMs = ACKNOWLEDGE_MS) {}

  /** Changes each time when somebody else is shown, or nobody. */
  get turn(): number {
    return this.#turn;
  }

  /** The guest that the user sees. */
  get shown(): VmId | null {
    return this.#state.shown;
  }

  /** What the host shows of itself while nobody is presented; null: it has nothing to show it on yet. */
  get host(): HostView | null {
    return this.seat.sees() ? this.#state.host : null;
  }

  /** Puts something into the queue; resolves when its turn came and was acknowledged. */
  ask(turn: Turn): Promise<GateOutcome> {
    const ticket = this.#nextTicket++;
    // The picture does not wait for its turn: a QEMU that is slow to acknowledge a key must not keep it.
    if (takesAway(turn, this.#state.shown)) this.#conceal();
    return new Promise((resolve) => {
      this.#tickets.set(ticket, resolve);
      this.#apply({ type: "turn", ticket, turn, atMs: performance.now() });
    });
  }

  /** Told of every change of a guest's state. */
  moved(vm: VmId, from: GuestState, to: GuestState): void {
    if (to !== "running") this.#apply({ type: "left", vm });
    if (to === "starting") this.#apply({ type: "began", vm });
    if (from === "defined" && to !== "starting") this.#apply({ type: "found", vm });
  }

  /** Hides a guest that may not be shown any more, e.g. by a newer policy. */
  decideAgain(): void {
    const { shown } = this.#state;
    if (shown !== null && !this.#rights.show(shown)) void this.ask({ type: "hide", vm: shown });
    this.pictures.again();
  }

  readonly #rights = {
    show: (vm: VmId) => this.#runsWith(vm, "gpu") && this.around.show(vm),
    input: (vm: VmId) => this.#runsWith(vm, "input") && this.around.input(vm),
    late: (atMs: number) => performance.now() - atMs > LATE_MS,
    host: () => this.seat.sees(),
    unasked: () => this.seat.unasked(),
  };

  #runsWith(vm: VmId, device: DeviceName): boolean {
    const guest = this.around.guest(vm);
    return guest?.state === "running" && hasDevice(guest.plan, device);
  }

  #apply(event: GateEvent): void {
    const { state, actions } = gateStep(this.#state, event, this.#rights);
    this.#state = state;
    // Its picture goes at once, however long its QEMU takes to acknowledge that every key is up.
    if (state.closing) this.#conceal();
    for (const action of actions) this.#act(action);
  }

  #act(action: GateAction): void {
    switch (action.type) {
      case "tell": {
        this.#turn++;
        this.#subject = this.around.guest(action.vm)?.subject ?? this.#subject;
        if (this.#subject === null) return;
        return this.#tell(this.#subject, action.on);
      }
      case "answer":
        this.#tickets.get(action.ticket)?.(action.outcome);
        this.#tickets.delete(action.ticket);
        return;
      case "turn_host":
        return this.seat.turned(action.view);
      case "typed":
        return this.seat.typed(action.typed);
      case "send":
        if ("place" in action.stroke) this.pictures.pointed(action.stroke.place);
        void this.#send(action.vm, action.stroke).then((ok) =>
          this.#apply({ type: "settled", ok })
        );
    }
  }

  /** The picture is gone before the word is said, and comes after it. */
  #tell(subject: Subject, on: boolean): void {
    const { vm, kind, slot } = subject;
    if (!on) this.#conceal();
    const { surface } = this.pictures;
    this.around.emit({ type: "presentation", subject, on, surface });
    if (!on) return;
    this.#pictured = true;
    this.pictures.show({ vm, kind, slot, input: () => this.#rights.input(vm) });
  }

  #conceal(): void {
    if (this.#pictured) this.pictures.show(null);
    this.#pictured = false;
  }

  /** @returns whether it was acknowledged; else nothing of it is on its way any more */
  async #send(vm: VmId, stroke: Stroke): Promise<boolean> {
    const guest = this.around.guest(vm);
    const monitor = guest?.monitor ?? null;
    if (guest === undefined || monitor === null) return false;
    const parts = partsOf(stroke);
    // One limit for all of it: a QEMU that answers each part late must not hold a switch up for long.
    const end = performance.now() + this.acknowledgeMs + (parts.length - 1) * FURTHER_PART_MS;
    try {
      for (const [n, part] of parts.entries()) {
        if (n > 0) await new Promise((resolve) => setTimeout(resolve, PART_MS));
        const left = Math.max(1, end - performance.now());
        await monitor.command("input-send-event", left, part);
      }
      return true;
    } catch (error) {
      const { code } = asFault(error, "guest", "input.failed");
      // QEMU said no, or is gone with all that it had taken.
      if (code === "qmp.refused" || code === "qmp.closed") return false;
      const why =
        `${vm}: input was not acknowledged; the guest is ended, since it could take it later`;
      const fault = new Fault("guest", "input.silent", why);
      this.around.emit({ type: "fault", stage: fault.stage, code: fault.code, message: why, vm });
      await guest.endSilent();
      return false;
    }
  }
}

/** Whether nobody is to be seen once it had its turn. */
function takesAway(turn: Turn, shown: VmId | null): boolean {
  if (turn.type === "attention") return true;
  return turn.type === "hide" && (turn.vm === null || turn.vm === shown);
}

/**
 * A device keeps little of what its guest has not taken yet, and drops the rest: 64 events of a virtio
 * keyboard (QEMU 7.2, hw/input/virtio-input.c), fewer of a PS/2 one.
 */
function partsOf(stroke: Stroke): Stroke[] {
  if ("place" in stroke) return [stroke];
  const { down, keys } = stroke;
  const parts: Stroke[] = [];
  for (let at = 0; at < keys.length; at += PART_KEYS) {
    parts.push({ down, keys: keys.slice(at, at + PART_KEYS) });
  }
  return parts;
}
