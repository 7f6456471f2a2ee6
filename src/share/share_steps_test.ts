import assert from "node:assert/strict";
import { ShareSteps } from "./share_steps.ts";
import { turns } from "../../test/turns.ts";

/** Lets everything go on that waits for nothing but its turn. */

Deno.test("ShareSteps does one step after the other, and goes on after one that failed", async () => {
  const steps = new ShareSteps();
  const done: string[] = [];
  const first = steps.next(async () => {
    await turns();
    done.push("first");
    throw new Error("it failed");
  });
  const second = steps.next(() => Promise.resolve(done.push("second")));
  await assert.rejects(first, /it failed/);
  await second;
  assert.deepEqual(done, ["first", "second"]);
});

Deno.test("ShareSteps.outdate holds for what was asked before it, and not for what is asked afterwards", () => {
  const steps = new ShareSteps();
  const before = steps.wanted();
  assert.equal(before(), true);
  steps.outdate(null);
  assert.deepEqual([before(), steps.wanted()()], [false, true]);
});

Deno.test("ShareSteps begins no step while a give is being ended, which is ended by one alone", async () => {
  const steps = new ShareSteps();
  let ends = 0;
  let ended = () => {};
  const end = () => {
    ends++;
    return new Promise<void>((resolve) => ended = resolve);
  };
  steps.outdate(end);
  steps.outdate(end);
  let begun = 0;
  const next = steps.next(() => Promise.resolve(begun++));
  const waits = steps.ended().then(() => begun++);
  await turns();
  assert.deepEqual([ends, begun], [1, 0]);
  ended();
  await Promise.all([next, waits]);
  assert.equal(begun, 2);
  // The next give can be ended as well.
  steps.outdate(end);
  assert.equal(ends, 2);
});
