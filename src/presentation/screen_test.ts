import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { Fault } from "../fault.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { Slot, VmId } from "../id.ts";
import { Composition } from "./compose.ts";
import { fontOf } from "./font.ts";
import { psf1 } from "./sample_font.ts";
import { COPY, CURSOR, handshake, raw, SIZE, u16, u32, update } from "./sample_rfb.ts";
import { type Presented, Screen } from "./screen.ts";
import { stripText } from "./strip.ts";

const LAYOUT = { width: 800, height: 300, stride: 3200 };
const FONT = fontOf(Uint8Array.from(psf1(16)));
const A = guest("a", 0);
const B = guest("b", 1);
/** The picture of each guest is of one colour. */
const PIXEL_OF_A = [10, 20, 30, 0];
const PIXEL_OF_B = [40, 50, 60, 0];

function guest(vm: string, slot: number, input = true): Presented {
  return { vm: vm as VmId, kind: "linux", slot: slot as Slot, input: () => input };
}

/** The bar's pixels as it stands there for a guest. */
function barOf(presented: Presented | null): Uint8Array {
  const composition = new Composition(LAYOUT, FONT);
  const shown = presented === null ? null : { ...presented, input: presented.input() };
  composition.drawBar(stripText(shown));
  return composition.canvas.pixels.slice(0, composition.bar.height * LAYOUT.stride);
}

const BAR_BYTES = barOf(null).length;
const same = (one: Uint8Array, other: Uint8Array) => Buffer.compare(one, other) === 0;

/** What a server says at first and whenever it is asked for pixels. */
type Server = (connection: FakeConnection) => void;

function serving(pixel: readonly number[], width = 64, height = 40): Server {
  return (connection) => {
    connection.feed(Uint8Array.from(handshake(width, height)));
    let asked = 0;
    connection.onWrite = (text) => {
      // A picture once; nothing changes then.
      if (text.charCodeAt(0) !== 3 || text.length !== 10 || asked++ > 0) return;
      connection.feed(Uint8Array.from(update([raw(0, 0, width, height, pixel)])));
    };
  };
}

/** A screen in memory, with a server for each slot. */
function desk(servers: readonly Server[] = []) {
  const memory = new Uint8Array(LAYOUT.stride * LAYOUT.height);
  const seen = {
    memory,
    hidden: [] as (string | null)[],
    faults: [] as Fault[],
    connections: [] as FakeConnection[],
    /** Called with each write, after it. */
    onWrite: () => {},
    broken: false,
    nowMs: 0,
    pauses: 0,
    status: "everything is well",
  };
  const screen: Screen = new Screen({
    frame: {
      write(position, bytes) {
        if (seen.broken) throw new Fault("screen", "screen.lost", "fb: gone; reboot");
        memory.set(bytes, position);
        seen.onWrite();
      },
      close() {},
    },
    layout: LAYOUT,
    font: FONT,
    clock: {
      monoMs: () => seen.nowMs,
      sleep: (ms, signal) =>
        new Promise((resolve) => {
          seen.pauses++;
          const timer = setTimeout(resolve, Math.min(ms, 5));
          signal?.addEventListener("abort", () => (clearTimeout(timer), resolve()));
        }),
    },
    connect: (slot) => {
      const connection = new FakeConnection();
      seen.connections.push(connection);
      servers[slot]?.(connection);
      return Promise.resolve(connection);
    },
    hide: (vm) => {
      seen.hidden.push(vm);
      queueMicrotask(() => screen.show(null));
    },
    report: (fault) => void seen.faults.push(fault),
    status: () => seen.status,
  });
  const over = screen.run();
  const stage = () => memory.subarray(BAR_BYTES);
  return {
    screen,
    seen,
    stage,
    bar: () => memory.subarray(0, BAR_BYTES),
    // No pixel of these tests is found between two others.
    has: (pixel: readonly number[]) => Buffer.from(stage()).includes(Buffer.from(pixel)),
    async until(holds: () => boolean, what: string) {
      for (let n = 0; n < 2_000 && !holds(); n++) await new Promise((go) => setTimeout(go, 1));
      assert.ok(holds(), what);
    },
    /** A screen that is lost draws no more, which ends the test. */
    async [Symbol.asyncDispose]() {
      seen.broken = true;
      screen.show(null);
      await over;
    },
  };
}

Deno.test("while nobody is presented the screen has the host's bar and its own text", async () => {
  await using at = desk();
  const expected = new Composition(LAYOUT, FONT);
  expected.drawText("everything is well");
  const text = expected.canvas.pixels.slice(BAR_BYTES);
  await at.until(() => same(at.stage(), text), "the text");
  assert.ok(same(at.bar(), barOf(null)));
  at.seen.status = "a guest has failed";
  const later = new Composition(LAYOUT, FONT);
  later.drawText("a guest has failed");
  await at.until(() => same(at.stage(), later.canvas.pixels.slice(BAR_BYTES)), "the new text");
});

