/**
 * What a keyboard or a pointer of the host says, from the bytes of its event device to keys, buttons and
 * movements. A device is not trusted: a short read is put together, an unknown type or code is left out,
 * and where the kernel says that it lost something everything counts as released. Pure but for what it
 * remembers of the bytes so far.
 *
 * Sources: the kernel's Documentation/input/input.rst and event-codes.rst, include/uapi/linux/input-event-codes.h.
 */

import type { Key } from "../guest/input.ts";

/** `struct input_event` of a 64-bit machine: seconds, microseconds, type, code, value. */
export const EVENT_BYTES = 24;

const EV_SYN = 0;
const EV_KEY = 1;
const EV_REL = 2;
const EV_ABS = 3;
const SYN_DROPPED = 3;
const REL_WHEEL = 8;

/** What a device said. `lost`: it cannot be told any more what is down. */
export type HostInput =
  | { readonly type: "press" | "repeat" | "release"; readonly key: Key }
  | { readonly type: "by"; readonly axis: "x" | "y"; readonly steps: number }
  | { readonly type: "at"; readonly axis: "x" | "y"; readonly value: number }
  | { readonly type: "lost" };

/** Keys in the order of their codes from 1 on; `-`: none that a guest is sent. */
const FROM_ONE =
  "esc 1 2 3 4 5 6 7 8 9 0 minus equal backspace tab q w e r t y u i o p bracket_left bracket_right ret ctrl " +
  "a s d f g h j k l semicolon apostrophe grave_accent shift backslash z x c v b n m comma dot slash shift_r " +
  "kp_multiply alt spc caps_lock f1 f2 f3 f4 f5 f6 f7 f8 f9 f10 num_lock scroll_lock kp_7 kp_8 kp_9 kp_subtract " +
  "kp_4 kp_5 kp_6 kp_add kp_1 kp_2 kp_3 kp_0 kp_decimal - - less f11 f12 - - - - - - - kp_enter ctrl_r kp_divide " +
  "print alt_r - home up pgup left right end down pgdn insert delete - - - - - - - pause - - - - - meta_l meta_r compose";
const KEYS: ReadonlyMap<number, Key> = new Map([
  ...FROM_ONE.split(" ").flatMap((name, n): [number, Key][] =>
    name === "-" ? [] : [[n + 1, `key:${name}`]]
  ),
  // Pause together with Ctrl is a key of its own (KEY_BREAK).
  [0x19b, "key:pause"],
  [0x110, "button:left"],
  [0x111, "button:right"],
  [0x112, "button:middle"],
]);

/** One device's bytes, read in pieces. */
export class EvdevReader {
  #rest = new Uint8Array();
  /** After the kernel lost something, until the next whole report. */
  #dropping = false;

  /** What the bytes say, with those of before that made no whole event. */
  take(bytes: Uint8Array): HostInput[] {
    const all = new Uint8Array(this.#rest.length + bytes.length);
    all.set(this.#rest);
    all.set(bytes, this.#rest.length);
    const view = new DataView(all.buffer);
    const said: HostInput[] = [];
    let at = 0;
    for (; at + EVENT_BYTES <= all.length; at += EVENT_BYTES) {
      const type = view.getUint16(at + 16, true);
      const code = view.getUint16(at + 18, true);
      said.push(...this.#event(type, code, view.getInt32(at + 20, true)));
    }
    this.#rest = all.slice(at);
    return said;
  }

  #event(type: number, code: number, value: number): HostInput[] {
    if (type === EV_SYN && code === SYN_DROPPED) {
      this.#dropping = true;
      return [{ type: "lost" }];
    }
    if (this.#dropping) {
      if (type === EV_SYN) this.#dropping = false;
      return [];
    }
    const axis = code === 0 ? "x" : "y";
    switch (type) {
      case EV_KEY:
        return keyEvent(code, value);
      case EV_REL:
        if (code <= 1) return [{ type: "by", axis, steps: value }];
        return code === REL_WHEEL && value !== 0 ? wheel(value) : [];
      case EV_ABS:
        return code <= 1 ? [{ type: "at", axis, value }] : [];
      default:
        return [];
    }
  }
}

function keyEvent(code: number, value: number): HostInput[] {
  const key = KEYS.get(code);
  const type = (["release", "press", "repeat"] as const)[value];
  return key === undefined || type === undefined ? [] : [{ type, key }];
}

/** One turn, however far: a device that claims a million of them sends one. */
function wheel(value: number): HostInput[] {
  const key: Key = value > 0 ? "button:wheel-up" : "button:wheel-down";
  return [{ type: "press", key }, { type: "release", key }];
}
