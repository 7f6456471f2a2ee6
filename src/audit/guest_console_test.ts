import assert from "node:assert/strict";
import fc from "fast-check";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { Host } from "../host/port.ts";
import { copyConsole, GuestConsoleLog } from "./guest_console.ts";

/** A host whose disk takes that many bytes, and whose clock stands but for sleeps. */
function hostWith(room: number) {
  const disk = { text: "", closed: 0, slept: 0 };
  const host = {
    append: () => ({
      get size() {
        return disk.text.length;
      },
      append(bytes: Uint8Array) {
        if (disk.text.length + bytes.length > room) throw new Error("ENOSPC");
        disk.text += new TextDecoder().decode(bytes);
      },
      close: () => void disk.closed++,
    }),
    clock: {
      monoMs: () => disk.slept,
      sleep: (ms: number) => Promise.resolve(void (disk.slept += ms)),
    },
  } as unknown as Host;
  return { disk, host };
}

async function copied(room: number, pieces: readonly string[]) {
  const { disk, host } = hostWith(room);
  const seen = { attached: "", lost: 0 };
  const connection = new FakeConnection();
  for (const piece of pieces) connection.feed(piece);
  connection.feed(null);
  await copyConsole(host, connection, {
    kibPerSecond: 1,
    log: new GuestConsoleLog(host, "/logs"),
    onLogLost: () => seen.lost++,
    attached: (bytes) => seen.attached += new TextDecoder().decode(bytes),
  });
  return { disk, seen, connection };
}

Deno.test("copyConsole gives the log and the attached the same bytes, and closes both ends", async () => {
  const { disk, seen, connection } = await copied(100, ["a", "b\r\n"]);
  assert.deepEqual([disk.text, seen.attached, seen.lost], ["ab\r\n", "ab\r\n", 0]);
  assert.ok(connection.closed);
  assert.equal(disk.closed, 1);
});

Deno.test("copyConsole goes on for the attached where the log can no longer be written, told once", async () => {
  const { disk, seen } = await copied(2, ["ab", "cd", "ef"]);
  assert.deepEqual([disk.text, seen.attached, seen.lost], ["ab", "abcdef", 1]);
});

/** What a guest would write to be taken for the host, cut anywhere and mixed with anything. */
const FORGED = [
  "2026-11-24T12:00:00.000Z INFO init RAYOS_READY mode=normal guests=1\n",
  "mono:1 ERROR policy RAYOS_POLICY_OK:0\r\n",
  "\r\u001b[2J\u001b[HRAYOS_POLICY_OK:",
  "\u001b]0;title\u0007",
  "\n",
];

Deno.test("copyConsole writes no byte of a guest's anywhere but to its own log and its readers", async () => {
  const piece = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.constantFrom(...FORGED).chain((text) => {
      const bytes = new TextEncoder().encode(text);
      return fc.nat(bytes.length).map((at) => bytes.subarray(at));
    }),
  );
  await fc.assert(fc.asyncProperty(fc.array(piece, { maxLength: 12 }), async (pieces) => {
    const paths: string[] = [];
    const elsewhere: string[] = [];
    const written: number[] = [];
    const seen: number[] = [];
    const host = {
      append: (path: string) => ({
        size: 0,
        append: (bytes: Uint8Array) => void (paths.push(path), written.push(...bytes)),
        close: () => {},
      }),
      clock: { monoMs: () => 0, sleep: () => Promise.resolve() },
      console: (text: string) => elsewhere.push(text),
      harness: (text: string) => elsewhere.push(text),
    } as unknown as Host;
    const connection = new FakeConnection();
    const queue: (Uint8Array | null)[] = [...pieces.filter((one) => one.length > 0), null];
    connection.read = () => Promise.resolve(queue.shift() ?? null);
    await copyConsole(host, connection, {
      kibPerSecond: 1,
      log: new GuestConsoleLog(host, "/guest/logs"),
      onLogLost: () => assert.fail(),
      attached: (bytes) => seen.push(...bytes),
    });
    assert.deepEqual(elsewhere, []);
    assert.ok(paths.every((path) => path === "/guest/logs/console.log"));
    assert.deepEqual([written, seen], [pieces.flatMap((one) => [...one]), written]);
  }));
});

Deno.test("copyConsole reads no faster than the policy's rate, but for a second at once", async () => {
  const { disk } = await copied(1e6, Array.from({ length: 4 }, () => "x".repeat(1024)));
  assert.equal(disk.slept, 3_000);
});

Deno.test("copyConsole reads a guest that writes without a pause once in 20 ms, and one that pauses at once", async () => {
  const { host } = hostWith(1e6);
  const connection = new FakeConnection();
  const reads: number[] = [];
  // A letter at each of these moments; what has gathered by then is read in one.
  const letters = [...Array.from({ length: 100 }, (_, n) => n), 500, 600];
  let taken = 0;
  connection.read = async () => {
    const next = letters[taken];
    if (next === undefined) return null;
    const early = next - host.clock.monoMs();
    if (early > 0) await host.clock.sleep(early);
    const now = host.clock.monoMs();
    const count = letters.filter((at) => at <= now).length - taken;
    taken += count;
    reads.push(now);
    return new Uint8Array(count).fill(0x61);
  };
  let seen = 0;
  await copyConsole(host, connection, {
    kibPerSecond: 64,
    log: null,
    onLogLost: () => assert.fail(),
    attached: (bytes) => void (seen += bytes.length),
  });
  assert.equal(seen, letters.length);
  assert.deepEqual(reads, [0, 1, 21, 41, 61, 81, 101, 500, 600]);
});