Deno.test("the host's shell stands on the screen while it is open, below a bar of its own, and nothing of it afterwards", async () => {
  await using at = desk([serving(PIXEL_OF_A)]);
  const drawnBy = (draw: (one: Composition) => void) => {
    const composition = new Composition(LAYOUT, FONT);
    draw(composition);
    return composition.canvas.pixels;
  };
  const status = drawnBy((one) => one.drawText("everything is well")).slice(BAR_BYTES);
  await at.until(() => same(at.stage(), status), "the status");
  const shell = { text: "rayos> ", cursor: { column: 7, line: 0 } };
  at.screen.turnTo(shell);
  const bar = drawnBy((one) => one.drawBar(stripText(null, true))).slice(0, BAR_BYTES);
  assert.ok(same(at.bar(), bar) && !same(bar, barOf(null)), "the bar at once");
  const first = drawnBy((one) => one.drawText("rayos> ", { column: 7, line: 0 })).slice(BAR_BYTES);
  await at.until(() => same(at.stage(), first), "the prompt");
  [shell.text, shell.cursor] = ["rayos> why\n\nnothing", { column: 0, line: 3 }];
  at.screen.refresh();
  const second = drawnBy((one) => one.drawText(shell.text, shell.cursor)).slice(BAR_BYTES);
  await at.until(() => same(at.stage(), second), "what it said");
  // As the gate has it: the shell is left before a guest is shown.
  at.screen.turnTo(null);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A) && same(at.bar(), barOf(A)), "a guest");
  assert.ok(!at.has([220, 220, 220, 0]), "no letter of the shell is left");
  at.screen.show(null);
  await at.until(() => same(at.stage(), status) && same(at.bar(), barOf(null)), "the status again");
});

Deno.test("a screen that is lost while the shell is open asks the gate to leave it", async () => {
  await using at = desk();
  at.screen.turnTo({ text: "rayos> ", cursor: null });
  at.seen.broken = true;
  at.screen.turnTo({ text: "rayos> more", cursor: null });
  await at.until(() => at.seen.hidden.length > 0, "left");
  assert.deepEqual(at.seen.hidden, [null]);
});

Deno.test("the picture of a guest stands below the bar that names it, and below no other bar", async () => {
  await using at = desk([serving(PIXEL_OF_A), serving(PIXEL_OF_B)]);
  const [nobody, named, other] = [barOf(null), barOf(A), barOf(B)];
  at.seen.onWrite = () => {
    const bar = at.bar();
    if (same(bar, other) || same(bar, nobody)) assert.ok(!at.has(PIXEL_OF_A), "A, not named");
    if (same(bar, named) || same(bar, nobody)) assert.ok(!at.has(PIXEL_OF_B), "B, not named");
  };
  for (const [one, pixel] of [[A, PIXEL_OF_A], [B, PIXEL_OF_B], [A, PIXEL_OF_A]] as const) {
    at.screen.show(null);
    assert.ok(same(at.bar(), nobody), "at once");
    at.screen.show(one);
    await at.until(() => at.has(pixel), "its picture");
    assert.ok(same(at.bar(), barOf(one)));
  }
  at.screen.show(null);
  await at.until(() => !at.has(PIXEL_OF_A), "nothing is left of it");
  assert.deepEqual(at.seen.faults, []);
});

Deno.test("nothing of a guest is drawn after it was left, whatever its QEMU still says", async () => {
  await using at = desk([serving(PIXEL_OF_A)]);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "its picture");
  const [connection] = at.seen.connections;
  at.screen.show(null);
  assert.ok(connection?.closed);
  connection?.feed(Uint8Array.from(update([raw(0, 0, 64, 40, [99, 99, 99, 0])])));
  await at.until(() => !at.has(PIXEL_OF_A), "wiped out");
  await new Promise((go) => setTimeout(go, 30));
  assert.ok(!at.has([99, 99, 99, 0]));
  assert.deepEqual(at.seen.hidden, []);
});

Deno.test("a guest is read only while it is presented, and asked again only for what is there", async () => {
  await using at = desk([serving(PIXEL_OF_A), serving(PIXEL_OF_B)]);
  await new Promise((go) => setTimeout(go, 20));
  assert.equal(at.seen.connections.length, 0);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "its picture");
  await new Promise((go) => setTimeout(go, 50));
  const [connection] = at.seen.connections;
  const requests = connection?.written.filter((text) => text.charCodeAt(0) === 3) ?? [];
  // The first for everything, the second for what changes, and none until it is answered.
  assert.deepEqual(requests.map((text) => text.charCodeAt(1)), [0, 1]);
  assert.equal(at.seen.connections.length, 1);
});

