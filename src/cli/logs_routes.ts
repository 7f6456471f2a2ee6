/**
 * `ray logs`: the host's last lines, all or those of a guest or a level, and with `--follow` those that come
 * from then on, until it is interrupted. It decides nothing.
 */

import { buildCommand } from "@stricli/core";
import { ask, type OpenStream, openStream } from "../control/client.ts";
import { escapeUnsafe } from "../escape.ts";
import { type CliContext, guarded } from "./context.ts";
import { docs, type Json, jsonFlag, optionalText, whole } from "./flags.ts";
import { denied } from "./host_commands.ts";
import { isAskedFor, type Level, LEVELS, type LogFilter, parseLogLine } from "./log_line.ts";
import type { CommandResult } from "./policy_result.ts";

interface Flags extends Json {
  readonly lines?: number;
  readonly follow: boolean;
  readonly vm?: string;
  readonly level?: Level;
}

/** Looked through where only some lines are wanted. */
const MOST_LINES = 500;
const LINES = 40;

export const logs = buildCommand<Flags, [], CliContext>({
  docs: docs(
    "The last lines of the host's log",
    "ray logs --lines 100",
    "ray logs -f --vm kiosk-1 --level warn",
  ),
  parameters: {
    flags: {
      json: { ...jsonFlag, brief: "print one JSON object a line" },
      lines: whole("how many, 40 where not given, at most 500", "N"),
      follow: { kind: "boolean", brief: "go on until it is interrupted", default: false },
      vm: optionalText("only lines about this guest", "ID"),
      level: {
        kind: "enum",
        values: LEVELS,
        optional: true,
        brief: "only lines of this level and graver ones",
      },
    },
    aliases: { f: "follow" },
  },
  func(flags) {
    return guarded(this, () => flags.follow ? follow(this, flags) : show(this, flags));
  },
});

const filterOf = ({ vm, level }: Flags): LogFilter => ({
  ...vm === undefined ? {} : { vm },
  ...level === undefined ? {} : { level },
});

async function show(context: CliContext, flags: Flags): Promise<CommandResult> {
  const answer = await ask(context.host, "logs.tail", { lines: asked(flags) });
  if (!answer.ok) return denied("logs.tail", answer.error, flags.json);
  return { exit: 0, stdout: rendered(answer.result, flags), stderr: "" };
}

/** How many lines the host is asked for: with a filter all it gives. */
function asked(flags: Flags): number {
  const filtered = flags.vm !== undefined || flags.level !== undefined;
  return filtered ? MOST_LINES : flags.lines ?? LINES;
}

function rendered(result: unknown, flags: Flags): string {
  const filter = filterOf(flags);
  const lines = (Array.isArray(result) ? result.map(String) : []).filter((line) =>
    isAskedFor(line, filter)
  );
  return lines.slice(-(flags.lines ?? LINES)).map((line) => renderOne(line, flags.json)).join("");
}

function renderOne(line: string, json: boolean): string {
  if (!json) return `${escapeUnsafe(line)}\n`;
  return `${JSON.stringify(parseLogLine(line) ?? { text: line })}\n`;
}

async function follow(context: CliContext, flags: Flags): Promise<CommandResult> {
  const opened = await openStream(context.host, "logs.tail", { lines: asked(flags), follow: true });
  if (!opened.ok) return denied("logs.tail", opened.error, flags.json);
  const { stream } = opened;
  const over = Promise.withResolvers<"over">();
  const undo = context.terminal.onEnd(() => over.resolve("over"));
  const print = (text: string) => context.terminal.write(new TextEncoder().encode(text));
  try {
    await print(rendered(stream.result, flags));
    return await readOn(stream, flags, over.promise, print);
  } finally {
    undo();
    stream.close();
  }
}

async function readOn(
  stream: OpenStream,
  flags: Flags,
  over: Promise<"over">,
  print: (text: string) => Promise<void>,
): Promise<CommandResult> {
  const filter = filterOf(flags);
  const decoder = new TextDecoder();
  let held = "";
  // Whether the line that goes on now has lost its beginning.
  let cut = false;
  while (true) {
    const message = await Promise.race([stream.next(), over]);
    if (message === "over") return { exit: 130, stdout: "", stderr: "" };
    if (message === null || "end" in message) {
      const why = message === null ? "the host closed the connection" : `ended by ${message.end}`;
      return { exit: 3, stdout: "", stderr: `rayos: logs: ${escapeUnsafe(why)}; ask again\n` };
    }
    if ("lost" in message) {
      held = "";
      cut = true;
      await print(
        renderOne(`${message.lost} bytes were lost: this reader was too slow`, flags.json),
      );
      continue;
    }
    const lines = (held + decoder.decode(message.data, { stream: true })).split("\n");
    held = lines.pop() ?? "";
    if (cut && lines.length > 0) {
      lines.shift();
      cut = false;
    }
    const shown = lines.filter((line) => isAskedFor(line, filter));
    if (shown.length > 0) await print(shown.map((line) => renderOne(line, flags.json)).join(""));
  }
}
