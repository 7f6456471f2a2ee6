/** The machine's end: guests first, each as its profile says, then the logs, then the power. */

import { asFault } from "../fault.ts";
import { allSlots } from "../id.ts";
import { GUESTS_CGROUP } from "../permissions.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { endStranger } from "../supervisor/ending.ts";
import type { Guest } from "../supervisor/guest.ts";
import { within } from "../within.ts";
import { tellSeal } from "./audit.ts";
import { recordBoot } from "./boot_record.ts";

/** Milliseconds. */
const POWER_TIMEOUT_MS = 600_000;
const HIDE_TIMEOUT_MS = 30_000;
const DRAIN_MS = 2_000;
const RETRY_MS = 1_000;
/** The answer to whoever asked goes out first; the end takes its time. */
const ANSWER_MS = 50;

type PowerPermit = Allowed<"power.off" | "power.reboot">;

/** The operations that end the machine. */
export function powerOperations(runtime: Runtime): [LiveOp, Operation][] {
  const end: Operation = (permit, _args, caller) => {
    setTimeout(() => endMachine(runtime, permit as PowerPermit, caller), ANSWER_MS);
    return { ok: true, result: { ending: true } };
  };
  return [["power.off", end], ["power.reboot", end]];
}

/** The power button: as if a person at the machine asked. */
export async function powerButton(runtime: Runtime): Promise<void> {
  const decision = runtime.decide("console", { op: "power.off" });
  if (decision.allow) await endMachine(runtime, decision.permit, "power_button");
}

/** Ends guests, then the machine. Whoever comes second is ignored: it is ending already. */
async function endMachine(runtime: Runtime, permit: PowerPermit, reason: string): Promise<void> {
  if (!runtime.beginEnding()) return;
  const { host, presenter, guests } = runtime;
  const how = permit.op === "power.off" ? "poweroff" : "reboot";
  // The guest that is shown is told that every key is up; none holds an end up by it.
  const hidden = presenter.ask({ type: "hide", vm: null });
  await within(HIDE_TIMEOUT_MS, "hiding", hidden).catch(() => {});
  try {
    // One that cannot be ended in order takes no time from the others.
    await Promise.allSettled(
      [...guests.values()].map((one) => saveOrEnd(runtime, one, permit, how)),
    );
    // What runs in a slot without a plan, e.g. after a restart into safe mode.
    const left = allSlots().filter((slot) => host.processesOf(slot).length > 0);
    await Promise.all(left.map((slot) => endStranger(host, slot)));
  } catch (error) {
    // The machine ends all the same, as was asked; the kernel takes what is left with it.
    const { stage, code, message } = asFault(error, "shutdown", "shutdown.guests");
    runtime.emit({ type: "fault", stage, code, message });
  }
  account(runtime);
  recordBoot(runtime, how);
  await closeBooks(runtime, how, reason);
  await host.drain(DRAIN_MS);
  const word = how === "poweroff" ? "off" : "reboot";
  // A disk with much to write takes its time; an end that was said is not given up.
  while (true) {
    const ended = await host.launch("power", [word], POWER_TIMEOUT_MS).catch(() => null);
    if (ended?.code === 0) return;
    await host.clock.sleep(RETRY_MS);
  }
}

/** Saves a guest where the policy says so, else ends it in order; so too where the saving fails. */
async function saveOrEnd(
  runtime: Runtime,
  guest: Guest,
  permit: PowerPermit,
  how: string,
): Promise<void> {
  const { onShutdown } = runtime.profileOf(guest.plan.vm) ?? {};
  if (onShutdown === "suspend") await guest.suspend(permit, how);
  await guest.stop(permit, how);
}

/** What the kernel counted in the guests' cgroup: whether a QEMU process ever ran. */
function account({ host, emit }: Runtime): void {
  const number = (file: string) => {
    const text = host.readText(`${GUESTS_CGROUP}/${file}`, 4096);
    return text === null ? null : Number(text);
  };
  emit({
    type: "guests_account",
    ever: number("pids.peak") ?? -1,
    memoryPeakBytes: number("memory.peak"),
  });
}

/** The last records: the audit log is sealed, and the log files are closed. */
async function closeBooks(
  runtime: Runtime,
  how: "poweroff" | "reboot",
  reason: string,
): Promise<void> {
  const { audit, emit, sinks } = runtime;
  const last = { type: "shutdown", how, reason } as const;
  await tellSeal(runtime, audit.end(last));
  emit(last);
  try {
    sinks.closeFiles();
  } catch {
    // The disk is failing; nothing can be written any more, and the machine ends all the same.
  }
}
