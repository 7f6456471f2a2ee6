import assert from "node:assert/strict";
import { run } from "@stricli/core";
import { parseInput, renderStream, type StreamMessage } from "../control/stream.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { rayApplication } from "./app.ts";
import type { CliContext } from "./context.ts";
import { FakeTerminal } from "./fake_terminal.ts";
import { turns } from "../../test/turns.ts";

const RESET = "\x1b[0m\x1b[?25h";
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** A session of `ray vm console` under way. */
class Session {
  readonly terminal = new FakeTerminal();
  readonly host = new FakeConnection();
  readonly asked: unknown[] = [];
  readonly typed: string[] = [];
  stderr = "";
  exit: unknown = undefined;
  #done: Promise<void> = Promise.resolve();

  constructor(readonly answer: object = { ok: true, result: { vm: "k" } }) {}

  async start(...words: string[]): Promise<this> {
    this.host.onWrite = (text) => {
      if (this.asked.length === 0) {
        const { id, op, args } = JSON.parse(text);
        this.asked.push({ op, args });
        this.host.feed(`${JSON.stringify({ v: 0, id, ...this.answer })}\n`);
      } else this.typed.push(new TextDecoder().decode(parseInput(text, "1") ?? undefined));
    };
    const process = {
      stdout: { write: (text: string) => void (this.terminal.shown += text) },
      stderr: { write: (text: string) => void (this.stderr += text) },
      exitCode: undefined as unknown,
    };
    const host = { connect: () => Promise.resolve(this.host) };
    const context = { process, host, terminal: this.terminal } as unknown as CliContext;
    this.#done = run(rayApplication("1"), ["vm", "console", ...words], context)
      .then(() => void (this.exit = process.exitCode));
    await this.settled();
    return this;
  }

  async says(message: StreamMessage): Promise<void> {
    this.host.feed(renderStream("1", message));
    await this.settled();
  }

  /** The host closes the connection. */
  async leaves(): Promise<void> {
    this.host.feed(null);
    await this.settled();
  }

  async keys(text: string | null): Promise<void> {
    this.terminal.type(text);
    await this.settled();
  }

  async settled(): Promise<void> {
    await turns(5);
  }

  /** Waits for the end; gives the exit code. */
  async ended(): Promise<unknown> {
    await this.#done;
    return this.exit;
  }
}

function atTerminal(): Session {
  const session = new Session();
  Object.assign(session.terminal, { input: true, output: true, messages: true });
  return session;
}

Deno.test("ray vm console at a terminal: keys go in raw, what comes out is filtered, Ctrl-] detaches", async () => {
  const session = await atTerminal().start("k");
  assert.deepEqual(session.asked, [{ op: "vm.console", args: { vm: "k", read_only: false } }]);
  assert.match(session.stderr, /^attached to k; Ctrl-\] detaches, twice types it\n$/);
  assert.deepEqual(session.terminal.modes, ["caught", "raw"]);
  await session.says({ data: bytesOf("log\x1b]0;t\x07in:\x1b[6n \x1b[1mx") });
  assert.equal(session.terminal.shown, "login: \x1b[1mx");
  await session.keys("root\r");
  await session.keys("\x1d\x1dx\x03");
  await session.keys("\x1dq");
  assert.equal(await session.ended(), 0);
  assert.deepEqual(session.typed, ["root\r", "\x1dx\x03"]);
  assert.equal(session.terminal.shown, `login: \x1b[1mx${RESET}`);
  assert.deepEqual(session.terminal.modes, ["caught", "raw", "plain", "free"]);
  assert.match(session.stderr, /rayos: vm console: detached from k\n$/);
  assert.ok(session.host.closed);
});

Deno.test("ray vm console detaches when nothing follows the key", async () => {
  const session = await atTerminal().start("k");
  await session.keys("\x1d");
  assert.equal(await session.ended(), 0);
});

Deno.test("ray vm console gives the terminal back on every way out, with an exit code of its own", async () => {
  const ways: [way: (session: Session) => unknown, exit: number, said: RegExp][] = [
    [(s) => s.says({ end: "guest_ended" }), 0, /k: the guest ended\n$/],
    [(s) => s.says({ end: "vm.disabled" }), 1, /k: ended by vm\.disabled\n$/],
    [(s) => s.says({ end: "console.input" }), 1, /takes no input; /],
    [(s) => s.leaves(), 3, /the host closed the connection; /],
    [(s) => s.host.feed("nonsense\n"), 3, /no answer that can be read/],
    [(s) => s.terminal.signal(), 130, /types it\n$/],
    [(s) => s.keys(null), 0, /detached/],
  ];
  for (const [way, exit, said] of ways) {
    const session = await atTerminal().start("k");
    await way(session);
    assert.equal(await session.ended(), exit, String(way));
    assert.match(session.stderr, said);
    assert.deepEqual(session.terminal.modes, ["caught", "raw", "plain", "free"]);
    assert.equal(session.terminal.shown, RESET);
    assert.ok(session.host.closed);
  }
});

