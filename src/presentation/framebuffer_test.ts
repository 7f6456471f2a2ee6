import assert from "node:assert/strict";
import { Fault } from "../fault.ts";
import { layoutOf, paint } from "./framebuffer.ts";
import { Surface } from "./surface.ts";

const reading = (files: Readonly<Record<string, string>>) => (name: string) => files[name] ?? null;
const GOOD = { virtual_size: "1280,800\n", bits_per_pixel: "32\n", stride: "5120\n" };

Deno.test("layoutOf takes what the kernel says of a framebuffer of 32 bits", () => {
  assert.deepEqual(layoutOf(reading(GOOD)), { width: 1280, height: 800, stride: 5120 });
  assert.equal(layoutOf(reading({ ...GOOD, stride: "8192" })).stride, 8192);
});

Deno.test("layoutOf refuses a framebuffer that cannot be drawn on", () => {
  for (
    const other of [
      { virtual_size: "0,0" },
      { virtual_size: "1280" },
      { virtual_size: "-1280,800" },
      { virtual_size: "1e3,800" },
      { virtual_size: "99999,99999" },
      { virtual_size: "" },
      { bits_per_pixel: "16" },
      { bits_per_pixel: "24" },
      { stride: "5119" },
      { stride: "99999" },
    ]
  ) {
    assert.throws(
      () => layoutOf(reading({ ...GOOD, ...other })),
      (error) => error instanceof Fault && error.code === "screen.format",
      JSON.stringify(other),
    );
  }
  assert.throws(() => layoutOf(() => null), Fault);
});

/** Paints what changed into a framebuffer in memory; counts writes and pauses. */
async function painted(canvas: Surface, stride: number, wanted = () => true) {
  const memory = new Uint8Array(stride * canvas.height);
  const seen = { writes: 0, pauses: 0, memory };
  const frame = {
    write(position: number, bytes: Uint8Array) {
      seen.writes++;
      memory.set(bytes, position);
    },
    close() {},
  };
  const pause = () => Promise.resolve(void seen.pauses++);
  await paint(frame, { width: canvas.width, height: canvas.height, stride }, canvas, pause, wanted);
  return seen;
}

Deno.test("paint writes each changed pixel to its place, and nothing else", async () => {
  for (const stride of [16 * 4, 16 * 4 + 32]) {
    const canvas = new Surface(16, 12);
    canvas.fill({ x: 3, y: 2, width: 4, height: 5 }, [1, 2, 3, 4]);
    canvas.fill({ x: 0, y: 9, width: 16, height: 2 }, [5, 6, 7, 8]);
    const { memory } = await painted(canvas, stride);
    for (let y = 0; y < 12; y++) {
      const row = memory.slice(y * stride, y * stride + 64);
      assert.deepEqual([...row], [...canvas.row(0, y, 16)], `row ${y}`);
      assert.ok(memory.slice(y * stride + 64, (y + 1) * stride).every((one) => one === 0));
    }
    // Once is enough.
    assert.equal((await painted(canvas, stride)).writes, 0);
  }
});

Deno.test("paint writes a whole screen in few pieces, and lets others go on between them", async () => {
  const canvas = new Surface(1280, 800);
  canvas.fill(canvas.area, [1, 1, 1, 1]);
  const { writes, pauses, memory } = await painted(canvas, 5120);
  assert.ok(writes <= 17 && pauses >= 7, `${writes} writes, ${pauses} pauses`);
  assert.ok(memory.every((one) => one === 1));
  canvas.fill({ x: 1, y: 0, width: 1279, height: 800 }, [2, 2, 2, 2]);
  assert.ok((await painted(canvas, 5120)).pauses >= 12);
});

Deno.test("paint writes nothing more once nobody wants it", async () => {
  const canvas = new Surface(1280, 800);
  canvas.fill(canvas.area, [1, 1, 1, 1]);
  let left = 3;
  const { writes } = await painted(canvas, 5120, () => left-- > 0);
  assert.equal(writes, 3);
});
