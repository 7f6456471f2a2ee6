/**
 * Cuts a byte stream into lines with a cap: for QMP, the guest agent and the control socket, whose
 * other ends are not trusted. Bytes beyond the cap are dropped until the next newline and reported as
 * one oversized line, so a peer can neither grow our memory nor end the stream by it.
 */

import type { Connection } from "../host/port.ts";

export type ReadLine =
  | { readonly kind: "line"; readonly text: string }
  | { readonly kind: "oversized" }
  | { readonly kind: "not_utf8" };

const LEAST_BYTES = 256;
const KEPT_BYTES = 16 * 1024;

/** Reads lines from a connection; at most `cap` bytes of one are held. */
export class LineReader {
  /** One buffer that grows to the cap: a peer that sends single bytes must not cost an object for each. */
  #held = new Uint8Array(0);
  #heldBytes = 0;
  #dropping = false;
  #rest: Uint8Array | null = null;
  readonly #decoder = new TextDecoder("utf-8", { fatal: true });

  constructor(readonly connection: Connection, readonly cap: number) {}

  /** The next line without its newline; null at the end (what stands there without one is dropped). */
  async next(): Promise<ReadLine | null> {
    while (true) {
      const chunk = this.#rest ?? await this.connection.read();
      this.#rest = null;
      if (chunk === null) return null;
      const end = chunk.indexOf(0x0a);
      if (end < 0) {
        if (this.#hold(chunk)) return { kind: "oversized" };
        continue;
      }
      if (end + 1 < chunk.length) this.#rest = chunk.subarray(end + 1);
      // One that was told already is only dropped.
      const told = this.#dropping;
      this.#hold(chunk.subarray(0, end));
      const line = this.#take();
      if (!told) return line;
    }
  }

  /** @returns whether the line is too long as of now */
  #hold(bytes: Uint8Array): boolean {
    if (this.#dropping) return false;
    const length = this.#heldBytes + bytes.length;
    if (length > this.cap) {
      this.#dropping = true;
      this.#release();
      return true;
    }
    if (length > this.#held.length) {
      const larger = new Uint8Array(Math.min(this.cap, Math.max(LEAST_BYTES, 2 * length)));
      larger.set(this.#held.subarray(0, this.#heldBytes));
      this.#held = larger;
    }
    this.#held.set(bytes, this.#heldBytes);
    this.#heldBytes = length;
    return false;
  }

  /** What a long line needed is not kept for the short ones that follow. */
  #release(): void {
    this.#heldBytes = 0;
    if (this.#held.length > KEPT_BYTES) this.#held = new Uint8Array(0);
  }

  #take(): ReadLine {
    const dropped = this.#dropping;
    const whole = this.#held.subarray(0, this.#heldBytes);
    this.#dropping = false;
    this.#release();
    if (dropped) return { kind: "oversized" };
    try {
      return { kind: "line", text: this.#decoder.decode(whole).replace(/\r$/, "") };
    } catch {
      return { kind: "not_utf8" };
    }
  }
}
