/**
 * `ray policy check FILE [--json]`: everything that is wrong with a policy, as the boot would say
 * it, with the source line and a caret for a person, or as JSON for a program. It needs no
 * signature, reads no file itself and brings nothing into force.
 */
import { errorsOf, type Issue } from "../issue.ts";
import { checkPolicy } from "../policy/parse.ts";
import type { CommandResult } from "./policy_result.ts";
import { printable } from "./policy_result.ts";

/** Widest source line that is shown; a longer one is shown around the place. */
const WIDEST = 100;

/**
 * Checks a policy's bytes.
 *
 * @param name what to call the file in the report
 * @returns exit code 0 when the policy holds (warnings and notes allowed), else 1
 */
export function policyCheck(name: string, bytes: Uint8Array, json: boolean): CommandResult {
  const issues = checkPolicy(bytes);
  const ok = errorsOf(issues).length === 0;
  if (json) {
    const rows = issues.map(({ rule, path, line, column, expected, found, hint, severity }) => (
      { rule, path, line, column, expected, found, hint, severity }
    ));
    return { exit: ok ? 0 : 1, stdout: `${JSON.stringify({ ok, issues: rows })}\n`, stderr: "" };
  }
  const lines = new TextDecoder().decode(bytes).split("\n");
  const report = issues.map((one) => renderIssue(name, one, lines)).join("");
  const counts = (["error", "warning", "note"] as const).flatMap((severity) => {
    const count = issues.filter((one) => one.severity === severity).length;
    return count === 0 ? [] : [`${count} ${severity}${count === 1 ? "" : "s"}`];
  }).join(", ");
  const verdict = ok ? "the policy holds" : "the policy does not hold";
  const summary = `${printable(name)}: ${verdict}${counts === "" ? "" : ` (${counts})`}\n`;
  return { exit: ok ? 0 : 1, stdout: `${report}${summary}`, stderr: "" };
}

/**
 * One finding for a person: place, rule, what was expected and found, the source line with a caret.
 *
 * @param lines the document's lines; a finding without a place shows none
 */
export function renderIssue(name: string, one: Issue, lines: readonly string[]): string {
  const place = one.line === null ? "" : `:${one.line}:${one.column ?? 1}`;
  const where = one.path === "" ? "" : `${printable(one.path)}: `;
  const head = `${printable(name)}${place}: ${one.severity}: ${one.rule}: ${where}` +
    `expected ${printable(one.expected)}; found ${printable(one.found)}\n`;
  const hint = one.hint === "" ? "" : `  ${printable(one.hint)}\n`;
  const source = one.line === null ? undefined : lines[one.line - 1];
  // What a passphrase's place looks like is not worth showing the passphrase's hash for.
  if (source === undefined || one.path.startsWith("recovery")) return head + hint;
  const column = (one.column ?? 1) - 1;
  const start = column > WIDEST - 20 ? column - 20 : 0;
  const shown = printable(source.slice(start, start + WIDEST));
  const before = printable(source.slice(start, column));
  const gutter = String(one.line);
  return `${head}  ${gutter} | ${shown}\n  ${" ".repeat(gutter.length)} | ${
    " ".repeat([...before].length)
  }^\n${hint}`;
}
