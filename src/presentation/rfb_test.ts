import assert from "node:assert/strict";
import fc from "fast-check";
import { RFB_LIMITS, type RfbEvent, RfbReader } from "./rfb.ts";
import {
  COPY,
  CURSOR,
  handshake,
  RAW,
  raw,
  type SampleRectangle,
  serverInit,
  SIZE,
  u16,
  u32,
  update,
} from "./sample_rfb.ts";

interface Heard {
  readonly events: readonly RfbEvent[];
  readonly said: readonly string[];
  /** Null: no fault. */
  readonly code: string | null;
  readonly reader: RfbReader;
}

/** Feeds the bytes in pieces of those lengths, again and again. */
function hear(bytes: readonly number[], pieces: readonly number[] = [bytes.length]): Heard {
  const reader = new RfbReader();
  const events: RfbEvent[] = [];
  const said: string[] = [];
  let code: string | null = null;
  for (let at = 0, n = 0; at < bytes.length; n++) {
    const length = Math.max(1, pieces[n % pieces.length] ?? 1);
    const piece = Uint8Array.from(bytes.slice(at, at + length));
    const step = reader.take(piece);
    const updates = step.events.filter((one) => one.type === "updated").length;
    assert.ok(updates <= 1 && (step.used === piece.length || updates === 1 || step.fault !== null));
    // What was given must not change when the piece is used again.
    for (const one of step.events) {
      events.push(one.type === "row" ? { ...one, pixels: one.pixels.slice() } : one);
    }
    piece.fill(0xee);
    said.push(...step.say.map((one) => one.say));
    code = step.fault?.code ?? null;
    assert.equal(step.fault?.stage ?? "screen", "screen");
    at += step.fault === null ? step.used : length;
  }
  return { events, said, code, reader };
}

const after = (rest: readonly number[], width = 8, height = 8) =>
  hear([...handshake(width, height), ...rest]);
const faultOf = (bytes: readonly number[]) => hear(bytes).code;

/** A whole conversation with one message of each kind. */
const ALL = [
  ...handshake(8, 8),
  ...update([raw(0, 0, 8, 8), raw(7, 7, 1, 1, [9, 9, 9, 0])]),
  ...[2],
  ...[3, 0, 0, 0, ...u32(5), 1, 2, 3, 4, 5],
  ...update([{ at: [1, 1, 3, 3], encoding: COPY, body: [...u16(0), ...u16(0)] }]),
  ...update([{
    at: [1, 1, 2, 2],
    encoding: CURSOR,
    body: [...new Array<number>(16).fill(5), 0xc0, 0x40],
  }]),
  ...update([{ at: [0, 0, 4, 4], encoding: SIZE }]),
  ...update([raw(0, 0, 4, 4)]),
];

Deno.test("RfbReader hears a whole conversation, and asks for pixels as a framebuffer has them", () => {
  const { events, said, code } = hear(ALL);
  assert.equal(code, null);
  assert.deepEqual(said, ["version", "no_security", "begin_alone", "pixel_format", "encodings"]);
  const kinds = events.map((one) => one.type);
  assert.deepEqual(kinds.slice(0, 2), ["size", "ready"]);
  assert.equal(kinds.filter((one) => one === "row").length, 8 + 1 + 4);
  assert.equal(kinds.filter((one) => one === "updated").length, 5);
  assert.deepEqual(events.find((one) => one.type === "copy"), {
    type: "copy",
    fromX: 0,
    fromY: 0,
    x: 1,
    y: 1,
    width: 3,
    height: 3,
  });
  const cursor = events.find((one) => one.type === "cursor");
  assert.deepEqual([...cursor?.cursor.mask ?? []], [0xc0, 0x40]);
  assert.deepEqual(events.findLast((one) => one.type === "size"), {
    type: "size",
    width: 4,
    height: 4,
  });
});

Deno.test("RfbReader waits at every byte at which a message is cut, and says no more than what came", () => {
  const whole = hear(ALL);
  for (let length = 0; length < ALL.length; length++) {
    const { events, code } = hear(ALL.slice(0, length));
    assert.equal(code, null, `cut at ${length}`);
    assert.deepEqual(events, whole.events.slice(0, events.length), `cut at ${length}`);
  }
});

Deno.test("RfbReader hears the same in any pieces", () => {
  const whole = hear(ALL);
  const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 12 });
  fc.assert(fc.property(pieces, (lengths) => {
    const { events, said, code } = hear(ALL, lengths);
    assert.deepEqual([events, said, code], [whole.events, whole.said, whole.code]);
  }));
});

