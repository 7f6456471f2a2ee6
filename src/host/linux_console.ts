/**
 * The serial console as a person's terminal: keys as they are typed, what the terminal knows, and the one
 * program that it may be handed to. It decides nothing of what passes.
 */

import { type Launcher, launcherPath } from "../permissions.ts";

const READ_CHUNK = 4096;
/** What busybox init leaves in TERM at a serial line is `vt102`; a person can say `terminal dumb`. */
const PLAIN = ["", "dumb", "unknown"];

let raw = false;

/** Each key as it is typed, or a line at a time as a shell expects it. A console that is no terminal stays as it is. */
function setRaw(on: boolean): void {
  if (raw === on || !Deno.stdin.isTerminal()) return;
  Deno.stdin.setRaw(on);
  raw = on;
}

/** The console as it was found, for whoever reads it next. */
export function giveConsoleBack(): void {
  try {
    setRaw(false);
  } catch {
    // It is gone, and with it what was set.
  }
}

export function consoleScreen(): { columns: number; plain: boolean } {
  const plain = PLAIN.includes(Deno.env.get("TERM") ?? "");
  try {
    // A serial line says 0 where nobody told it.
    return { columns: Deno.consoleSize().columns || 80, plain };
  } catch {
    return { columns: 80, plain };
  }
}

export async function* consoleKeys(): AsyncIterable<Uint8Array> {
  const buffer = new Uint8Array(READ_CHUNK);
  try {
    while (true) {
      setRaw(true);
      const count = await Deno.stdin.read(buffer);
      if (count === null) return;
      yield buffer.slice(0, count);
    }
  } finally {
    giveConsoleBack();
  }
}

export async function consoleLaunch(name: Launcher): Promise<number> {
  giveConsoleBack();
  const child = new Deno.Command(launcherPath(name), {
    args: [],
    env: {},
    clearEnv: true,
    stdin: "inherit",
    stdout: "inherit",
    stderr: "inherit",
  }).spawn();
  return (await child.status).code;
}
