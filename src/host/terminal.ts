/**
 * A secret word typed at the terminal, not shown while it is typed. Where standard input is no terminal
 * there is nobody to ask, and the answer is null; nothing is ever read from a pipe here.
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
