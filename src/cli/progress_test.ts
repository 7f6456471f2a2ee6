import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { CliContext } from "./context.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { progressText, showingProgress } from "./progress.ts";

/** A command at a screen; the host answers with this state. */
function screen(state: string, messages = true) {
  const terminal = Object.assign(new FakeTerminal(), { messages });
  const seen = { terminal, text: "", asked: 0 };
  const connect = () => {
    const connection = new FakeConnection();
    connection.onWrite = () => {
      seen.asked++;
      const result = [{ vm: "k", state }];
      connection.feed(`${JSON.stringify({ v: 0, id: "1", ok: true, result })}\n`);
    };
    return Promise.resolve(connection);
  };
  const process = { stderr: { write: (text: string) => void (seen.text += text) } };
  const context = { terminal, host: { connect }, process } as unknown as CliContext;
  return { seen, context };
}

/** Waits until the text is on the screen. */
const shows = async (seen: { text: string }, wanted: RegExp) => {
  while (!wanted.test(seen.text)) await new Promise((resolve) => setTimeout(resolve, 20));
  return "done";
};

Deno.test("showingProgress draws state and seconds in one place, and leaves nothing behind", async () => {
  const { seen, context } = screen("stopping");
  const work = () => shows(seen, /stopping {2}1 s/);
  assert.equal(await showingProgress(context, "k", false, work), "done");
  assert.match(seen.text, /^\rk: waiting {2}0 s/);
  assert.ok(!seen.text.includes("\n") && !seen.text.includes("\x1b"));
  // What is left on the line when each return begins it again.
  const screenLine = seen.text.split("\r").reduce(
    (line, part) => part + line.slice(part.length),
    "",
  );
  assert.match(screenLine, /^ *$/);
  assert.deepEqual(seen.terminal.modes, ["caught", "free"]);
});

Deno.test("showingProgress shows nothing of what is done at once", async () => {
  const { seen, context } = screen("stopping");
  await showingProgress(context, "k", false, () => Promise.resolve());
  assert.deepEqual([seen.text, seen.asked], ["", 0]);
});

Deno.test("showingProgress shows nothing where it is no screen, or JSON is wanted", async () => {
  for (const [messages, json] of [[false, false], [true, true]] as const) {
    const { seen, context } = screen("stopping", messages);
    await showingProgress(
      context,
      "k",
      json,
      () => new Promise((resolve) => setTimeout(resolve, 900)),
    );
    assert.deepEqual([seen.text, seen.asked, seen.terminal.modes], ["", 0, []]);
  }
});

Deno.test("showingProgress ends at Ctrl-C with its line gone, and says that the host goes on", async () => {
  const { seen, context } = screen("stopping");
  const waiting = showingProgress(context, "k", false, () => new Promise(() => {}));
  await shows(seen, /waiting/);
  seen.terminal.signal();
  await assert.rejects(waiting, /no longer waited for; the host goes on with it/);
  assert.match(seen.text, /\r *\r$/);
});

Deno.test("progressText is never as wide as the screen, and escapes what could harm it", () => {
  assert.equal(progressText("k", "running", 12_999, 80), "k: running  12 s");
  assert.equal(progressText("x".repeat(63), "suspending", 5_000, 40).length, 39);
  assert.match(progressText("k", "\x1b[2J", 0, 80), /\\u001b/);
});
