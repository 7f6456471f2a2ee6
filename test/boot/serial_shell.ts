// deno-lint-ignore-file no-control-regex -- a terminal's own characters are what this is about
/** The recovery shell as somebody meets it who types on a real serial line. */
import type { BootRun } from "../../tools/boot_machine.ts";

/** What the shell shows when it waits for a command. */
export const PROMPT = /rayos( locked| closed)?> (\x1b\[K)?$/u;

/** The same for what is not shown. */
export const ASKED_FOR_PASSPHRASE = /recovery passphrase: (\x1b\[K)?$/u;

/** Types a line and gives what the screen shows until the next prompt, without terminal sequences. */
export async function tell(run: BootRun, line: string, answer = PROMPT): Promise<string> {
  const from = run.console.length;
  await run.typeSerial(`${line}\r`);
  // The line's own end comes first: its prompt is not the answer's.
  await run.waitForConsole(/\n/u, 60_000, from);
  const begun = run.console.indexOf("\n", from);
  await run.waitForConsole(answer, 120_000, begun);
  return plain(run.console.slice(begun));
}

/** Without terminal sequences. */
export function plain(text: string): string {
  return text.replaceAll(/\x1b\[[0-9;?]*[A-Za-z]|\r/gu, "");
}

/** What a desk prints for `policy paste`. */
export function forPasting(policy: string, signature: string): string[] {
  const bytes = new TextEncoder().encode(policy);
  const base64 = btoa(String.fromCharCode(...bytes)).match(/.{1,76}/gu) ?? [];
  return [...base64, ".", ...signature.trimEnd().split("\n"), "."];
}
