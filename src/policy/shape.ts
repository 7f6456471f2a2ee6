/**
 * Holds a parsed document against the schema: a finding `schema.*` with its place for each fault of
 * shape, and the document without the faulty parts, so that faults of sense can be found in the
 * rest of it at the same time. What is left of a faulty document is never used for anything else.
 */
import type * as z from "zod/mini";
import { type Issue, issue } from "../issue.ts";
import type { MeaningRule } from "./meaning_rules.ts";
import { nearest } from "./nearest.ts";
import { neverGiven, neverGivenExpected } from "./never_given.ts";
import { MAX_PROFILES, type PolicyDocument, policySchema } from "./schema.ts";
import {
  showPath,
  type TomlDocument,
  TomlOther,
  type TomlPath,
  type TomlTable,
  type TomlValue,
} from "./toml.ts";

/** A document held against the schema. */
export interface Shape {
  readonly issues: readonly Issue[];
  /** Null when even what is left has not the shape. */
  readonly document: PolicyDocument | null;
  /** What was faulty and is not in `document`. */
  readonly faulty: readonly TomlPath[];
  /** Findings that are only counted. */
  readonly more: number;
}

/** Unknown keys of which each has a finding of its own; the rest is only counted. */
const MOST_UNKNOWN = 100;

/** Holds the document against the schema; `toml.data` loses its faulty parts. */
export function checkShape(toml: TomlDocument): Shape {
  const before = checkProfileTable(toml);
  const first = policySchema.safeParse(toml.data);
  const issues: Issue[] = before.map((path) => profileIssue(toml, path));
  const faulty: TomlPath[] = [...before];
  if (first.success && before.length === 0) {
    return { issues, document: first.data, faulty, more: 0 };
  }
  let unknown = 0;
  for (const found of first.error?.issues ?? []) {
    // No table of a document has a symbol as its key.
    const path = found.path as TomlPath;
    if (found.code === "unrecognized_keys") {
      const known = keysAt(path, toml.data);
      for (const key of found.keys) {
        remove(toml.data, [...path, key]);
        if (unknown++ < MOST_UNKNOWN) issues.push(unknownKey(toml, [...path, key], known));
      }
    } else {
      faulty.push(partOf(path, found.code));
      issues.push(shapeIssue(toml, path, found));
    }
  }
  for (const path of faulty) remove(toml.data, path);
  const second = policySchema.safeParse(toml.data);
  const more = Math.max(0, unknown - MOST_UNKNOWN);
  return { issues, document: second.success ? second.data : null, faulty, more };
}

/** Profiles that the schema's record passes over or does not count. */
function checkProfileTable(toml: TomlDocument): TomlPath[] {
  const profiles = toml.data["profiles"];
  if (!isTable(profiles)) return [];
  const names = Object.keys(profiles);
  const odd = names.filter((name) => name === "__proto__");
  return [...odd, ...names.slice(MAX_PROFILES).slice(0, 1)].map((name) => ["profiles", name]);
}

function profileIssue(toml: TomlDocument, path: TomlPath): Issue {
  const odd = path[1] === "__proto__";
  return issue(odd ? "schema.form" : "schema.length", {
    ...at(toml.keyPlace(path)),
    path: showPath(path),
    expected: odd ? "a profile name" : `at most ${MAX_PROFILES} profiles`,
    found: odd ? "__proto__" : "more",
    hint: odd ? "give it another name" : "remove profiles that no guest uses",
  });
}

function unknownKey(toml: TomlDocument, path: TomlPath, known: readonly string[]): Issue {
  const key = String(path.at(-1));
  const never = path.length > 1 ? neverGiven(key) : null;
  if (never !== null) return neverGivenIssue(toml, path, toml.keyPlace(path), never);
  const close = nearest(key, known);
  const own = path[0] === "profiles" && path.length === 3 && key === "vm_id";
  const hint = own
    ? "a profile under profiles is for several guests; a registry record names it"
    : close === null
    ? "remove it"
    : `did you mean ${close}?`;
  return issue("schema.unknown_key", {
    ...at(toml.keyPlace(path)),
    path: showPath(path),
    expected: `one of ${known.join(", ")}`,
    found: showPath([key]),
    hint,
  });
}

/** A device that no guest can be given, whether it was asked for as a key or as a value. */
function neverGivenIssue(
  toml: TomlDocument,
  path: TomlPath,
  place: ReturnType<TomlDocument["keyPlace"]>,
  what: string,
): Issue {
  return issue("meaning.device_none" satisfies MeaningRule, {
    ...at(place),
    path: showPath(path),
    expected: neverGivenExpected(what),
    found: toml.has(path) ? place.source : showPath([String(path.at(-1))]),
    hint: "remove it",
  });
}

