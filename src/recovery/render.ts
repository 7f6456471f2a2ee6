/**
 * What the host answered, as lines for a screen of 80 columns. Whatever comes from a document, a log or a
 * guest is escaped here. Pure.
 */

import * as v from "valibot";
import { renderGuests, renderNetwork, renderStatus } from "../presentation/status_text.ts";
import { renderInstalled, renderStatement } from "../control/show_policy.ts";
import { escapeUnsafe } from "../escape.ts";
import { DENY_RULES } from "../policy/rules.ts";
import type { Shown } from "./commands.ts";
import { fold, wrap } from "./wrap.ts";

const CHECKED = v.looseObject({
  file: v.string(),
  holds: v.boolean(),
  issues: v.array(v.looseObject({
    rule: v.string(),
    path: v.string(),
    line: v.nullable(v.number()),
    expected: v.string(),
    found: v.string(),
    hint: v.string(),
    severity: v.string(),
  })),
});
/** Stands before what a guest wrote. */
const MARK = "| ";
const STATEMENTS = v.array(v.object({
  subject: v.string(),
  key: v.string(),
  line: v.nullable(v.number()),
  text: v.string(),
}));

/**
 * The answer to a request.
 *
 * @param only the guest that was asked about, for `guest`
 */
export function renderResult(shown: Shown, result: unknown, only?: unknown): string {
  switch (shown) {
    case "status":
      return fold(renderStatus(result));
    case "guests":
      return fold(renderGuests(result));
    case "network":
      return fold(renderNetwork(result));
    case "guest": {
      const found = Array.isArray(result) ? result.find((one) => one?.vm === only) : undefined;
      return found === undefined ? "no such guest\n" : renderFields(found);
    }
    case "lines":
      return Array.isArray(result)
        ? result.map((line) => isPlain(line) ? foldLine(plain(line)) : renderFields(line)).join("")
        : renderFields(result);
    case "guest_lines":
      return (Array.isArray(result) ? result : [result]).map(foldGuestLine).join("");
    case "policy_check":
      return renderCheck(result);
    case "installed":
      return fold(renderInstalled(result));
    case "statements": {
      const parsed = v.safeParse(STATEMENTS, result);
      if (!parsed.success) return renderFields(result);
      return parsed.output.map((one) =>
        fold(`${escapeUnsafe(one.subject)}: ${renderStatement(one).trim()}\n`)
      ).join("");
    }
    case "fields":
      return isEmpty(result) ? "none\n" : renderFields(result);
  }
}

/** A request that was denied, with what to do where the rule says it. */
export function renderDenied(rule: string, detail: string): string {
  const row = Object.hasOwn(DENY_RULES, rule) ? DENY_RULES[rule as keyof typeof DENY_RULES] : null;
  const lines = wrap(`denied by ${escapeUnsafe(rule)}: ${escapeUnsafe(detail)}`, 0, 2);
  return `${[...lines, ...row === null ? [] : wrap(`-> ${row.todo}`, 2, 5)].join("\n")}\n`;
}

function renderCheck(result: unknown): string {
  const parsed = v.safeParse(CHECKED, result);
  if (!parsed.success) return renderFields(result);
  const { file, holds, issues } = parsed.output;
  const lines = issues.flatMap((one) => {
    const place = [one.path, one.line === null ? "" : `line ${one.line}`].filter((part) =>
      part !== ""
    );
    const where = place.length === 0 ? "" : ` (${place.join(", ")})`;
    const text =
      `${one.severity}: ${one.rule}${where}: expected ${one.expected}, found ${one.found}`;
    return [
      ...wrap(escapeUnsafe(text), 0, 2),
      ...one.hint === "" ? [] : wrap(`-> ${escapeUnsafe(one.hint)}`, 2, 5),
    ];
  });
  const verdict = `${escapeUnsafe(file)}: ${holds ? "it holds" : "it does not hold"}`;
  return `${[...lines, ...wrap(verdict)].join("\n")}\n`;
}

/** Any answer: a key and its value in a line, what is inside another one indented. */
export function renderFields(value: unknown, indent = 0): string {
  if (Array.isArray(value)) {
    return value.map((one, n) =>
      isPlain(one)
        ? `${wrap(plain(one), indent, indent + 2).join("\n")}\n`
        : `${n === 0 ? "" : "\n"}${renderFields(one, indent)}`
    ).join("");
  }
  if (isPlain(value)) return `${wrap(plain(value), indent).join("\n")}\n`;
  const rows = Object.entries(value as object);
  const width = Math.min(20, Math.max(0, ...rows.map(([key]) => key.length)));
  return rows.map(([key, one]) => {
    const name = escapeUnsafe(key);
    if (isPlain(one)) {
      const padded = name.padEnd(width).replaceAll(" ", "\0");
      const text = wrap(`${padded}  ${plain(one)}`, indent, indent + width + 2).join("\n");
      return `${text.replaceAll("\0", " ")}\n`;
    }
    if (isEmpty(one)) return `${" ".repeat(indent)}${name.padEnd(width)}  none\n`;
    if (
      Array.isArray(one) && one.every(isPlain) && !one.some((part) => String(part).includes(" "))
    ) {
      const text = `${name.padEnd(width).replaceAll(" ", "\0")}  ${one.map(plain).join(", ")}`;
      const wrapped = wrap(text, indent, indent + width + 2).join("\n");
      return `${wrapped.replaceAll("\0", " ")}\n`;
    }
    return `${" ".repeat(indent)}${name}\n${renderFields(one, indent + 2)}`;
  }).join("");
}

function isPlain(value: unknown): boolean {
  return value === null || typeof value !== "object";
}

function isEmpty(value: unknown): boolean {
  return typeof value === "object" && value !== null && Object.keys(value).length === 0;
}

function plain(value: unknown): string {
  if (value === null || value === undefined) return "-";
  if (value === true) return "yes";
  if (value === false) return "no";
  return escapeUnsafe(String(value));
}

/**
 * A guest's line may look exactly like one of the host's: every row of it on the screen begins with a mark that
 * none of the host's begins with, so that nothing that reads the console takes it for one.
 */
function foldGuestLine(line: unknown): string {
  return wrap(isPlain(line) ? plain(line) : "-", MARK.length, MARK.length + 4)
    .map((row) => `${MARK}${row.slice(MARK.length)}\n`).join("");
}

function foldLine(line: string): string {
  return `${wrap(line, 0, 4).join("\n")}\n`;
}
