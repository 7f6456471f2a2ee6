/**
 * `ray policy explain FILE [--vm ID] [--json]`: what a policy gives and withholds, in words, each
 * sentence with the line that says it. It needs no signature and brings nothing into force.
 */
import { renderStatement } from "../control/show_policy.ts";
import { explain } from "../policy/explain.ts";
import { readOnDesk } from "../policy/parse.ts";
import { policyCheck } from "./policy_check.ts";
import { type CommandResult, printable } from "./policy_result.ts";

/**
 * Explains a policy's bytes.
 *
 * @param vm only what concerns that guest: the host, and the profile that names it or has that name
 * @returns exit code 1 where it is no policy, with the findings of `check`
 */
export function policyExplain(
  { name, bytes, vm, json }: {
    readonly name: string;
    readonly bytes: Uint8Array;
    readonly vm: string | null;
    readonly json: boolean;
  },
): CommandResult {
  const read = readOnDesk(bytes);
  if (read.policy === null) return policyCheck(name, bytes, json);
  const { policy } = read;
  const profiles = [...policy.profiles.values()].filter((one) =>
    vm === null || one.vmId === vm || one.name === vm
  );
  if (vm !== null && profiles.length === 0) {
    const known = [...policy.profiles.values()].map((one) => one.vmId ?? one.name);
    const names = known.length === 0 ? "it has none" : `it has ${known.join(", ")}`;
    const message = `explain ${name}: no profile for ${vm}; ${names}`;
    return {
      exit: 1,
      stdout: json ? `${JSON.stringify({ ok: false, error: message })}\n` : "",
      stderr: json ? "" : `rayos: ${printable(message)}\n`,
    };
  }
  const subjects = ["host", ...profiles.map((one) => one.name)];
  const statements = explain(read).filter((one) => subjects.includes(one.subject));
  if (json) return { exit: 0, stdout: `${JSON.stringify({ ok: true, statements })}\n`, stderr: "" };
  const blocks = subjects.map((subject) => {
    const title = subject === "host" ? "the host and all guests" : `profile ${subject}`;
    const lines = statements.filter((one) => one.subject === subject).map(renderStatement);
    return `${printable(title)}\n${lines.join("")}`;
  });
  return { exit: 0, stdout: blocks.join("\n"), stderr: "" };
}
