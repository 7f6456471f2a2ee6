import assert from "node:assert/strict";
import { PastedPolicy } from "./paste.ts";

Deno.test("PastedPolicy takes base64 to the first dot and the signature to the second", () => {
  const pasted = new PastedPolicy();
  const steps = ["dmVyc2lv", "", "biA9IDA=", ".", "untrusted comment: x", "RUQ==", "."]
    .map((line) => pasted.take(line));
  assert.deepEqual(steps, ["more", "more", "more", "more", "more", "more", "done"]);
  assert.deepEqual(pasted.args, {
    policy: "dmVyc2lvbiA9IDA=",
    signature: "untrusted comment: x\nRUQ==\n",
  });
});

Deno.test("PastedPolicy stops at what is no base64, and at more than a policy may have", () => {
  for (const line of ["version = 0", "a b", "\x1b[2J", "====", "é"]) {
    assert.equal(new PastedPolicy().take(line), "not_base64", line);
  }
  const large = new PastedPolicy();
  let step = large.take("A".repeat(1000));
  for (let n = 0; n < 400 && step === "more"; n++) step = large.take("A".repeat(1000));
  assert.equal(step, "too_much");
  const talkative = new PastedPolicy();
  talkative.take(".");
  for (let n = 0; n < 70 && step !== "done"; n++) step = talkative.take("x".repeat(1000));
  assert.equal(step, "too_much");
});
