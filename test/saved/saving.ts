/** One guest of a fake QEMU that is saved, checked and loaded, as the tests of each of these have it. */

import assert from "node:assert/strict";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import type { LaunchPlan } from "../../src/plan/launch_plan.ts";
import { type Checked, checkSaved } from "../../src/saved/check.ts";
import { hostKey } from "../../src/saved/host_key.ts";
import { loadSaved } from "../../src/saved/load.ts";
import { suspendGuest, type SuspendRequest } from "../../src/saved/save.ts";
import type { CutHost } from "./cut_host.ts";
import { FakeQemu, type Wrongs } from "./fake_qemu.ts";

export const plan = samplePlan();
export const CPU = "c".repeat(64);
export const LIMITS = { stallMs: 40, quitMs: 40, wholeMs: 60_000, leastBytesS: 1 };

export async function suspend(
  host: CutHost,
  wrongs: Wrongs = {},
  changes: Partial<SuspendRequest> = {},
) {
  const qemu = new FakeQemu(host, plan, "memory", wrongs);
  qemu.status = "running";
  const qmp = await qemu.qmp();
  const kill = () => {
    qemu.kill();
    return Promise.resolve(true);
  };
  const key = hostKey(host);
  const result = await suspendGuest({
    host,
    qmp,
    plan,
    key,
    cpu: CPU,
    kill,
    limits: LIMITS,
    ...changes,
  });
  return { qemu, result };
}

export function check(host: CutHost, of: LaunchPlan = plan, cpu = CPU): Promise<Checked> {
  return checkSaved({ host, plan: of, key: hostKey(host), cpu });
}

/** The fields of what is wrong, or the kind. */
export async function verdict(host: CutHost, of: LaunchPlan = plan, cpu = CPU): Promise<string> {
  const checked = await check(host, of, cpu);
  if (checked.kind !== "bad") return checked.kind;
  return checked.issues.map((one) => `${one.rule}:${one.path}`).join(" ");
}

export async function load(host: CutHost, wrongs: Wrongs = {}, of = plan, mayRun = () => true) {
  const checked = await check(host);
  assert.equal(checked.kind, "good");
  if (checked.kind !== "good") throw new Error();
  const qemu = new FakeQemu(host, of, null, wrongs);
  const qmp = await qemu.qmp();
  const { saved } = checked;
  return { qemu, result: await loadSaved({ host, qmp, plan, saved, mayRun, stallMs: 40 }) };
}
