/**
 * `ray status`, `ray vm list`, `ray vm start|stop`, `ray power …`: ask the running host over its
 * control socket and show the answer. They decide nothing; a denial is the host's.
 */

import { ask } from "../control/client.ts";
import { escapeUnsafe } from "../escape.ts";
import type { CliContext } from "./context.ts";
import type { CommandResult } from "./policy_result.ts";

/** What is text for a program as well, or somebody else's. */
const AS_IT_IS = ["metrics", "policy.show", "vm.log"];

/** Asks, and shows the result by the given function or as JSON. */
export async function hostCommand(
  context: CliContext,
  op: string,
  args: Record<string, unknown>,
  json: boolean,
  render: (result: unknown) => string,
): Promise<CommandResult> {
  const answer = await ask(context.host, op, args);
  if (!answer.ok) return denied(op, answer.error, json);
  if (json) return { exit: 0, stdout: `${JSON.stringify(answer.result, null, 2)}\n`, stderr: "" };
  const stdout = render(answer.result);
  return AS_IT_IS.includes(op)
    ? { exit: 0, stdout, stderr: "" }
    : { exit: 0, stdout, stderr: "", prose: true };
}

/** What a denied request ends with. */
export function denied(
  op: string,
  error: { readonly rule: string; readonly detail: string },
  json: boolean,
): CommandResult {
  const body = JSON.stringify({ ok: false, error }, null, 2);
  const { rule, detail } = error;
  return {
    exit: 1,
    stdout: json ? `${body}\n` : "",
    stderr: json ? "" : `rayos: ${op}: denied by ${rule}: ${escapeUnsafe(detail)}\n`,
  };
}
