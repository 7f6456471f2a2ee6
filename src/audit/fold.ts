/**
 * Which of many alike are records of their own, and which are only counted, so that nobody can push older
 * records out by doing the same again and again. What a guest can bring about takes from a store of its
 * own, that fills slowly; what people and programs ask for is written once a minute for each kind, and takes
 * from a store of the caller's. What was only counted is told at the next seal. A request that gives
 * something away is never only counted: it has a store of its own, and is denied where that is empty.
 * Pure but for its own memory, which is bounded.
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

/** So many records at once, and how long one more takes. */
interface Rate {
  readonly most: number;
  readonly refillMs: number;
}

/** What a guest can cause: 144 a day. */
export const GUEST_RECORDS: Rate = { most: 200, refillMs: 600_000 };
/** What the policy gives it again and again, since it ends again and again. */
export const GUEST_EXPOSURES: Rate = { most: 200, refillMs: 30_000 };
/** What one caller is answered, and is given: at 500 bytes a record the log lasts for twelve days all the same. */
export const CALLER_RECORDS: Rate = { most: 2000, refillMs: 10_000 };
export const CALLER_EXPOSURES: Rate = { most: 2000, refillMs: 5_000 };
/** What the host says of itself is bounded by its own code. */
export const HOST = "host";
/** The same from the same one is counted for so long. */
export const REPEAT_MS = 60_000;
/** Sources and kinds that are counted apart; what is beyond them is counted together. */
const MOST_SOURCES = 80;
const MOST_KEYS = 16;
const MOST_REMEMBERED = 64;
const REST = "other";
/** Below what a record keeps of one value. */
const MOST_KINDS_CHARS = 480;

/** A store that fills up slowly. */
class Store {
  #tokens: number;
  #filledMs: number;

  constructor(readonly rate: Rate, nowMs: number) {
    this.#tokens = rate.most;
    this.#filledMs = nowMs;
  }

  takes(nowMs: number): boolean {
    const { most, refillMs } = this.rate;
    const more = Math.floor((nowMs - this.#filledMs) / refillMs);
    if (more > 0) {
      this.#tokens = Math.min(most, this.#tokens + more);
      this.#filledMs += more * refillMs;
    }
    if (this.#tokens <= 0) return false;
    this.#tokens--;
    return true;
  }
}

interface Source {
  readonly name: string;
  readonly records: Store;
  readonly exposures: Store;
  /** When each kind was last written, the longest ago first. */
  readonly written: Map<string, number>;
  readonly counted: Map<string, number>;
}

export class Folding {
  /** Apart, since a guest may be called like a caller. */
  readonly #guests = new Map<string, Source>();
  readonly #callers = new Map<string, Source>();

  /** Whether this one is a record of its own; where not, it was counted. */
  admits(kind: Kind, nowMs: number): boolean {
    const { byGuest, key } = kind;
    const of = this.#sourceOf(kind, nowMs);
    const admitted = byGuest
      ? of.records.takes(nowMs)
      : this.#isNew(of, key, nowMs) && (of.name === HOST || of.records.takes(nowMs));
    if (admitted) return true;
    const under = of.counted.has(key) || of.counted.size < MOST_KEYS ? key : REST;
    of.counted.set(under, (of.counted.get(under) ?? 0) + 1);
    return false;
  }

  /** Whether there is a record for giving something away; it is not counted anywhere else. */
  affords(kind: Kind, nowMs: number): boolean {
    return this.#sourceOf(kind, nowMs).exposures.takes(nowMs);
  }

  #sourceOf({ source, byGuest }: Kind, nowMs: number): Source {
    const among = byGuest ? this.#guests : this.#callers;
    const name = among.has(source) || among.size < MOST_SOURCES ? source : REST;
    const known = among.get(name);
    if (known !== undefined) return known;
    const made: Source = {
      name,
      records: new Store(byGuest ? GUEST_RECORDS : CALLER_RECORDS, nowMs),
      exposures: new Store(byGuest ? GUEST_EXPOSURES : CALLER_EXPOSURES, nowMs),
      written: new Map(),
      counted: new Map(),
    };
    among.set(name, made);
    return made;
  }

  #isNew({ written }: Source, key: string, nowMs: number): boolean {
    const last = written.get(key);
    if (last !== undefined && nowMs - last < REPEAT_MS) return false;
    written.delete(key);
    const [oldest] = written.keys();
    if (written.size >= MOST_REMEMBERED && oldest !== undefined) written.delete(oldest);
    written.set(key, nowMs);
    return true;
  }

  /** What was only counted since it was last asked: one for each source. */
  counted(): Content["data"][] {
    const out: Content["data"][] = [];
    for (const { name, counted } of [...this.#callers.values(), ...this.#guests.values()]) {
      if (counted.size === 0) continue;
      const total = [...counted.values()].reduce((sum, one) => sum + one, 0);
      out.push({ source: name, count: total, kinds: kindsOf(counted, total) });
      counted.clear();
    }
    return out;
  }
}

/** Each kind with its count, those with the most first; what has no room is counted together. */
function kindsOf(counted: ReadonlyMap<string, number>, total: number): string {
  let text = "";
  let left = total;
  for (const [key, count] of [...counted].toSorted((a, b) => b[1] - a[1])) {
    const more = `${text === "" ? "" : " "}${key}=${count}`;
    if (key === REST || text.length + more.length > MOST_KINDS_CHARS) continue;
    text += more;
    left -= count;
  }
  return left === 0 ? text : `${text}${text === "" ? "" : " "}${REST}=${left}`;
}
