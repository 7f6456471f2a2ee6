import assert from "node:assert/strict";
import { cgroupFile, FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import type { Slot } from "../id.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { strangersIn } from "./strangers.ts";

const SLOT = 5 as Slot;
const nobody = () => false;

function hostWith(slot: Slot): FakeHost {
  const host = new FakeHost();
  host.processes.set(slot, [{ pid: 9 } as never]);
  return host;
}

Deno.test("strangersIn finds a slot with a process, and one whose TPM alone is left, unless a guest is up there", () => {
  const host = hostWith(SLOT);
  host.seed(cgroupFile(6 as Slot, "cgroup.events"), "populated 1\nfrozen 0\n");
  host.seed(cgroupFile(7 as Slot, "cgroup.events"), "populated 0\nfrozen 0\n");
  const names = (up: readonly Slot[]) =>
    strangersIn(host, new Set(up), nobody).map((one) => one.name);
  assert.deepEqual(names([]), ["slot-05", "slot-06"]);
  assert.deepEqual(names([SLOT]), ["slot-06"]);
});

Deno.test("strangersIn says whose the record of the run is, and nothing of a record that names no guest", () => {
  const host = hostWith(SLOT);
  const recorded = () => strangersIn(host, new Set(), nobody)[0]?.recorded;
  const record = (vm: unknown) => ({
    version: 0,
    step: "running",
    process: null,
    ran: true,
    ready: true,
    plan: { vm, slot: SLOT, uuid: "u", files: [] },
  });
  assert.equal(recorded(), null);
  for (
    const [text, expected] of [
      [JSON.stringify(record("demo")), "demo"],
      [JSON.stringify(record("\x1b[2Jdemo")), null],
      [JSON.stringify(record({})), null],
      [JSON.stringify(record("demo")).slice(0, 40), null],
      ["\xff", null],
    ] as const
  ) {
    host.seed("/run/rayos/guest/05.json", text);
    assert.equal(recorded(), expected, text);
  }
});

Deno.test("strangersIn gives none the name of a guest, whatever guests are called", () => {
  const known = ["slot-05", "slot-05-"];
  const [found] = strangersIn(hostWith(SLOT), new Set(), (name) => known.includes(name));
  assert.equal(found?.name, "slot-05--");
  // Nor that of one that no registry was read for: the record of its run has it.
  const host = hostWith(SLOT);
  const plan = { vm: "slot-05", slot: SLOT, uuid: "u", files: [] };
  const record = { version: 0, step: "running", process: null, ran: true, ready: true, plan };
  host.seed("/run/rayos/guest/05.json", JSON.stringify(record));
  assert.equal(strangersIn(host, new Set(), nobody)[0]?.name, "slot-05-");
});

Deno.test("strangers are in no request's state of a normal host, and are running guests in that of any other", () => {
  const runtime = fakeRuntime(hostWith(SLOT));
  assert.equal(runtime.state().guests.size, 0);
  const request = { op: "registry.restore" } as const;
  for (const mode of ["safe", "recovery"] as const) {
    runtime.mode = mode;
    const decision = runtime.decide("recovery", request, true);
    assert.equal(decision.allow ? "allowed" : decision.rule, "op.guests_running");
  }
});

Deno.test("strangers count a process that a guest at rest has left behind", () => {
  const runtime = fakeRuntime(hostWith(SLOT));
  runtime.mode = "safe";
  const plan = samplePlan({ slot: SLOT });
  const guest = { plan, state: "failed", beginning: false, given: {} };
  runtime.guests.set(plan.vm, guest as never);
  assert.deepEqual([...runtime.state().guests.keys()], [plan.vm, "slot-05"]);
  guest.state = "running";
  assert.deepEqual([...runtime.state().guests.keys()], [plan.vm]);
});
