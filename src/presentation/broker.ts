/**
 * From the host's own keyboards and pointers to the gate: knows what is down on them, keeps the secure
 * attention chord for the host, turns movements into places, and never queues more than the gate takes.
 * Nothing of what is typed is remembered or reported; only that something was dropped, and how much.
 */

import type { Policy } from "../policy/policy.ts";
import type { GateOutcome, Turn } from "./gate.ts";
import type { HostInput } from "./evdev.ts";
import type { Key } from "../guest/input.ts";
import type { Clock } from "../host/port.ts";

/** The last key of the chord; Ctrl and Alt are its others. */
export type Attention = Policy["presentation"]["attention"];
/** While no policy is in force. */
export const DEFAULT_ATTENTION: Attention = "ctrl+alt+pause";

const CTRL: readonly Key[] = ["key:ctrl", "key:ctrl_r"];
const ALT: readonly Key[] = ["key:alt", "key:alt_r"];
/** Together with Alt it is SysRq, which is nobody's. */
const SYSRQ: Key = "key:print";
const MOST_PLACE = 0x7fff;
/** Steps of a mouse from one side to the other: as on a screen of that many points. */
const STEPS = { x: 1280, y: 800 } as const;
/** Milliseconds without a drop after which a flood is over, once what waited at the gate is answered. */
const QUIET_MS = 250;
/** From one word about a flood that goes on to the next. */
const FLOOD_MS = 5_000;

export interface BrokerAround {
  readonly ask: (turn: Turn) => Promise<GateOutcome>;
  readonly attention: () => Attention;
  readonly clock: Pick<Clock, "monoMs" | "sleep">;
  /** Told how much was dropped since the last word: when that is over, and now and then while it goes on. */
  readonly onDropped: (count: number) => void;
}

export class InputBroker {
  /** What is down on each device. */
  readonly #down = new Map<number, Set<Key>>();
  readonly #place = { x: 0, y: 0 };
  #moving: Promise<unknown> | null = null;
  #moveAgain = false;
  /** What was asked of the gate and is not answered. */
  #asked = 0;
  #dropped = 0;
  /** Whether all that was asked when something was last dropped is answered. */
  #drained = true;
  #watching = false;
  /** After something was dropped, until nothing is down: the rest of a chord would mean something else. */
  #overrun = false;

  constructor(readonly around: BrokerAround) {}

  /** What one device said. */
  take(device: number, input: HostInput): void {
    const down = this.#down.get(device) ?? new Set();
    this.#down.set(device, down);
    // What is pressed now is the first of a new chord.
    if (![...this.#down.values()].some((keys) => keys.size > 0)) this.#overrun = false;
    switch (input.type) {
      case "press":
        down.add(input.key);
        return this.#pressed(input.key);
      case "repeat":
        return this.#key("repeat", input.key);
      case "release":
        down.delete(input.key);
        return this.#key("release", input.key);
      case "by": {
        const steps = Math.trunc(input.steps * MOST_PLACE / STEPS[input.axis]);
        return this.#moveTo(input.axis, this.#place[input.axis] + steps);
      }
      case "at":
        return this.#moveTo(input.axis, input.value);
      case "lost":
        return this.gone(device);
    }
  }

  /** A device that is there no more, or that lost count: nothing of it is down. */
  gone(device: number): void {
    for (const key of this.#down.get(device) ?? []) this.#key("release", key);
    this.#down.delete(device);
  }

  #isDown(keys: readonly Key[]): boolean {
    return [...this.#down.values()].some((down) => keys.some((key) => down.has(key)));
  }

  #pressed(key: Key): void {
    const last: Key = this.around.attention() === "ctrl+alt+end" ? "key:end" : "key:pause";
    if (key === last && this.#isDown(CTRL) && this.#isDown(ALT)) {
      // It is nobody's; the guest that was shown is told that Ctrl and Alt are up.
      void this.around.ask({ type: "attention" });
      return;
    }
    if (key === SYSRQ && this.#isDown(ALT)) return;
    this.#key("press", key);
  }

  #key(type: "press" | "repeat" | "release", key: Key): void {
    if (this.#overrun && type !== "release") this.#drop();
    else void this.#ask({ type, key, to: null });
  }

  #moveTo(axis: "x" | "y", value: number): void {
    this.#place[axis] = Math.min(MOST_PLACE, Math.max(0, value));
    this.#moveAgain = true;
    this.#moving ??= this.#move().finally(() => this.#moving = null);
  }

  /** One place on its way at a time: whatever came meanwhile is one more movement, to where it ended. */
  async #move(): Promise<void> {
    while (this.#moveAgain) {
      this.#moveAgain = false;
      await this.#ask({ type: "move", place: { ...this.#place }, to: null });
    }
  }

  async #ask(turn: Turn): Promise<void> {
    this.#asked++;
    const outcome = await this.around.ask(turn);
    if (--this.#asked === 0) this.#drained = true;
    if (outcome !== "full" && outcome !== "late") return;
    this.#overrun = true;
    this.#drop();
  }

  #drop(): void {
    this.#dropped++;
    this.#drained = this.#asked === 0;
    if (!this.#watching) void this.#watch();
  }

  /** A keyboard that floods must not flood the log as well. */
  async #watch(): Promise<void> {
    const { clock, onDropped } = this.around;
    const sinceMs = clock.monoMs();
    this.#watching = true;
    for (let before = 0;;) {
      const over = this.#drained && this.#dropped === before;
      if (over || clock.monoMs() - sinceMs >= FLOOD_MS) break;
      before = this.#dropped;
      await clock.sleep(QUIET_MS);
    }
    this.#watching = false;
    const count = this.#dropped;
    this.#dropped = 0;
    onDropped(count);
  }
}
