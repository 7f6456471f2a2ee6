/**
 * `ray policy diff OLD NEW [--json]`: what the new policy allows that the old one did not, and the
 * reverse. Exit code 1 when it widens anything, so that a script can stop there.
 */
import { renderDifferences } from "../control/show_policy.ts";
import { difference, widens } from "../policy/explain.ts";
import { readOnDesk } from "../policy/parse.ts";
import { policyCheck } from "./policy_check.ts";
import type { CommandResult } from "./policy_result.ts";

/** A file by its name and bytes. */
interface Named {
  readonly name: string;
  readonly bytes: Uint8Array;
}

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
