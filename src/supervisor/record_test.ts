import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { jailAsPlanned } from "../../test/fake_jail.ts";
import { renderPlan } from "../jail/render.ts";
import { jailSpec } from "../jail/spec.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { dropRecord, readRecord, type RunRecord, setRecordAside, writeRecord } from "./record.ts";

const FILE = "/run/rayos/guest/00.json";
const plan = samplePlan();

/** A host with a guest that runs, its plan file, and its record. */
function hostWith(change: (record: RunRecord) => unknown = (record) => record) {
  const host = new FakeHost();
  const facts = jailAsPlanned(jailSpec(plan), () => ({ device: 1, inode: 2 }));
  host.processes.set(plan.slot, [facts]);
  host.seed("/run/rayos/plan/00", renderPlan(plan));
  const { pid, startTicks } = facts;
  const record: RunRecord = {
    plan,
    step: "running",
    process: { pid, startTicks },
    ran: true,
    ready: true,
  };
  writeRecord(host, record);
  const changed = change({ ...record });
  if (changed !== undefined) {
    host.seed(
      FILE,
      typeof changed === "string" ? changed : JSON.stringify({ version: 0, ...changed }),
    );
  }
  return { host, pid, read: () => readRecord(host, plan, host.processesOf(plan.slot)) };
}

Deno.test("readRecord gives back what was written", () => {
  const read = hostWith().read();
  assert.equal(read.kind, "good");
  assert.deepEqual(read.kind === "good" && read.record.plan, plan);
  assert.equal(read.kind === "good" && read.record.step, "running");
});

Deno.test("readRecord believes no record that the kernel or the launcher's plan contradicts", () => {
  const forged: Record<string, (record: RunRecord) => unknown> = {
    "no JSON": () => "{",
    "another form": (record) => ({ ...record, more: 1 }),
    "an unknown step": (record) => ({ ...record, step: "dancing" }),
    "a process id that was used again": (record) => ({
      ...record,
      process: { ...record.process, startTicks: 5 },
    }),
    "a process of another cgroup": (record) => ({ ...record, process: { pid: 1, startTicks: 1 } }),
    "another disk": (record) => ({
      ...record,
      plan: { ...plan, files: plan.files.map((file) => ({ ...file, path: "vm/linux/x/other" })) },
    }),
    "more memory": (record) => ({ ...record, plan: { ...plan, memoryMiB: 4096 } }),
    "another argument": (record) => ({
      ...record,
      plan: { ...plan, argv: [...plan.argv, "-append", "x"] },
    }),
    "a higher limit": (record) => ({
      ...record,
      plan: { ...plan, limits: { ...plan.limits, pidsMax: 256 } },
    }),
    "another guest": (record) => ({ ...record, plan: samplePlan({ vm: "other" as never }) }),
    "a plan that is none": (record) => ({ ...record, plan: { ...plan, devices: 7 } }),
  };
  for (const [what, change] of Object.entries(forged)) {
    const { read } = hostWith(change);
    assert.equal(read().kind, "bad", what);
  }
});

Deno.test("readRecord finds none where none is", () => {
  const { host, read } = hostWith();
  dropRecord(host, plan.slot);
  assert.equal(read().kind, "none");
  dropRecord(host, plan.slot);
});

Deno.test("setRecordAside keeps every one that came before", () => {
  const { host } = hostWith();
  const names = [1, 2, 3].map((count) => {
    host.seed(FILE, String(count));
    return setRecordAside(host, plan.slot);
  });
  assert.equal(new Set(names).size, 3);
  for (const [index, name] of names.entries()) {
    assert.equal(host.readText(name, 99), String(index + 1));
  }
});
