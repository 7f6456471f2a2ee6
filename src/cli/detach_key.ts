/**
 * The key that ends a console session: Ctrl-], as with telnet(1) and virsh(1). Pressed twice it goes to
 * the guest once. Pure: what is typed comes in as bytes, and the clock is whoever calls it.
 */

const KEY = 0x1d;

/** So long (ms) a second press is waited for. */
export const SECOND_PRESS_MS = 500;

export interface Typed {
  /** For the guest. */
  readonly bytes: Uint8Array;
  /** `detach`: the session ends; `wait`: it ends unless the key comes again in time. */
  readonly then: "go_on" | "wait" | "detach";
}

export class DetachKey {
  #pressed = false;

  take(typed: Uint8Array): Typed {
    const bytes: number[] = [];
    for (const byte of typed) {
      if (this.#pressed && byte !== KEY) return { bytes: Uint8Array.from(bytes), then: "detach" };
      if (this.#pressed || byte !== KEY) bytes.push(byte);
      this.#pressed = byte === KEY && !this.#pressed;
    }
    return { bytes: Uint8Array.from(bytes), then: this.#pressed ? "wait" : "go_on" };
  }
}
