/**
 * The host while it runs: what this boot knows, which mode it is in, which guests there are, and the
 * loop after the boot. Every request, whoever makes it, passes `authorize` here; events go to the sinks
 * here and nowhere else. It touches the machine only through the port.
 */

import { ASKED, LAST_WORD } from "./audit/crash.ts";
import { Audit, LOST_HINT } from "./audit/audit.ts";
import type { LastKnown } from "./audit/last_known.ts";
import type { LogSinks } from "./audit/sinks.ts";
import { type Cmdline, CMDLINE_DEFAULTS } from "./boot/cmdline.ts";
import type { ImageFacts, Starts } from "./boot/session.ts";
import { whyNotArguments } from "./control/arguments.ts";
import { Counters } from "./control/counters.ts";
import { GuestConsoles } from "./control/guest_console.ts";
import { type Outcome, requestOf } from "./control/protocol.ts";
import type { HostEvent } from "./event.ts";
import { asFault, type Fault } from "./fault.ts";
import type { Host, Listener } from "./host/port.ts";
import { type VmId, vmId } from "./id.ts";
import type { Issue } from "./issue.ts";
import type { HostFacts, LaunchPlan } from "./plan/launch_plan.ts";
import {
  type Allowed,
  authorize,
  type Decision,
  type GuestView,
  type HostState,
  type Request,
} from "./policy/authorize.ts";
import { deny } from "./policy/conditions.ts";
import { AT_REST, type Caller, DRY_RUNS, type LiveOp, onlyLooks, rowOf } from "./policy/ops.ts";
import type { MachineState } from "./machine_state.ts";
import { Measuring } from "./measure/measuring.ts";
import type { Explained } from "./policy/explain.ts";
import type { Profile } from "./policy/policy.ts";
import { Presenter } from "./presentation/presenter.ts";
import type { Registry } from "./registry/guest.ts";
import type { Guest } from "./supervisor/guest.ts";
import { type Stranger, strangersIn } from "./supervisor/strangers.ts";

/** The policy in force, and where its right comes from. */
export interface PolicyInForce extends Explained {
  readonly sha256: string;
  readonly keyId: string | null;
}

/** What is wrong, as a person is told. */
export interface Trouble {
  /** Rule or fault code. */
  readonly code: string;
  readonly text: string;
  readonly hint: string;
}

/** The last that ended and should not have, as far as its report says. */
export interface Crashed {
  readonly boot: string;
  /** Which of that boot's reports. */
  readonly n: number;
  /** Null: the report cannot be read. */
  readonly cause: string | null;
  readonly phase: string | null;
  readonly time: string | null;
}

/** A guest that cannot start, and why. */
export interface BrokenRecord {
  readonly vm: string;
  readonly issues: readonly Issue[];
}

/** Carries out one operation that was allowed. */
export type Operation = (
  permit: Allowed,
  args: Readonly<Record<string, unknown>>,
  caller: Caller,
) => Promise<Outcome> | Outcome;

/** What is still answered while the machine ends: looking, not acting. */
const WHILE_ENDING: readonly string[] = ["status", "vm.list", "logs.tail", "audit.show"];
/** What is answered before the boot is over: guests are still decided on. */
const WHILE_BOOTING: readonly string[] = [...WHILE_ENDING, "power.off", "power.reboot"];

/** A guest of which only that it runs is known; the kernel accounts for its memory, no record does. */
const STRANGER: GuestView = {
  kind: "linux",
  profile: "",
  state: "running",
  memoryMiB: 0,
  violations: [],
};

/** One whose saved state is still being looked at takes its room already. */
function stateOf({ beginning, state }: Guest): MachineState {
  return beginning && AT_REST.includes(state) ? "starting" : state;
}

export class Runtime {
  cmdline: Cmdline = CMDLINE_DEFAULTS;
  facts: HostFacts = { kvm: false, cpus: 1, memoryMiB: 0 };
  mode: "normal" | "safe" | "recovery" = "normal";
  inForce: PolicyInForce | null = null;
  registry: Registry | null = null;
  plans: readonly LaunchPlan[] = [];
  broken: BrokenRecord[] = [];
  /** Device of the data root, `tmpfs` included; null while nothing is mounted. */
  dataDevice: string | null = null;
  control: Listener | null = null;
  ready = false;
  /** Where the boot is; `serving` after its last phase. */
  phase = "start";
  /** The phase in which the boot was still when its time was over. */
  failedIn: string | null = null;
  /** The wall clock was found plausible (`RAYOS_TIME_SYNC`). */
  timeTrusted = false;
  /** The policy was accepted in whole and is remembered. */
  accepted = false;
  /** What carries out the operations that do not stand here; given by whoever composes the program. */
  readonly operations = new Map<LiveOp, Operation>();
  readonly guests = new Map<VmId, Guest>();
  readonly consoles = new GuestConsoles();
  readonly counters = new Counters();
  readonly presenter = new Presenter({
    emit: (event) => this.emit(event),
    guest: (vm) => this.guests.get(vm),
    show: (vm) => this.mode === "normal" && this.profileOf(vm)?.devices.gpu === "virtio",
    input: (vm) => this.profileOf(vm)?.devices.input === true,
  });
  /** Guests whose disks are being worked on, and at what, as a person is told. */
  readonly busy = new Map<VmId, string>();
  /** What this boot measures into a TPM, and whether all of it so far was. */
  readonly measuring: Measuring;
  measured = false;
  readonly troubles: Trouble[] = [];
  /** What the boot before this one, or an earlier start of this one, left a report of; for people. */
  crashed: Crashed | null = null;
  readonly audit: Audit;
  #ending = false;

