import assert from "node:assert/strict";
import fc from "fast-check";
import { DetachKey } from "./detach_key.ts";

const KEY = "\x1d";

/** What comes of these pieces, each with what follows it, up to a detach. */
function typed(...pieces: string[]): [string, string][] {
  const key = new DetachKey();
  const out: [string, string][] = [];
  for (const piece of pieces) {
    const { bytes, then } = key.take(new TextEncoder().encode(piece));
    out.push([new TextDecoder().decode(bytes), then]);
    if (then === "detach") break;
  }
  return out;
}

Deno.test("DetachKey waits at its key, and types it when it comes twice", () => {
  assert.deepEqual(typed("a"), [["a", "go_on"]]);
  assert.deepEqual(typed(`a${KEY}`), [["a", "wait"]]);
  assert.deepEqual(typed(KEY, KEY, "b"), [["", "wait"], [KEY, "go_on"], ["b", "go_on"]]);
  assert.deepEqual(typed(`${KEY}${KEY}${KEY}`, KEY), [[KEY, "wait"], [KEY, "go_on"]]);
});

Deno.test("DetachKey detaches at once where another key follows, which goes nowhere", () => {
  assert.deepEqual(typed(`a${KEY}b`), [["a", "detach"]]);
  assert.deepEqual(typed(KEY, "b"), [["", "wait"], ["", "detach"]]);
});

Deno.test("DetachKey gives the same however its bytes come", () => {
  const text = fc.string({ unit: fc.constantFrom("a", KEY), maxLength: 12 });
  const all = (pieces: string[]) => {
    const out = typed(...pieces);
    return [out.map(([bytes]) => bytes).join(""), out.at(-1)?.[1] ?? "go_on"];
  };
  fc.assert(fc.property(text, (one) => assert.deepEqual(all([...one]), all([one]))));
});
