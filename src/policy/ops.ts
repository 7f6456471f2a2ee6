/**
 * Every operation that can be asked for (contract §7), in one table: whether this version carries it
 * out, who may ask at all, and what must hold, in the order in which it is looked at. The decision
 * table of the reference is generated from it. It decides nothing itself.
 */
import type { MachineState } from "../machine_state.ts";

/** Who asks: the policy itself (autoboot), a person at the machine, a program, or a guest. */
export const CALLERS = ["policy", "console", "recovery", "socket", "agent"] as const;
export type Caller = typeof CALLERS[number];

/** The operations, in the order of the reference. */
export const OPS = [
  "status",
  "metrics",
  "vm.list",
  "vm.define",
  "vm.remove",
  "vm.start",
  "vm.stop",
  "vm.kill",
  "vm.pause",
  "vm.resume",
  "vm.suspend",
  "vm.reset_state",
  "vm.plan",
  "vm.log",
  "vm.console",
  "vm.clone",
  "vm.backup",
  "vm.restore",
  "disk.info",
  "disk.create",
  "disk.import",
  "disk.export",
  "disk.attach",
  "disk.detach",
  "disk.resize",
  "device.attach",
  "device.detach",
  "share.attach",
  "share.detach",
  "present",
  "hide",
  "input.key",
  "input.text",
  "input.pointer",
  "input.devices",
  "input.accept",
  "logs.tail",
  "audit.verify",
  "audit.show",
  "crash.list",
  "crash.show",
  "policy.check",
  "policy.show",
  "policy.explain",
  "policy.install",
  "keys.list",
  "registry.check",
  "registry.restore",
  "data.check",
  "data.mount",
  "data.repair",
  "aside.list",
  "aside.restore",
  "serial.accept",
  "recovery.unlock",
  "recovery.shell",
  "boot.history",
  "boot.timeline",
  "boot.next",
  "network.enable",
  "network.disable",
  "network.end_provisioning",
  "update.install",
  "update.status",
  "update.rollback",
  "power.off",
  "power.reboot",
] as const;
export type Op = typeof OPS[number];

/** Those that this version does not carry out: denied by `op.not_yet`. */
const NOT_YET = [
  "disk.attach",
  "disk.detach",
  "device.attach",
  "device.detach",
  "boot.next",
  "update.install",
  "update.status",
  "update.rollback",
] as const satisfies readonly Op[];
export type LiveOp = Exclude<Op, typeof NOT_YET[number]>;

/** What must hold for an operation; conditions.ts says what each means. */
export type Condition =
  | "named"
  | "known"
  | "new"
  | "in_force"
  | "normal"
  | "not_normal"
  | "developer"
  | "all_at_rest"
  | "sound"
  | "profile"
  | "autoboot"
  | "state"
  | "free"
  | "virtualization"
  | "measured"
  | "room_vms"
  | "room_memory"
  | "room_slots"
  | "screen_given"
  | "may_present"
  | "presented"
  | "nobody_shown"
  | "input_given"
  | "device_given"
  | "share_given"
  | "network_given";

/** One operation. */
export interface OpRow {
  readonly callers: readonly Caller[];
  /** Looked at in this order; the first that does not hold denies. */
  readonly needs: readonly Condition[];
  /** The guest's states for condition `state`. */
  readonly states?: readonly MachineState[];
  /** Whether it gives a guest something, or gives something of a guest to somebody. */
  readonly exposes: boolean;
  /**
   * It is asked for again and again, as keys are: the first of a minute is a record and the others are a count,
   * since how often somebody types is not to be read from the audit log, and nothing of it waits for a disk.
   */
  readonly often?: true;
  /**
   * It only looks: nothing of the host is another thing afterwards. Whether it was answered is nobody's account,
   * and the recovery shell may ask for it before its passphrase was given. Absent: it does not.
   */
  readonly looks?: true;
}

/** A guest that uses nothing. */
export const AT_REST: readonly MachineState[] = ["defined", "stopped", "failed", "suspended"];
/** A guest whose machine is there and could be shut down. */
const STOPPABLE: readonly MachineState[] = ["starting", "running", "paused", "resuming"];
/** A guest whose machine is there at all. */
const ALIVE: readonly MachineState[] = [...STOPPABLE, "stopping", "suspending"];
const RUNNING: readonly MachineState[] = ["running"];
const RUNNING_OR_PAUSED: readonly MachineState[] = ["running", "paused"];

/** A guest that uses nothing, and whose memory is nowhere that its disks must agree with. */
const ENDED: readonly MachineState[] = ["defined", "stopped", "failed"];

/** A person at the machine, in the recovery shell, or root through the control socket. */
const PERSON = ["console", "recovery", "socket"] as const;
/** The two ways by which a guest is used. */
const USER = ["console", "socket"] as const;
/** Somebody who stands before the machine. */
const PRESENT = ["console", "recovery"] as const;

const about = (...rest: Condition[]): readonly Condition[] => ["named", "known", ...rest];
/** What a guest may only have under a policy that enables it. */
const given = (...rest: Condition[]): readonly Condition[] => [
  "named",
  "normal",
  "known",
  "sound",
  "profile",
  ...rest,
];

/** An operation about the host that any person may ask for. */
const plain: OpRow = { callers: PERSON, needs: [], exposes: false };
/** One that only looks. */
const look: OpRow = { ...plain, looks: true };
/** An operation that changes a guest at rest. */
const atRest: OpRow = {
  callers: PERSON,
  needs: about("state"),
  states: AT_REST,
  exposes: false,
};
/** The same, where nothing else is done to its disks meanwhile. */
const unused: OpRow = { ...atRest, needs: about("state", "free") };
/** An operation on the disks of a guest that has ended. */
const disk: OpRow = { ...unused, states: ENDED };
const input: OpRow = {
  callers: USER,
  needs: given("state", "input_given", "may_present", "presented"),
  states: RUNNING,
  exposes: true,
  often: true,
};
const repair: OpRow = {
  callers: PRESENT,
  needs: ["not_normal", "all_at_rest"],
  exposes: false,
};