Deno.test("RfbReader ends any bytes in a fault or in waiting, inside the desktop, in any pieces", () => {
  const some = fc.array(fc.integer({ min: 0, max: 255 }), { maxLength: 200, size: "max" });
  const at = fc.nat({ max: ALL.length - 1 });
  const pieces = fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1, maxLength: 5 });
  fc.assert(fc.property(at, some, pieces, (from, wrong, lengths) => {
    const bytes = [...ALL.slice(0, from), ...wrong, ...ALL.slice(from + wrong.length)];
    const whole = hear(bytes);
    const parts = hear(bytes, lengths);
    assert.deepEqual([parts.events, parts.code], [whole.events, whole.code]);
    let [width, height] = [0, 0];
    for (const event of whole.events) {
      if (event.type === "size") ({ width, height } = event);
      if (event.type === "row") {
        assert.ok(event.x + event.pixels.length / 4 <= width && event.y < height);
      }
      if (event.type === "copy") {
        assert.ok(Math.max(event.x, event.fromX) + event.width <= width);
        assert.ok(Math.max(event.y, event.fromY) + event.height <= height);
      }
    }
  }));
});

Deno.test("RfbReader refuses a version, a security type or a refusal that it does not know", () => {
  const text = (one: string) => [...one].map((letter) => letter.charCodeAt(0));
  const version = text("RFB 003.008\n");
  assert.equal(faultOf(text("RFB 003.007\n")), "rfb.version");
  assert.equal(faultOf(text("HTTP/1.1 400")), "rfb.version");
  // VNC authentication, VeNCrypt; none at all with a reason, which may be endless.
  assert.equal(faultOf([...version, 1, 2]), "rfb.security");
  assert.equal(faultOf([...version, 2, 2, 19]), "rfb.security");
  assert.equal(faultOf([...version, 0, ...u32(3), 1, 2, 3]), "rfb.refused");
  assert.equal(faultOf([...version, 0, ...u32(0xffffffff)]), "rfb.refused");
  assert.equal(faultOf([...version, 1, 1, ...u32(1), ...u32(2), 65, 66]), "rfb.refused");
  assert.equal(faultOf([...version, 1, 1, ...u32(0xffffffff), ...u32(0)]), "rfb.refused");
  const init = [...version, 1, 1, ...u32(0), ...serverInit(8, 8, RFB_LIMITS.name + 1)];
  assert.equal(faultOf(init), "rfb.name");
});

Deno.test("RfbReader refuses a desktop of no size or of too much", () => {
  for (
    const [width, height] of [
      ...[[0, 8], [8, 0], [0, 0], [65535, 65535], [65535, 1], [1, 65535]],
      ...[[RFB_LIMITS.width + 1, 1], [1, RFB_LIMITS.height + 1], [5120, 2160]],
    ] as [number, number][]
  ) {
    assert.equal(faultOf(handshake(width, height)), "rfb.size", `${width}x${height}`);
    const later = update([{ at: [0, 0, width, height], encoding: SIZE }]);
    assert.equal(
      after(later).code,
      width * height > 2 * RFB_LIMITS.area ? "rfb.flood" : "rfb.size",
    );
  }
  assert.equal(faultOf(handshake(4096, 2160)), null);
});

/** Of a desktop of eight by eight. */
const OUT_BY_ONE: readonly SampleRectangle["at"][] = [
  [0, 0, 0, 1],
  [0, 0, 1, 0],
  [8, 0, 1, 1],
  [0, 8, 1, 1],
  [1, 0, 8, 1],
  [0, 1, 1, 8],
];

Deno.test("RfbReader refuses a rectangle that is empty or reaches out of the desktop", () => {
  const outside: readonly SampleRectangle["at"][] = [
    ...OUT_BY_ONE,
    [65535, 0, 1, 1],
    [0, 65535, 1, 1],
    [0, 0, 4000, 2],
    [7, 7, 2, 2],
  ];
  for (const at of outside) {
    assert.equal(after(update([{ at, encoding: RAW }])).code, "rfb.rectangle", String(at));
    assert.equal(after(update([{ at, encoding: COPY }])).code, "rfb.rectangle", String(at));
  }
  const from = (x: number, y: number) =>
    after(update([{ at: [0, 0, 4, 4], encoding: COPY, body: [...u16(x), ...u16(y)] }])).code;
  assert.equal(from(4, 4), null);
  assert.equal(from(5, 4), "rfb.rectangle");
  assert.equal(from(65535, 65535), "rfb.rectangle");
  // What was inside before the desktop shrank.
  const shrunk = [{ at: [0, 0, 4, 4], encoding: SIZE } as const, raw(0, 0, 8, 8)];
  assert.equal(after(update(shrunk)).code, "rfb.rectangle");
});

