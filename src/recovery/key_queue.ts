/**
 * What is typed at the host's own keyboard, on its way to the shell that reads it: bytes wait while a command
 * is at work, a bounded number of them, and are gone with the shell.
 */

/** Bytes; nobody types so far ahead. */
const MOST_WAITING = 4096;

export class KeyQueue implements AsyncIterator<Uint8Array> {
  #waiting = "";
  #ended = false;
  #wake: () => void = () => {};

  /** Adds what a key is; beyond the bound it is dropped. */
  put(bytes: string): void {
    if (this.#ended || bytes === "" || this.#waiting.length + bytes.length > MOST_WAITING) return;
    this.#waiting += bytes;
    this.#wake();
  }

  /** There is nobody any more: whatever waits is forgotten. */
  end(): void {
    this.#ended = true;
    this.#waiting = "";
    this.#wake();
  }

  async next(): Promise<IteratorResult<Uint8Array>> {
    while (this.#waiting === "" && !this.#ended) {
      await new Promise<void>((resolve) => this.#wake = resolve);
    }
    if (this.#ended) return { done: true, value: undefined };
    const value = new TextEncoder().encode(this.#waiting);
    this.#waiting = "";
    return { done: false, value };
  }
}
