/**
 * Which of many alike are records of their own, and which are only counted, so that nobody can push older
 * records out by doing the same again and again. What a guest can bring about takes from a store of its
 * own, that fills slowly; what people and programs ask for is written once a minute for each kind. What
 * was only counted is told at the next seal. Pure but for its own memory, which is bounded.
 */

import type { Content } from "./record.ts";

/** What something counts as. */
export interface Kind {
  /** The guest that can bring it about, or who asks. */
  readonly source: string;
  /** Whether a guest can bring it about. */
  readonly byGuest: boolean;
  /** Event or rule, and what else tells it from others of that source. */
  readonly key: string;
}

/** Records that a guest can cause at once, and how long one more takes: 144 a day. */
export const GUEST_RECORDS = 200;
export const GUEST_REFILL_MS = 600_000;
/** The same from the same one is counted for so long. */
export const REPEAT_MS = 60_000;
/** Sources and kinds that are counted apart; what is beyond them is counted together. */
const MOST_SOURCES = 80;
const MOST_KEYS = 16;
const REST = "other";

interface Source {
  tokens: number;
  filledMs: number;
  /** When each kind was last written. */
  readonly written: Map<string, number>;
  readonly counted: Map<string, number>;
}

export class Folding {
  readonly #sources = new Map<string, Source>();

  /** Whether this one is a record of its own; where not, it was counted. */
  admits({ source, byGuest, key }: Kind, nowMs: number): boolean {
    const of = this.#sourceOf(source, nowMs);
    const admitted = byGuest ? this.#takes(of, nowMs) : this.#isNew(of, key, nowMs);
    if (admitted) return true;
    const under = of.counted.has(key) || of.counted.size < MOST_KEYS ? key : REST;
    of.counted.set(under, (of.counted.get(under) ?? 0) + 1);
    return false;
  }

  #sourceOf(name: string, nowMs: number): Source {
    const known = this.#sources.get(name);
    if (known !== undefined) return known;
    if (this.#sources.size >= MOST_SOURCES && name !== REST) return this.#sourceOf(REST, nowMs);
    const made: Source = {
      tokens: GUEST_RECORDS,
      filledMs: nowMs,
      written: new Map(),
      counted: new Map(),
    };
    this.#sources.set(name, made);
    return made;
  }

  #takes(of: Source, nowMs: number): boolean {
    const more = Math.floor((nowMs - of.filledMs) / GUEST_REFILL_MS);
    if (more > 0) {
      of.tokens = Math.min(GUEST_RECORDS, of.tokens + more);
      of.filledMs += more * GUEST_REFILL_MS;
    }
    if (of.tokens <= 0) return false;
    of.tokens--;
    return true;
  }

  #isNew(of: Source, key: string, nowMs: number): boolean {
    const last = of.written.get(key);
    if (last !== undefined && nowMs - last < REPEAT_MS) return false;
    if (of.written.size >= 4 * MOST_KEYS) of.written.clear();
    of.written.set(key, nowMs);
    return true;
  }

  /** What was only counted since it was last asked: one for each source. */
  counted(): Content["data"][] {
    const out: Content["data"][] = [];
    for (const [source, { counted }] of this.#sources) {
      if (counted.size === 0) continue;
      const total = [...counted.values()].reduce((sum, one) => sum + one, 0);
      const kinds = [...counted].map(([key, count]) => `${key}=${count}`).join(" ");
      out.push({ source, count: total, kinds });
      counted.clear();
    }
    return out;
  }
}
