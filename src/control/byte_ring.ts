/**
 * Bytes that wait for a reader, in a fixed room: where there are more, the oldest are lost and counted.
 * It knows nothing of who writes or reads.
 */
export class ByteRing {
  readonly #room: Uint8Array;
  #from = 0;
  #size = 0;
  #lost = 0;

  /** @param room in bytes */
  constructor(room: number) {
    this.#room = new Uint8Array(room);
  }

  get size(): number {
    return this.#size;
  }

  push(bytes: Uint8Array): void {
    const room = this.#room.length;
    const kept = bytes.subarray(Math.max(0, bytes.length - room));
    const over = Math.max(0, this.#size + kept.length - room);
    this.#from = (this.#from + over) % room;
    this.#size -= over;
    this.#lost += over + bytes.length - kept.length;
    const at = (this.#from + this.#size) % room;
    const untilEnd = Math.min(kept.length, room - at);
    this.#room.set(kept.subarray(0, untilEnd), at);
    this.#room.set(kept.subarray(untilEnd), 0);
    this.#size += kept.length;
  }

  /** How many bytes were lost just before the oldest that is held, since this was asked last. */
  takeLost(): number {
    const lost = this.#lost;
    this.#lost = 0;
    return lost;
  }

  /** The oldest bytes, at most so many. */
  take(most: number): Uint8Array {
    const length = Math.min(most, this.#size);
    const out = new Uint8Array(length);
    const untilEnd = Math.min(length, this.#room.length - this.#from);
    out.set(this.#room.subarray(this.#from, this.#from + untilEnd));
    out.set(this.#room.subarray(0, length - untilEnd), untilEnd);
    this.#from = (this.#from + length) % this.#room.length;
    this.#size -= length;
    return out;
  }
}
