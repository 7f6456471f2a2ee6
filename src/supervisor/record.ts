/**
 * What the program must know to take up a guest that runs while it died: by which plan it was launched,
 * which process it is, and which step was begun last. One file a slot in a folder of root's in memory
 * (`/run/rayos/guest/`), written before each step. It is believed only where the kernel and the plan
 * file of the launcher say the same; what does not fit is set aside, never deleted.
 */

import * as v from "valibot";
import { Fault } from "../fault.ts";
import { freeName } from "../free_name.ts";
import type { Host } from "../host/port.ts";
import { type Slot, slotName, type VmId, vmId } from "../id.ts";
import { renderPlan } from "../jail/render.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { qemuArgv } from "../plan/qemu_argv.ts";
import { coldPlan } from "../saved/plan_hash.ts";

/** The steps that can be interrupted, each named when it begins. */
export const STEPS = [
  "launching",
  "confining",
  "releasing",
  "running",
  "pausing",
  "paused",
  "stopping",
  "saving",
  "loading",
  "loaded",
] as const;
export type Step = typeof STEPS[number];

export interface RunRecord {
  readonly plan: LaunchPlan;
  readonly step: Step;
  /** QEMU's process, and when the kernel started it, in clock ticks since boot (proc(5), field 22). */
  readonly process: { readonly pid: number; readonly startTicks: number } | null;
  /** Whether its vCPUs ran before a state was saved. */
  readonly ran: boolean;
  /** Whether its agent answered already, so that it is not told twice. */
  readonly ready: boolean;
}

const RECORD = v.strictObject({
  version: v.literal(0),
  step: v.picklist(STEPS),
  process: v.nullable(v.strictObject({ pid: v.number(), startTicks: v.number() })),
  ran: v.boolean(),
  ready: v.boolean(),
  plan: v.looseObject({
    vm: v.string(),
    slot: v.number(),
    uuid: v.string(),
    files: v.array(v.any()),
  }),
});

const LIMIT = 256 * 1024;
const FOLDER = `${PATHS.run}/guest`;

function recordPath(slot: Slot): string {
  return `${FOLDER}/${slotName(slot)}.json`;
}

/** Writes it in one step; what was there before stays whole until then. */
export function writeRecord(host: Host, record: RunRecord): void {
  host.makeDirectory(FOLDER);
  host.replace(recordPath(record.plan.slot), `${JSON.stringify({ version: 0, ...record })}\n`);
}

/** The machine is gone in order: nothing is to be taken up. */
export function dropRecord(host: Host, slot: Slot): void {
  if (host.lstat(recordPath(slot)) !== null) host.remove(recordPath(slot));
}

/** Which guest the record of a slot names, held against nothing: for a person's eyes alone. */
export function recordedGuest(host: Host, slot: Slot): VmId | null {
  try {
    const parsed = v.safeParse(RECORD, JSON.parse(host.readText(recordPath(slot), LIMIT) ?? ""));
    return parsed.success ? vmId(parsed.output.plan.vm) : null;
  } catch {
    return null;
  }
}

export type ReadRecord =
  | { readonly kind: "none" }
  | { readonly kind: "good"; readonly record: RunRecord }
  /** `why`: what does not fit. */
  | { readonly kind: "bad"; readonly why: string };

/** The record of a slot, held against the plan file that the launcher was given and the processes there. */
export function readRecord(
  host: Host,
  plan: Pick<LaunchPlan, "vm" | "slot" | "uuid">,
  processes: readonly number[],
): ReadRecord {
  const path = recordPath(plan.slot);
  if (host.lstat(path) === null) return { kind: "none" };
  const bad = (why: string): ReadRecord => ({ kind: "bad", why });
  let record: RunRecord;
  try {
    const parsed = v.safeParse(RECORD, JSON.parse(host.readText(path, LIMIT) ?? ""));
    if (!parsed.success) return bad("it has another form");
    // What of the plan is no plan cannot pass the comparison below.
    record = parsed.output as unknown as RunRecord;
    const launched = host.readText(`${PATHS.plans}/${slotName(plan.slot)}`, LIMIT);
    if (!sameValue(qemuArgv(record.plan), coldPlan(record.plan).argv)) {
      return bad("its arguments are not those of its plan");
    }
    if (renderPlan(record.plan) !== launched) return bad("the launcher was given another plan");
  } catch {
    return bad("it cannot be read");
  }
  const { vm, uuid, slot } = record.plan;
  if (vm !== plan.vm || uuid !== plan.uuid || slot !== plan.slot) return bad("another guest's");
  if (record.process !== null && processes.length > 0) {
    const { pid, startTicks } = record.process;
    if (!processes.includes(pid)) return bad(`process ${pid} is not in the guest's cgroup`);
    if (host.processFacts(pid)?.startTicks !== startTicks) return bad(`${pid} is another process`);
  }
  return { kind: "good", record };
}

/** The record of what runs there, where it is to be believed; what is not is set aside and told. */
export function believedRecord(
  host: Host,
  plan: Pick<LaunchPlan, "vm" | "slot" | "uuid">,
  processes: readonly number[],
  tell: (fault: Fault) => void,
): RunRecord | null {
  const read = readRecord(host, plan, processes);
  if (read.kind === "good") return read.record;
  if (read.kind === "bad") {
    const aside = setRecordAside(host, plan.slot);
    const message =
      `record of ${plan.vm}: ${read.why}; it is in ${aside}, and the guest is taken up ` +
      "only if it is as the plan of now says";
    tell(new Fault("launch", "launch.record", message));
  }
  return null;
}

/** Moves it out of the way. @returns its name there */
export function setRecordAside(host: Host, slot: Slot): string {
  const path = recordPath(slot);
  const name = freeName(host, (count) => `${path}.aside.${count}`);
  host.rename(path, name);
  return name;
}

const sameValue = (one: unknown, other: unknown) => JSON.stringify(one) === JSON.stringify(other);