Deno.test("ray vm console writes nothing after the terminal was given back", async () => {
  const session = await atTerminal().start("k");
  let free = () => {};
  session.terminal.take = () => new Promise((resolve) => free = resolve);
  await session.says({ data: bytesOf("a") });
  session.host.feed(renderStream("1", { data: bytesOf("\x1b[31mb") }));
  session.terminal.signal();
  free();
  session.terminal.take = () => Promise.resolve();
  assert.equal(await session.ended(), 130);
  await session.settled();
  assert.equal(session.terminal.shown, `a${RESET}`);
});

Deno.test("ray vm console at a screen that takes nothing still ends at a signal", async () => {
  const session = await atTerminal().start("k");
  session.terminal.take = () => new Promise(() => {});
  await session.says({ data: bytesOf("a") });
  session.terminal.signal();
  assert.equal(await session.ended(), 130);
  assert.deepEqual(session.terminal.modes, ["caught", "raw", "plain", "free"]);
});

Deno.test("ray vm console between pipes: input as it is, and on after its end; output filtered", async () => {
  const session = await new Session().start("k");
  await session.keys("a\x1d\x1d\x03b");
  await session.keys(null);
  assert.deepEqual(session.typed, ["a\x1d\x1d\x03b"]);
  await session.says({ data: bytesOf("x\x1b[6ny") });
  await session.says({ lost: 7 });
  assert.match(session.stderr, /7 bytes were not read in time and are lost/);
  await session.says({ end: "guest_ended" });
  assert.equal(await session.ended(), 0);
  assert.equal(session.terminal.shown, "xy");
  assert.deepEqual(session.terminal.modes, ["caught", "free"]);
});

Deno.test("ray vm console --raw gives every byte, and refuses a terminal before it asks", async () => {
  const pipe = await new Session().start("k", "--raw");
  await pipe.says({ data: bytesOf("x\x1b[6ny") });
  await pipe.says({ end: "guest_ended" });
  await pipe.ended();
  assert.equal(pipe.terminal.shown, "x\x1b[6ny");
  const screen = await atTerminal().start("k", "--raw");
  assert.equal(await screen.ended(), 2);
  assert.deepEqual(screen.asked, []);
});

Deno.test("ray vm console --read-only asks for no more, and types nothing", async () => {
  const session = await atTerminal().start("k", "--read-only");
  assert.deepEqual(session.asked, [{ op: "vm.console", args: { vm: "k", read_only: true } }]);
  await session.keys("rm -rf\r");
  await session.keys("\x1d ");
  assert.equal(await session.ended(), 0);
  assert.deepEqual(session.typed, []);
});

Deno.test("ray vm console --json prints each message as a line, and nothing else", async () => {
  const session = await atTerminal().start("k", "--json");
  await session.says({ data: bytesOf("\x1b[6n") });
  await session.says({ lost: 2 });
  await session.says({ end: "guest_ended" });
  assert.equal(await session.ended(), 0);
  const lines = session.terminal.shown.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.deepEqual(lines, [
    { attached: { vm: "k" } },
    { data: "G1s2bg==" },
    { lost: 2 },
    { end: "guest_ended" },
  ]);
  assert.equal(session.stderr, "");
});

Deno.test("ray vm console that is denied leaves the terminal alone", async () => {
  const error = { rule: "console.writer", detail: "somebody types there already" };
  const session = new Session({ ok: false, error });
  Object.assign(session.terminal, { input: true, output: true });
  await session.start("k");
  assert.equal(await session.ended(), 1);
  assert.match(session.stderr, /denied by console\.writer: somebody types there already\n$/);
  assert.deepEqual(session.terminal.modes, []);
});

Deno.test("ray vm console ends quietly where nobody reads its output any more", async () => {
  const session = await new Session().start("k");
  session.terminal.take = () => Promise.reject(new Error("EPIPE"));
  await session.says({ data: bytesOf("a") });
  assert.equal(await session.ended(), 0);
  assert.equal(session.stderr, "");
});
