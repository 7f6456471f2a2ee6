/**
 * `ray vm console`: a guest's serial console at this terminal, or between pipes. What the guest writes
 * passes the filter of `terminal_filter.ts`; the terminal is a person's own again on every way out. It
 * decides nothing; whether it may is the host's matter.
 */

import { buildCommand } from "@stricli/core";
import { type OpenStream, openStream } from "../control/client.ts";
import { type StreamMessage, toBase64 } from "../control/stream.ts";
import { escapeUnsafe } from "../escape.ts";
import type { Terminal } from "../host/terminal.ts";
import { type CliContext, guarded } from "./context.ts";
import { DetachKey, SECOND_PRESS_MS } from "./detach_key.ts";
import { docs, type Json, jsonFlag, one } from "./flags.ts";
import { denied } from "./host_commands.ts";
import { within } from "../within.ts";
import type { CommandResult } from "./policy_result.ts";
import { TerminalFilter } from "./terminal_filter.ts";

interface Options extends Json {
  readonly "read-only": boolean;
  readonly raw: boolean;
}

/** A screen that takes nothing for so long (ms) does not hold up the end. */
const RESET_TIMEOUT_MS = 1_000;

/** How a session ended. */
type End =
  | { readonly by: "host"; readonly reason: string }
  | { readonly by: "lost" | "person" | "signal" };

/** Ends that the host tells and that are no rule against going on. */
const ENDS: Readonly<Record<string, string>> = {
  "guest_ended": "the guest ended",
  "console.input": "the guest takes no input; attach again, or with --read-only",
};

const HELP = docs(
  "A guest's serial console at this terminal; Ctrl-] detaches",
  "ray vm console linux-demo-001",
  "ray vm console linux-demo-001 --read-only",
  "echo date | timeout 5 ray vm console linux-demo-001 > answer",
);
/** The rest of the help, between what it is and its examples. */
const KEYS = "Every key goes to the guest but Ctrl-], which detaches: the guest runs on. Pressed " +
  "twice within half a second it is typed once. Text, colours and cursor moves come to the " +
  "terminal; titles, questions to the terminal, mouse and clipboard do not. Between pipes nothing " +
  "is a key, and the end of the input does not end the session.";

export const vmConsole = buildCommand<Options, [string], CliContext>({
  docs: { ...HELP, fullDescription: HELP.fullDescription.replace("\n\n", `\n\n${KEYS}\n\n`) },
  parameters: {
    flags: {
      json: { ...jsonFlag, brief: "print JSON lines: data (base64), lost, end" },
      "read-only": { kind: "boolean", brief: "look on, type nothing", default: false },
      raw: { kind: "boolean", brief: "every byte as it is, never to a terminal", default: false },
    },
    positional: one("ID", "the guest's name"),
  },
  func(flags, vm) {
    return guarded(this, () => attach(this, vm, flags));
  },
});

async function attach(context: CliContext, vm: string, options: Options): Promise<CommandResult> {
  const { terminal, process } = context;
  if (options.raw && terminal.output) {
    const stderr = "rayos: vm console: --raw is not for a terminal; send the output to a file\n";
    return { exit: 2, stdout: "", stderr };
  }
  const args = { vm, read_only: options["read-only"] };
  const opened = await openStream(context.host, "vm.console", args);
  if (!opened.ok) return denied("vm.console", opened.error, options.json);
  const session = new Session(terminal, opened.stream, options, process.stderr);
  const typed = session.interactive;
  if (typed) process.stderr.write(`attached to ${vm}; Ctrl-] detaches, twice types it\n`);
  const end = await session.run();
  return ending(vm, end, options.json, typed);
}

function ending(vm: string, end: End, json: boolean, typed: boolean): CommandResult {
  const say = (exit: CommandResult["exit"], why: string) => ({
    exit,
    stdout: "",
    stderr: json || why === "" ? "" : `${typed ? "\r\n" : ""}rayos: vm console: ${why}\n`,
  });
  switch (end.by) {
    case "person":
      return say(0, typed ? `detached from ${vm}` : "");
    case "signal":
      return say(130, "");
    case "lost":
      return say(3, "the host closed the connection; attach again once it answers");
    case "host": {
      const known = ENDS[end.reason];
      const why = known ?? `ended by ${escapeUnsafe(end.reason)}`;
      return say(end.reason === "guest_ended" ? 0 : 1, `${vm}: ${why}`);
    }
  }
}

