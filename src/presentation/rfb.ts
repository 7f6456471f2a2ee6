/**
 * What the VNC server of a guest's QEMU says, from bytes in any pieces to events; a QEMU that its guest
 * has captured may say anything. Every length and rectangle is held against the desktop that was
 * announced and against limits, and the first thing that does not hold ends it with a fault. Pure but for
 * what it remembers of the bytes so far; it keeps no picture.
 *
 * Source: RFC 6143, section 7; the limits of size are those of QEMU 7.2 (ui/vnc.h, VNC_MAX_WIDTH).
 */

import { asFault, Fault } from "../fault.ts";
import { type ClientMessage, ENCODINGS, VERSION } from "./rfb_messages.ts";

/** What is believed of a server. */
export const RFB_LIMITS = {
  /** Pixels. */
  width: 5120,
  height: 2160,
  area: 4096 * 2160,
  /** Pixels of a cursor, each way. */
  cursor: 256,
  /** Rectangles of one update together, as so many times the desktop. */
  updateAreas: 2,
  /** Bytes. */
  name: 4096,
  text: 1024 * 1024,
  reason: 4096,
} as const;

const BYTES_PER_PIXEL = 4;
/** Bytes that are thrown away at one time. */
const SKIP_PIECE = 4096;

/** Types of the server's messages (RFC 6143, section 7.6). */
const UPDATE = 0;
const BELL = 2;
const CUT_TEXT = 3;

/** What a server said. */
export type RfbEvent =
  /** The handshake is over. */
  | { readonly type: "ready" }
  /** The desktop has that size from now on, and nothing is known of what it shows. */
  | { readonly type: "size"; readonly width: number; readonly height: number }
  /** Pixels of one row, each of four bytes as asked. */
  | {
    readonly type: "row";
    readonly x: number;
    readonly y: number;
    readonly pixels: Uint8Array;
  }
  /** What stands in one place stands in another one as well. */
  | {
    readonly type: "copy";
    readonly fromX: number;
    readonly fromY: number;
    readonly x: number;
    readonly y: number;
    readonly width: number;
    readonly height: number;
  }
  | { readonly type: "cursor"; readonly cursor: Cursor }
  /** An update is whole. */
  | { readonly type: "updated" };

/** The guest's own pointer, which QEMU leaves to whoever shows the picture. */
export interface Cursor {
  readonly width: number;
  readonly height: number;
  /** Which of its pixels points. */
  readonly hotX: number;
  readonly hotY: number;
  readonly pixels: Uint8Array;
  /** A bit for each pixel that is there; each row begins a new byte. */
  readonly mask: Uint8Array;
}

/** What comes of some bytes. */
export interface RfbStep {
  /** How many of them: those after a whole update are left for later. */
  readonly used: number;
  readonly events: readonly RfbEvent[];
  readonly say: readonly ClientMessage[];
  /** Null: all of it held so far. After a fault nothing is looked at any more. */
  readonly fault: Fault | null;
}

/** Where it stands: what is waited for decides how long. */
export type RfbPhase = "handshake" | "idle" | "message";

/** One server's words, read in pieces. */
export class RfbReader {
  #events: RfbEvent[] = [];
  #say: ClientMessage[] = [];
  #fault: Fault | null = null;
  #phase: RfbPhase = "handshake";
  #messages = 0;
  #updated = false;
  #width = 0;
  #height = 0;
  /** What the grammar waits for, and what there is of it. */
  readonly #grammar = this.#session();
  #wanted: number;
  #held: Uint8Array<ArrayBuffer> | null = null;
  #heldBytes = 0;

  constructor() {
    this.#wanted = this.#grammar.next().value;
  }

