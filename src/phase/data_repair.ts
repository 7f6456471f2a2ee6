/**
 * RayOS Data looked at and mended by a person, where it did not come up: `data.check` changes nothing,
 * `data.repair` lets the checker mend all it finds, `data.mount` tries once more to use it. A disk that is
 * in use was checked when it was mounted and is not touched.
 */

import { parseCmdline } from "../boot/cmdline.ts";
import type { Outcome } from "../control/protocol.ts";
import { asFault } from "../fault.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { checkDisk, findData, phaseData } from "./data.ts";

export function dataRepairOperations(runtime: Runtime): [LiveOp, Operation][] {
  return [
    ["data.check", () => check(runtime)],
    ["data.repair", (permit) => repair(runtime, permit as Allowed<"data.repair">)],
    ["data.mount", (_, args) => mount(runtime, args.source)],
  ];
}

/** The device that is in use; null where RayOS Data lives in memory. */
function inUse({ dataDevice }: Runtime): string | null {
  return dataDevice === "tmpfs" ? null : dataDevice;
}

/** @throws Fault with the launcher's own code */
async function check(runtime: Runtime): Promise<Outcome> {
  const used = inUse(runtime);
  if (used !== null) {
    return { ok: true, result: { device: used, state: "in use; it was checked when it came up" } };
  }
  const { data } = runtime.cmdline;
  if (data.by === "tmpfs") return inMemory();
  const device = await findData(runtime, data);
  return { ok: true, result: { device, state: await checkDisk(runtime, device, "check") } };
}

/** @throws Fault with the launcher's own code */
async function repair(runtime: Runtime, permit: Allowed<"data.repair">): Promise<Outcome> {
  const { data } = runtime.cmdline;
  const used = inUse(runtime);
  if (used !== null) return no("data.in_use", `${used} is in use; it is checked at each boot`);
  if (data.by === "tmpfs") return inMemory();
  const device = await findData(runtime, data);
  if (permit.dryRun) return await foretell(runtime, device);
  const state = await checkDisk(runtime, device, "repair");
  return { ok: true, result: { device, state, next: "data mount, or retry" } };
}

/** What a repair would find; nothing is written. */
async function foretell(runtime: Runtime, device: string): Promise<Outcome> {
  try {
    const state = await checkDisk(runtime, device, "check");
    return { ok: true, result: { dry_run: true, device, state, would: "find nothing to mend" } };
  } catch (error) {
    if (asFault(error, "data", "data.failed").code !== "data.damaged") throw error;
    const would = "let e2fsck mend all it finds; save a copy of the disk first";
    return { ok: true, result: { dry_run: true, device, state: "damaged", would } };
  }
}

/**
 * @param source as in `rayos.data=`; that of the command line where it is left out
 * @throws Fault where it does not come up; memory stands in its place again then
 */
async function mount(runtime: Runtime, source: unknown): Promise<Outcome> {
  const used = inUse(runtime);
  if (used !== null) return no("data.in_use", `${used} is in use already`);
  const { cmdline } = runtime;
  if (cmdline.data.by === "tmpfs") return inMemory();
  if (source !== undefined) {
    const read = parseCmdline(`rayos.data=${source}`, "release");
    if (read.issues.length > 0 || read.cmdline.data.by === "tmpfs" || /\s/.test(String(source))) {
      return no("cmdline.data", "expected LABEL=…, UUID=… or /dev/…");
    }
    runtime.cmdline = { ...cmdline, data: read.cmdline.data };
  }
  try {
    await phaseData(runtime);
  } catch (error) {
    runtime.cmdline = cmdline;
    throw error;
  }
  return { ok: true, result: { device: runtime.dataDevice, next: "retry" } };
}

function inMemory(): Outcome {
  return no("data.in_memory", "this boot was asked to keep RayOS Data in memory");
}

function no(rule: string, detail: string): Outcome {
  return { ok: false, rule, detail };
}
