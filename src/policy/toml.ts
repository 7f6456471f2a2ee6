/**
 * A TOML 1.0 document as plain data that remembers where everything stood: line and column of each
 * key and value, and the words in which a value was written. It knows nothing of policies.
 */
import { parseTOML } from "toml-eslint-parser";
import type { AST } from "toml-eslint-parser";
import { type Issue, issue } from "../issue.ts";
import { type Excess, scanToml } from "./toml_scan.ts";

export type TomlPath = readonly (string | number)[];

/** A value of a kind that no policy has: a float, a date, an integer beyond 2^53. */
export class TomlOther {
  constructor(readonly kind: string) {}
}

export type TomlValue = string | number | boolean | TomlOther | TomlValue[] | TomlTable;
export interface TomlTable {
  [key: string]: TomlValue;
}

/** Where something stands, and how it is written, shortened. */
export interface TomlPlace {
  readonly line: number;
  readonly column: number;
  readonly source: string;
}

/** A place before anybody asks for its words: kept small, since every key has two. */
interface Spot {
  readonly line: number;
  readonly column: number;
  readonly start: number;
  readonly end: number;
}

interface Node {
  /** Where its key stands; a list's element has none of its own. */
  readonly key: Spot;
  /** Where its value stands; null for a table made by its header. */
  value: Spot | null;
  /** Null where there are none. */
  children: Map<string | number, Node> | null;
}

/** Longest piece of a line that is shown. */
const MAX_SOURCE = 80;
const TOP: Spot = { line: 1, column: 1, start: 0, end: 0 };

/** A parsed document. */
export class TomlDocument {
  /** Tables have no prototype, so `__proto__` and `constructor` are keys like any other. */
  readonly data: TomlTable;
  readonly #root: Node;
  readonly #text: string;

  constructor(data: TomlTable, root: Node, text: string) {
    this.data = data;
    this.#root = root;
    this.#text = text;
  }

  /** Place of the key at that path, or of the nearest table around it that stands in the text. */
  keyPlace(path: TomlPath): TomlPlace {
    return this.#place(this.#find(path).node.key);
  }

  /** Place of the value at that path; of the key where the value has no place of its own. */
  valuePlace(path: TomlPath): TomlPlace {
    const { node, whole } = this.#find(path);
    return this.#place((whole ? node.value : null) ?? node.key);
  }

  /** Whether the document says something at that path. */
  has(path: TomlPath): boolean {
    return this.#find(path).whole;
  }

  #place({ line, column, start, end }: Spot): TomlPlace {
    const source = this.#text.slice(start, Math.min(end, start + MAX_SOURCE));
    return { line, column, source: source.replace(/\n.*/s, "") };
  }

  #find(path: TomlPath): { node: Node; whole: boolean } {
    let node = this.#root;
    for (const part of path) {
      const next = node.children?.get(part);
      if (next === undefined) return { node, whole: false };
      node = next;
    }
    return { node, whole: true };
  }
}

/**
 * Parses the exact bytes of a document.
 *
 * @returns the document, or its one syntax fault with a rule `toml.*`. `excess`: the document goes on
 *   beyond what may be parsed; it is at fault then, whatever the part before says
 */
export function readToml(
  bytes: Uint8Array,
): { ok: true; document: TomlDocument; excess: Excess | null } | { ok: false; issue: Issue } {
  const scanned = scanToml(bytes);
  if (!scanned.ok) return scanned;
  const { text, excess } = scanned;
  try {
    const [top] = parseTOML(text, { tomlVersion: "1.0" }).body;
    return { ok: true, document: build(top, text), excess };
  } catch (error) {
    return { ok: false, issue: syntaxIssue(error, text) };
  }
}

/** A path as TOML writes it: `linux.limits`, `profiles."a b"`, `hosts[0]`. */
export function showPath(path: TomlPath): string {
  return path.map((part, index) => {
    if (typeof part === "number") return `[${part}]`;
    const short = part.length > 64 ? `${part.slice(0, 64)}…` : part;
    const key = /^[A-Za-z0-9_-]+$/.test(short) ? short : JSON.stringify(short);
    return index === 0 ? key : `.${key}`;
  }).join("");
}

/**
 * What the parser threw, as a finding with its place; what is no syntax fault (a stack overflow, say) is
 * taken for a document too deep.
 */
