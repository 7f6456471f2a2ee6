import assert from "node:assert/strict";
import { run } from "@stricli/core";
import { renderStream, type StreamMessage } from "../control/stream.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { rayApplication } from "./app.ts";
import type { CliContext } from "./context.ts";
import { FakeTerminal } from "./fake_terminal.ts";

/** `ray logs --follow` before a host that says that; it goes on until it is ended. */
function following(messages: readonly StreamMessage[], ...words: string[]) {
  const terminal = new FakeTerminal();
  const seen = { terminal, errors: "", asked: "", connection: new FakeConnection() };
  seen.connection.onWrite = (text) => {
    const { id, args } = JSON.parse(text);
    seen.asked = JSON.stringify(args);
    const answer = { v: 0, id, ok: true, result: ["mono:1 INFO init before"] };
    seen.connection.feed(`${JSON.stringify(answer)}\n`);
    for (const message of messages) seen.connection.feed(renderStream(id, message));
  };
  const process: CliContext["process"] = {
    stdout: { write: () => {} },
    stderr: { write: (text) => seen.errors += text },
  };
  const context = {
    process,
    terminal,
    host: { connect: () => Promise.resolve(seen.connection) },
  } as unknown as CliContext;
  const ended = run(rayApplication("1"), ["logs", "--follow", ...words], context);
  return { seen, ended: ended.then(() => process.exitCode) };
}

const data = (text: string): StreamMessage => ({ data: new TextEncoder().encode(text) });
const END: StreamMessage = { end: "host.ending" };

Deno.test("ray logs --follow shows what was there and each whole line that comes, however it is cut", async () => {
  const text = "mono:2 INFO vm \u00e9t\u00e9 vm=demo\nmono:3 WARN vm word\x1b[2J vm=other\n";
  const bytes = new TextEncoder().encode(text);
  for (let at = 1; at < bytes.length; at++) {
    const pieces = [{ data: bytes.slice(0, at) }, { data: bytes.slice(at) }, data("no end"), END];
    const { seen, ended } = following(pieces);
    assert.equal(await ended, 3);
    assert.equal(
      seen.terminal.shown,
      "mono:1 INFO init before\nmono:2 INFO vm \u00e9t\u00e9 vm=demo\nmono:3 WARN vm word\\u001b[2J vm=other\n",
      `cut at ${at}`,
    );
    assert.match(seen.errors, /ended by host\.ending; ask again/);
  }
});

Deno.test("ray logs --follow shows those of a guest or a level alone, and as JSON one a line", async () => {
  const lines = data(
    "mono:2 INFO vm a vm=demo\nmono:3 ERROR vm b vm=demo\nmono:4 ERROR vm c vm=x\n",
  );
  const { seen, ended } = following([lines, END], "--vm", "demo", "--level", "warn", "--json");
  await ended;
  const [line = "", ...more] = seen.terminal.shown.trimEnd().split("\n");
  assert.deepEqual([JSON.parse(line).event, more], ["b", []]);
  assert.equal(seen.asked, '{"lines":500,"follow":true}');
});

Deno.test("ray logs --follow says what it lost, and shows no line that lost its beginning or its end", async () => {
  const { seen, ended } = following([
    data("mono:2 INFO init whole\nmono:3 INFO init half a li"),
    { lost: 77 },
    data("AYOS_READY mode=normal\nmono:9 INFO init whole again\n"),
    END,
  ]);
  await ended;
  assert.equal(
    seen.terminal.shown,
    "mono:1 INFO init before\nmono:2 INFO init whole\n" +
      "77 bytes were lost: this reader was too slow\nmono:9 INFO init whole again\n",
  );
});

Deno.test("ray logs --follow ends at Ctrl-C with the connection closed and the terminal free, and when the host is gone", async () => {
  const { seen, ended } = following([data("mono:2 INFO init word\n")]);
  while (!seen.terminal.shown.includes("mono:2")) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  seen.terminal.signal();
  assert.equal(await ended, 130);
  assert.ok(seen.connection.closed);
  assert.deepEqual(seen.terminal.modes, ["caught", "free"]);
  const gone = following([]);
  while (gone.seen.terminal.shown === "") await new Promise((resolve) => setTimeout(resolve, 1));
  gone.seen.connection.feed(null);
  assert.equal(await gone.ended, 3);
  assert.match(gone.seen.errors, /the host closed the connection; ask again/);
});