Deno.test("a desktop that grows and shrinks leaves nothing of what it showed before", async () => {
  await using at = desk([(connection) => {
    serving(PIXEL_OF_A, 200, 100)(connection);
  }]);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "its picture");
  const smaller = update([{ at: [0, 0, 10, 10], encoding: SIZE }, raw(0, 0, 10, 10, PIXEL_OF_B)]);
  at.seen.connections[0]?.feed(Uint8Array.from(smaller));
  await at.until(() => at.has(PIXEL_OF_B), "the new one");
  assert.ok(!at.has(PIXEL_OF_A));
  const large = update([{ at: [0, 0, 2000, 900], encoding: SIZE }, raw(1990, 890, 10, 10)]);
  at.seen.connections[0]?.feed(Uint8Array.from(large));
  await at.until(() => !at.has(PIXEL_OF_B), "nothing of before");
  assert.ok(same(at.bar(), barOf(A)));
  assert.deepEqual(at.seen.faults, []);
});

Deno.test("whatever is wrong with a picture hides its guest, and the next one is shown all the same", async () => {
  const wrong: [code: string, Server][] = [
    ["rfb.version", (one) => one.feed("HTTP/1.1 200 OK\r\n")],
    ["rfb.size", (one) => one.feed(Uint8Array.from(handshake(65535, 65535)))],
    ["rfb.message", (one) => one.feed(Uint8Array.from([...handshake(8, 8), 77]))],
    ["rfb.closed", (one) => one.feed(null)],
    ["rfb.rectangle", (one) => {
      one.feed(Uint8Array.from([...handshake(8, 8), ...update([raw(0, 0, 9, 1)])]));
    }],
    ["rfb.text", (one) => one.feed(Uint8Array.from([...handshake(8, 8), 3, 0, 0, 0, ...u32(-1)]))],
  ];
  for (const [code, server] of wrong) {
    await using at = desk([server, serving(PIXEL_OF_B)]);
    at.screen.show(A);
    await at.until(() => at.seen.hidden.length > 0, code);
    assert.deepEqual(at.seen.faults.map((one) => [one.stage, one.code]), [["screen", code]]);
    assert.deepEqual(at.seen.hidden, ["a"]);
    await at.until(() => same(at.bar(), barOf(null)), "nobody's bar");
    at.screen.show(B);
    await at.until(() => at.has(PIXEL_OF_B), "the next one");
    assert.equal(at.screen.surface, "fb");
  }
});

Deno.test("a connection that ends at any byte of what it says is a fault with its name, and hides its guest", async () => {
  const cursor = { at: [0, 0, 1, 1], encoding: CURSOR, body: [7, 7, 7, 0, 0x80] } as const;
  const copy = { at: [0, 0, 1, 1], encoding: COPY, body: [...u16(1), ...u16(0)] } as const;
  const session = [
    ...handshake(3, 2),
    ...update([raw(0, 0, 3, 2, PIXEL_OF_A), copy, cursor]),
    ...[2],
    ...[3, 0, 0, 0, ...u32(3), 1, 2, 3],
    ...update([{ at: [0, 0, 2, 2], encoding: SIZE }, raw(0, 0, 2, 2, PIXEL_OF_A)]),
  ];
  let length = 0;
  let server = (one: FakeConnection) => {
    one.feed(Uint8Array.from(session.slice(0, length)));
    one.feed(null);
  };
  await using at = desk([(one) => server(one)]);
  const { hidden, faults } = at.seen;
  for (; length <= session.length; length++) {
    at.screen.show(A);
    await at.until(() => hidden.length > length, `hidden, cut at ${length}`);
    assert.deepEqual(hidden.slice(length), ["a"], `cut at ${length}`);
    const said = faults.slice(length).map((one) => `${one.stage} ${one.code}`);
    assert.deepEqual(said, ["screen rfb.closed"], `cut at ${length}`);
    await at.until(() => same(at.bar(), barOf(null)), `nobody's bar, cut at ${length}`);
    assert.ok(!at.has(PIXEL_OF_A), `no picture, cut at ${length}`);
  }
  server = serving(PIXEL_OF_A);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "what is whole is shown all the same");
});

