/**
 * What the host says of itself to whoever may look: its status, its guests, the last lines of its log.
 */

import { hasDevice } from "../plan/launch_plan.ts";
import { LogFollowers } from "../control/log_stream.ts";
import type { Outcome } from "../control/protocol.ts";
import { leftOf } from "../network/passt.ts";
import { viewUplinks } from "../network/uplink.ts";
import { PATHS } from "../permissions.ts";
import type { LiveOp } from "../policy/ops.ts";
import type { Crashed as CrashShown } from "../presentation/status_text.ts";
import type { Operation, Runtime } from "../runtime.ts";
import { DEFAULT_ATTENTION } from "../presentation/broker.ts";
import { hasPassphrase } from "./recovery_unlock.ts";

/** As many as read a guest's console. */
const MOST_FOLLOWERS = 8;

/** The operations that only look at the host. */
export function viewOperations(runtime: Runtime): [LiveOp, Operation][] {
  const followers = new LogFollowers();
  runtime.sinks.toFollowers = (line) => followers.push(line);
  return [
    ["status", () => ({ ok: true, result: statusOf(runtime) })],
    ["vm.list", () => ({ ok: true, result: listGuests(runtime) })],
    [
      "logs.tail",
      (_, args) => showLog(runtime, followers, args),
    ],
  ];
}

/** What the host says of itself. */
export function statusOf(runtime: Runtime): Record<string, unknown> {
  const { inForce, image } = runtime;
  return {
    version: image.version,
    build_id: image.buildId,
    boot_id: runtime.bootId,
    start: runtime.starts.start,
    mode: runtime.mode,
    ready: runtime.ready,
    uptime_ms: Math.round(runtime.host.clock.monoMs()),
    data: runtime.dataDevice,
    data_free_bytes: runtime.dataDevice === null ? null : runtime.host.freeBytes(PATHS.dataRoot),
    data_size_bytes: runtime.dataDevice === null ? null : runtime.host.wholeBytes(PATHS.dataRoot),
    time_trusted: runtime.timeTrusted,
    developer: runtime.cmdline.dev !== null,
    profile: image.profile,
    recovery_passphrase: hasPassphrase(runtime),
    virtualization: runtime.facts.kvm ? "kvm" : "none",
    measured: runtime.measured,
    policy: inForce === null ? null : {
      sha256: inForce.sha256,
      serial: inForce.policy.serial,
      key: inForce.keyId,
    },
    presented: runtime.presenter.shown,
    host_screen: runtime.presenter.host,
    attention: inForce?.policy.presentation.attention ?? DEFAULT_ATTENTION,
    troubles: runtime.troubles,
    crashed: crashedOf(runtime),
    guests: listGuests(runtime),
    uplinks: viewUplinks(runtime.host),
  };
}

/** The last crash that a person is told of; null: none since the boot before this one. */
export function crashedOf({ crashed, bootId }: Runtime): CrashShown | null {
  return crashed === null ? null : { ...crashed, this_boot: crashed.boot === bootId };
}

const savingText = (percent: number | null) => percent === null ? null : `suspending ${percent} %`;

/** Every guest that there is a record of, and what else runs. */
export function listGuests(runtime: Runtime): Record<string, unknown>[] {
  const sound = [...runtime.guests.values()].map((guest) => ({
    vm: guest.plan.vm,
    kind: guest.plan.kind,
    slot: guest.plan.slot,
    state: guest.state,
    agent: guest.agentReady,
    network: guest.given.network.state,
    shares: guest.given.shares.tags,
    lease_left_s: guest.given.network.leaseLeftS,
    screen: hasDevice(guest.plan, "gpu"),
    presented: runtime.presenter.shown === guest.plan.vm,
    emulated: guest.plan.emulated,
    memory_mib: guest.plan.memoryMiB,
    vcpus: guest.plan.vcpus,
    violations: guest.violations.map((one) => one.rule),
    busy: runtime.busy.get(guest.plan.vm) ?? savingText(guest.savedPercent),
  }));
  const broken = runtime.broken.map((one) => ({
    vm: one.vm,
    state: "failed",
    violations: one.issues.map((issue) => issue.rule),
  }));
  const strangers = runtime.strangers().map((one) => ({
    vm: one.name,
    slot: one.slot,
    state: "running",
    network: leftOf(runtime.host, one.slot).length > 0 ? "left" : "off",
    stranger: true,
    recorded_vm: one.recorded,
    violations: [],
  }));
  return [...sound, ...broken, ...strangers];
}

/** The last lines; for one who follows, those that come after them as a stream. */
function showLog(
  { sinks }: Runtime,
  followers: LogFollowers,
  { lines, follow }: Readonly<Record<string, unknown>>,
): Outcome {
  const result = sinks.lastLines(linesAsked(lines));
  if (follow !== true) return { ok: true, result };
  const stream = followers.follow(MOST_FOLLOWERS);
  return stream === null
    ? { ok: false, rule: "logs.followers", detail: `${MOST_FOLLOWERS} follow the log already` }
    : { ok: true, result, stream };
}

/** How many of the last lines are meant: 1 to 500, 40 where nothing else can be made of it. */
function linesAsked(value: unknown): number {
  return typeof value === "number" && Number.isInteger(value)
    ? Math.min(500, Math.max(1, value))
    : 40;
}
