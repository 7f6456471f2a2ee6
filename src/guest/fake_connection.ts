/**
 * A connection whose other end is a test: what it is fed arrives in the given pieces, what is written
 * is kept. For tests only.
 */

import type { Connection } from "../host/port.ts";

export class FakeConnection implements Connection {
  readonly written: string[] = [];
  readonly #pieces: (Uint8Array | null)[] = [];
  #waiting: ((piece: Uint8Array | null) => void) | null = null;
  closed = false;
  /** Called with each written text, so that a test can answer it. */
  onWrite: (text: string) => void = () => {};

  feed(piece: string | Uint8Array | null): void {
    const bytes = typeof piece === "string" ? new TextEncoder().encode(piece) : piece;
    if (this.#waiting !== null) {
      const waiting = this.#waiting;
      this.#waiting = null;
      waiting(bytes);
    } else this.#pieces.push(bytes);
  }

  read(): Promise<Uint8Array | null> {
    const piece = this.#pieces.shift();
    if (piece !== undefined) return Promise.resolve(piece);
    return new Promise((resolve) => this.#waiting = resolve);
  }

  write(bytes: Uint8Array): Promise<void> {
    const text = new TextDecoder("latin1").decode(bytes);
    this.written.push(text);
    this.onWrite(text);
    return Promise.resolve();
  }

  close(): void {
    this.closed = true;
    this.feed(null);
  }
}
