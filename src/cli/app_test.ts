import assert from "node:assert/strict";
import { proposeCompletions, run } from "@stricli/core";
import { FakeConnection } from "../guest/fake_connection.ts";
import { rayApplication } from "./app.ts";
import type { CliContext, CliProcess } from "./context.ts";
import { FakeTerminal } from "./fake_terminal.ts";

interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Requests that reached the control socket. */
  readonly asked: { op: string; args: unknown }[];
}

/** Runs one command line against a host that answers everything with this result. */
/** @param results what is answered to each request, the last one again and again */
async function ray(words: readonly string[], ...results: unknown[]): Promise<Said> {
  const texts = { stdout: "", stderr: "" };
  const asked: { op: string; args: unknown }[] = [];
  const process: CliProcess = {
    stdout: { write: (text) => texts.stdout += text },
    stderr: { write: (text) => texts.stderr += text },
  };
  const app = rayApplication("1.2.3");
  const context = {
    process,
    terminal: new FakeTerminal(),
    host: {
      connect: () => {
        const connection = new FakeConnection();
        connection.onWrite = (text) => {
          const { op, args, id } = JSON.parse(text);
          const result = results[Math.min(asked.length, results.length - 1)] ?? {};
          asked.push({ op, args });
          connection.feed(`${JSON.stringify({ v: 0, id, ok: true, result })}\n`);
        };
        return Promise.resolve(connection);
      },
    },
    propose: async (typed: readonly string[]) =>
      (await proposeCompletions(app, typed, context)).map((one) => one.completion),
  } as unknown as CliContext;
  await run(app, words, context);
  return { code: Number(process.exitCode ?? 0), ...texts, asked };
}

Deno.test("ray says what is wrong with its words, with the nearest command, and exits as misused", async () => {
  const unknown = await ray(["polcy"]);
  assert.equal(
    unknown.stderr,
    "rayos: command line: no command polcy, perhaps `policy`; --help lists them\n",
  );
  const missing = await ray(["vm", "define", "x"]);
  assert.match(missing.stderr, /^rayos: command line: .*--profile; --help shows what it takes\n$/);
  const number = await ray(["vm", "define", "x", "--profile", "p", "--memory", "1e3"]);
  assert.match(number.stderr, /^rayos: command line: .*1e3 is no whole number/);
  // Negative for the parser's own; `main.ts` makes it 2.
  for (const one of [unknown, missing, number]) assert.ok(one.code < 0, String(one.code));
});

Deno.test("ray escapes the terminal's characters in what it repeats", async () => {
  assert.ok(!(await ray(["\u001b[2J"])).stderr.includes("\u001b"));
});

Deno.test("ray sends one request for a command, with its arguments", async () => {
  const { asked, stdout, code } = await ray(
    ["vm", "define", "k-1", "--profile", "kiosk", "--memory", "64"],
    { slot: 2, folder: "vm/linux/k-1" },
  );
  assert.deepEqual(asked, [
    { op: "vm.define", args: { vm: "k-1", profile: "kiosk", memory_mib: 64 } },
  ]);
  assert.equal(stdout, "k-1: defined in slot 2; its files go to /var/rayos/vm/linux/k-1\n");
  assert.equal(code, 0);
});

Deno.test("ray policy install takes a file of RayOS Data alone, and says what it did", async () => {
  const said = (line: number, text: string) => ({ subject: "linux", key: "enabled", line, text });
  const differences = [{ change: "narrows", old: said(4, "It may run."), new: null }];
  const shown = { sha256: "a".repeat(64), widens: false, differences };
  const result = { ...shown, mode: "normal", stopped: ["x"], later: ["y"] };
  const done = await ray(["policy", "install", "/var/rayos/policy/new.toml"], result);
  assert.deepEqual(done.asked, [{ op: "policy.install", args: { file: "policy/new.toml" } }]);
  const dry = await ray(
    ["policy", "install", "policy/new.toml", "--dry-run"],
    { ...shown, dry_run: true },
  );
  assert.deepEqual(dry.asked[0]?.args, { file: "policy/new.toml", dry_run: true });
  assert.match(
    dry.stdout,
    /not now:\n {2}- linux: It may run.*line 4\)\n\n.*\nnothing was installed\n$/,
  );
  assert.match(
    done.stdout,
    /It may run[^]*does not widen\npolicy a+ is in force\nstopped now.*: x\nchanged at the next start: y\n$/,
  );
  const elsewhere = await ray(["policy", "install", "/etc/new.toml"]);
  assert.deepEqual([elsewhere.code, elsewhere.asked], [3, []]);
  assert.match(elsewhere.stderr, /^rayos: \/etc\/new\.toml: not on RayOS Data; /);
});

