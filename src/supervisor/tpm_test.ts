import assert from "node:assert/strict";
import { cgroupFile, FakeHost } from "../../test/fake_host.ts";
import type { DataPath } from "../data_path.ts";
import type { Fault } from "../fault.ts";
import type { ProcessFacts } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { tpmProcesses, watchTpm } from "./tpm.ts";

const plan = samplePlan({
  tpm: { uid: 62000, stateDir: "vm/linux/demo/tpm" as DataPath, seccomp: "" },
});
const PROCESSES = cgroupFile(plan.slot, "tpm/cgroup.procs");

/** A host whose TPM is gone after that many looks, with its QEMU or without; null: never. */
async function watched(
  of: typeof plan,
  goneAfter: number | null,
  { qemuEnds = false, stopped = false } = {},
) {
  const host = new FakeHost();
  host.seed(PROCESSES, "7\n");
  host.seed(`${PATHS.proc}/7/status`, "Name:\tswtpm\nState:\tS (sleeping)\n");
  host.processes.set(plan.slot, [{ pid: 8 } as ProcessFacts]);
  const faults: Fault[] = [];
  let looks = 0;
  const wanted = () => {
    looks++;
    if (looks === goneAfter && !stopped) host.seed(PROCESSES, "");
    if (looks === goneAfter && stopped) {
      host.seed(`${PATHS.proc}/7/status`, "State:\tT (stopped)\n");
    }
    if (looks === goneAfter && qemuEnds) host.processes.delete(plan.slot);
    return looks < 10;
  };
  await watchTpm(host, of, wanted, (fault) => Promise.resolve(void faults.push(fault)));
  return { faults: faults.map((one) => one.code), looks };
}

Deno.test("watchTpm ends the guest by name once its TPM is gone", async () => {
  assert.deepEqual(await watched(plan, 3), { faults: ["tpm.gone"], looks: 4 });
});

Deno.test("watchTpm ends the guest by another name where its TPM is stopped, with which QEMU would wait", async () => {
  const found = { faults: ["tpm.stopped"], looks: 4 };
  assert.deepEqual(await watched(plan, 3, { stopped: true }), found);
});

Deno.test("watchTpm says nothing of a guest that is ended, nor of one without a TPM", async () => {
  assert.deepEqual(await watched(plan, null), { faults: [], looks: 10 });
  assert.deepEqual(await watched(plan, 10), { faults: [], looks: 10 });
  assert.deepEqual(await watched(samplePlan(), 1), { faults: [], looks: 0 });
});

Deno.test("watchTpm leaves it to others to tell of a QEMU that ended, and its TPM with it", async () => {
  assert.deepEqual(await watched(plan, 3, { qemuEnds: true }), {
    faults: [],
    looks: 4,
  });
});

Deno.test("tpmProcesses is empty where the guest has no such cgroup", () => {
  assert.deepEqual(tpmProcesses(new FakeHost(), plan.slot), []);
});
