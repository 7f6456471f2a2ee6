/**
 * What a `ray policy` command comes to: an exit code of contract §9 and the text for either stream.
 * Whoever runs the command writes it; nothing here does.
 */
import { escapeUnsafe } from "../escape.ts";
import type { Issue } from "../issue.ts";

export interface CommandResult {
  readonly exit: 0 | 1 | 2 | 3 | 130;
  readonly stdout: string;
  readonly stderr: string;
  /** It is for a person alone: on a screen its lines are cut to 80 columns. */
  readonly prose?: true;
}

/** Text that cannot move the cursor, change colours or reorder what is shown around it. */
export function printable(text: string): string {
  return escapeUnsafe(text.replace(/\t/g, " "));
}

/** A command that failed because of a finding; exit code 1. */
export function refused(what: string, one: Issue, json: boolean): CommandResult {
  const { rule, path, line, column, expected, found, hint } = one;
  const row = { rule, path, line, column, expected, found, hint };
  const message = `rayos: ${what}: ${rule}: expected ${expected}; found ${found}` +
    (hint === "" ? "" : `; ${hint}`);
  return {
    exit: 1,
    stdout: json ? `${JSON.stringify({ ok: false, issues: [row] })}\n` : "",
    stderr: json ? "" : `${printable(message)}\n`,
  };
}
