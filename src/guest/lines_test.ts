import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeConnection } from "./fake_connection.ts";
import { LineReader } from "./lines.ts";

Deno.test("LineReader gives the same lines however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.string({ maxLength: 20 }).map((text) => text.replace(/[\r\n]/g, ""))),
      fc.integer({ min: 1, max: 7 }),
      async (lines, step) => {
        const connection = new FakeConnection();
        const bytes = new TextEncoder().encode(lines.map((line) => `${line}\n`).join(""));
        for (let at = 0; at < bytes.length; at += step) {
          connection.feed(bytes.subarray(at, at + step));
        }
        connection.feed(null);
        const reader = new LineReader(connection, 1000);
        for (const line of lines) {
          // A lone surrogate cannot pass through UTF-8.
          const sent = new TextDecoder().decode(new TextEncoder().encode(line));
          assert.deepEqual(await reader.next(), { kind: "line", text: sent });
        }
        assert.equal(await reader.next(), null);
      },
    ),
  );
});

Deno.test("LineReader drops an oversized line, says so, and goes on with the next", async () => {
  const connection = new FakeConnection();
  const reader = new LineReader(connection, 10);
  for (let n = 0; n < 1000; n++) connection.feed("x".repeat(1000));
  connection.feed("\nok\n");
  assert.deepEqual(await reader.next(), { kind: "oversized" });
  assert.deepEqual(await reader.next(), { kind: "line", text: "ok" });
});

Deno.test("LineReader tells bytes that are no UTF-8 apart and goes on", async () => {
  const connection = new FakeConnection();
  const reader = new LineReader(connection, 10);
  connection.feed(new Uint8Array([0xff, 0xfe, 0x0a, 0x61, 0x0a]));
  assert.deepEqual(await reader.next(), { kind: "not_utf8" });
  assert.deepEqual(await reader.next(), { kind: "line", text: "a" });
});

Deno.test("LineReader takes a line that comes in single bytes, up to its cap and not beyond it", async () => {
  for (const [length, kind] of [[4096, "line"], [4097, "oversized"]] as const) {
    const connection = new FakeConnection();
    const one = new Uint8Array([0x78]);
    for (let n = 0; n < length; n++) connection.feed(one);
    connection.feed("\nok\n");
    const reader = new LineReader(connection, 4096);
    const line = await reader.next();
    assert.equal(line?.kind, kind);
    if (line?.kind === "line") assert.equal(line.text, "x".repeat(length));
    assert.deepEqual(await reader.next(), { kind: "line", text: "ok" });
  }
});
