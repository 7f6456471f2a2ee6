/**
 * Writes the generated pages of docs/reference/ again: `deno run -P=tools tools/reference.ts`. With
 * `--check` it writes nothing and says which pages are not what the program's tables give.
 */
import fs from "node:fs";
import path from "node:path";
import { renderDecisions } from "./reference_decisions.ts";
import { renderEscape } from "./reference_escape.ts";
import { renderRules } from "./reference_rules.ts";

const FOLDER = path.join(import.meta.dirname ?? ".", "..", "docs", "reference");

/** The pages, by name. */
export const PAGES: Readonly<Record<string, () => string>> = {
  "decisions.md": renderDecisions,
  "escape.md": renderEscape,
  "rules.md": renderRules,
};

/** The pages on disk that differ from what the tables give. */
export function stalePages(folder = FOLDER): string[] {
  return Object.entries(PAGES).filter(([name, render]) => {
    const file = path.join(folder, name);
    return !fs.existsSync(file) || fs.readFileSync(file, "utf8") !== render();
  }).map(([name]) => name);
}

if (import.meta.main) {
  const stale = stalePages();
  if (Deno.args.includes("--check")) {
    for (const name of stale) console.error(`rayos: docs/reference/${name}: out of date`);
    Deno.exit(stale.length === 0 ? 0 : 1);
  }
  fs.mkdirSync(FOLDER, { recursive: true });
  for (const name of stale) {
    fs.writeFileSync(path.join(FOLDER, name), PAGES[name]?.() ?? "");
    console.log(`wrote docs/reference/${name}`);
  }
}
