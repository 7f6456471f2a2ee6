/**
 * The one decision: may this caller do this now? `authorize` is pure and total, it looks at the
 * policy, the host's state, the caller and the request, and at nothing else. A yes carries a value
 * that only this module can make and without which nothing in the program acts; a no names the rule
 * that said it. It never acts, never logs and never throws.
 */
import type { GuestKind, VmId } from "../id.ts";
import type { MachineState } from "./machine_state.ts";
import { memoryForGuests, type Policy } from "./policy.ts";
import type { DenyRule } from "./rules.ts";

/** Who asks: the policy itself (autoboot), a person at the machine, a program, or a guest. */
export type Caller = "policy" | "console" | "recovery" | "socket" | "agent";

/** What a decision needs to know of one guest. */
export interface GuestView {
  readonly kind: GuestKind;
  /** Name of the policy's profile. */
  readonly profile: string;
  readonly state: MachineState;
  readonly memoryMiB: number;
  /** Rules that its record breaks; such a guest does not start. */
  readonly violations: readonly string[];
}

/** What a decision needs to know of the host. */
export interface HostState {
  readonly mode: "normal" | "safe" | "recovery";
  /** `kvm` where /dev/kvm can be used, else `none`. */
  readonly virtualization: "kvm" | "none";
  readonly memoryMiB: number;
  readonly guests: ReadonlyMap<VmId, GuestView>;
}

/** The operations of contract §7, a family by its dotted first part. */
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
  "disk.attach",
  "disk.detach",
  "disk.resize",
  "present",
  "hide",
  "input.key",
  "input.text",
  "input.pointer",
  "logs.tail",
  "audit.verify",
  "audit.show",
  "policy.show",
  "policy.explain",
  "policy.install",
  "registry.restore",
  "data.repair",
  "serial.accept",
  "network.end_provisioning",
  "update.install",
  "update.status",
  "update.rollback",
  "power.off",
  "power.reboot",
] as const;
export type Op = typeof OPS[number];

/** The operations that this version has. */
export type LiveOp = "status" | "vm.list" | "vm.start" | "vm.stop" | "power.off" | "power.reboot";

/** A request by name; what else it carries is the operation's own matter. */
export interface Request {
  /** Any text: an unknown operation is denied, not an error. */
  readonly op: string;
  /** The guest it is about, where it is about one. */
  readonly vm?: VmId;
}

/** A request that was allowed. Nothing acts without one. */
class Permit<O extends LiveOp> {
  readonly #made = true;
  constructor(readonly op: O, readonly caller: Caller, readonly vm: VmId | null) {}
  /** Keeps a permit nominal: an object of the same shape is none. */
  get made(): boolean {
    return this.#made;
  }
}
export type Allowed<O extends LiveOp = LiveOp> = O extends LiveOp ? Permit<O> : never;

export interface Denied {
  readonly allow: false;
  readonly rule: DenyRule;
  /** In a few words what stood against it; never a secret. */
  readonly detail: string;
}
export type Decision<O extends LiveOp = LiveOp> =
  | { readonly allow: true; readonly permit: Allowed<O> }
  | Denied;

/** Who may ask at all. A guest's agent may ask for nothing; the policy only starts guests. */
const CALLERS: { readonly [O in LiveOp]: readonly Caller[] } = {
  "status": ["console", "recovery", "socket"],
  "vm.list": ["console", "recovery", "socket"],
  "vm.start": ["policy", "console", "recovery", "socket"],
  "vm.stop": ["console", "recovery", "socket"],
  "power.off": ["console", "recovery", "socket"],
  "power.reboot": ["console", "recovery", "socket"],
};

const STARTABLE: readonly MachineState[] = ["defined", "stopped", "failed", "suspended"];
const STOPPABLE: readonly MachineState[] = ["starting", "running", "paused", "resuming"];
const AT_REST: readonly MachineState[] = STARTABLE;

