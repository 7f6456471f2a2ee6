import assert from "node:assert/strict";
import { adoptionOf, LOADING } from "./adoption.ts";
import { STEPS } from "./record.ts";

const RUNNING = { running: true, status: "running" };
const HELD = { running: false, status: "paused" };

Deno.test("adoptionOf: what was never let go is let go, and what runs is left alone", () => {
  for (const step of ["launching", "confining", "releasing", "loaded"] as const) {
    assert.equal(adoptionOf(step, true, HELD), "release", step);
    assert.equal(adoptionOf(step, true, RUNNING), "keep_running", step);
  }
});

Deno.test("adoptionOf: a guest that somebody paused stays paused", () => {
  for (const step of ["running", "pausing", "paused"] as const) {
    assert.equal(adoptionOf(step, true, HELD), "keep_paused", step);
    assert.equal(adoptionOf(step, true, RUNNING), "keep_running", step);
  }
});

Deno.test("adoptionOf: an interrupted save is taken back to what was before it", () => {
  assert.equal(adoptionOf("saving", true, HELD), "cancel_save_release");
  assert.equal(adoptionOf("saving", false, HELD), "cancel_save");
  assert.equal(adoptionOf("saving", true, RUNNING), "keep_running");
});

Deno.test("adoptionOf: an end that was begun comes to its end", () => {
  for (const qemu of [RUNNING, HELD]) assert.equal(adoptionOf("stopping", true, qemu), "stop");
});

Deno.test("adoptionOf answers for every step", () => {
  for (const step of STEPS) {
    if (step !== LOADING) assert.ok(adoptionOf(step, true, HELD).length > 0);
  }
});
