/**
 * Holds what guests received of one typing against who was presented when: whether there is one moment for
 * each switch, within the time that it took, by which every guest has exactly the keys typed while it was
 * presented, in order, and nothing else. Pure; the tests that type on real machines ask it.
 */

/** So many keys further on is looked for what would explain a wrong one; few enough that none comes twice. */
const LOOK_AHEAD = 12;

/** From one switch to the next. */
export interface Turn {
  /** Who is presented in it, by its place among the lists; null: nobody. */
  readonly who: number | null;
  /** The first key that may be of this turn, and the first that must be (as keys typed before it). */
  readonly from: number;
  readonly by: number;
}

/** What was received, one list a guest: `+a` for a key that went down, `-a` for one that came up. */
export type Received = readonly (readonly string[])[];

export interface Verdict {
  /** The first key of each turn, where all of it holds. */
  readonly cuts: readonly number[];
  /** What does not hold, in words; none: all of it does. */
  readonly wrong: readonly string[];
}

/**
 * Somewhere on the way: each turn's first key so far, how much of each list was explained at the end of each turn and
 * is now, and how many keys came to nobody though somebody was presented.
 */
interface Place {
  readonly at: number;
  readonly next: readonly number[];
  readonly lost: number;
  readonly cuts: readonly number[];
  readonly ends: readonly (readonly number[])[];
}

/**
 * Looks for such moments.
 *
 * @param typed each key that went down, in the order in which the host's kernel had them
 * @param turns in order; the first begins with the first key
 * @param dropped keys that the host itself says it gave to nobody, since they had waited too long: so many may be
 *   lacking at most (it counts what was let go of, too)
 */
export function deliveries(
  typed: readonly string[],
  turns: readonly Turn[],
  received: Received,
  dropped = 0,
): Verdict {
  const lists = received.map((list) =>
    list.filter((one) => one.startsWith("+")).map((one) => one.slice(1))
  );
  const wrong = overfull(typed.length, turns, lists);
  const start: Place = { at: 0, next: lists.map(() => 0), lost: 0, cuts: [0], ends: [] };
  let places = [start];
  let furthest = start;
  for (const [n, { who }] of turns.entries()) {
    const { from, by } = turns[n + 1] ?? { from: typed.length, by: typed.length };
    const ends = new Map<string, Place>();
    for (const place of places) {
      const next = [...place.next];
      let { lost } = place;
      for (let at = place.at; at <= by; at++) {
        const now = [...next];
        const cuts = [...place.cuts, at];
        const here = { at, next: now, lost, cuts, ends: [...place.ends, now] };
        if (at >= furthest.at) furthest = here;
        if (at >= from) ends.set(`${at} ${lost} ${next.join(" ")}`, here);
        if (who === null) continue;
        if (lists[who]?.[next[who] ?? 0] === typed[at]) next[who] = (next[who] ?? 0) + 1;
        else if (++lost > dropped) break;
      }
    }
    places = [...ends.values()];
    if (places.length === 0) {
      return { cuts: [], wrong: [...wrong, stuck(n, who, furthest, typed, lists)] };
    }
  }
  const whole = places.find((place) => place.next.every((used, n) => used === lists[n]?.length));
  if (whole === undefined) {
    const left = lists.map((list, n) => list.length - (places[0]?.next[n] ?? 0));
    return { cuts: [], wrong: [...wrong, `keys that came besides: ${left.join(", ")}`] };
  }
  const cuts = whole.cuts.slice(0, -1);
  return { cuts, wrong: [...wrong, ...heldOver(turns, whole.ends, received)] };
}

/** Lists with more keys than were typed while their guests can have been presented. */
function overfull(count: number, turns: readonly Turn[], lists: Received): string[] {
  return lists.flatMap((list, guest) => {
    const most = turns.map(({ who, from }, n) =>
      who === guest ? (turns[n + 1]?.by ?? count) - from : 0
    ).reduce((sum, one) => sum + one, 0);
    if (list.length <= most) return [];
    return [`guest ${guest} has ${list.length} keys, and ${most} at most were typed for it`];
  });
}

function stuck(
  turn: number,
  who: number | null,
  { at, next }: Place,
  typed: readonly string[],
  lists: Received,
): string {
  if (who === null) return `turn ${turn}: nothing explains key ${at}`;
  const rest = (lists[who] ?? []).slice(next[who] ?? 0);
  const [found = "nothing"] = rest;
  const said = `turn ${turn}: key ${at} is ${typed[at]}, and guest ${who} has ${found}`;
  const lost = typed.slice(at + 1, at + 1 + LOOK_AHEAD).indexOf(found) + 1;
  if (lost > 0) return `${said}: it lacks ${lost}`;
  const more = rest.slice(1, 1 + LOOK_AHEAD).indexOf(typed[at] ?? "") + 1;
  return more > 0 ? `${said}: it has ${more} too many` : said;
}

/** Keys that were still down for a guest when its turn was over and its next one began. */
function heldOver(
  turns: readonly Turn[],
  taken: readonly (readonly number[])[],
  received: Received,
): string[] {
  return received.flatMap((list, guest) => {
    const ends = new Set(
      turns.flatMap(({ who }, n) => who === guest ? taken[n]?.[guest] ?? [] : []),
    );
    const down = new Set<string>();
    const held: string[] = [];
    let seen = 0;
    for (const one of list) {
      if (one.startsWith("-")) down.delete(one.slice(1));
      else {
        if (ends.has(seen) && down.size > 0) held.push(`${[...down].join(" ")} after key ${seen}`);
        down.add(one.slice(1));
        seen++;
      }
    }
    if (down.size > 0) held.push(`${[...down].join(" ")} at the end`);
    return held.map((keys) => `guest ${guest} believes held: ${keys}`);
  });
}

/** A key of the host's own keyboard as its kernel had it. */
export interface HostKey {
  readonly code: number;
  readonly down: boolean;
  /** Milliseconds of the host's clock since 1970. */
  readonly atMs: number;
}

/** `struct input_event` of a 64-bit machine: seconds, microseconds, type, code, value. */
const EVENT_BYTES = 24;
const EV_KEY = 1;

/** Every key of an event device that went down or came up; what the kernel repeated by itself is left out. */
export function keysIn(bytes: Uint8Array): HostKey[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const keys: HostKey[] = [];
  for (let at = 0; at + EVENT_BYTES <= bytes.length; at += EVENT_BYTES) {
    const value = view.getInt32(at + 20, true);
    if (view.getUint16(at + 16, true) !== EV_KEY || value === 2) continue;
    const atMs = Number(view.getBigInt64(at, true)) * 1000 +
      Number(view.getBigInt64(at + 8, true)) / 1000;
    keys.push({ code: view.getUint16(at + 18, true), down: value === 1, atMs });
  }
  return keys;
}