Deno.test("a server that gives a byte a second is given up in the handshake and within a picture", async () => {
  for (const before of [[], handshake(64, 40)]) {
    const rest = [...before.length === 0 ? handshake(64, 40) : [], ...update([raw(0, 0, 64, 40)])];
    await using at = desk([(one) => one.feed(Uint8Array.from(before))]);
    at.screen.show(A);
    await new Promise((go) => setTimeout(go, 20));
    let fed = 0;
    while (at.seen.faults.length === 0 && fed < 60) {
      at.seen.connections[0]?.feed(Uint8Array.of(rest[fed++] ?? 0));
      await new Promise((go) => setTimeout(go, 2));
      at.seen.nowMs += 1000;
    }
    await at.until(() => at.seen.hidden.length > 0, "given up");
    assert.equal(at.seen.faults[0]?.code, "rfb.late");
    assert.ok(fed >= 9 && fed < 15, `after ${fed} seconds`);
    assert.deepEqual(at.seen.hidden, ["a"]);
  }
});

Deno.test("each of many updates that come at once is followed by a pause, and nobody is hidden", async () => {
  const moved = { at: [0, 0, 63, 40] as const, encoding: COPY, body: [...u16(1), ...u16(0)] };
  const many = Array.from({ length: 40 }, () => update([moved]));
  await using at = desk([(one) => {
    one.feed(Uint8Array.from([
      ...handshake(64, 40),
      ...many.flat(),
      ...update([raw(0, 0, 64, 40, PIXEL_OF_A)]),
    ]));
  }]);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "the last of them");
  assert.ok(at.seen.pauses >= many.length, `${at.seen.pauses} pauses`);
  assert.deepEqual(at.seen.faults, []);
});

Deno.test("each piece of a flood that means nothing is followed by a pause, and nobody is hidden", async () => {
  const pieces = 50;
  await using at = desk([(one) => {
    one.feed(Uint8Array.from(handshake(64, 40)));
    for (let n = 0; n < pieces; n++) one.feed(new Uint8Array(1000).fill(2));
    one.feed(Uint8Array.from(update([raw(0, 0, 64, 40, PIXEL_OF_A)])));
  }]);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "what comes after it");
  assert.ok(at.seen.pauses >= pieces, `${at.seen.pauses} pauses`);
  assert.deepEqual(at.seen.faults, []);
});

Deno.test("a framebuffer that is gone hides whoever is presented, and nothing is drawn any more", async () => {
  await using at = desk([serving(PIXEL_OF_A)]);
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A), "its picture");
  at.seen.broken = true;
  at.seen.connections[0]?.feed(Uint8Array.from(update([raw(0, 0, 64, 40, PIXEL_OF_B)])));
  await at.until(() => at.seen.hidden.length > 0, "hidden");
  assert.deepEqual(at.seen.faults.map((one) => one.code), ["screen.lost"]);
  assert.equal(at.screen.surface, "none");
  at.screen.show(A);
  at.screen.again();
  assert.equal(at.seen.faults.length, 1);
});

Deno.test("the bar says where a guest has no input any more", async () => {
  let input = true;
  await using at = desk([serving(PIXEL_OF_A)]);
  at.screen.show({ ...A, input: () => input });
  await at.until(() => same(at.bar(), barOf(A)), "its bar");
  input = false;
  at.screen.again();
  assert.ok(same(at.bar(), barOf({ ...A, input: () => false })));
});

Deno.test("a guest's own pointer is drawn where the guest was told that it is", async () => {
  const pointer = [...new Array<number>(4).fill(77), 0x80];
  await using at = desk([(connection) => {
    serving(PIXEL_OF_A, 101, 101)(connection);
    const cursor = { at: [0, 0, 1, 1], encoding: CURSOR, body: pointer } as const;
    connection.feed(Uint8Array.from(update([cursor])));
  }]);
  at.screen.pointed({ x: 1, y: 1 });
  at.screen.show(A);
  await at.until(() => at.has(PIXEL_OF_A) && at.has([77, 77, 77, 77]), "picture and pointer");
  const found = () => {
    for (let n = 0; n < at.stage().length; n += 4) if (at.stage()[n] === 77) return n / 4;
    return -1;
  };
  assert.equal(found(), 50 * LAYOUT.width + 50, "in the middle");
  at.screen.pointed({ x: 0x7fff, y: 0 });
  assert.equal(found(), 100, "at once");
  at.screen.show(null);
  at.screen.pointed({ x: 0, y: 0 });
  await at.until(() => found() === -1, "it leaves with its guest");
});

Deno.test("a screen without room for the bar is none", () => {
  const small = { width: 320, height: 200, stride: 1280 };
  const around = { layout: small, font: FONT } as ConstructorParameters<typeof Screen>[0];
  assert.throws(() => new Screen(around), { code: "screen.too_small" });
});
