import assert from "node:assert/strict";
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

Deno.test("copyConsole reads no faster than the policy's rate, but for a second at once", async () => {
  const { disk } = await copied(1e6, Array.from({ length: 4 }, () => "x".repeat(1024)));
  assert.equal(disk.slept, 3_000);
});
