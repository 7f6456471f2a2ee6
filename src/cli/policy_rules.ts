/**
 * `ray policy rules [--json]`: the rules by which a request is denied, with the key of the policy that
 * each comes from and what a person can do.
 */
import { DENY_RULES, type RuleRow } from "../policy/rules.ts";
import type { CommandResult } from "./policy_result.ts";

export function policyRules(json: boolean): CommandResult {
  const rows = Object.entries<RuleRow>(DENY_RULES);
  if (json) {
    const rules = rows.map(([rule, { key, says, todo }]) => ({ rule, key, says, todo }));
    return { exit: 0, stdout: `${JSON.stringify({ rules })}\n`, stderr: "" };
  }
  const stdout = rows.map(([rule, { key, says, todo }]) =>
    `${rule}${key === null ? "" : `  (${key})`}\n  ${says}\n  ${todo}\n`
  ).join("");
  return { exit: 0, stdout, stderr: "", prose: true };
}
