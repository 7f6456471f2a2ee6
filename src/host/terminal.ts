/**
 * The terminal of a command of `ray`: a secret word typed at it and not shown, and its screen and keys as
 * they are for a guest's console. A secret is never read from a pipe: where standard input is no terminal
 * there is nobody to ask, and the answer is null. It decides nothing of what passes.
 */

import { Fault } from "../fault.ts";

const ENTER = [0x0a, 0x0d];
const ERASE = [0x08, 0x7f];
const CTRL_C = 0x03;
const CTRL_D = 0x04;
const CTRL_U = 0x15;
/** More than any password may have; what follows is dropped. */
const MOST_BYTES = 4096;

/** What is typed, byte by byte. Pure. */
export class SecretLine {
  #bytes: number[] = [];

  /** Takes one byte; the word once Enter came, and `interrupted` at Ctrl-C. */
  take(byte: number): Uint8Array | "interrupted" | null {
    if (ENTER.includes(byte) || byte === CTRL_D) return Uint8Array.from(this.#bytes);
    if (byte === CTRL_C) return "interrupted";
    if (byte === CTRL_U) this.#bytes = [];
    else if (ERASE.includes(byte)) this.#erase();
    else if (this.#bytes.length < MOST_BYTES) this.#bytes.push(byte);
    return null;
  }

  /** One character of UTF-8: bytes 10xxxxxx go on one that began before them. */
  #erase(): void {
    let last: number | undefined;
    do last = this.#bytes.pop(); while (last !== undefined && (last & 0xc0) === 0x80);
  }
}

/**
 * Asks for a password.
 *
 * @returns its bytes, or null where standard input is no terminal
 * @throws Fault `cli.interrupted` at Ctrl-C or the end of the input
 */
export async function askPassword(prompt: string): Promise<Uint8Array | null> {
  if (!Deno.stdin.isTerminal()) return null;
  const say = (text: string) => Deno.stderr.writeSync(new TextEncoder().encode(text));
  const line = new SecretLine();
  const one = new Uint8Array(1);
  // Before the prompt: nothing that is typed in answer to it is echoed.
  Deno.stdin.setRaw(true);
  try {
    say(prompt);
    while (await Deno.stdin.read(one) !== null) {
      const taken = line.take(one[0] ?? 0);
      if (taken === "interrupted") break;
      if (taken !== null) return taken;
    }
    throw new Fault("cli", "cli.interrupted", "password: interrupted; nothing was written");
  } finally {
    Deno.stdin.setRaw(false);
    say("\n");
  }
}

/** The terminal, or what stands in its place, that a command of `ray` was started at. */
export interface Terminal {
  /** Whether a person types at standard input. */
  readonly input: boolean;
  /** Whether standard output is a person's screen. */
  readonly output: boolean;
  /** Whether standard error is. */
  readonly messages: boolean;
  /** Whether its screen knows how to move its cursor (TERM); one that says nothing of itself does not. */
  readonly cursor: boolean;
  /** Characters in a line of the screen, 80 where it is not known. */
  columns(): number;
  /** The next bytes of standard input, or null at its end. */
  read(): Promise<Uint8Array | null>;
  /** To standard output; resolves when all of it was taken, and a screen may stop that for long. */
  write(bytes: Uint8Array): Promise<void>;
  /**
   * Hands each key over as it is typed, not shown. A stop (SIGTSTP), which would leave the terminal so
   * for others, is ignored meanwhile.
   *
   * @returns the way back
   */
  raw(): () => void;
  /**
   * Calls back instead of ending the program when it is interrupted, asked to end, or its terminal goes
   * (SIGINT, SIGTERM, SIGHUP, SIGQUIT).
   *
   * @returns what undoes it
   */
  onEnd(callback: () => void): () => void;
}

const ENDING: readonly Deno.Signal[] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"];
const CHUNK = 16 * 1024;

export function linuxTerminal(): Terminal {
  const buffer = new Uint8Array(CHUNK);
  return {
    input: Deno.stdin.isTerminal(),
    output: Deno.stdout.isTerminal(),
    messages: Deno.stderr.isTerminal(),
    cursor: !["", "dumb"].includes(Deno.env.get("TERM") ?? ""),
    columns() {
      try {
        return Deno.consoleSize().columns || 80;
      } catch {
        return 80;
      }
    },
    async read() {
      try {
        const count = await Deno.stdin.read(buffer);
        return count === null ? null : buffer.slice(0, count);
      } catch {
        // The terminal is gone: the end, as everywhere.
        return null;
      }
    },
    async write(bytes) {
      for (let at = 0; at < bytes.length;) at += await Deno.stdout.write(bytes.subarray(at));
    },
    raw() {
      const stop = () => {};
      Deno.addSignalListener("SIGTSTP", stop);
      // Where the program fails before the way back, Deno gives the terminal back when it ends.
      Deno.stdin.setRaw(true);
      return () => {
        Deno.removeSignalListener("SIGTSTP", stop);
        try {
          Deno.stdin.setRaw(false);
        } catch {
          // The terminal is gone, and with it what was set.
        }
      };
    },
    onEnd(callback) {
      for (const signal of ENDING) Deno.addSignalListener(signal, callback);
      return () => {
        for (const signal of ENDING) Deno.removeSignalListener(signal, callback);
      };
    },
  };
}
