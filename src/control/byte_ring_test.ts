import assert from "node:assert/strict";
import fc from "fast-check";
import { ByteRing } from "./byte_ring.ts";

Deno.test("ByteRing gives the newest bytes in order and counts every one that it lost", () => {
  const step = fc.oneof(
    fc.uint8Array({ maxLength: 20 }).map((push) => ({ push })),
    fc.nat({ max: 12 }).map((take) => ({ take })),
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 16 }), fc.array(step), (room, steps) => {
      const ring = new ByteRing(room);
      let held: number[] = [];
      let lost = 0;
      for (const one of steps) {
        if ("push" in one) {
          ring.push(one.push);
          const all = [...held, ...one.push];
          held = all.slice(Math.max(0, all.length - room));
          lost += all.length - held.length;
        } else {
          assert.deepEqual([...ring.take(one.take)], held.slice(0, one.take));
          held = held.slice(one.take);
        }
        assert.equal(ring.size, held.length);
      }
      assert.equal(ring.takeLost(), lost);
      assert.equal(ring.takeLost(), 0);
    }),
  );
});
