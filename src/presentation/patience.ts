/**
 * How long a guest's QEMU may take over what it began to say. Between messages it may be silent for ever:
 * a picture that does not change is not sent. Pure but for when it was looked at.
 */

import type { RfbPhase, RfbReader } from "./rfb.ts";

/** Milliseconds for the whole of it; null: as long as it likes. */
export const PATIENCE_MS: Readonly<Record<RfbPhase, number | null>> = {
  handshake: 10_000,
  message: 10_000,
  idle: null,
};

export class Patience {
  #phase: RfbPhase = "handshake";
  #messages = 0;

  constructor(private sinceMs: number) {}

  /** Milliseconds that are left, at least 0; null: any number. */
  left({ phase, messages }: Pick<RfbReader, "phase" | "messages">, nowMs: number): number | null {
    if (phase !== this.#phase || messages !== this.#messages) {
      this.#phase = phase;
      this.#messages = messages;
      this.sinceMs = nowMs;
    }
    const limit = PATIENCE_MS[phase];
    return limit === null ? null : Math.max(0, this.sinceMs + limit - nowMs);
  }
}
