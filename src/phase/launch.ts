/**
 * Phase `launch`: takes up guests that already run, then starts those that the policy starts at boot.
 * Each start needs a permit of its own; a denied one is reported and hinders no other. A guest that goes on
 * from its saved memory is decided on and begun here, and the phase does not wait for it: how long that takes
 * is for the guest to say, which decides how much memory there is to read.
 */

import { type ConsoleCopy, copyConsole, GuestConsoleLog } from "../audit/guest_console.ts";
import { asFault, reasonOf, type Stage } from "../fault.ts";
import type { Connection } from "../host/port.ts";
import { allSlots, guestFolder, type VmId } from "../id.ts";
import { issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { AT_REST } from "../policy/ops.ts";
import type { Runtime } from "../runtime.ts";
import { thawTakenUp } from "./backup_hold.ts";
import { tidyDisks, watchRoom } from "./disk_tidy.ts";
import { noteKnown } from "./last_known.ts";
import { hostKey } from "../saved/host_key.ts";
import { hostCpu } from "../saved/present.ts";
import { Guest } from "../supervisor/guest.ts";
import { type Keeping, leftSomething } from "../supervisor/keeping.ts";
import { restartAfter } from "../supervisor/restart.ts";
import type { GuestSurroundings } from "../supervisor/surroundings.ts";
import { presentAtBoot } from "./presentation_commands.ts";
import { networkRights } from "./network_rights.ts";
import { watchUplink } from "./uplink_watch.ts";
import { shareRights } from "./share_rights.ts";
import { endStrangers } from "./strangers.ts";

export async function phaseLaunch(runtime: Runtime): Promise<void> {
  const { host } = runtime;
  const watch = (over: typeof watchRoom, stage: Stage, code: string) =>
    void over(runtime).catch((error) => {
      const { message } = asFault(error, stage, code);
      runtime.emit({ type: "fault", stage, code, message });
    });
  await tidyDisks(runtime);
  watch(watchRoom, "data", "data.room");
  watch(watchUplink, "network", "network.watch");
  // Whoever ends the machine meanwhile ends what runs, and is not to be overtaken by who takes it up.
  if (runtime.ending) return;
  syncGuests(runtime);
  await endForbidden(runtime);
  if (runtime.ending) return;
  await Promise.all([...runtime.guests.values()].map((guest) => guest.adopt()));
  thawTakenUp(runtime);
  const waiting = [...runtime.guests.values()].filter((guest) => AT_REST.includes(guest.state));
  const atOnce = host.cpus + 1;
  const loads: (() => Promise<void>)[] = [];
  await takeTurns(waiting, atOnce, async (guest) => {
    const permit = runtime.ending ? null : mayStart(runtime, guest);
    if (permit === null) return;
    if (!leftSomething(host, guest.plan)) return await guest.start(permit);
    loads.push(beginLoad(runtime, guest, permit));
  });
  await presentAtBoot(runtime);
  void takeTurns(loads, atOnce, (load) => load()).catch((error) => {
    const { stage, code, message } = asFault(error, "launch", "launch.loads");
    runtime.emit({ type: "fault", stage, code, message });
  });
}

/**
 * Begins a guest that goes on from its saved memory: it counts as starting from now on. Where its turn comes under
 * another policy than the one that allowed it, it is given up, and the policy of then decides.
 *
 * @returns what gives it its turn, and resolves when its start came to its end
 */
function beginLoad(runtime: Runtime, guest: Guest, permit: Allowed<"vm.start">) {
  const { inForce } = runtime;
  const turn = Promise.withResolvers<void>();
  const started = guest.start(permit, turn.promise);
  return async () => {
    if (runtime.ending) return;
    if (runtime.inForce === inForce) {
      turn.resolve();
      await started;
    } else {
      // One that counts as starting is not allowed to start. One that a person gave up stays so.
      const again = guest.giveUp(turn.promise) ? mayStart(runtime, guest) : null;
      if (again === null) return;
      await guest.start(again);
    }
    await presentAtBoot(runtime, [guest.plan.vm]);
  };
}

/** More at once than there are CPUs would only make each start slower, and its time limit shorter. */
async function takeTurns<T>(all: T[], atOnce: number, run: (one: T) => Promise<void>) {
  const work = async () => {
    for (let one = all.shift(); one !== undefined; one = all.shift()) await run(one);
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

/** Ends guests that still run from before a restart though the policy does not let them any more. */
async function endForbidden(runtime: Runtime): Promise<void> {
  const allowed = runtime.plans.filter((plan) => runtime.profileOf(plan.vm)?.enabled === true)
    .map((plan) => plan.slot);
  const left = allSlots().filter((slot) =>
    !allowed.includes(slot) && runtime.host.processesOf(slot).length > 0
  );
  await endStrangers(runtime, left);
}

/**
 * A guest for each plan; one that is there already takes a plan that differs at its next start.
 *
 * @returns those that run by another plan than theirs is now
 */
export function syncGuests(runtime: Runtime): VmId[] {
  const { host, emit, guests } = runtime;
  const takeConsole = (of: LaunchPlan, from: Connection) => keepConsole(runtime, of, from);
  const onCrash = (vm: VmId) => restartLater(runtime, vm);
  const keeping: Keeping = {
    key: () => hostKey(host),
    cpu: () => hostCpu(host),
    wall: () => runtime.timeTrusted ? host.clock.wall() : null,
  };
  const networkOf = (vm: VmId) => networkRights(runtime, vm);
  const sharesOf = (vm: VmId) => shareRights(runtime, vm);
  const onMove: GuestSurroundings["onMove"] = (vm, from, to) => {
    runtime.presenter.moved(vm, from, to);
    if (to === "running") runtime.forget(GIVEN_UP, givenUp(vm));
    noteKnown(runtime);
  };
  const mayRun = () => runtime.mode === "normal";
  const around = { host, emit, takeConsole, onCrash, onMove, mayRun, keeping, networkOf, sharesOf };
  const later: VmId[] = [];
  for (const plan of runtime.plans) {
    const guest = guests.get(plan.vm);
    if (guest === undefined) guests.set(plan.vm, new Guest(plan, around));
    else if (guest.replan(plan)) later.push(plan.vm);
  }
  return later;
}

/** The policy's own permit to start a guest; a denial that says something is reported. */
function mayStart(runtime: Runtime, { plan: { vm } }: Guest): Allowed<"vm.start"> | null {
  const decision = runtime.decide("policy", { op: "vm.start", vm });
  if (decision.allow) return decision.permit;
  if (!QUIET.has(decision.rule)) {
    const denied = issue(decision.rule, {
      path: vm,
      expected: "a start that the policy allows",
      found: decision.detail,
    });
    runtime.violation(denied, vm);
  }
  return null;
}

/** When each guest's QEMU ended by itself in this run of the program, in ms of the monotonic clock. */
const crashes = new WeakMap<Guest, number[]>();

const GIVEN_UP = /^vm\.given_up$/u;
/** How that trouble begins, by which it is one guest's. */
const givenUp = (vm: VmId) => `${vm}: its QEMU ended`;

/** Begins a guest again that starts at boot and whose QEMU ended by itself, after a while or not at all. */
function restartLater(runtime: Runtime, vm: VmId): void {
  const { clock } = runtime.host;
  const guest = runtime.guests.get(vm);
  if (guest === undefined || runtime.ending || !runtime.profileOf(vm)?.autoboot) return;
  const ends = [...crashes.get(guest) ?? [], clock.monoMs()];
  crashes.set(guest, ends);
  const decision = restartAfter(ends);
  const { subject } = guest;
  if (decision.kind === "give_up") {
    runtime.emit({ type: "vm_given_up", subject, ends: decision.ends });
    const text = `${givenUp(vm)} ${decision.ends} times in ten minutes`;
    const hint =
      `see \`ray vm log ${vm}\` and \`ray logs\`; \`ray vm start ${vm}\` begins it again`;
    runtime.forget(GIVEN_UP, givenUp(vm));
    runtime.troubles.push({ code: "vm.given_up", text, hint });
    return;
  }
  runtime.emit({ type: "vm_restart", subject, waitMs: decision.ms });
  void clock.sleep(decision.ms).then(async () => {
    // Somebody may have begun or removed it meanwhile.
    const still = runtime.guests.get(vm) === guest && guest.state === "failed" && !guest.beginning;
    const last = crashes.get(guest)?.length === ends.length;
    if (!still || !last || runtime.ending) return;
    const permit = mayStart(runtime, guest);
    if (permit !== null) await guest.start(permit);
  }).catch((error) => {
    const { stage, code, message } = asFault(error, "launch", "launch.restart");
    runtime.emit({ type: "fault", stage, code, message, vm });
  });
}

/** Guests that are simply not meant to start at boot. */
const QUIET: ReadonlySet<string> = new Set(["vm.no_autoboot", "vm.disabled"]);

function keepConsole(runtime: Runtime, plan: LaunchPlan, connection: Connection): void {
  const { host, consoles } = runtime;
  const folder = `${PATHS.dataRoot}/${guestFolder(plan.kind, plan.vm)}/logs`;
  // The guest runs on without a log; a person is told, once.
  const onLogLost = (error: unknown) =>
    runtime.emit({
      type: "fault",
      stage: "guest",
      code: "guest.console_log",
      vm: plan.vm,
      message: `console log of ${plan.vm}: ${
        reasonOf(error)
      }; check the guest's folder and the disk`,
    });
  let log: GuestConsoleLog | null = null;
  try {
    host.makeDirectory(folder);
    log = new GuestConsoleLog(host, folder);
  } catch (error) {
    onLogLost(error);
  }
  const opened = consoles.open(plan.vm, (bytes) => connection.write(bytes));
  const copy: ConsoleCopy = {
    kibPerSecond: plan.limits.consoleKibS,
    log,
    onLogLost,
    attached: (bytes) => opened.take(bytes),
  };
  void copyConsole(host, connection, copy).finally(() => consoles.close(plan.vm, opened));
}