/** One attachment, from the answer to its end. */
class Session {
  readonly #filter = new TerminalFilter();
  readonly #json: boolean;
  readonly #end = Promise.withResolvers<End>();
  #over = false;
  #second: ReturnType<typeof setTimeout> | undefined;

  constructor(
    readonly terminal: Terminal,
    readonly stream: OpenStream,
    readonly options: Options,
    readonly messages: { write(text: string): void },
  ) {
    this.#json = options.json;
  }

  /** Whether a person types here. */
  get interactive(): boolean {
    return this.terminal.input && !this.#json;
  }

  async run(): Promise<End> {
    const { terminal, stream } = this;
    const undoEnd = terminal.onEnd(() => this.#end.resolve({ by: "signal" }));
    const undoRaw = this.interactive ? terminal.raw() : () => {};
    try {
      const work = [this.#showAll(), this.#sendAll()];
      for (const one of work) one.catch((error) => this.#end.reject(error));
      return await this.#end.promise;
    } finally {
      this.#over = true;
      clearTimeout(this.#second);
      stream.close();
      await this.#reset();
      undoRaw();
      undoEnd();
    }
  }

  /** The screen as it was, but for what was written to it. */
  async #reset(): Promise<void> {
    if (!this.terminal.output || this.#json) return;
    const written = this.terminal.write(new TextEncoder().encode(this.#filter.reset()));
    await within(RESET_TIMEOUT_MS, "terminal", written).catch(() => {});
  }

  async #showAll(): Promise<void> {
    const { stream } = this;
    if (this.#json) await this.#print({ attached: stream.result });
    while (true) {
      const message = await stream.next();
      if (message === null) return this.#end.resolve({ by: "lost" });
      if (this.#json) await this.#print(forJson(message));
      else if ("data" in message) await this.#show(message.data);
      else if ("lost" in message) this.#tellLost(message.lost);
      if ("end" in message) return this.#end.resolve({ by: "host", reason: message.end });
    }
  }

  async #show(data: Uint8Array): Promise<void> {
    await this.#write(this.options.raw ? data : this.#filter.take(data));
  }

  /** Nothing after the end; and where nobody reads any more, e.g. behind head(1), that is the end. */
  async #write(bytes: Uint8Array): Promise<void> {
    if (this.#over) return;
    try {
      await this.terminal.write(bytes);
    } catch {
      this.#end.resolve({ by: "person" });
    }
  }

  #tellLost(count: number): void {
    this.messages.write(
      `\r\nrayos: vm console: ${count} bytes were not read in time and are lost\r\n`,
    );
  }

  async #print(line: unknown): Promise<void> {
    await this.#write(new TextEncoder().encode(`${JSON.stringify(line)}\n`));
  }

  async #sendAll(): Promise<void> {
    if (this.options["read-only"] && !this.interactive) return;
    const key = new DetachKey();
    const detach = () => this.#end.resolve({ by: "person" });
    while (true) {
      const typed = await this.terminal.read();
      if (this.#over) return;
      clearTimeout(this.#second);
      if (typed === null) {
        // A pipe that ended has no more to say; what the guest answers is still to come.
        if (this.interactive) detach();
        return;
      }
      const { bytes, then } = this.interactive ? key.take(typed) : { bytes: typed, then: "go_on" };
      if (then === "wait" && !this.#over) this.#second = setTimeout(detach, SECOND_PRESS_MS);
      if (!this.options["read-only"]) await this.#send(bytes);
      if (then === "detach") return detach();
    }
  }

  /** Where the host closed the connection, what it said last is told by the other direction. */
  async #send(bytes: Uint8Array): Promise<void> {
    await this.stream.send(bytes).catch(() => {});
  }
}

function forJson(message: StreamMessage): unknown {
  return "data" in message ? { data: toBase64(message.data) } : message;
}
