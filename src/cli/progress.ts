/**
 * One line on a person's screen while a command takes its time: the guest's state and the seconds so
 * far, drawn again in its place and gone at the end. Nothing of it reaches a pipe or a file, and what it
 * shows decides nothing.
 */

import * as v from "valibot";
import { ask } from "../control/client.ts";
import { escapeUnsafe } from "../escape.ts";
import { Fault } from "../fault.ts";
import type { CliContext } from "./context.ts";

/** Milliseconds: what is done sooner shows nothing; then once a second, and each second look at the state. */
const FIRST_MS = 700;
const DRAW_MS = 1_000;
const LOOK_EVERY = 2;

const LISTED = v.array(v.looseObject({
  vm: v.string(),
  state: v.string(),
  busy: v.optional(v.nullable(v.string())),
}));

/** Does the work and shows meanwhile how the guest is. @throws Fault `cli.interrupted` at Ctrl-C */
export async function showingProgress<T>(
  context: CliContext,
  vm: string,
  json: boolean,
  work: () => Promise<T>,
): Promise<T> {
  const { terminal } = context;
  if (json || !terminal.messages) return await work();
  const interrupted = Promise.withResolvers<never>();
  const undo = terminal.onEnd(() =>
    interrupted.reject(
      new Fault("cli", "cli.interrupted", `${vm}: no longer waited for; the host goes on with it`),
    )
  );
  const line = new ProgressLine(context, vm);
  line.begin();
  try {
    return await Promise.race([work(), interrupted.promise]);
  } finally {
    line.end();
    undo();
  }
}

/** The line for a screen of that many columns: never as wide as the screen, since that would wrap. */
export function progressText(vm: string, state: string, ms: number, columns: number): string {
  const time = `  ${Math.floor(ms / 1000)} s`;
  const room = Math.max(0, columns - 1 - time.length);
  return `${escapeUnsafe(`${vm}: ${state}`).slice(0, room)}${time}`;
}

class ProgressLine {
  readonly #startedMs = performance.now();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #state = "waiting";
  #drawn = 0;
  #draws = 0;
  #over = false;

  constructor(readonly context: CliContext, readonly vm: string) {}

  begin(): void {
    this.#timer = setTimeout(() => this.#tick(), FIRST_MS);
  }

  end(): void {
    this.#over = true;
    clearTimeout(this.#timer);
    if (this.#drawn > 0) this.context.process.stderr.write(`\r${" ".repeat(this.#drawn)}\r`);
  }

  #tick(): void {
    if (this.#draws++ % LOOK_EVERY === 0) void this.#look();
    this.#draw();
    this.#timer = setTimeout(() => this.#tick(), DRAW_MS);
  }

  #draw(): void {
    const { process, terminal } = this.context;
    const ms = performance.now() - this.#startedMs;
    const text = progressText(this.vm, this.#state, ms, terminal.columns());
    process.stderr.write(`\r${text.padEnd(this.#drawn)}`);
    this.#drawn = text.length;
  }

  /** What cannot be learnt is left as it was: the command itself tells what is wrong. */
  async #look(): Promise<void> {
    const answer = await ask(this.context.host, "vm.list").catch(() => null);
    const listed = v.safeParse(LISTED, answer?.ok ? answer.result : null);
    const guest = listed.success ? listed.output.find((one) => one.vm === this.vm) : undefined;
    if (guest === undefined || this.#over) return;
    this.#state = guest.busy ?? guest.state;
    this.#draw();
  }
}
