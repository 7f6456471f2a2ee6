/**
 * The one decision: may this caller do this now? `authorize` is pure and total, it looks at the
 * policy, the host's state, the caller and the request, and at nothing else. A yes carries a value
 * that only this module can make and without which nothing in the program acts; a no names the rule
 * that said it. It never acts, never logs and never throws.
 */
import type { GuestKind, VmId } from "../id.ts";
import type { MachineState } from "../machine_state.ts";
import { CONDITIONS, deny, printable } from "./conditions.ts";
import { type Caller, DRY_RUNS, isLive, isWhileLocked, type LiveOp, rowOf } from "./ops.ts";
import type { Policy } from "./policy.ts";
import type { DenyRule } from "./rules.ts";

/** What a decision needs to know of one guest. */
export interface GuestView {
  readonly kind: GuestKind;
  /** Name of the policy's profile. */
  readonly profile: string;
  readonly state: MachineState;
  readonly memoryMiB: number;
  /** Rules that its record breaks; such a guest does not start. */
  readonly violations: readonly string[];
  /** Whether the user sees it now; absent: no. */
  readonly presented?: boolean;
  /** Whether its disks are being worked on; absent: no. */
  readonly busy?: boolean;
  /** Whether it was set up; absent: yes, which is the stricter. */
  readonly provisioned?: boolean;
}

/** What a decision needs to know of the host. */
export interface HostState {
  readonly mode: "normal" | "safe" | "recovery";
  /** `kvm` where /dev/kvm can be used, else `none`. */
  readonly virtualization: "kvm" | "none";
  /** Whether this boot is measured into a TPM; absent: no. */
  readonly measured?: boolean;
  readonly memoryMiB: number;
  readonly guests: ReadonlyMap<VmId, GuestView>;
  /** Whether the recovery shell may change anything; absent: no. */
  readonly recoveryOpen?: boolean;
  /** Whether this boot is in developer mode; absent: no. */
  readonly developer?: boolean;
}

/** A request by name; what else it carries is the operation's own matter. */
export interface Request {
  /** Any text: an unknown operation is denied, not an error. */
  readonly op: string;
  /** The guest it is about, where it is about one. */
  readonly vm?: VmId;
  /** `device.*`: which device. */
  readonly device?: string;
  /** `share.*`: the share's tag. */
  readonly share?: string;
  /** `share.attach`: whether the guest wants to write. */
  readonly writable?: boolean;
  /** Whether only what would be done is asked for. */
  readonly dryRun?: boolean;
}

/** A request that was allowed. Nothing acts without one. */
class Permit<O extends LiveOp> {
  readonly #made = true;
  constructor(
    readonly op: O,
    readonly caller: Caller,
    readonly vm: VmId | null,
    /** The tag of the share that it is about; null: it is about none. */
    readonly share: string | null,
    /** It lets nothing be changed: only what would be done may be looked at by it. */
    readonly dryRun: boolean,
  ) {}
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

/**
 * Decides one request: an operation that this version carries out, then caller and conditions in the
 * order of the operation's row in ops.ts. docs/reference/decisions.md prints the whole table.
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

function decide(
  policy: Policy | null,
  state: HostState,
  caller: Caller,
  request: Request,
): Decision {
  const { op } = request;
  const row = rowOf(op);
  if (row !== null && !isLive(op)) return deny("op.not_yet", `${op} is not in this version`);
  const denied = judge(policy, state, caller, request);
  if (denied !== null) return denied;
  const permit = new Permit(
    op as LiveOp,
    caller,
    row?.needs.includes("named") ? request.vm ?? null : null,
    op.startsWith("share.") ? request.share ?? null : null,
    request.dryRun === true,
  );
  return { allow: true, permit: permit as Allowed };
}

/**
 * What the rules say of a request, whether or not this version can carry it out. It gives no permit,
 * so nothing can act by it.
 *
 * @returns the denial, or null where no rule stands against the request
 */
export function judge(
  policy: Policy | null,
  state: HostState,
  caller: Caller,
  request: Request,
): Denied | null {
  const row = rowOf(request.op);
  if (row === null) return deny("op.unknown", `no operation ${printable(request.op)}`);
  if (!row.callers.includes(caller)) {
    return deny("op.caller", `${caller} may not ask for ${request.op}`);
  }
  if (caller === "recovery" && isLocked(state, request)) {
    return deny("op.locked", `${request.op} changes something, and the passphrase was not given`);
  }
  const asked = { policy, state, caller, request, row };
  for (const need of row.needs) {
    const denied = CONDITIONS[need](asked);
    if (denied !== null) return denied;
  }
  return null;
}

/** Whether the recovery shell has to be unlocked before it may ask for that. */
function isLocked(state: HostState, { op, dryRun }: Request): boolean {
  const dry = dryRun === true && DRY_RUNS.some((one) => one === op);
  return state.recoveryOpen !== true && !isWhileLocked(op) && !dry;
}
