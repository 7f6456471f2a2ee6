import assert from "node:assert/strict";
import type { Host } from "../host/port.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { launchShare } from "./launcher.ts";

/** How long the launcher is given, in ms. */
async function limitOf(verb: "give" | "take", madeMib: number): Promise<number> {
  let limit = 0;
  const host = {
    launch: (_name: string, _args: string[], ms: number) => {
      limit = ms;
      return Promise.resolve({ code: 0, words: ["ok"] });
    },
  } as unknown as Host;
  assert.equal(await launchShare(host, verb, samplePlan().slot, 0, madeMib), null);
  return limit;
}

Deno.test("launchShare gives a share that is written time by its size, and any other one a minute", async () => {
  assert.equal(await limitOf("take", 0), 60_000);
  assert.equal(await limitOf("give", 0), 60_000);
  assert.equal(await limitOf("give", 1024), 68_192);
  // The largest that a policy can name.
  assert.equal(await limitOf("give", 2 ** 20), 60_000 + 8 * 2 ** 20);
});