Deno.test("ray vm remove says where the files are and why the slot stays taken", async () => {
  const kept = await ray(["vm", "remove", "k"], { vm: "k", folder: "vm/linux/k" });
  assert.match(kept.stdout, /still in \/var\/rayos\/vm\/linux\/k, and its slot stays taken/);
  assert.equal(
    (await ray(["vm", "remove", "k"], { vm: "k", folder: null })).stdout,
    "k: removed\n",
  );
});

Deno.test("ray vm show finds its guest among all, or exits 1", async () => {
  const guests = [{ vm: "a", state: "running", violations: [] }];
  assert.match((await ray(["vm", "show", "a"], guests)).stdout, /^vm +a\nstate +running\n/);
  assert.equal((await ray(["vm", "show", "b"], guests)).code, 1);
});

Deno.test("ray logs escapes what a line could do to a terminal", async () => {
  assert.equal((await ray(["logs"], ["a \u001b[31m"])).stdout, "a \\u001b[31m\n");
});

Deno.test("ray completion words proposes what could come next", async () => {
  assert.equal((await ray(["completion", "words", "vm", "st"])).stdout, "start\nstop\n");
  assert.equal((await ray(["completion", "words", "vm", "con"])).stdout, "console\n");
  assert.match((await ray(["completion", "bash"])).stdout, /complete -o default -F _ray ray/);
});

Deno.test("ray: every command has help with an example", async () => {
  const walk = async (words: string[]): Promise<void> => {
    const { stdout } = await ray([...words, "--help"]);
    const commands = stdout.split("COMMANDS\n")[1]?.match(/^ {2}(\S+)/gm) ?? [];
    if (commands.length === 0) assert.match(stdout, /Example: .*ray /, words.join(" "));
    for (const command of commands) await walk([...words, command.trim()]);
  };
  await walk([]);
});

Deno.test("ray vm start --wait looks until the agent answered, or the guest runs no more", async () => {
  const list = (state: string, agent: boolean) => [{ vm: "other", state: "running", agent: true }, {
    vm: "k",
    state,
    agent,
  }];
  const started = { state: "running" };
  const looking = list("running", false);
  const ready = await ray(["vm", "start", "k", "--wait"], started, looking, list("running", true));
  assert.deepEqual([ready.code, ready.stdout], [0, "k: ready\n"]);
  assert.deepEqual(ready.asked.map((one) => one.op), ["vm.start", "vm.list", "vm.list"]);
  const gone = await ray(["vm", "start", "k", "--wait"], started, looking, list("failed", false));
  assert.deepEqual([gone.code, gone.stdout], [1, "k: failed\n"]);
  const plain = await ray(["vm", "start", "k"], started);
  assert.deepEqual([plain.code, plain.stdout, plain.asked.length], [0, "k: running\n", 1]);
});

Deno.test("ray input pointer takes a place and a button by its flags of one letter and of many", async () => {
  const moved = await ray(["input", "pointer", "a", "-x", "5000", "-y", "0"]);
  assert.deepEqual(moved.asked, [{ op: "input.pointer", args: { vm: "a", x: 5000, y: 0 } }]);
  const pressed = await ray(["input", "pointer", "a", "--button", "left", "--act", "press"]);
  assert.deepEqual(pressed.asked, [
    { op: "input.pointer", args: { vm: "a", button: "left", act: "press" } },
  ]);
});
