import assert from "node:assert/strict";
import fc from "fast-check";
import { EvdevReader, EVENT_BYTES } from "./evdev.ts";
import { keyOf } from "./keys.ts";

const [SYN, KEY, REL, ABS] = [0, 1, 2, 3];
const DROPPED = 3;

function bytesOf(...events: readonly (readonly [number, number, number])[]): Uint8Array {
  const bytes = new Uint8Array(events.length * EVENT_BYTES);
  const view = new DataView(bytes.buffer);
  for (const [n, [type, code, value]] of events.entries()) {
    // A time that goes back, which nobody looks at.
    view.setBigInt64(n * EVENT_BYTES, BigInt(1000 - n), true);
    view.setUint16(n * EVENT_BYTES + 16, type, true);
    view.setUint16(n * EVENT_BYTES + 18, code, true);
    view.setInt32(n * EVENT_BYTES + 20, value, true);
  }
  return bytes;
}
const REPORT = [SYN, 0, 0] as const;

Deno.test("EvdevReader reads keys, buttons, movements and the wheel", () => {
  const said = new EvdevReader().take(bytesOf(
    [KEY, 30, 1],
    REPORT,
    [KEY, 30, 2],
    [KEY, 30, 0],
    [KEY, 0x110, 1],
    [REL, 0, -3],
    [ABS, 1, 700],
    [REL, 8, 1_000_000],
    [KEY, 0x19b, 1],
  ));
  assert.deepEqual(said, [
    { type: "press", key: "key:a" },
    { type: "repeat", key: "key:a" },
    { type: "release", key: "key:a" },
    { type: "press", key: "button:left" },
    { type: "by", axis: "x", steps: -3 },
    { type: "at", axis: "y", value: 700 },
    { type: "press", key: "button:wheel-up" },
    { type: "release", key: "button:wheel-up" },
    { type: "press", key: "key:pause" },
  ]);
});

Deno.test("EvdevReader knows for each code a key that a guest can be sent, or none", () => {
  for (let code = 0; code < 0x300; code++) {
    for (const one of new EvdevReader().take(bytesOf([KEY, code, 1]))) {
      assert.ok(one.type === "press");
      const [kind, name = ""] = one.key.split(":");
      assert.equal(keyOf(kind as "key" | "button", name), one.key, String(code));
    }
  }
  // Power, sleep and wake up are no keys of a guest's; neither are values that no kernel gives.
  for (
    const event of [[KEY, 116, 1], [KEY, 142, 1], [KEY, 30, 3], [KEY, 30, -1], [7, 30, 1]] as const
  ) {
    assert.deepEqual(new EvdevReader().take(bytesOf(event)), []);
  }
});

Deno.test("EvdevReader says that it lost count, and reads on with the next whole report", () => {
  const said = new EvdevReader().take(bytesOf(
    [KEY, 30, 1],
    [SYN, DROPPED, 0],
    [KEY, 48, 1],
    REPORT,
    [KEY, 46, 1],
  ));
  assert.deepEqual(said, [
    { type: "press", key: "key:a" },
    { type: "lost" },
    { type: "press", key: "key:c" },
  ]);
});

Deno.test("EvdevReader reads the same from whole events and from any pieces of them", () => {
  const event = fc.tuple(fc.nat({ max: 5 }), fc.nat({ max: 130 }), fc.integer({ min: -2, max: 3 }));
  fc.assert(fc.property(fc.array(event), fc.array(fc.nat({ max: 60 })), (events, cuts) => {
    const bytes = bytesOf(...events);
    const whole = new EvdevReader().take(bytes);
    const reader = new EvdevReader();
    const said = [];
    let at = 0;
    for (const cut of [...cuts, bytes.length]) {
      said.push(...reader.take(bytes.subarray(at, at + cut)));
      at += cut;
    }
    assert.deepEqual(said, whole);
  }));
});
