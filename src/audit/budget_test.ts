import assert from "node:assert/strict";
import fc from "fast-check";
import { BURST_LINES, LINE_CHARACTERS, LineBudget, LINES_PER_SECOND, TELL_MS } from "./budget.ts";

Deno.test("LineBudget gives a flood its share, tells what it lost once an interval, and spares the others", () => {
  const budget = new LineBudget();
  let written = 0;
  let told = 0;
  let words = 0;
  const seconds = 60;
  for (let ms = 0; ms < seconds * 1000; ms++) {
    for (let n = 0; n < 10; n++) if (budget.admits("vm/hostile", ms)) written++;
    if (ms % 100 === 0) assert.ok(budget.admits("policy", ms), "another source");
    for (const { source, lines } of budget.due(ms)) {
      assert.equal(source, "vm/hostile");
      told += lines;
      words++;
    }
  }
  assert.ok(written <= BURST_LINES + seconds * LINES_PER_SECOND, `${written} lines`);
  assert.equal(words, seconds * 1000 / TELL_MS);
  for (const { lines } of budget.due(seconds * 1000, true)) told += lines;
  assert.equal(written + told, seconds * 10_000, "no line is lost without a word");
});

Deno.test("LineBudget counts a long line as several, so that a source has so many characters a second", () => {
  const budget = new LineBudget();
  const characters = 8 * LINE_CHARACTERS;
  let written = 0;
  for (let ms = 0; ms < 10_000; ms++) if (budget.admits("vm/hostile", ms, characters)) written++;
  const most = (BURST_LINES + 10 * LINES_PER_SECOND) / 8;
  assert.ok(written > most / 2 && written <= most, `${written} lines`);
});

Deno.test("LineBudget takes no line for longer than it is once it is cut, so that one word hides nothing", () => {
  const budget = new LineBudget();
  for (let n = 0; n < 100; n++) assert.ok(budget.admits("vm/hostile", 0, 1e9), `word ${n}`);
  assert.ok(budget.admits("vm/hostile", 0), "what is said of it");
});

Deno.test("LineBudget stays small and loses no count, whatever the sources are called", () => {
  fc.assert(
    fc.property(
      fc.array(fc.string({ maxLength: 2 }), { maxLength: 3000, size: "max" }),
      (sources) => {
        const budget = new LineBudget();
        const admitted = sources.filter((one) => budget.admits(one, 0)).length;
        const told = budget.due(0, true).reduce((sum, one) => sum + one.lines, 0);
        assert.equal(admitted + told, sources.length);
      },
    ),
    { numRuns: 30 },
  );
});

Deno.test("LineBudget never fails with a clock that goes back", () => {
  const budget = new LineBudget();
  assert.ok(budget.admits("a", 5000));
  assert.ok(budget.admits("a", 10));
});
