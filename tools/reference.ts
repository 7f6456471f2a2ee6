/** The generated pages of docs/reference/: which are not what the program's tables give, and writing them anew. */
import fs from "node:fs";
import path from "node:path";
import { renderDecisions } from "./reference_decisions.ts";
import { renderEscape } from "./reference_escape.ts";
import { renderRules } from "./reference_rules.ts";

const FOLDER = path.join(import.meta.dirname ?? ".", "..", "docs", "reference");

/** The pages, by name. */
const PAGES: Readonly<Record<string, () => string>> = {
  "decisions.md": renderDecisions,
  "escape.md": renderEscape,
  "rules.md": renderRules,
};

/** The pages on disk that differ from what the tables give. */
export function stalePages(): string[] {
  return Object.entries(PAGES).filter(([name, render]) => {
    const file = path.join(FOLDER, name);
    return !fs.existsSync(file) || fs.readFileSync(file, "utf8") !== render();
  }).map(([name]) => name);
}

/** Writes these pages anew. */
export function writePages(names: readonly string[]): void {
  for (const name of names) fs.writeFileSync(path.join(FOLDER, name), PAGES[name]?.() ?? "");
}
