/**
 * JSON (RFC 8259) read strictly: a key given twice, `__proto__` as a key, a lone surrogate, a
 * nesting deeper than a registry has and anything after the value are faults with their place.
 * `JSON.parse` would take the last of two keys without a word. It knows nothing of registries.
 */

/** A value; objects have no prototype. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Why a text is no such JSON. */
export interface JsonFault {
  readonly rule: "syntax" | "duplicate_key" | "prototype_key" | "depth";
  readonly expected: string;
  readonly found: string;
  /** 1-based, in characters. */
  readonly line: number;
  readonly column: number;
}

const MAX_DEPTH = 32;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Characters of a string that need no care. */
// deno-lint-ignore no-control-regex
const PLAIN = /[^"\\\u0000-\u001f\ud800-\udfff]+/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/** Reads one JSON value that is the whole text. */
export function readJson(
  text: string,
): { ok: true; value: Json } | { ok: false; fault: JsonFault } {
  try {
    return { ok: true, value: new Reader(text).whole() };
  } catch (error) {
    if (error instanceof Stop) return { ok: false, fault: error.fault };
    throw error;
  }
}

/** Ends the reading at the first fault; never leaves this module. */
class Stop extends Error {
  constructor(readonly fault: JsonFault) {
    super(fault.rule);
  }
}

class Reader {
  #at = 0;
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Json {
    const value = this.#value(0);
    this.#space();
    if (this.#at < this.#text.length) this.#stop("the end of the text");
    return value;
  }

  #value(depth: number): Json {
    if (depth > MAX_DEPTH) this.#stop(`nesting of at most ${MAX_DEPTH}`, "depth");
    this.#space();
    const char = this.#text[this.#at];
    if (char === "{") return this.#object(depth);
    if (char === "[") return this.#array(depth);
    if (char === '"') return this.#string();
    for (const [word, value] of [["true", true], ["false", false], ["null", null]] as const) {
      if (this.#text.startsWith(word, this.#at)) {
        this.#at += word.length;
        return value;
      }
    }
    const number = this.#match(NUMBER);
    return number === null ? this.#stop("a value") : Number(number);
  }

  #object(depth: number): Json {
    const object = Object.create(null) as { [key: string]: Json };
    this.#at++;
    if (this.#next("}")) return object;
    do {
      this.#space();
      const start = this.#at;
      if (this.#text[start] !== '"') this.#stop("a key in quotes");
      const key = this.#string();
      if (Object.hasOwn(object, key)) this.#stop("each key once", "duplicate_key", start);
      if (key === "__proto__") this.#stop("another key", "prototype_key", start);
      if (!this.#next(":")) this.#stop("a colon");
      object[key] = this.#value(depth + 1);
    } while (this.#next(","));
    if (!this.#next("}")) this.#stop("a comma or }");
    return object;
  }

  #array(depth: number): Json {
    const array: Json[] = [];
    this.#at++;
    if (this.#next("]")) return array;
    do array.push(this.#value(depth + 1)); while (this.#next(","));
    if (!this.#next("]")) this.#stop("a comma or ]");
    return array;
  }

  #string(): string {
    const start = this.#at++;
    let value = "";
    while (true) {
      value += this.#match(PLAIN) ?? "";
      const char = this.#text[this.#at];
      if (char === '"') break;
      if (char === "\\") value += this.#escape();
      else if (char !== undefined && /[\ud800-\udfff]/.test(char)) {
        value += char;
        this.#at++;
      } else this.#stop("a string without control characters, and its closing quote");
    }
    this.#at++;
    if (!value.isWellFormed()) this.#stop("no lone surrogate", "syntax", start);
    return value;
  }

  #escape(): string {
    const kind = this.#text[this.#at + 1] ?? "";
    const plain = ESCAPES[kind];
    if (plain !== undefined && Object.hasOwn(ESCAPES, kind)) {
      this.#at += 2;
      return plain;
    }
    const hex = this.#text.slice(this.#at + 2, this.#at + 6);
    if (kind !== "u" || !/^[0-9A-Fa-f]{4}$/.test(hex)) this.#stop("an escape of JSON");
    this.#at += 6;
    return String.fromCharCode(parseInt(hex, 16));
  }

  #next(char: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== char) return false;
    this.#at++;
    return true;
  }

  #space(): void {
    while (this.#at < this.#text.length && " \t\n\r".includes(this.#text[this.#at] ?? "x")) {
      this.#at++;
    }
  }

  #match(pattern: RegExp): string | null {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.#text)?.[0] ?? null;
    if (found !== null) this.#at += found.length;
    return found;
  }

  #stop(expected: string, rule: JsonFault["rule"] = "syntax", at = this.#at): never {
    const before = this.#text.slice(0, at).split("\n");
    const rest = this.#text.slice(at, at + 40).split("\n", 1)[0] ?? "";
    throw new Stop({
      rule,
      expected,
      found: at >= this.#text.length ? "the end of the text" : rest === "" ? "a line end" : rest,
      line: before.length,
      column: (before.at(-1) ?? "").length + 1,
    });
  }
}

/** A value's one text: keys in order, no blanks (RFC 8785), so that equal values have equal bytes. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  const members = Object.keys(value).sort().map((key) =>
    `${JSON.stringify(key)}:${canonicalJson(value[key] ?? null)}`
  );
  return `{${members.join(",")}}`;
}
