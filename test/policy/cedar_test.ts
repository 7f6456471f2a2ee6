import assert from "node:assert/strict";
import fc from "fast-check";
import { judge } from "../../src/policy/authorize.ts";
import { OPS } from "../../src/policy/ops.ts";
import { FULL_VARIABLE } from "../../tools/test_steps.ts";
import { anyCaller, anyPolicy, anyRequest, anyState, HOST_MEMORY } from "./any_decision.ts";
import { asks, question, teach } from "./cedar.ts";

const full = Deno.env.get(FULL_VARIABLE) === "1";
const POLICIES = full ? 200 : 30;
const REQUESTS = full ? 100_000 : 4_000;

Deno.test(`judge agrees with the same rules in Cedar on ${REQUESTS} random requests`, () => {
  const policies = [null, ...fc.sample(anyPolicy, { numRuns: POLICIES, seed: 1 })];
  policies.forEach((policy, index) => teach(`p${index}`, policy, HOST_MEMORY));
  const allowed = new Map<string, number>();
  let yes = 0;
  const any = fc.tuple(fc.nat({ max: policies.length - 1 }), anyState, anyCaller, anyRequest);
  fc.assert(
    fc.property(any, ([index, state, caller, request]) => {
      const ours = judge(policies[index] ?? null, state, caller, request);
      const theirs = asks(question(`p${index}`, state, caller, request));
      assert.equal(ours === null, theirs, JSON.stringify([ours, caller, request]));
      if (ours !== null) return;
      yes++;
      allowed.set(request.op, (allowed.get(request.op) ?? 0) + 1);
    }),
    { numRuns: REQUESTS },
  );
  // Agreement on a row of denials alone would prove little.
  assert(yes > REQUESTS / 20, `only ${yes} of ${REQUESTS} were allowed`);
  const never = OPS.filter((op) => !allowed.has(op));
  assert(!full || never.length === 0, `never allowed: ${never.join(", ")}`);
  console.log(`${REQUESTS} requests, ${yes} allowed, 0 disagreements`);
});
