/**
 * `ray policy diff OLD NEW [--json]`: what the new policy allows that the old one did not, and the
 * reverse. Exit code 1 when it widens anything, so that a script can stop there.
 */
import { type Difference, difference, type Statement, widens } from "../policy/explain.ts";
import { readOnDesk } from "../policy/parse.ts";
import { policyCheck } from "./policy_check.ts";
import { placeOf } from "./policy_explain.ts";
import { type CommandResult, printable } from "./policy_result.ts";

/** A file by its name and bytes. */
interface Named {
  readonly name: string;
  readonly bytes: Uint8Array;
}

const TITLES: readonly (readonly [Difference["change"], string])[] = [
  ["widens", "allowed now, and not before"],
  ["both", "other than before, so allowed now and not before"],
  ["narrows", "allowed before, and not now"],
  ["changes", "other than before, giving neither more nor less"],
];

/** Compares two policies; neither needs a signature. */
export function policyDiff(old: Named, next: Named, json: boolean): CommandResult {
  const before = readOnDesk(old.bytes);
  if (before.policy === null) return policyCheck(old.name, old.bytes, json);
  const after = readOnDesk(next.bytes);
  if (after.policy === null) return policyCheck(next.name, next.bytes, json);
  const found = difference(before, after);
  const wider = widens(found);
  const exit = wider ? 1 : 0;
  if (json) {
    const stdout = `${JSON.stringify({ ok: true, widens: wider, differences: found })}\n`;
    return { exit, stdout, stderr: "" };
  }
  return { exit, stdout: renderDifferences(found), stderr: "" };
}

/** The differences in groups, with a verdict as the last line. */
export function renderDifferences(found: readonly Difference[]): string {
  const blocks = TITLES.flatMap(([change, title]) => {
    const own = found.filter((one) => one.change === change);
    return own.length === 0 ? [] : [`${title}:\n${own.map(renderDifference).join("")}\n`];
  });
  const verdict = found.length === 0
    ? "the two give the same"
    : widens(found)
    ? "the new policy widens"
    : "the new policy does not widen";
  return `${blocks.join("")}${verdict}\n`;
}

function renderDifference(one: Difference): string {
  const said = one.new ?? one.old;
  const subject = printable(said?.subject ?? "");
  const lines: string[] = [];
  if (one.old !== null) lines.push(`  - ${subject}: ${sentence(one.old)}`);
  if (one.new !== null) lines.push(`  + ${subject}: ${sentence(one.new)}`);
  return `${lines.join("\n")}\n`;
}

function sentence(one: Statement): string {
  return `${printable(one.text)} (${printable(one.key)}, ${placeOf(one)})`;
}