Deno.test("RfbReader takes 65535 rectangles where they are small, and no more pixels than an update can have", () => {
  const tiny = Array.from({ length: 65535 }, (_, n) => raw(n % 8, 0, 1, 1));
  const { code, events } = after(update(tiny));
  assert.equal(code, null);
  assert.equal(events.filter((one) => one.type === "row").length, 65535);
  assert.equal(events.at(-1)?.type, "updated");
  // Announced and not there: it waits, which has a limit of its own.
  assert.equal(after(update([raw(0, 0, 1, 1)], 65535)).reader.phase, "message");
  const whole = { at: [0, 0, 4096, 2160], encoding: COPY, body: [0, 0, 0, 0] } as const;
  assert.equal(after(update([whole, whole]), 4096, 2160).code, null);
  assert.equal(after(update([whole, whole, whole]), 4096, 2160).code, "rfb.flood");
  const sizes = { at: [0, 0, 4096, 2160], encoding: SIZE } as const;
  assert.equal(after(update([sizes, sizes, sizes])).code, "rfb.flood");
});

Deno.test("RfbReader refuses a second size or a second cursor in one update", () => {
  const size: SampleRectangle = { at: [0, 0, 1, 1], encoding: SIZE };
  const cursor: SampleRectangle = { at: [0, 0, 0, 0], encoding: CURSOR };
  assert.equal(after(update([size, cursor])).code, null);
  assert.equal(after(update([size, size])).code, "rfb.flood");
  assert.equal(after(update([cursor, size, cursor])).code, "rfb.flood");
});

Deno.test("RfbReader refuses an encoding that it did not ask for", () => {
  for (const encoding of [2, 5, 6, 7, 16, -224, -257, -258, -261, -308, -314, 0x7fffffff]) {
    assert.equal(after(update([{ at: [0, 0, 1, 1], encoding }])).code, "rfb.encoding");
  }
});

Deno.test("RfbReader refuses a cursor that is too large or points outside itself", () => {
  const cursor = (...at: [number, number, number, number]) =>
    after(update([{ at, encoding: CURSOR }])).code;
  assert.equal(cursor(65535, 0, 2, 2), "rfb.cursor");
  assert.equal(cursor(0, 65535, 2, 2), "rfb.cursor");
  assert.equal(cursor(2, 0, 2, 2), "rfb.cursor");
  assert.equal(cursor(0, 0, 257, 1), "rfb.cursor");
  assert.equal(cursor(0, 0, 1, 65535), "rfb.cursor");
  assert.equal(cursor(0, 0, 65535, 65535), "rfb.flood");
  // None at all is a cursor that is hidden, wherever it points.
  assert.equal(cursor(9, 9, 0, 0), null);
});

Deno.test("RfbReader refuses messages that nobody asked for, and a text without an end", () => {
  for (const type of [1, 4, 127, 150, 248, 255]) assert.equal(after([type]).code, "rfb.message");
  assert.equal(after([3, 0, 0, 0, ...u32(RFB_LIMITS.text + 1)]).code, "rfb.text");
  // The extended clipboard has lengths below nothing.
  assert.equal(after([3, 0, 0, 0, ...u32(-4)]).code, "rfb.text");
  const long = new Array<number>(10_000).fill(1);
  assert.equal(after([3, 0, 0, 0, ...u32(10_000), ...long, ...update([])]).code, null);
});

Deno.test("RfbReader takes nothing after a fault", () => {
  const reader = new RfbReader();
  const first = reader.take(Uint8Array.from(handshake(0, 0)));
  assert.equal(first.fault?.code, "rfb.size");
  const later = reader.take(Uint8Array.from(ALL));
  assert.deepEqual([later.events, later.say], [[], []]);
  assert.equal(later.fault, first.fault);
});

Deno.test("RfbReader knows whether it waits in the middle of something", () => {
  const reader = new RfbReader();
  assert.equal(reader.phase, "handshake");
  reader.take(Uint8Array.from(handshake(8, 8)));
  assert.equal(reader.phase, "idle");
  reader.take(Uint8Array.of(0));
  assert.equal(reader.phase, "message");
  reader.take(Uint8Array.of(0, 0, 0));
  assert.equal(reader.phase, "idle");
  assert.deepEqual(reader.size, { width: 8, height: 8 });
});
