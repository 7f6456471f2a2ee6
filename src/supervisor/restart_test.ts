import assert from "node:assert/strict";
import fc from "fast-check";
import { RESTART, restartAfter } from "./restart.ts";

Deno.test("restartAfter waits four times as long each time, no longer than a minute, and gives up at the fifth end", () => {
  const ends: number[] = [];
  const decisions = [0, 5_000, 10_000, 20_000, 40_000].map((at) => {
    ends.push(at);
    return restartAfter(ends);
  });
  assert.deepEqual(decisions, [
    { kind: "wait", ms: 1_000 },
    { kind: "wait", ms: 4_000 },
    { kind: "wait", ms: 16_000 },
    { kind: "wait", ms: 60_000 },
    { kind: "give_up", ends: 5 },
  ]);
});

Deno.test("restartAfter forgets ends that are long past", () => {
  const rare = [0, 1, 2, 3, 4].map((n) => n * RESTART.windowMs);
  assert.deepEqual(restartAfter(rare), { kind: "wait", ms: RESTART.firstMs });
});

Deno.test("restartAfter never begins more than the limit in any window, and never waits too long", () => {
  fc.assert(
    fc.property(
      fc.array(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 80, size: "max" }),
      (gaps) => {
        const ends: number[] = [];
        const begun: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          ends.push(now);
          const decision = restartAfter(ends);
          if (decision.kind === "give_up") return;
          assert.ok(decision.ms >= RESTART.firstMs && decision.ms <= RESTART.mostMs);
          now += decision.ms;
          begun.push(now);
          const inWindow = begun.filter((at) => now - at < RESTART.windowMs).length;
          assert.ok(inWindow <= RESTART.most);
        }
      },
    ),
  );
});