function shapeIssue(toml: TomlDocument, path: TomlPath, found: z.core.$ZodIssue): Issue {
  if (!toml.has(path)) {
    return issue("schema.missing", {
      ...at(toml.keyPlace(path)),
      path: showPath(path),
      expected: expectedOf(found),
      found: "nothing",
      hint: `add ${String(path.at(-1))}`,
    });
  }
  const isKey = found.code === "invalid_key";
  const place = isKey ? toml.keyPlace(path) : toml.valuePlace(path);
  const value = valueAt(toml.data, path);
  const never = path.at(-2) === "devices" && typeof value === "string" ? neverGiven(value) : null;
  if (never !== null) return neverGivenIssue(toml, path, place, never);
  const secret = path[0] === "recovery";
  const shown = isKey ? showPath([String(path.at(-1))]) : place.source;
  return issue(ruleOf(found, value), {
    ...at(place),
    path: showPath(path),
    expected: expectedOf(found),
    found: secret ? "a value that is not shown" : shown,
    hint: "correct the value",
  });
}

const TYPE_WORDS: Readonly<Record<string, string>> = {
  array: "a list",
  boolean: "true or false",
  int: "a whole number",
  number: "a whole number",
  object: "a table",
  record: "a table",
  string: "a string",
};

function expectedOf(found: z.core.$ZodIssue): string {
  switch (found.code) {
    case "invalid_type":
      return TYPE_WORDS[found.expected] ?? found.expected;
    case "invalid_value":
      return found.values.map((value) => JSON.stringify(value)).join(" or ");
    case "invalid_union":
      return '"linux" or "windows"';
    case "too_small":
      return `at least ${found.minimum}`;
    case "too_big":
      return `at most ${found.maximum}`;
    case "invalid_key":
      return found.issues[0]?.message ?? "another name";
    default:
      return found.message;
  }
}

function ruleOf(found: z.core.$ZodIssue, value: unknown): string {
  switch (found.code) {
    case "invalid_type":
      return value instanceof TomlOther && value.kind === "integer"
        ? "schema.range"
        : "schema.type";
    case "invalid_value":
    case "invalid_union":
      return typeof value === "string" ? "schema.value" : "schema.type";
    case "too_small":
    case "too_big":
      return found.origin === "number" || found.origin === "int" ? "schema.range" : "schema.length";
    default:
      return "schema.form";
  }
}

/** The part to leave out: a whole list for one of its elements, a whole profile for its kind. */
function partOf(path: TomlPath, code: string): TomlPath {
  const element = path.findIndex((part) => typeof part === "number");
  if (element !== -1) return path.slice(0, element);
  return code === "invalid_union" ? path.slice(0, -1) : path;
}

function remove(data: TomlTable, path: TomlPath): void {
  const table = valueAt(data, path.slice(0, -1));
  const key = path.at(-1);
  // The table is gone where all of it was faulty, too.
  if (isTable(table) && key !== undefined) delete table[key];
}

/** What stands at that place; undefined where nothing does. */
export function valueAt(data: TomlTable, path: TomlPath): TomlValue | undefined {
  let here: TomlValue | undefined = data;
  for (const part of path) {
    if (typeof here !== "object" || !Object.hasOwn(here, part)) return undefined;
    here = (here as Readonly<Record<string | number, TomlValue>>)[part];
  }
  return here;
}

function isTable(value: unknown): value is TomlTable {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof TomlOther);
}

/** The parts of a schema that lead to the keys of a table. */
interface Def {
  readonly innerType?: { _zod: { def: unknown } };
  readonly shape?: Readonly<Record<string, { _zod: { def: unknown } }>>;
  readonly element?: { _zod: { def: unknown } };
  readonly valueType?: { _zod: { def: unknown } };
  readonly options?: readonly { _zod: { def: unknown } }[];
}

/** The keys that the schema knows in the table at that path, to which its own keys led. */
function keysAt(path: TomlPath, data: TomlTable): string[] {
  let def = policySchema._zod.def as Def;
  const inner = (upTo: number) => {
    const kind = valueAt(data, [...path.slice(0, upTo), "kind"]);
    return def.innerType ?? def.options?.[kind === "windows" ? 1 : 0];
  };
  const settle = (upTo: number): void => {
    for (let next = inner(upTo); next !== undefined; next = inner(upTo)) {
      def = next._zod.def as Def;
    }
  };
  for (const [index, part] of path.entries()) {
    settle(index);
    const next = typeof part === "number" ? def.element : def.valueType ?? def.shape?.[part];
    if (next === undefined) return [];
    def = next._zod.def as Def;
  }
  settle(path.length);
  return Object.keys(def.shape ?? {});
}

function at(place: { line: number; column: number }): { line: number; column: number } {
  return { line: place.line, column: place.column };
}
