/**
 * `tools/rayos deno task docs`: writes the generated parts of the documentation from the tables that the
 * program runs by: what stands between a pair of marks, and the pages of docs/reference/. With `--check` it only says whether they are current, which a
 * unit test holds too.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { HARDENING } from "../src/boot/hardening.ts";
import { ESCAPES, MODES, SEQUENCES } from "../src/cli/terminal_filter.ts";
import { DEVICES } from "../src/plan/device.ts";
import { renderGrants } from "../src/permissions.ts";
import { COMMANDS, usageOf } from "../src/recovery/commands.ts";
import type { CallList } from "../src/seccomp/filter.ts";
import { QEMU_CALLS } from "../src/seccomp/qemu.ts";
import { SWTPM_CALLS } from "../src/seccomp/swtpm.ts";
import { PHASES } from "../src/sequence.ts";
import { renderGuestStates } from "../src/supervisor/guest_state.ts";
import { stalePages, writePages } from "./reference.ts";

const PROJECT = path.resolve(import.meta.dirname ?? ".", "..");

/** The boot as a drawing: one box a phase, in order. */
function phaseDrawing(): string {
  const boxes = PHASES.map((phase) => {
    const when = { always: "", data: " (with data)", normal: " (normal mode)" }[phase.when];
    return `  ${phase.name}["${phase.name}${when}<br>${phase.does}"]`;
  });
  const arrows = PHASES.map((phase) => phase.name).join(" --> ");
  return ["```mermaid", "flowchart TD", ...boxes, `  ${arrows}`, "```"].join("\n");
}

function phaseTable(): string {
  const rows = PHASES.map((phase) => `| \`${phase.name}\` | ${phase.when} | ${phase.does} |`);
  return ["| phase | runs | does |", "| --- | --- | --- |", ...rows].join("\n");
}

function deviceTable(): string {
  const rows = Object.entries(DEVICES).map(([name, row]) =>
    `| \`${name}\` | ${
      row.policyKey === null ? "every guest" : `\`${row.policyKey}\``
    } | ${row.exposes} |`
  );
  return ["| device | from | exposes |", "| --- | --- | --- |", ...rows].join("\n");
}

/** Calls with the same reason in one row, in the list's order. */
function callTable(list: CallList): string {
  const rows = new Map<string, string[]>();
  const add = (name: string, answer: string, why: string) => {
    const key = `${answer} | ${why}`;
    rows.set(key, [...rows.get(key) ?? [], `\`${name}\``]);
  };
  for (const { name, why, when } of list.allowed) {
    add(name, when === undefined ? "yes" : "by its arguments", why);
  }
  for (const name of list.absent) {
    add(name, "no (ENOSYS)", "libc then makes threads by clone, whose flags can be tested");
  }
  for (const { name, why } of list.without) add(name, "no, and tried", why);
  return [
    "| calls | allowed | for |",
    "| --- | --- | --- |",
    ...[...rows].map(([key, names]) => `| ${names.join(" ")} | ${key} |`),
  ].join("\n");
}

function hardeningTable(): string {
  const rows = HARDENING.map(({ id, what, where, wanted, by, reason }) => {
    const places = where.map((one) => `\`${one}\``).join(" ");
    return `| \`${id}\` | ${what} | ${places} | ${wanted.join(" or ")} | ${by} | ${reason} |`;
  });
  return [
    "| row | what | where | wanted | by | reason |",
    "| --- | --- | --- | --- | --- | --- |",
    ...rows,
  ].join("\n");
}

function terminalTable(): string {
  const rows = [
    ...Object.entries(SEQUENCES).map(([last, { does }]) => [`CSI … ${last}`, does]),
    ...Object.entries(ESCAPES).map(([last, does]) => [`ESC ${last}`, does]),
    ...Object.entries(MODES).map(([mode, { does }]) => [`CSI ${mode} h, CSI ${mode} l`, does]),
  ].map(([sequence, does]) => `| \`\` ${sequence} \`\` | ${does} |`);
  return ["| sequence | does |", "| --- | --- |", ...rows].join("\n");
}

function recoveryTable(): string {
  const rows = COMMANDS.map((one) => {
    const usage = usageOf(one).replaceAll("|", "\\|");
    return `| \`${usage}\` | ${one.does} |`;
  });
  return ["| command | does |", "| --- | --- |", ...rows].join("\n");
}

/** Each generated part by its name. */
export const PARTS: Readonly<Record<string, () => string>> = {
  "boot-drawing": phaseDrawing,
  "boot-phases": phaseTable,
  permissions: renderGrants,
  "guest-states": renderGuestStates,
  devices: deviceTable,
  hardening: hardeningTable,
  "system-calls": () => callTable(QEMU_CALLS),
  "tpm-calls": () => callTable(SWTPM_CALLS),
  terminal: terminalTable,
  "recovery-commands": recoveryTable,
};

const MARKED = /(<!-- generated: ([a-z-]+) -->\n)[^]*?(<!-- end -->)/g;

/** The text with every marked part made anew. @throws Error where a mark names no part */
export function withParts(text: string): string {
  return text.replace(MARKED, (_, start: string, name: string, end: string) => {
    const part = PARTS[name];
    if (part === undefined) throw new Error(`docs: ${name}: no generated part has that name`);
    return `${start}\n${part()}\n\n${end}`;
  });
}

/** Files that have marks. */
export function documents(): string[] {
  const docs = fs.readdirSync(path.join(PROJECT, "docs")).filter((name) => name.endsWith(".md"));
  return ["README.md", ...docs.map((name) => `docs/${name}`)];
}

if (import.meta.main) {
  const check = Deno.args.includes("--check");
  const pages = stalePages();
  const stale = pages.map((name) => `docs/reference/${name}`);
  if (!check) writePages(pages);
  for (const name of documents()) {
    const file = path.join(PROJECT, name);
    const text = fs.readFileSync(file, "utf8");
    const next = withParts(text);
    if (next === text) continue;
    stale.push(name);
    if (!check) fs.writeFileSync(file, next);
  }
  if (check && stale.length > 0) {
    console.error(`rayos: docs: ${stale.join(", ")}: not current; run tools/rayos deno task docs`);
    Deno.exit(1);
  }
}
