// deno-lint-ignore-file no-control-regex -- control characters are what this is about
/**
 * `ray vm console` and the line of progress on a pseudo-terminal of script(1), against a control server
 * and a guest of the test's: what the keys do, and that the terminal is as it was on every way out.
 */
import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { GuestConsole } from "../../src/control/guest_console.ts";
import type { Outcome } from "../../src/control/protocol.ts";
import { type Handler, serveControl } from "../../src/control/server.ts";
import type { Host } from "../../src/host/port.ts";
import { listen } from "../../src/host/linux_sockets.ts";
import type { Allowed } from "../../src/policy/authorize.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";

const DRIVER = `${PROJECT}/test/cli/at_terminal.ts`;

/** `ray` with these words on a terminal, and what stty(1) says of it before and after. */
class AtTerminal implements AsyncDisposable {
  shown = "";
  readonly #ended: Promise<number | null>;

  private constructor(
    readonly folder: string,
    readonly child: ChildProcess,
    readonly close: () => void,
  ) {
    child.stdout?.on("data", (bytes: Uint8Array) => this.shown += new TextDecoder().decode(bytes));
    this.#ended = new Promise((done) => child.on("close", done));
  }

  static async start(words: string, handler: Handler, env: Record<string, string> = {}) {
    const folder = await Deno.makeTempDir({ prefix: "rayos-terminal-" });
    const socket = `${folder}/control.sock`;
    const host = { listen: () => listen(socket) } as unknown as Host;
    const listener = await serveControl(host, handler);
    const ray = `${Deno.execPath()} run -q -A --config ${PROJECT}/deno.json ${DRIVER} ${socket}`;
    const line = `stty -g > before; ${ray} ${words}; echo "code $?"; stty -g > after`;
    const child = spawn("script", ["-qec", line, "/dev/null"], {
      cwd: folder,
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...Deno.env.toObject(), ...env, SHELL: "/bin/sh" },
    });
    return new AtTerminal(folder, child, () => listener.close());
  }

  type(text: string): void {
    this.child.stdin?.write(text);
  }

  async shows(wanted: RegExp): Promise<string> {
    await until(() => wanted.test(this.shown), () => `never ${wanted}: ${this.shown}`);
    return this.shown;
  }

  /** Waits for its end; gives the exit code and whether the terminal is as it was. */
  async ended(): Promise<{ code: string | undefined; asBefore: boolean }> {
    await this.#ended;
    const read = (name: string) => Deno.readTextFile(`${this.folder}/${name}`);
    return {
      code: /code (\d+)\r?\n/.exec(this.shown)?.[1],
      asBefore: await read("before") === await read("after"),
    };
  }

  async pid(): Promise<number> {
    return Number(await Deno.readTextFile(`${this.folder}/control.sock.pid`));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.stdin?.end();
    await this.#ended;
    this.close();
    await Deno.remove(this.folder, { recursive: true });
  }
}

async function until(holds: () => boolean, why: () => string): Promise<void> {
  const from = Date.now();
  while (!holds()) {
    assert.ok(Date.now() - from < 30_000, why());
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** A guest that keeps what was typed. */
function guestOf() {
  const seen = { typed: "", attached: 0 };
  const console = new GuestConsole((bytes) => {
    seen.typed += new TextDecoder("latin1").decode(bytes);
    return Promise.resolve();
  });
  const handler: Handler = (_, args): Outcome => {
    const permit = { caller: "socket" } as unknown as Allowed<"vm.console">;
    const stream = console.attach(permit, args.read_only === true, () => seen.attached--);
    if ("rule" in stream) return { ok: false, ...stream };
    seen.attached++;
    return { ok: true, result: {}, stream };
  };
  return { console, seen, handler };
}

Deno.test("ray vm console on a terminal hands every key over and gives the terminal back at Ctrl-]", async () => {
  const { console, seen, handler } = guestOf();
  await using ray = await AtTerminal.start("vm console k", handler);
  await ray.shows(/attached to k; Ctrl-\] detaches/);
  console.take(new TextEncoder().encode("\x1b[?25l\x1b]0;title\x07login:\x1b[6n "));
  await ray.shows(/\x1b\[\?25llogin: $/);
  const keys = "root\r\x03\x1a\x11\x13\x1c\x04\x1b[A";
  ray.type(keys);
  await until(() => seen.typed === keys, () => JSON.stringify(seen.typed));
  // Nothing that was typed is shown but by the guest.
  assert.doesNotMatch(ray.shown, /root|\^C/);
  ray.type("\x1d\x1d");
  await until(() => seen.typed === `${keys}\x1d`, () => JSON.stringify(seen.typed));
  ray.type("\x1d");
  assert.deepEqual(await ray.ended(), { code: "0", asBefore: true });
  assert.match(ray.shown, /\x1b\[0m\x1b\[\?25h\r?\r?\n?[^]*detached from k/);
  await until(() => seen.attached === 0, () => "still attached");
});

for (const signal of ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"] as const) {
  Deno.test(`ray vm console gives the terminal back at ${signal}`, async () => {
    const { console, handler } = guestOf();
    await using ray = await AtTerminal.start("vm console k", handler);
    console.take(new Uint8Array());
    await ray.shows(/attached/);
    await until(() => rawNow(ray), () => "never raw");
    // A stop would leave the shell with a raw terminal.
    Deno.kill(await ray.pid(), "SIGTSTP");
    Deno.kill(await ray.pid(), signal);
    assert.deepEqual(await ray.ended(), { code: "130", asBefore: true });
  });
}

/** Whether its terminal is in raw mode: the one of the process's standard input. */
function rawNow(ray: AtTerminal): boolean {
  const pid = Deno.readTextFileSync(`${ray.folder}/control.sock.pid`);
  const { stdout } = new Deno.Command("stty", { args: ["-a", "-F", `/proc/${pid}/fd/0`] })
    .outputSync();
  return / -icanon/.test(new TextDecoder().decode(stdout));
}

Deno.test("ray vm console gives the terminal back where the program itself fails", async () => {
  const { handler } = guestOf();
  await using ray = await AtTerminal.start("vm console k", handler, { CRASH: "1" });
  await ray.shows(/attached/);
  await until(() => rawNow(ray), () => "never raw");
  assert.deepEqual(await ray.ended(), { code: "1", asBefore: true });
  assert.match(ray.shown, /as nobody expects/);
});

Deno.test("ray vm stop on a terminal shows state and seconds in one line, and clears it", async () => {
  const stopping = Promise.withResolvers<Outcome>();
  await using ray = await AtTerminal.start(
    "vm stop k",
    (op) =>
      op === "vm.list" ? { ok: true, result: [{ vm: "k", state: "stopping" }] } : stopping.promise,
  );
  await ray.shows(/k: stopping {2}2 s/);
  stopping.resolve({ ok: true, result: { state: "stopped" } });
  assert.deepEqual(await ray.ended(), { code: "0", asBefore: true });
  assert.match(ray.shown, /\r +\rk: stopped\r\n/);
  assert.equal(ray.shown.split("\n").length, 3, "the result and the code");
});
