/**
 * What a command of `ray` has at hand, and how its result reaches the terminal: one place for exit
 * codes, JSON and errors.
 */

import type { CommandContext } from "@stricli/core";
import { Fault } from "../fault.ts";
import type { Desk } from "../host/desk.ts";
import type { Host } from "../host/port.ts";
import type { Probe } from "../host/probes.ts";
import type { Terminal } from "../host/terminal.ts";
import { fold } from "../recovery/wrap.ts";
import { type CommandResult, printable } from "./policy_result.ts";

export interface CliProcess {
  readonly stdout: { write(text: string): void };
  readonly stderr: { write(text: string): void };
  exitCode?: number | string | null;
}

export interface CliContext extends CommandContext {
  readonly process: CliProcess;
  readonly desk: Desk;
  readonly host: Pick<Host, "connect" | "readText" | "list">;
  readonly terminal: Terminal;
  readonly probe: () => Promise<Probe[]>;
  /** What could stand in the place of the last of these words. */
  readonly propose: (words: readonly string[]) => Promise<string[]>;
}

/** Writes a result and sets the exit code (contract §9). */
export function finish(context: CliContext, result: CommandResult): void {
  const { stdout, prose } = result;
  const text = prose && context.terminal?.output ? fold(stdout) : stdout;
  if (text !== "") context.process.stdout.write(text);
  if (result.stderr !== "") context.process.stderr.write(result.stderr);
  context.process.exitCode = result.exit;
}

/** Runs a command's body; a fault becomes a line on standard error and an exit code. */
export async function guarded(
  context: CliContext,
  work: () => Promise<CommandResult> | CommandResult,
): Promise<void> {
  try {
    finish(context, await work());
  } catch (error) {
    if (!(error instanceof Fault)) throw error;
    finish(context, {
      exit: error.code === "cli.interrupted" ? 130 : 3,
      stdout: "",
      stderr: `rayos: ${printable(error.message)}\n`,
    });
  }
}
