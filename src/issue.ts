/**
 * A finding as data. A document, a command line or a read-back yields a list of these, all at once;
 * nothing here throws, and whoever holds the list decides what it means.
 */

/** One thing that does not hold, with the place where a person finds it. */
export interface Issue {
  /** Stable dotted rule name, e.g. `schema.unknown_key`, `path.escape`. */
  readonly rule: string;
  /** Where in the document: a TOML or JSON path such as `linux.limits.cpus`; empty for the whole. */
  readonly path: string;
  /** 1-based line and column in the source text; null where the finding has no place in a text. */
  readonly line: number | null;
  readonly column: number | null;
  /** What would have been accepted. */
  readonly expected: string;
  /** What was there, shortened; never a secret. */
  readonly found: string;
  /** What a person can do. */
  readonly hint: string;
  /** `error` denies; `warning` and `note` are shown and deny nothing. */
  readonly severity: "error" | "warning" | "note";
}

/** Makes an issue; whatever is left out has no place, no hint, and denies. */
export function issue(
  rule: string,
  parts: Partial<Omit<Issue, "rule">> & Pick<Issue, "expected" | "found">,
): Issue {
  return { path: "", line: null, column: null, hint: "", severity: "error", ...parts, rule };
}

/** Those findings that deny. */
export function errorsOf(issues: readonly Issue[]): Issue[] {
  return issues.filter((one) => one.severity === "error");
}
