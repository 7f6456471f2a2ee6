/**
 * How many lines of the log each source may have: so many at once, then so many a second. What is beyond
 * is counted, and told once an interval, so that a flood of one neither hides the others' lines nor fills
 * the disk. Pure but for its own bounded memory; whoever asks writes the line or leaves it.
 */

import { MAX_LINE_BYTES } from "./line.ts";

/** Lines at once, and a second: a boot of sixteen guests stays far below. */
export const BURST_LINES = 1000;
export const LINES_PER_SECOND = 100;
/** A line that is longer than this counts as several: a guest's QEMU can have its own words told. */
export const LINE_CHARACTERS = 512;
/** None counts as more than what is left of it once it is cut. */
const MOST_FOR_ONE = MAX_LINE_BYTES / LINE_CHARACTERS;
/** Between two words on what one source lost. */
export const TELL_MS = 10_000;
const MOST_SOURCES = 128;
const REST = "other";

interface Bucket {
  tokens: number;
  filledMs: number;
  dropped: number;
  toldMs: number;
}

export interface Dropped {
  readonly source: string;
  readonly lines: number;
}

export class LineBudget {
  readonly #buckets = new Map<string, Bucket>();
  /** Sources with something to tell. */
  readonly #owing = new Set<string>();

  /** Whether a line of that source and length may be written now; where not, it was counted. */
  admits(source: string, nowMs: number, characters = 0): boolean {
    const known = this.#buckets.has(source) || this.#buckets.size < MOST_SOURCES;
    const name = known ? source : REST;
    let bucket = this.#buckets.get(name);
    if (bucket === undefined) {
      bucket = { tokens: BURST_LINES, filledMs: nowMs, dropped: 0, toldMs: -Infinity };
      this.#buckets.set(name, bucket);
    }
    const more = Math.max(0, nowMs - bucket.filledMs) / 1000 * LINES_PER_SECOND;
    bucket.tokens = Math.min(BURST_LINES, bucket.tokens + more);
    bucket.filledMs = nowMs;
    const cost = Math.min(MOST_FOR_ONE, Math.max(1, characters / LINE_CHARACTERS));
    if (bucket.tokens >= cost) {
      bucket.tokens -= cost;
      return true;
    }
    bucket.dropped++;
    this.#owing.add(name);
    return false;
  }

  /** What was dropped and is to be told now; all of it at the end. */
  due(nowMs: number, end = false): Dropped[] {
    const out: Dropped[] = [];
    for (const source of this.#owing) {
      const bucket = this.#buckets.get(source);
      if (bucket === undefined || (!end && nowMs - bucket.toldMs < TELL_MS)) continue;
      out.push({ source, lines: bucket.dropped });
      bucket.dropped = 0;
      bucket.toldMs = nowMs;
      this.#owing.delete(source);
    }
    return out;
  }
}
