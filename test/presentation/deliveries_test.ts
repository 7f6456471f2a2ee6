import assert from "node:assert/strict";
import fc from "fast-check";
import { deliveries, keysIn, type Turn } from "./deliveries.ts";

const taps = (keys: string) => [...keys].flatMap((key) => [`+${key}`, `-${key}`]);
const typed = [..."abcdefghijkl"];
/** 0, then 1 from somewhere in d to f, then nobody from exactly i, then 0 from k on. */
const turns: Turn[] = [
  { who: 0, from: 0, by: 0 },
  { who: 1, from: 3, by: 6 },
  { who: null, from: 8, by: 8 },
  { who: 0, from: 10, by: 10 },
];
const wrongIn = (...received: string[]) => deliveries(typed, turns, received.map(taps)).wrong;

Deno.test("deliveries finds a key that came to a hidden guest, to both, to nobody or too late", () => {
  // A key before or behind the time that the switch took.
  assert.match(
    wrongIn("abkl", "cdefgh").join(),
    /turn 0: key 2 is c, and guest 0 has k: it lacks 8/u,
  );
  assert.match(
    wrongIn("abcdefgkl", "h").join(),
    /turn 1: key 6 is g, and guest 1 has h: it lacks 1/u,
  );
  assert.match(
    wrongIn("zabckl", "defgh").join(),
    /turn 0: key 0 is a, and guest 0 has z: it has 1 too many/u,
  );
  assert.notDeepEqual(wrongIn("abcdkl", "defgh"), [], "both have d");
  assert.notDeepEqual(wrongIn("abckl", "efgh"), [], "nobody has d");
  assert.notDeepEqual(wrongIn("abckl", "defghi"), [], "nobody was presented at i");
  assert.notDeepEqual(wrongIn("abckl", "dfegh"), [], "out of order");
  assert.notDeepEqual(wrongIn("abckl", "defghz"), [], "never typed");
});

Deno.test("deliveries lets as many keys be lacking as the host says it dropped, and none be elsewhere", () => {
  const wrong = (dropped: number, ...received: string[]) =>
    deliveries(typed, turns, received.map(taps), dropped).wrong;
  // b and g are nowhere.
  assert.deepEqual(wrong(2, "ackl", "defh"), []);
  assert.notDeepEqual(wrong(1, "ackl", "defh"), []);
  // What one lacks the other must not have.
  assert.notDeepEqual(wrong(2, "ackl", "bdefh"), []);
  assert.notDeepEqual(wrong(5, "abckl", "defghi"), [], "nobody was presented at i");
  const held = ["+a", "+c", "-c", ...taps("kl")];
  assert.match(
    deliveries(typed, turns, [held, taps("defgh")], 1).wrong.join(),
    /guest 0 believes held: a after key 2/u,
  );
});

Deno.test("deliveries says how many keys too many a guest has, as with an open gate", () => {
  const everything = taps(typed.join(""));
  const { wrong } = deliveries(typed, turns, [everything, everything]);
  assert.match(wrong[0] ?? "", /^guest 0 has 12 keys, and 8 at most were typed for it$/u);
  assert.match(wrong[1] ?? "", /^guest 1 has 12 keys, and 5 at most were typed for it$/u);
});

Deno.test("deliveries finds a key that a guest still believes down when it is left", () => {
  const held = ["+a", "+b", "-b", ...taps("c"), ...taps("kl")];
  const other = taps("defgh");
  assert.match(
    deliveries(typed, turns, [held, other]).wrong.join(),
    /guest 0 believes held: a after key 3.*a at the end/u,
  );
  const freed = ["+a", "+b", "-b", ...taps("c"), "-a", ...taps("kl")];
  assert.deepEqual(deliveries(typed, turns, [freed, other]).wrong, []);
});

Deno.test("deliveries gives the moment of each switch where all of it holds", () => {
  assert.deepEqual(deliveries(typed, turns, [taps("abckl"), taps("defgh")]), {
    cuts: [0, 3, 8, 10],
    wrong: [],
  });
  assert.deepEqual(deliveries(typed, turns, [taps("abcdefkl"), taps("gh")]).cuts, [0, 6, 8, 10]);
});

Deno.test("deliveries takes every right split, and none in which one key has changed sides", () => {
  // Few letters, so that what follows often looks like what went before.
  const letters = fc.array(fc.constantFrom(..."abc"), { minLength: 30, maxLength: 30 });
  const cutsAt = fc.array(fc.integer({ min: 0, max: 4 }), { minLength: 5, maxLength: 5 });
  fc.assert(fc.property(letters, cutsAt, fc.nat(29), (keys, late, moved) => {
    const all: Turn[] = late.map((_, n) => ({ who: n % 2, from: n * 6, by: n * 6 + 4 }));
    const cuts = late.map((more, n) => n === 0 ? 0 : n * 6 + more);
    const owner = keys.map((_, at) => cuts.findLastIndex((cut) => cut <= at) % 2);
    const lists = (of: readonly number[]) =>
      [0, 1].map((guest) => taps(keys.filter((_, at) => of[at] === guest).join("")));
    const first = all.map((turn, n) => n === 0 ? { ...turn, by: 0 } : turn);
    assert.deepEqual(deliveries(keys, first, lists(owner)).wrong, []);
    // Out of every window: no other moment of a switch explains it, unless the same letter follows it.
    const at = Math.floor(moved / 6) * 6 + 5;
    const swapped = owner.map((who, n) => n === at ? 1 - who : who);
    const { wrong, cuts: found } = deliveries(keys, first, lists(swapped));
    if (wrong.length > 0) return;
    const other = keys.map((_, n) => found.findLastIndex((cut) => cut <= n) % 2);
    assert.deepEqual(lists(other), lists(swapped), "the same lists by another right split");
  }));
});

Deno.test("keysIn takes keys with their times, and no repeat, movement or cut event", () => {
  const bytes = new Uint8Array(5 * 24 + 7);
  const view = new DataView(bytes.buffer);
  const put = (n: number, seconds: number, type: number, code: number, value: number) => {
    view.setBigInt64(n * 24, BigInt(seconds), true);
    view.setBigInt64(n * 24 + 8, 1500n, true);
    view.setUint16(n * 24 + 16, type, true);
    view.setUint16(n * 24 + 18, code, true);
    view.setInt32(n * 24 + 20, value, true);
  };
  put(0, 5, 1, 30, 1);
  put(1, 5, 0, 0, 0);
  put(2, 6, 1, 30, 2);
  put(3, 6, 3, 0, 77);
  put(4, 7, 1, 30, 0);
  assert.deepEqual(keysIn(bytes), [
    { code: 30, down: true, atMs: 5001.5 },
    { code: 30, down: false, atMs: 7001.5 },
  ]);
});
