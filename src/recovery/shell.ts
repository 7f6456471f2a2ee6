/**
 * What a line typed in the recovery shell means, what could stand at its end, and the help: pure functions
 * over the table of commands. Who runs the shell carries out what a line asks for.
 */

import { escapeUnsafe } from "../escape.ts";
import {
  type Argument,
  type ArgumentKind,
  type Asked,
  COMMANDS,
  type ShellCommand,
  usageOf,
} from "./commands.ts";
import type { Completion } from "./line_editor.ts";
import { wrap } from "./wrap.ts";

const MOST_LINES = 500;

/** What a line asks for; a text says why where it asks for nothing. */
export function onLine(line: string): Asked {
  const words = line.trim().split(/\s+/).filter((word) => word !== "");
  if (words.length === 0) return { kind: "text", text: "" };
  const command = commandOf(words);
  if (command === null) return { kind: "text", text: unknown(words) };
  const rest = words.slice(command.name.split(" ").length);
  const known = [...command.flags ?? [], ...command.changes ? ["--dry-run"] : []];
  const flags = rest.filter((word) => word.startsWith("-"));
  const wrong = flags.find((flag) => !known.includes(flag));
  if (wrong !== undefined) return usage(command, `${command.name} takes no ${shortly(wrong)}`);
  const plain = rest.filter((word) => !word.startsWith("-"));
  const given: Record<string, string> = {};
  for (const [n, argument] of (command.args ?? []).entries()) {
    const word = plain[n];
    if (word === undefined) {
      if (argument.optional) continue;
      return usage(command, `${command.name} needs ${argument.name}`);
    }
    const why = whyNot(argument, word);
    if (why !== null) return usage(command, why);
    given[argument.name] = word;
  }
  const extra = plain[(command.args ?? []).length];
  if (extra !== undefined) return usage(command, `${command.name} takes no ${shortly(extra)}`);
  return command.asks({
    words: given,
    flags: new Set(flags),
    dryRun: flags.includes("--dry-run"),
  });
}

/** The longest name that the words begin with. */
function commandOf(words: readonly string[]): ShellCommand | null {
  const two = words.slice(0, 2).join(" ");
  return COMMANDS.find((one) => one.name === two) ??
    COMMANDS.find((one) => one.name === words[0]) ?? null;
}

function whyNot({ name, kind }: Argument, word: string): string | null {
  if (kind === "count") {
    const fits = /^\d{1,3}$/.test(word) && Number(word) >= 1 && Number(word) <= MOST_LINES;
    return fits ? null : `${name} is a number from 1 to ${MOST_LINES}`;
  }
  if (kind === "terminal") return ["dumb", "vt"].includes(word) ? null : `${name} is dumb or vt`;
  return null;
}

function unknown(words: readonly string[]): string {
  const [first = ""] = words;
  const own = COMMANDS.filter((one) => one.name.startsWith(`${first} `));
  if (own.length === 0) return `${shortly(first)}: no such command; \`help\` lists them\n`;
  const verbs = own.map((one) => one.name.slice(first.length + 1)).join(", ");
  return `${first}: say which of ${verbs}\n`;
}

function usage(command: ShellCommand, why: string): Asked {
  return { kind: "text", text: `${why}\nusage: ${usageOf(command)}\n` };
}

function shortly(word: string): string {
  return escapeUnsafe(word.slice(0, 40));
}

/** The list of commands, or what there is to say of those that begin so. */
export function renderHelp(about: string): string {
  const own = COMMANDS.filter((one) => about === "" || one.name.split(" ")[0] === about);
  if (own.length === 0) return `${shortly(about)}: no such command\n`;
  if (about === "") {
    const width = Math.max(...own.map((one) => one.name.length));
    const rows = own.flatMap((one) =>
      wrap(`${one.name.padEnd(width).replaceAll(" ", "\0")}  ${one.does}`, 2, width + 4)
    );
    const more =
      "What changes something takes --dry-run. Tab completes; `help vm` says how vm is called.";
    return `${rows.join("\n").replaceAll("\0", " ")}\n${wrap(more).join("\n")}\n`;
  }
  return own.map((one) => `  ${usageOf(one)}\n      ${one.does}\n`).join("");
}

/** What there is of each kind of argument. */
export type Names = Readonly<Partial<Record<ArgumentKind, () => readonly string[]>>>;

const FIXED: Names = {
  entry: () => ["current", "previous", "recovery"],
  terminal: () => ["dumb", "vt"],
  command: () => [...new Set(COMMANDS.map((one) => one.name.split(" ")[0] ?? ""))],
};

/** What could stand in the place of the last word of a line. */
export function complete(before: string, names: Names): Completion {
  const words = before.split(/ +/).filter((word, n, all) => word !== "" || n === all.length - 1);
  const begun = words.at(-1) ?? "";
  const earlier = words.slice(0, -1);
  const proposals = proposalsAfter(earlier, begun, { ...FIXED, ...names });
  const fitting = proposals.filter((one) => one.startsWith(begun));
  return { begun, words: [...new Set(fitting)].sort() };
}

function proposalsAfter(
  earlier: readonly string[],
  begun: string,
  names: Names,
): readonly string[] {
  if (earlier.length === 0) return FIXED.command?.() ?? [];
  const seconds = COMMANDS.filter((one) => one.name.startsWith(`${earlier[0]} `));
  if (earlier.length === 1 && seconds.length > 0) {
    return seconds.map((one) => one.name.slice((earlier[0]?.length ?? 0) + 1));
  }
  const command = commandOf(earlier);
  if (command === null) return [];
  if (begun.startsWith("-")) {
    return [...command.flags ?? [], ...command.changes ? ["--dry-run"] : []];
  }
  const place = earlier.slice(command.name.split(" ").length)
    .filter((word) => !word.startsWith("-")).length;
  const kind = command.args?.[place]?.kind;
  return kind === undefined ? [] : names[kind]?.() ?? [];
}