  /** Whether the machine is being ended: nothing new is begun then. */
  get ending(): boolean {
    return this.#ending;
  }

  constructor(
    readonly host: Host,
    readonly sinks: LogSinks,
    readonly image: ImageFacts,
    readonly bootId: string,
    readonly starts: Starts,
    /** What the start before this one left of itself, for people alone. */
    readonly before: LastKnown | null = null,
  ) {
    this.measuring = new Measuring(host, this.emit);
    this.audit = new Audit(host, {
      now: () => sinks.now(),
      onLost: (reason) => this.#auditLost(reason),
      onBack: () => this.forget(/^audit\.unwritable$/u),
      makeRoom: () => sinks.makeRoom(),
      looks: onlyLooks,
    });
  }

  /** To the sinks and the audit log; bound, so that it can be handed on. */
  readonly emit = (event: HostEvent): void => {
    this.counters.see(event, this.host.clock.monoMs());
    this.sinks.emit(event);
    this.audit.observe(event);
  };

  #auditLost(reason: string): void {
    const [code, text] = ["audit.unwritable", `audit log on RayOS Data: ${reason}`];
    this.emit({ type: "fault", stage: "data", code, message: `${text}; ${LOST_HINT}` });
    this.forget(/^audit\.unwritable$/u);
    this.troubles.push({ code, text, hint: LOST_HINT });
  }

  /**
   * What was wrong and is not any more, by its code; the log still says that it was.
   *
   * @param text how it begins, where only one of several is meant
   */
  forget(codes: RegExp, text = ""): void {
    const others = this.troubles.filter((one) =>
      !codes.test(one.code) || !one.text.startsWith(text)
    );
    this.troubles.splice(0, Infinity, ...others);
  }

  /** Reports a fault that stays a trouble of this boot, once. */
  trouble({ stage, code, message }: Fault): void {
    if (this.troubles.some((one) => one.code === code)) return;
    this.emit({ type: "fault", stage, code, message });
    const cut = message.indexOf("; ");
    const [text, hint] = cut < 0 ? [message, ""] : [message.slice(0, cut), message.slice(cut + 2)];
    this.troubles.push({ code, text, hint });
  }

  /**
   * The one way to a permit: `authorize` by the policy and the state of now, and the record of it. What gives
   * something away is allowed only where that record is on the disk.
   */
  decide<const R extends Request>(
    caller: Caller,
    request: R,
    open = false,
  ): Decision<R["op"] extends LiveOp ? R["op"] : LiveOp> {
    const decision = authorize(this.inForce?.policy ?? null, this.state(open), caller, request);
    const { op, vm = null } = request;
    const [rule, detail] = decision.allow ? [null, null] : [decision.rule, decision.detail];
    const decided = { caller, op, vm, allow: decision.allow, rule, detail };
    const row = rowOf(op);
    const refused = this.audit.decided(decided, row?.exposes === true, row?.often === true);
    return refused === null ? decision : deny(refused.rule, refused.detail);
  }

  /** From here on this policy decides. */
  bringIntoForce(loaded: PolicyInForce & { readonly findings: readonly Issue[] }): void {
    const { policy, toml, sha256, keyId } = loaded;
    for (const one of loaded.findings) this.emit({ type: "finding", issue: one });
    this.inForce = { policy, toml, sha256, keyId };
    this.sinks.setPolicy(policy.logging);
    if (keyId === null) this.emit({ type: "policy_unsigned" });
    this.emit({ type: "policy_ok", sha256, serial: policy.serial, key: keyId });
  }

  /** What was allowed before and lasts is decided by the policy of now: consoles, and who is shown. */
  decideAgain(): void {
    this.presenter.decideAgain();
    this.consoles.decideAgain((vm, caller) => {
      const decision = this.decide(caller, { op: "vm.console", vm });
      return decision.allow ? null : decision.rule;
    });
  }

  /** What the policy in force gives the guest; undefined where it has no profile for it. */
  profileOf(vm: VmId): Profile | undefined {
    return this.inForce?.policy.profiles.get(this.registry?.guests.get(vm)?.profile ?? "");
  }

  /** Reports a denial of a document's and remembers it for a person. */
  violation(issue: Issue, vm: VmId | null = null): void {
    this.emit({ type: "violation", issue, vm });
    const place = issue.line === null ? issue.path : `${issue.path} (line ${issue.line})`;
    this.troubles.push({
      code: issue.rule,
      text: `${place ? `${place}: ` : ""}expected ${issue.expected}, found ${issue.found}`,
      hint: issue.hint,
    });
  }

  /** No guest starts from here on; the first reason is the one that is told. */
  enterSafeMode(reason: string): void {
    if (this.mode !== "normal") return;
    this.mode = "safe";
    this.emit({ type: "safe_mode", reason });
  }

  /**
   * What runs though no guest that is up here accounts for it. In normal mode there is none: phase `launch` has
   * taken up or ended whatever ran.
   */
  strangers(): Stranger[] {
    if (this.mode === "normal") return [];
    const up = [...this.guests.values()].filter((guest) => !AT_REST.includes(stateOf(guest)));
    const slots = new Set(up.map((guest) => guest.plan.slot));
    return strangersIn(
      this.host,
      slots,
      (name) => this.guests.has(name) || this.broken.some((one) => one.vm === name),
    );
  }

  /** What `authorize` needs to know. @param open whether the recovery shell that asks may change things */
  state(open = false): HostState {
    const guests = new Map<VmId, GuestView>();
    for (const one of this.broken) {
      const id = vmId(one.vm);
      if (id === null) continue;
      const record = this.registry?.guests.get(id);
      guests.set(id, {
        kind: record?.kind ?? "linux",
        profile: record?.profile ?? "",
        state: "failed",
        memoryMiB: record?.memoryMiB ?? 0,
        busy: this.busy.has(id),
        violations: one.issues.map((found) => found.rule),
      });
    }
    for (const [id, guest] of this.guests) {
      guests.set(id, {
        kind: guest.plan.kind,
        profile: this.registry?.guests.get(id)?.profile ?? "",
        state: stateOf(guest),
        memoryMiB: guest.plan.memoryMiB,
        busy: this.busy.has(id),
        presented: this.presenter.shown === id,
        // What a start found of files and jail stands in its way no more: the next one looks anew.
        violations: guests.get(id)?.violations ?? [],
        provisioned: this.registry?.guests.get(id)?.provisionedAt !== null,
      });
    }
    for (const { name } of this.strangers()) guests.set(name, STRANGER);
    return {
      mode: this.mode,
      virtualization: this.facts.kvm ? "kvm" : "none",
      measured: this.measured,
      memoryMiB: this.facts.memoryMiB,
      guests,
      recoveryOpen: open,
      developer: this.cmdline.dev !== null,
    };
  }

  /**
   * Decides and carries out one request; the request and its outcome are reported around it.
   *
   * @param open of the recovery shell that asks: its passphrase was given there, or the image asks for none
   */
  async handle(
    caller: Caller,
    op: string,
    args: Readonly<Record<string, unknown>>,
    open = false,
  ): Promise<Outcome> {
    const vm = vmId(args.vm);
    this.emit({ type: "host_event", op, target: vm ?? "host", caller });
    let outcome: Outcome;
    try {
      outcome = await this.#answer(caller, op, vm, args, open);
    } catch (error) {
      // Whatever fails under a request is that request's answer and ends nothing else.
      const { stage, code, message } = asFault(error, "control", "control.failed");
      this.emit({ type: "fault", stage, code, message });
      outcome = { ok: false, rule: code, detail: message };
    }
    this.emit({ type: "host_ack", op, ok: outcome.ok, detail: outcome.ok ? "done" : outcome.rule });
    return outcome;
  }

  async #answer(
    caller: Caller,
    op: string,
    vm: VmId | null,
    args: Readonly<Record<string, unknown>>,
    open: boolean,
  ): Promise<Outcome> {
    if (this.#ending && !WHILE_ENDING.includes(op)) {
      return { ok: false, rule: "op.ending", detail: "the machine is being ended" };
    }
    if (caller === "socket" && !this.ready && !WHILE_BOOTING.includes(op)) {
      return { ok: false, rule: "op.not_ready", detail: "the boot is not over; ask again then" };
    }
    const wrong = whyNotArguments(op, args);
    if (wrong !== null) {
      const refused = { rule: "control.form", detail: wrong };
      this.audit.decided({ caller, op, vm, allow: false, ...refused }, false);
      return { ok: false, ...refused };
    }
    const decision = this.decide(caller, requestOf(op, vm, args), open);
    if (!decision.allow) return { ok: false, rule: decision.rule, detail: decision.detail };
    const permit = decision.permit as Allowed;
    // One that has no dry run of its own is not begun by it.
    if (permit.dryRun && !DRY_RUNS.some((one) => one === permit.op)) {
      return { ok: true, result: { dry_run: true, allowed: op, vm } };
    }
    return await this.operations.get(permit.op)?.(permit, args, caller) ??
      { ok: false, rule: "op.not_yet", detail: `${op} is not part of this program` };
  }

  /** From here on the machine is being ended; false: it is already. */
  beginEnding(): boolean {
    if (this.#ending) return false;
    this.#ending = true;
    this.control?.close();
    return true;
  }

  /** Ends the program; PID 1 starts it again, and guests run on. */
  restart(): never {
    this.control?.close();
    this.audit.close();
    this.sinks.closeFiles();
    this.host.put(LAST_WORD, ASKED);
    this.host.exit(0);
  }
}
