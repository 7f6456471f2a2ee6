/**
 * The minimal prompt of a host that is not in normal mode: what is wrong, in words, and the few things
 * a person can do. A pure pair: `renderWhy` and `onLine` give text and a request; who runs it carries
 * the request out through `authorize`.
 */

import { escapeUnsafe } from "../escape.ts";

export const PROMPT = "rayos> ";

/** What a person wants done. */
export type PromptAction =
  | "none"
  | "retry"
  | "power.off"
  | "power.reboot"
  | "status"
  | "log"
  | "serial.accept";

export interface PromptAnswer {
  readonly action: PromptAction;
  readonly text: string;
}

const COMMANDS: readonly { name: string; action: PromptAction; does: string }[] = [
  { name: "why", action: "none", does: "what is wrong and how to mend it" },
  { name: "status", action: "status", does: "the host, its policy and its guests" },
  { name: "log", action: "log", does: "the last lines of the log" },
  {
    name: "serial accept",
    action: "serial.accept",
    does: "count the policy that is there as the last one accepted",
  },
  { name: "retry", action: "retry", does: "start the boot again from the disk on" },
  { name: "reboot", action: "power.reboot", does: "restart the machine" },
  { name: "poweroff", action: "power.off", does: "switch the machine off" },
  { name: "help", action: "none", does: "this list" },
];

export interface Why {
  readonly mode: "normal" | "safe" | "recovery";
  readonly troubles: readonly { code: string; text: string; hint: string }[];
}

/** Why the host is not in normal mode, in words, each with what to do. */
export function renderWhy(why: Why): string {
  const head = why.mode === "recovery"
    ? "RayOS is in recovery mode, as the kernel command line asked. No guest is started."
    : "RayOS is in safe mode: no guest is started, because";
  const lines = why.troubles.flatMap((one) => [
    `  * ${escapeUnsafe(one.code)}: ${escapeUnsafe(one.text)}`,
    ...(one.hint ? [`    -> ${escapeUnsafe(one.hint)}`] : []),
  ]);
  return ["", head, ...lines, "Type `help` for what can be done here.", ""].join("\n");
}

function renderHelp(): string {
  return COMMANDS.map((one) => `  ${one.name.padEnd(13)} ${one.does}`).join("\n") + "\n";
}

/** What a typed line means. */
export function onLine(line: string, why: Why): PromptAnswer {
  const word = line.trim();
  if (word === "") return { action: "none", text: "" };
  if (word === "help") return { action: "none", text: renderHelp() };
  if (word === "why") return { action: "none", text: renderWhy(why) };
  const known = COMMANDS.find((one) => one.name === word);
  if (known === undefined) {
    const shown = escapeUnsafe(word.slice(0, 40));
    return { action: "none", text: `${shown}: no such command\n${renderHelp()}` };
  }
  return { action: known.action, text: "" };
}