/** The table. */
export const OP_TABLE: { readonly [O in Op]: OpRow } = {
  "status": look,
  "metrics": look,
  "vm.list": look,
  "vm.define": { ...plain, needs: ["named", "in_force", "new", "room_slots"] },
  "vm.remove": unused,
  "vm.start": {
    callers: ["policy", ...PERSON],
    needs: given(
      "autoboot",
      "state",
      "free",
      "virtualization",
      "measured",
      "room_vms",
      "room_memory",
    ),
    states: AT_REST,
    exposes: true,
  },
  "vm.stop": { ...atRest, states: STOPPABLE },
  "vm.kill": { ...atRest, states: ALIVE },
  "vm.pause": { ...atRest, states: RUNNING },
  // One that is held for its backup goes on when that is done.
  "vm.resume": { ...atRest, needs: given("state", "free"), states: ["paused"], exposes: true },
  "vm.suspend": { ...atRest, states: RUNNING_OR_PAUSED },
  "vm.reset_state": unused,
  "vm.plan": { ...look, needs: ["named", "in_force", "known"] },
  "vm.log": { ...look, needs: about() },
  "vm.console": {
    callers: USER,
    needs: given("state"),
    states: RUNNING_OR_PAUSED,
    exposes: true,
  },
  "vm.clone": disk,
  // One that runs is suspended for it and goes on.
  "vm.backup": { ...unused, states: [...AT_REST, "running"] },
  "vm.restore": disk,
  "disk.info": { ...look, needs: about() },
  "disk.create": disk,
  "disk.import": disk,
  // A guest's disk leaves its folder for a place of the host's alone.
  "disk.export": disk,
  "disk.attach": { ...atRest, needs: given("state"), exposes: true },
  "disk.detach": atRest,
  "disk.resize": disk,
  "device.attach": {
    callers: USER,
    needs: given("state", "device_given"),
    states: RUNNING,
    exposes: true,
  },
  "device.detach": { ...atRest, states: RUNNING_OR_PAUSED },
  "share.attach": {
    callers: ["policy", ...USER],
    needs: given("state", "share_given"),
    states: RUNNING,
    exposes: true,
  },
  "share.detach": { ...atRest, states: RUNNING_OR_PAUSED },
  "present": {
    callers: ["policy", ...USER],
    needs: given("state", "screen_given", "may_present"),
    states: RUNNING,
    exposes: true,
  },
  "hide": { callers: USER, needs: about("may_present"), exposes: false },
  "input.key": input,
  "input.text": input,
  "input.pointer": input,
  "input.devices": plain,
  // While the user sees the host itself: what is accepted there types nothing into a guest by surprise.
  "input.accept": { ...plain, needs: ["nobody_shown"] },
  "logs.tail": look,
  "audit.verify": look,
  "audit.show": look,
  "crash.list": look,
  "crash.show": look,
  "policy.check": look,
  "policy.show": { ...look, needs: ["in_force"] },
  "policy.explain": { ...look, needs: ["in_force"] },
  "policy.install": plain,
  "keys.list": look,
  "registry.check": look,
  "registry.restore": repair,
  "data.check": { ...repair, needs: ["not_normal"], looks: true },
  "data.mount": repair,
  "data.repair": repair,
  "aside.list": look,
  "aside.restore": repair,
  "serial.accept": { ...repair, needs: ["not_normal"] },
  "recovery.unlock": { callers: ["recovery"], needs: [], exposes: false },
  // It gives the host itself to a person, and no guest anything.
  "recovery.shell": {
    callers: ["recovery"],
    needs: ["not_normal", "developer"],
    exposes: false,
  },
  "boot.history": look,
  "boot.timeline": look,
  "boot.next": plain,
  "network.enable": {
    callers: ["policy", ...USER],
    needs: given("state", "network_given"),
    states: RUNNING,
    exposes: true,
  },
  "network.disable": { ...atRest, needs: about() },
  // The one thing that a guest may ask for: to lose its network.
  "network.end_provisioning": { ...atRest, callers: [...PERSON, "agent"], needs: about() },
  "update.install": { ...plain, callers: USER },
  "update.status": look,
  "update.rollback": plain,
  "power.off": plain,
  "power.reboot": plain,
};

/** What the recovery shell may ask for besides what only looks, before its passphrase was given. */
const WHILE_LOCKED: readonly Op[] = ["recovery.unlock", "power.off", "power.reboot"];

/**
 * Operations that look all the way to their last step when they are asked for a dry run, and stop there.
 * Of any other one a dry run says only what the rules say.
 */
export const DRY_RUNS: readonly Op[] = [
  "policy.install",
  "registry.restore",
  "aside.restore",
  "serial.accept",
  "data.repair",
];

/** The row of an operation; null where there is none of that name. */
export function rowOf(op: string): OpRow | null {
  return Object.hasOwn(OP_TABLE, op) ? OP_TABLE[op as Op] : null;
}

/** Whether this version carries it out. */
export function isLive(op: string): op is LiveOp {
  return rowOf(op) !== null && !NOT_YET.some((one) => one === op);
}

/** Whether it only looks. */
export function onlyLooks(op: string): boolean {
  return rowOf(op)?.looks === true;
}

/** Whether the recovery shell may ask for it before its passphrase was given. Nothing of it changes a file. */
export function isWhileLocked(op: string): boolean {
  return onlyLooks(op) || WHILE_LOCKED.some((one) => one === op);
}
