/**
 * Everything that the host can say to the VNC server of a guest's QEMU: a closed list, without keys,
 * pointers and a clipboard. It is the one place that makes bytes for that connection and the one that
 * writes them, which a lint rule holds: input passes the gate, never this way.
 *
 * Source: RFC 6143, sections 7.1 to 7.5; QEMU 7.2, ui/vnc.h.
 */

import type { Connection } from "../host/port.ts";

/** A message to the server. */
export type ClientMessage =
  | { readonly say: "version" }
  | { readonly say: "no_security" }
  /** Nobody else stays connected. */
  | { readonly say: "begin_alone" }
  | { readonly say: "pixel_format" }
  | { readonly say: "encodings" }
  | {
    readonly say: "update";
    /** What changed since the last time alone. */
    readonly incremental: boolean;
    readonly width: number;
    readonly height: number;
  };

/** What is understood of the server's ways to send a rectangle (RFC 6143, section 7.7). */
export const ENCODINGS = { raw: 0, copy: 1, cursor: -239, size: -223 } as const;

/** The only version that is spoken. */
export const VERSION = "RFB 003.008\n";

/** Types of messages once both sides have begun (RFC 6143, section 7.5). */
const SET_PIXEL_FORMAT = 0;
const SET_ENCODINGS = 2;
const UPDATE_REQUEST = 3;

/**
 * Four bytes a pixel: blue, green, red, and one without a meaning, as a framebuffer of 32 bits has them.
 * Bits a pixel, depth, big endian, true colour, three maxima, three shifts, padding.
 */
const PIXEL_FORMAT = [32, 24, 0, 1, 0, 255, 0, 255, 0, 255, 16, 8, 0, 0, 0, 0];

/** The bytes of a message. */
export function encodeMessage(message: ClientMessage): Uint8Array<ArrayBuffer> {
  switch (message.say) {
    case "version":
      return new TextEncoder().encode(VERSION);
    case "no_security":
      return Uint8Array.of(1);
    case "begin_alone":
      return Uint8Array.of(0);
    case "pixel_format":
      return Uint8Array.of(SET_PIXEL_FORMAT, 0, 0, 0, ...PIXEL_FORMAT);
    case "encodings": {
      const numbers = Object.values(ENCODINGS);
      const view = new DataView(new ArrayBuffer(4 + 4 * numbers.length));
      view.setUint8(0, SET_ENCODINGS);
      view.setUint16(2, numbers.length);
      for (const [n, number] of numbers.entries()) view.setInt32(4 + 4 * n, number);
      return new Uint8Array(view.buffer);
    }
    case "update": {
      const view = new DataView(new ArrayBuffer(10));
      view.setUint8(0, UPDATE_REQUEST);
      view.setUint8(1, message.incremental ? 1 : 0);
      view.setUint16(6, message.width);
      view.setUint16(8, message.height);
      return new Uint8Array(view.buffer);
    }
  }
}

/** Says it to the server. */
export async function say(
  connection: Connection,
  messages: readonly ClientMessage[],
): Promise<void> {
  for (const message of messages) await connection.write(encodeMessage(message));
}