/**
 * Decides one request.
 *
 * | op | needs |
 * |---|---|
 * | `status` `vm.list` `power.*` | a caller that may ask |
 * | `vm.start` | mode normal, a policy, a known guest without violations, its profile enabled (and set to autoboot when the policy itself asks), a state to start from, virtualization as the policy wants it, room in `limits.vms` and `limits.mem_mib` |
 * | `vm.stop` | a known guest in a state to stop from; also in safe mode |
 * | any other | denied |
 */
export function authorize<const R extends Request>(
  policy: Policy | null,
  state: HostState,
  caller: Caller,
  request: R,
): Decision<R["op"] extends LiveOp ? R["op"] : LiveOp> {
  return decide(policy, state, caller, request) as Decision<
    R["op"] extends LiveOp ? R["op"] : LiveOp
  >;
}

function decide(policy: Policy | null, state: HostState, caller: Caller, asked: Request): Decision {
  const op = asked.op;
  if (!isLive(op)) {
    return OPS.some((one) => one === op)
      ? deny("op.not_yet", `${op} is not in this version`)
      : deny("op.unknown", `no operation ${printable(op)}`);
  }
  if (!CALLERS[op].includes(caller)) {
    return deny("op.caller", `${caller} may not ask for ${op}`);
  }
  if (op !== "vm.start" && op !== "vm.stop") return allow(op, caller, null);
  if (asked.vm === undefined) return deny("vm.unnamed", `${op} needs the name of a guest`);
  if (op === "vm.start" && (state.mode !== "normal" || policy === null)) {
    const why = state.mode === "normal"
      ? "no policy is in force"
      : `the host is in ${state.mode} mode`;
    return deny("vm.safe_mode", why);
  }
  const guest = state.guests.get(asked.vm);
  if (guest === undefined) return deny("vm.unknown", `no guest ${asked.vm}`);
  if (op === "vm.stop") {
    return STOPPABLE.includes(guest.state)
      ? allow(op, caller, asked.vm)
      : deny("vm.state", `${asked.vm} is ${guest.state}`);
  }
  const no = policy === null ? null : whyNotStart(policy, state, caller, asked.vm, guest);
  return no ?? allow(op, caller, asked.vm);
}

function whyNotStart(
  policy: Policy,
  state: HostState,
  caller: Caller,
  vm: VmId,
  guest: GuestView,
): Denied | null {
  const violation = guest.violations[0];
  if (violation !== undefined) return deny("vm.violation", `its record breaks ${violation}`);
  const profile = policy.profiles.get(guest.profile);
  if (profile === undefined) return deny("vm.no_profile", `no profile ${guest.profile}`);
  if (!profile.enabled) return deny("vm.disabled", `profile ${profile.name} is not enabled`);
  if (profile.vmId !== null && profile.vmId !== vm) {
    return deny("vm.no_profile", `profile ${profile.name} is for ${profile.vmId}`);
  }
  if (caller === "policy" && !profile.autoboot) {
    return deny("vm.no_autoboot", `profile ${profile.name} does not start at boot`);
  }
  if (!STARTABLE.includes(guest.state)) return deny("vm.state", `${vm} is ${guest.state}`);
  if (state.virtualization === "none" && policy.security.virtualization === "required") {
    return deny("vm.no_virtualization", "no usable /dev/kvm, and the policy requires it");
  }
  const others = [...state.guests].filter(([id, one]) => id !== vm && !AT_REST.includes(one.state));
  if (others.length >= policy.limits.vms) {
    return deny("vm.limit_vms", `${others.length} of ${policy.limits.vms} guests are running`);
  }
  const memory = others.reduce((sum, [, one]) => sum + one.memoryMiB, guest.memoryMiB);
  const most = memoryForGuests(policy, state.memoryMiB);
  if (!(memory <= most)) {
    return deny("vm.limit_memory", `${memory} MiB asked of ${most} MiB for all guests`);
  }
  return null;
}

function isLive(op: string): op is LiveOp {
  return Object.hasOwn(CALLERS, op);
}

function allow<O extends LiveOp>(op: O, caller: Caller, vm: VmId | null): Decision {
  return { allow: true, permit: new Permit(op, caller, vm) as Allowed };
}

function deny(rule: DenyRule, detail: string): Denied {
  return { allow: false, rule, detail };
}

function printable(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return JSON.stringify(short);
}
