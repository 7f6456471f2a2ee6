/**
 * A terminal whose keys and screen are a test's. For tests only.
 */

import type { Terminal } from "../host/terminal.ts";

export class FakeTerminal implements Terminal {
  input = false;
  output = false;
  messages = false;
  cursor = true;
  /** What came to the screen. */
  shown = "";
  /** `raw`, `plain`, `caught`, `free`, in the order in which they were asked for. */
  readonly modes: string[] = [];
  readonly #keys: (Uint8Array | null)[] = [];
  #waiting: ((keys: Uint8Array | null) => void) | null = null;
  #onEnd: () => void = () => {};
  /** Replaced where the screen takes nothing. */
  take: () => Promise<void> = () => Promise.resolve();

  type(text: string | null): void {
    const bytes = text === null ? null : new TextEncoder().encode(text);
    const waiting = this.#waiting;
    this.#waiting = null;
    if (waiting === null) this.#keys.push(bytes);
    else waiting(bytes);
  }

  /** As if a signal came. */
  signal(): void {
    this.#onEnd();
  }

  columns(): number {
    return 80;
  }

  read(): Promise<Uint8Array | null> {
    const typed = this.#keys.shift();
    if (typed !== undefined) return Promise.resolve(typed);
    return new Promise((resolve) => this.#waiting = resolve);
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.take();
    this.shown += new TextDecoder().decode(bytes);
  }

  raw(): () => void {
    this.modes.push("raw");
    return () => void this.modes.push("plain");
  }

  onEnd(callback: () => void): () => void {
    this.modes.push("caught");
    this.#onEnd = callback;
    return () => void this.modes.push("free");
  }
}
