import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { CliContext } from "./context.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { watchStatus } from "./status_watch.ts";

const status = (mode: string, up: number) => ({
  version: "0.1.0",
  boot_id: "b",
  start: 1,
  mode,
  ready: true,
  uptime_ms: up,
  data: null,
  virtualization: "kvm",
  policy: null,
  troubles: [],
  guests: [],
});

/** A host that answers in turn with these, then with the last one; null: it does not answer. */
function desk(answers: readonly (Record<string, unknown> | null)[], output: boolean) {
  const terminal = Object.assign(new FakeTerminal(), { output });
  const seen = { looks: 0 };
  const connect = () => {
    const answer = answers[Math.min(seen.looks++, answers.length - 1)] ?? null;
    if (seen.looks > answers.length) terminal.signal();
    if (answer === null) return Promise.reject(new Error("no socket"));
    const connection = new FakeConnection();
    connection.onWrite = () =>
      connection.feed(`${JSON.stringify({ v: 0, id: "1", ok: true, result: answer })}\n`);
    return Promise.resolve(connection);
  };
  return { terminal, context: { terminal, host: { connect } } as unknown as CliContext };
}

Deno.test("watchStatus draws in one place on a screen, and gives it back when it is interrupted", async () => {
  const { terminal, context } = desk([status("normal", 1000), status("safe", 2000)], true);
  const done = await watchStatus(context, false, 1);
  assert.equal(done.exit, 130);
  const drawings = terminal.shown.split("\x1b[H").slice(2);
  const [first, second] = drawings.map((one) => one.split("\x1b[K\r\n")[0] ?? "");
  assert.match(first ?? "", /^mode +normal$/);
  assert.match(second ?? "", /^mode +safe$/);
  assert.ok(drawings.every((one) => one.endsWith("\x1b[J")));
  assert.deepEqual(terminal.modes, ["caught", "free"]);
});

Deno.test("watchStatus prints what is new alone where there is no cursor, without a control character", async () => {
  for (const [output, cursor] of [[false, true], [true, false]] as const) {
    const answers = [status("normal", 1000), status("normal", 2000), status("safe", 3000)];
    const { terminal, context } = desk(answers, output);
    terminal.cursor = cursor;
    await watchStatus(context, false, 1);
    assert.deepEqual(terminal.shown.match(/^mode .*$/gm), [
      "mode           normal",
      "mode           safe",
    ]);
    // deno-lint-ignore no-control-regex
    assert.doesNotMatch(terminal.shown, /[\x00-\x09\x0b-\x1f]/);
  }
});

Deno.test("watchStatus says that a host does not answer, and asks again", async () => {
  const { terminal, context } = desk([null, status("normal", 1000)], false);
  await watchStatus(context, false, 1);
  assert.match(terminal.shown, /^the host does not answer.*\nmode +normal\n/);
});

Deno.test("watchStatus --json prints one line of JSON for each status that is new", async () => {
  const answers = [status("normal", 1000), status("normal", 2000), null];
  const { terminal, context } = desk(answers, true);
  await watchStatus(context, true, 1);
  const lines = terminal.shown.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines.map((one) => one.mode ?? one.error.rule), ["normal", "cli.no_answer"]);
});
