/**
 * The page of rules: those that deny a request, from their table, and those that a JSON Schema cannot
 * say. It only renders.
 */
import { MEANING_RULES } from "../src/policy/meaning_rules.ts";
import { isLive, OP_TABLE, OPS } from "../src/policy/ops.ts";
import { DENY_RULES, type RuleRow } from "../src/policy/rules.ts";

export function renderRules(): string {
  const rows = Object.entries<RuleRow>(DENY_RULES).map(([rule, row]) =>
    `| \`${rule}\` | ${row.key === null ? "–" : `\`${row.key}\``} | ${row.says} | ${row.todo} |`
  );
  const meaning = Object.entries(MEANING_RULES).map(([rule, says]) => `| \`${rule}\` | ${says} |`);
  const ops = OPS.map((op) => {
    const { callers, needs, exposes } = OP_TABLE[op];
    const conditions = needs.length === 0 ? "–" : needs.join(", ");
    return `| \`${op}\` | ${isLive(op) ? "yes" : "no"} | ${callers.join(", ")} | ${conditions} | ${
      exposes ? "yes" : "–"
    } |`;
  });
  return [
    "# Rules",
    "",
    "Made by `tools/reference.ts` from the program's own tables. `ray policy rules` prints the first.",
    "",
    "## Rules that deny a request",
    "",
    "| rule | key of the policy | what it says | what to do |",
    "|---|---|---|---|",
    ...rows,
    "",
    "## Rules of sense",
    "",
    "What the keys of a policy mean to each other; the JSON Schema (`ray policy schema`) cannot say it.",
    "",
    "| rule | what it says |",
    "|---|---|",
    ...meaning,
    "",
    "## Operations",
    "",
    "Who may ask, and what is looked at, in this order. *exposes*: gives a guest something, or gives " +
    "something of a guest to somebody.",
    "",
    "| operation | in this version | callers | conditions | exposes |",
    "|---|---|---|---|---|",
    ...ops,
    "",
  ].join("\n");
}
