import assert from "node:assert/strict";
import { oneAtATime } from "./one_at_a_time.ts";

Deno.test("oneAtATime begins a call only after the one before it has ended, however that ended", async () => {
  const seen: string[] = [];
  const call = oneAtATime(async (name: string, fails: boolean) => {
    seen.push(`${name} begins`);
    await new Promise((resolve) => setTimeout(resolve, 1));
    seen.push(`${name} ends`);
    if (fails) throw new Error(name);
    return name;
  });
  const all = await Promise.allSettled([call("a", false), call("b", true), call("c", false)]);
  assert.deepEqual(all.map((one) => one.status), ["fulfilled", "rejected", "fulfilled"]);
  assert.deepEqual(seen, ["a begins", "a ends", "b begins", "b ends", "c begins", "c ends"]);
});
