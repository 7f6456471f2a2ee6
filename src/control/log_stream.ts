/**
 * The host's log for one who stays and reads on. Lines wait in a fixed room; one who does not read loses
 * the oldest bytes and holds up nobody. It is for display: nothing reads it back to decide anything.
 */

import { ByteRing } from "./byte_ring.ts";
import { type ControlStream, PIECE_BYTES, type StreamMessage } from "./stream.ts";

const ROOM_BYTES = 256 * 1024;

export class LogStream implements ControlStream {
  readonly #ring = new ByteRing(ROOM_BYTES);
  readonly #ended = Promise.withResolvers<void>();
  #reason: string | null = null;
  #gone = false;
  #wake: () => void = () => {};

  /** @param onEnd called once, when nothing is taken any more */
  constructor(readonly onEnd: (stream: LogStream) => void) {}

  get ended(): Promise<void> {
    return this.#ended.promise;
  }

  push(line: string): void {
    if (this.#reason !== null || this.#gone) return;
    this.#ring.push(new TextEncoder().encode(`${line}\n`));
    this.#wake();
  }

  async next(): Promise<StreamMessage | null> {
    while (!this.#gone) {
      const lost = this.#ring.takeLost();
      if (lost > 0) return { lost };
      if (this.#ring.size > 0) return { data: this.#ring.take(PIECE_BYTES) };
      if (this.#reason !== null) return { end: this.#reason };
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    return null;
  }

  /** Nobody types into a log. */
  input(): Promise<void> {
    this.end("control.form");
    return Promise.resolve();
  }

  end(reason: string): void {
    if (this.#reason !== null || this.#gone) return;
    this.#reason = reason;
    this.#over();
  }

  close(): void {
    if (this.#gone) return;
    this.#gone = true;
    this.#over();
  }

  #over(): void {
    this.onEnd(this);
    this.#ended.resolve();
    this.#wake();
  }
}

/** Those who read on now. */
export class LogFollowers {
  readonly #streams = new Set<LogStream>();

  /** @returns null where there are as many as there may be */
  follow(most: number): LogStream | null {
    if (this.#streams.size >= most) return null;
    const stream = new LogStream((one) => this.#streams.delete(one));
    this.#streams.add(stream);
    return stream;
  }

  push(line: string): void {
    for (const one of this.#streams) one.push(line);
  }
}