export function syntaxIssue(error: unknown, text: string): Issue {
  const hint = "correct the TOML at that place (https://toml.io/en/v1.0.0)";
  // The parser's own error class is not exported; a stack overflow is told by what it lacks.
  if (error instanceof Error && "lineNumber" in error && "column" in error) {
    const line = Number(error.lineNumber);
    const source = (text.split("\n")[line - 1] ?? "").trim().slice(0, MAX_SOURCE);
    // A finding ends up in a log; the hash of a passphrase does not belong there.
    const found = source.includes("passphrase") ? "a line that is not shown" : source;
    const duplicate = error.message.startsWith("Defining a key multiple times");
    return issue(duplicate ? "toml.duplicate_key" : "toml.syntax", {
      line,
      column: Number(error.column) + 1,
      expected: duplicate ? "each key once" : "TOML 1.0",
      found: duplicate ? found : `${found} (${error.message})`,
      hint,
    });
  }
  return issue("toml.depth", {
    line: 1,
    column: 1,
    expected: "a document of moderate depth",
    found: "one that cannot be parsed",
    hint,
  });
}

function build(top: AST.TOMLTopLevelTable, text: string): TomlDocument {
  const data = emptyTable();
  const root: Node = { key: TOP, value: null, children: null };

  const place = (node: AST.TOMLNode): Spot => ({
    line: node.loc.start.line,
    column: node.loc.start.column + 1,
    start: node.range[0],
    end: node.range[1],
  });

  const value = (content: AST.TOMLContentNode, node: Node): TomlValue => {
    node.value = place(content);
    if (content.type === "TOMLArray") {
      return content.elements.map((element, index) => {
        return value(element, childOf(node, index, place(element)));
      });
    }
    if (content.type === "TOMLInlineTable") {
      const table = emptyTable();
      for (const pair of content.body) keyValue(pair, table, node);
      return table;
    }
    return scalar(content);
  };

  const keyValue = (pair: AST.TOMLKeyValue, table: TomlTable, node: Node): void => {
    const { keys } = pair.key;
    const target = descend(keys.slice(0, -1).map((key) => [keyName(key), place(key)]), table, node);
    const last = keys.at(-1);
    if (last === undefined) return;
    const child = childOf(target.node, keyName(last), place(last));
    target.table[keyName(last)] = value(pair.value, child);
  };

  for (const entry of top.body) {
    if (entry.type === "TOMLKeyValue") keyValue(entry, data, root);
    else {
      const places = entry.key.keys.map(place);
      let next = 0;
      const path = entry.resolvedKey.map((part): [string | number, Spot] => [
        part,
        // A list's own element has no key; it stands where the list's name does.
        places[typeof part === "number" ? next - 1 : next++] ?? place(entry.key),
      ]);
      const target = descend(path, data, root);
      for (const pair of entry.body) keyValue(pair, target.table, target.node);
    }
  }
  return new TomlDocument(data, root, text);
}

/** A new node below another. */
function childOf(node: Node, part: string | number, key: Spot): Node {
  const child: Node = { key, value: null, children: null };
  node.children ??= new Map();
  node.children.set(part, child);
  return child;
}

/** Goes down a path, making tables and lists of tables that are not there yet. */
function descend(
  path: readonly (readonly [string | number, Spot])[],
  table: TomlTable,
  node: Node,
): { table: TomlTable; node: Node } {
  let here: TomlTable | TomlValue[] = table;
  let at = node;
  path.forEach(([part, place], index) => {
    const child = at.children?.get(part) ?? childOf(at, part, place);
    const container = here as Record<string | number, TomlValue>;
    // What is there is a table or a list: the parser has refused any other key with keys below it.
    container[part] ??= typeof path[index + 1]?.[0] === "number" ? [] : emptyTable();
    here = container[part] as TomlTable | TomlValue[];
    at = child;
  });
  return { table: here as unknown as TomlTable, node: at };
}

function emptyTable(): TomlTable {
  return Object.create(null) as TomlTable;
}

function keyName(key: AST.TOMLBare | AST.TOMLQuoted): string {
  return key.type === "TOMLBare" ? key.name : key.value;
}

function scalar(node: AST.TOMLValue): TomlValue {
  switch (node.kind) {
    case "string":
    case "boolean":
      return node.value;
    case "integer":
      return Number.isSafeInteger(node.value) ? node.value : new TomlOther("integer");
    default:
      return new TomlOther(node.kind);
  }
}
