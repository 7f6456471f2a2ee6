/**
 * `ray status --watch`: the host's status, asked for again and again. On a screen it is drawn in its place;
 * into a pipe or on a screen without cursor it is printed when it is another one. A host that does not
 * answer is said so and asked again, since its program may be started again meanwhile.
 */

import { ask } from "../control/client.ts";
import { reasonOf } from "../fault.ts";
import { renderStatus } from "../presentation/status_text.ts";
import type { CliContext } from "./context.ts";
import { type CommandResult, printable } from "./policy_result.ts";

/** Milliseconds from one look to the next. */
const LOOK_MS = 1_000;

/** What begins a drawing, ends each line of it, and clears what the one before had below it (ECMA-48). */
const [HOME, END_OF_LINE, BELOW] = ["\x1b[H", "\x1b[K", "\x1b[J"];

/** Watches until it is interrupted. */
export async function watchStatus(
  context: CliContext,
  json: boolean,
  lookMs = LOOK_MS,
): Promise<CommandResult> {
  const { terminal } = context;
  const over = Promise.withResolvers<"over">();
  const undo = terminal.onEnd(() => over.resolve("over"));
  const inPlace = terminal.output && terminal.cursor && !json;
  const print = (text: string) => terminal.write(new TextEncoder().encode(text));
  let before = "";
  try {
    if (inPlace) await print(`${HOME}${BELOW}`);
    while (true) {
      const text = await look(context, json);
      if (inPlace) await print(drawn(text));
      // The time that the host is up changes each time, and is no news.
      else if (withoutTime(text) !== before) await print(text);
      before = withoutTime(text);
      const { promise, resolve } = Promise.withResolvers<"next">();
      const timer = setTimeout(() => resolve("next"), lookMs);
      const what = await Promise.race([promise, over.promise]);
      clearTimeout(timer);
      if (what === "over") break;
    }
  } finally {
    undo();
  }
  return { exit: 130, stdout: "", stderr: "" };
}

async function look(context: CliContext, json: boolean): Promise<string> {
  try {
    const answer = await ask(context.host, "status", {});
    if (json) return `${JSON.stringify(answer.ok ? answer.result : { error: answer.error })}\n`;
    if (answer.ok) return renderStatus(answer.result);
    return `denied by ${answer.error.rule}: ${printable(answer.error.detail)}\n`;
  } catch (error) {
    if (json) return `${JSON.stringify({ error: { rule: "cli.no_answer" } })}\n`;
    return `the host does not answer, and is asked again: ${printable(reasonOf(error))}\n`;
  }
}

function drawn(text: string): string {
  return `${HOME}${text.replaceAll("\n", `${END_OF_LINE}\r\n`)}${BELOW}`;
}

function withoutTime(text: string): string {
  return text.replace(/^up +[\d.]+ s$/m, "").replace(/"uptime_ms":\d+/, "");
}