  /** The desktop as the server announced it last. */
  get size(): { readonly width: number; readonly height: number } {
    return { width: this.#width, height: this.#height };
  }

  get phase(): RfbPhase {
    return this.#heldBytes > 0 && this.#phase === "idle" ? "message" : this.#phase;
  }

  /** How many messages were whole: one that is begun anew is another one. */
  get messages(): number {
    return this.#messages;
  }

  /**
   * What the bytes say, with those of before that made no whole piece; up to the end of one update, since
   * few bytes can mean much work and whoever has it done must be able to pause.
   */
  take(bytes: Uint8Array): RfbStep {
    let used = 0;
    this.#updated = false;
    try {
      while (!this.#updated && this.#fault === null && used < bytes.length) {
        used += this.#fill(bytes, used);
      }
    } catch (error) {
      this.#fault = asFault(error, "screen", "rfb.failed");
    }
    const step = { used, events: this.#events, say: this.#say, fault: this.#fault };
    this.#events = [];
    this.#say = [];
    return step;
  }

  /** @returns how many of the bytes were used */
  #fill(bytes: Uint8Array, at: number): number {
    const wanted = this.#wanted;
    if (this.#held === null && bytes.length - at >= wanted) {
      this.#wanted = this.#grammar.next(bytes.subarray(at, at + wanted)).value;
      return wanted;
    }
    this.#held ??= new Uint8Array(wanted);
    const piece = bytes.subarray(at, at + wanted - this.#heldBytes);
    this.#held.set(piece, this.#heldBytes);
    this.#heldBytes += piece.length;
    if (this.#heldBytes === wanted) {
      const whole = this.#held;
      this.#held = null;
      this.#heldBytes = 0;
      this.#wanted = this.#grammar.next(whole).value;
    }
    return piece.length;
  }

  /** The grammar: each `yield` says how many bytes come next, at least one, and is given them. */
  *#session(): Generator<number, never, Uint8Array> {
    yield* this.#handshake();
    while (true) {
      this.#phase = "idle";
      this.#messages++;
      const [type = 0] = yield 1;
      this.#phase = "message";
      if (type === UPDATE) yield* this.#update();
      else if (type === CUT_TEXT) yield* this.#cutText();
      else if (type !== BELL) throw wrong("message", `a message of type ${type}`);
    }
  }

  *#handshake(): Generator<number, void, Uint8Array> {
    const version = text(yield VERSION.length);
    if (version !== VERSION) throw wrong("version", "another version than 3.8");
    this.#say.push({ say: "version" });
    const [count = 0] = yield 1;
    if (count === 0) throw wrong("refused", yield* reason());
    const types = yield count;
    if (!types.includes(1)) throw wrong("security", "security other than none");
    this.#say.push({ say: "no_security" });
    if (viewOf(yield 4).getUint32(0) !== 0) throw wrong("refused", yield* reason());
    this.#say.push({ say: "begin_alone" });
    const init = viewOf(yield 24);
    this.#resize(init.getUint16(0), init.getUint16(2));
    const name = init.getUint32(20);
    if (name > RFB_LIMITS.name) throw wrong("name", `a name of ${name} bytes`);
    if (name > 0) yield name;
    this.#say.push({ say: "pixel_format" }, { say: "encodings" });
    this.#events.push({ type: "ready" });
  }

