import assert from "node:assert/strict";
import { samplePlan } from "../plan/sample_plan.ts";
import { incomingPlan, planHash } from "./plan_hash.ts";

Deno.test("planHash is the same whether the plan waits for saved state or not", () => {
  const plan = samplePlan();
  assert.deepEqual(incomingPlan(plan).argv.slice(-2), ["-incoming", "defer"]);
  assert.deepEqual(incomingPlan(incomingPlan(plan)), incomingPlan(plan));
  assert.equal(planHash(incomingPlan(plan)), planHash(plan));
});

Deno.test("planHash is another for each change of the plan", () => {
  const plan = samplePlan();
  const others = [
    ...Object.keys(plan).filter((key) => key !== "argv").map((key) => ({ ...plan, [key]: "x" })),
    ...plan.argv.map((_, n) => ({ ...plan, argv: plan.argv.with(n, "other") })),
    { ...plan, argv: ["-incoming", "defer", ...plan.argv] },
    { ...plan, argv: [...plan.argv, "-incoming", "exec:true"] },
    samplePlan({ limits: { ...plan.limits, pidsMax: 1 } }),
  ];
  const hashes = new Set([plan, ...others].map((one) => planHash(one as typeof plan)));
  assert.equal(hashes.size, others.length + 1);
});
