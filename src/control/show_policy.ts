/**
 * What a policy says and what an installation changed, as lines for a person. `ray` and the recovery
 * shell show the same; everything that comes from a document or the host is escaped.
 */

import * as v from "valibot";
import { escapeUnsafe } from "../escape.ts";
import { type Difference, type Statement, widens } from "../policy/explain.ts";

const TITLES: readonly (readonly [Difference["change"], string])[] = [
  ["widens", "allowed now, and not before"],
  ["both", "other than before, so allowed now and not before"],
  ["narrows", "allowed before, and not now"],
  ["changes", "other than before, giving neither more nor less"],
];

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
  const subject = escapeUnsafe(said?.subject ?? "");
  const lines: string[] = [];
  if (one.old !== null) lines.push(`  - ${subject}: ${sentence(one.old)}`);
  if (one.new !== null) lines.push(`  + ${subject}: ${sentence(one.new)}`);
  return `${lines.join("\n")}\n`;
}

function sentence(one: Statement): string {
  return `${escapeUnsafe(one.text)} (${escapeUnsafe(one.key)}, ${placeOf(one)})`;
}

/** One sentence with its place. */
export function renderStatement(one: Statement): string {
  return `  ${placeOf(one).padEnd(9)}  ${escapeUnsafe(one.text)}\n`;
}

/** Where a sentence comes from, for a person. */
export function placeOf(one: Statement): string {
  return one.line === null ? "default" : `line ${one.line}`;
}

const STATEMENT = v.object({
  subject: v.string(),
  key: v.string(),
  line: v.nullable(v.number()),
  text: v.string(),
});
const DIFFERENCES = v.array(v.object({
  change: v.picklist(["widens", "narrows", "both", "changes"]),
  old: v.nullable(STATEMENT),
  new: v.nullable(STATEMENT),
}));
const SHOWN = v.looseObject({
  sha256: v.string(),
  compared: v.optional(v.boolean(), true),
  differences: DIFFERENCES,
});
const INSTALLED = v.looseObject({
  mode: v.string(),
  stopped: v.array(v.string()),
  later: v.array(v.string()),
});

/** What an installation did, for a person. */
export function renderInstalled(result: unknown): string {
  const shown = v.safeParse(SHOWN, result);
  if (!shown.success) {
    return "rayos: policy install: the host answered in another shape; use --json\n";
  }
  const { sha256, compared, differences } = shown.output;
  const changes = compared ? renderDifferences(differences) : "";
  const parsed = v.safeParse(INSTALLED, result);
  if (!parsed.success) return `${changes}nothing was installed\n`;
  const { mode, stopped, later } = parsed.output;
  const list = (names: readonly string[]) => escapeUnsafe(names.join(", "));
  return `${changes}policy ${escapeUnsafe(sha256.slice(0, 16))} is in force\n` +
    (stopped.length === 0 ? "" : `stopped now, since it may no longer run: ${list(stopped)}\n`) +
    (later.length === 0 ? "" : `changed at the next start: ${list(later)}\n`) +
    (mode === "normal"
      ? ""
      : "the host is not in normal mode; `retry` at its console boots with it\n");
}