  *#update(): Generator<number, void, Uint8Array> {
    const count = viewOf(yield 3).getUint16(1);
    let area = 0;
    // What is said of the desktop and of the pointer: one word of each is all that an update needs.
    const once = new Set<number>();
    for (let n = 0; n < count; n++) {
      const head = viewOf(yield 12);
      const [x, y, width, height] = [0, 2, 4, 6].map((at) => head.getUint16(at)) as Rectangle;
      const encoding = head.getInt32(8);
      // Before any of it is waited for; what is empty takes its time too.
      area += Math.max(1, width * height);
      if (area > RFB_LIMITS.updateAreas * RFB_LIMITS.area) {
        throw wrong("flood", "more than an update holds");
      }
      if (encoding === ENCODINGS.size || encoding === ENCODINGS.cursor) {
        if (once.has(encoding)) throw wrong("flood", "the same thing twice in an update");
        once.add(encoding);
      }
      if (encoding === ENCODINGS.size) this.#resize(width, height);
      // A cursor's place is the one of its pixels that points.
      else if (encoding === ENCODINGS.cursor) yield* this.#cursor(x, y, width, height);
      else {
        this.#mustBeInside("rectangle", x, y, width, height);
        if (encoding === ENCODINGS.raw) yield* this.#raw(x, y, width, height);
        else if (encoding === ENCODINGS.copy) yield* this.#copy(x, y, width, height);
        else throw wrong("encoding", `a rectangle in encoding ${encoding}`);
      }
    }
    this.#events.push({ type: "updated" });
    this.#updated = true;
  }

  *#raw(x: number, y: number, width: number, height: number): Generator<number, void, Uint8Array> {
    for (let row = 0; row < height; row++) {
      const pixels = yield width * BYTES_PER_PIXEL;
      this.#events.push({ type: "row", x, y: y + row, pixels });
    }
  }

  *#copy(x: number, y: number, width: number, height: number): Generator<number, void, Uint8Array> {
    const from = viewOf(yield 4);
    const [fromX, fromY] = [from.getUint16(0), from.getUint16(2)];
    this.#mustBeInside("source", fromX, fromY, width, height);
    this.#events.push({ type: "copy", fromX, fromY, x, y, width, height });
  }

  *#cursor(
    hotX: number,
    hotY: number,
    width: number,
    height: number,
  ): Generator<number, void, Uint8Array> {
    let pixels: Uint8Array = new Uint8Array();
    let mask = pixels;
    if (width > RFB_LIMITS.cursor || height > RFB_LIMITS.cursor) {
      throw wrong("cursor", `a cursor of ${width}x${height}`);
    }
    if (width > 0 && height > 0) {
      if (hotX >= width || hotY >= height) throw wrong("cursor", "a cursor that points elsewhere");
      // What is given may be a part of larger pieces that are used again.
      pixels = (yield width * height * BYTES_PER_PIXEL).slice();
      mask = (yield Math.ceil(width / 8) * height).slice();
    }
    this.#events.push({ type: "cursor", cursor: { width, height, hotX, hotY, pixels, mask } });
  }

  /** What a guest has copied is none of the host's business. */
  *#cutText(): Generator<number, void, Uint8Array> {
    let length = viewOf(yield 7).getUint32(3);
    if (length > RFB_LIMITS.text) throw wrong("text", `a text of ${length} bytes`);
    for (; length > 0; length -= SKIP_PIECE) yield Math.min(length, SKIP_PIECE);
  }

  #resize(width: number, height: number): void {
    const { width: most, height: highest, area } = RFB_LIMITS;
    if (
      width === 0 || height === 0 || width > most || height > highest || width * height > area
    ) throw wrong("size", `a desktop of ${width}x${height}`);
    this.#width = width;
    this.#height = height;
    this.#events.push({ type: "size", width, height });
  }

  #mustBeInside(what: string, x: number, y: number, width: number, height: number): void {
    if (
      width === 0 || height === 0 || x + width > this.#width || y + height > this.#height
    ) throw wrong("rectangle", `a ${what} of ${width}x${height} at ${x},${y}`);
  }
}

type Rectangle = [x: number, y: number, width: number, height: number];

/** The server's own words of why it refuses, of which nothing is kept. */
function* reason(): Generator<number, string, Uint8Array> {
  const length = viewOf(yield 4).getUint32(0);
  if (length > 0 && length <= RFB_LIMITS.reason) yield length;
  return "no connection";
}

function wrong(code: string, said: string): Fault {
  return new Fault("screen", `rfb.${code}`, `picture: QEMU offers ${said}; the guest is hidden`);
}

function text(bytes: Uint8Array): string {
  return new TextDecoder("latin1").decode(bytes);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
