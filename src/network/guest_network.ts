/**
 * One guest's network: given and taken, one step after the other, with each step written down before it
 * is taken. Nothing is reported as gone before it is proved: the card is not in QEMU's tree, passt has
 * ended, its namespace is away. Where that cannot be proved the guest is killed. A lease is ended by the
 * kernel at its time besides, whether or not this program lives.
 */

import type { Emit, NetworkReason, Subject } from "../event.ts";
import { asFault, Fault } from "../fault.ts";
import { HOT_DEVICES } from "../guest/hotplug.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Host } from "../host/port.ts";
import { slotName } from "../id.ts";
import { anyStopped } from "../jail/processes.ts";
import { PATHS } from "../permissions.ts";
import { hasNetworkPort, type LaunchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { type NetworkDecision, networkDecision, type NetworkGrant } from "./lease.ts";
import { launchNet, networkFault } from "./launcher.ts";
import { leftOf, passtProcesses, readPasstBack, uplinkIsThere } from "./passt.ts";
import { ProvisioningAgent } from "./provisioning_agent.ts";
import {
  dropNetworkRecord,
  isHeldOff,
  type NetworkRecord,
  readNetworkRecord,
  setHeldOff,
  writeNetworkRecord,
} from "./record.ts";
import { readSpent, spend } from "./spent.ts";
import { hasCard, takeCard } from "./taking.ts";
import { leadsAsFar, macOf, renderWay } from "./way.ts";

/** Milliseconds. */
const WATCH_MS = 1_000;
const RETRY_MS = 2_000;
/** Looks between two questions to the agent. */
const AGENT_EVERY = 3;

/** What the policy says of one guest's network, asked anew each time. */
export interface NetworkRights {
  /** What the policy gives it now; null: it has no profile. */
  readonly grant: () => NetworkGrant | null;
  /** The right to give it, if there is one now. */
  readonly permit: () => Allowed<"network.enable"> | null;
  /** Told that the guest says that it is set up. */
  readonly onProvisioned: () => void;
}

/** What a guest's network needs of whoever holds the guest. */
export interface NetworkAround extends NetworkRights {
  readonly host: Host;
  readonly emit: Emit;
  readonly subject: Subject;
  readonly plan: () => LaunchPlan;
  readonly key: () => Uint8Array;
  readonly held: () => boolean;
  readonly answered: () => boolean;
  /** Kills whatever is in the guest's cgroup. */
  readonly kill: () => Promise<unknown>;
}

type Given = Exclude<NetworkDecision, { give: "nothing" }>;

export class GuestNetwork {
  #record: NetworkRecord | null = null;
  /** When the kernel ends it, in ms of the monotonic clock; null: never. */
  #endsMs: number | null = null;
  #qmp: QmpClient | null = null;
  /** One step after the other. */
  #work: Promise<unknown> = Promise.resolve();
  /** How often in a row it could not be given. */
  #failures = 0;
  /** Counts what was wished, so that who waits sees that it is outdated. */
  #wish = 0;

  constructor(readonly around: NetworkAround) {}

  /** For `vm.list`. */
  get state(): "off" | "on" | "lease" {
    if (this.#record?.step !== "on") return "off";
    return this.#record.lease ? "lease" : "on";
  }

  /** Seconds until the kernel ends its lease; null: it has none. */
  get leaseLeftS(): number | null {
    if (this.state !== "lease" || this.#endsMs === null) return null;
    return Math.max(0, Math.ceil((this.#endsMs - this.around.host.clock.monoMs()) / 1000));
  }

  /**
   * Gives it what the policy says as soon as there is an uplink, and watches over it; not where a person
   * has taken it away.
   */
  begin(qmp: QmpClient): void {
    if (!hasNetworkPort(this.around.plan())) return;
    this.#qmp = qmp;
    if (isHeldOff(this.around.host, this.around.plan().slot)) return;
    void this.#attend(++this.#wish).catch((error) => this.#notice(error));
  }

  /** Takes up what was there before the program was started again; a lease is over then. */
  async adopt(qmp: QmpClient): Promise<void> {
    const { host } = this.around;
    const { slot } = this.around.plan();
    this.#qmp = qmp;
    const found = this.#recall();
    // The guest may end while it is looked at, and another one begin.
    const isOver = () => this.#qmp !== qmp;
    const isNew = found === null && leftOf(host, slot).length === 0 && !await hasCard(qmp);
    if (isOver()) return;
    const isWhole = isNew || await this.#holds(qmp);
    if (isOver()) return;
    if (isWhole) return this.begin(qmp);
    const { lease = false, ending = null } = this.#record ?? {};
    if (ending?.keep && !isHeldOff(host, slot)) await this.#next(() => this.#takeWay());
    else await this.end(ending?.reason ?? (lease ? "lease_expired" : "stopped"));
    if (!isOver()) this.begin(qmp);
  }

  /** Ends it, for now or for good; `keep`: the guest's memory is not to be lost by it. */
  async end(reason: NetworkReason, keep = false): Promise<boolean> {
    this.#wish++;
    return await this.#next(() => this.#take(reason, keep));
  }

  /** A person wants it: what was taken away by a person is given again. */
  enable(qmp: QmpClient): void {
    setHeldOff(this.around.host, this.around.plan().slot, false);
    this.begin(qmp);
  }

  /** A person wants it gone, until it is enabled or the guest begins anew; whatever this program does. */
  async disable(): Promise<boolean> {
    setHeldOff(this.around.host, this.around.plan().slot, true);
    return await this.end("stopped");
  }

  /** Ends a lease; a network that the policy gives for good stays. */
  async endLease(reason: NetworkReason): Promise<boolean> {
    if (this.#record?.lease === false) return true;
    return await this.end(reason);
  }

  /** The guest's process is gone: what there was for it goes too. */
  async gone(): Promise<void> {
    this.#wish++;
    this.#qmp = null;
    // It may have gone while no program ran.
    if (this.#record === null) this.#recall();
    await this.#next(() => this.#take("stopped", false));
    setHeldOff(this.around.host, this.around.plan().slot, false);
  }

  /** What an earlier program has written down. */
  #recall(): NetworkRecord | "unreadable" | null {
    const found = readNetworkRecord(this.around.host, this.around.plan().slot);
    if (found !== null && found !== "unreadable") this.#record = found;
    return found;
  }

  #next<T>(step: () => Promise<T>): Promise<T> {
    const done = this.#work.then(step);
    this.#work = done.catch(() => {});
    return done;
  }

  #decide(): { decision: NetworkDecision; grant: NetworkGrant | null } {
    const { host, plan, grant } = this.around;
    const given = grant();
    const spent = readSpent(host, plan());
    return { grant: given, decision: networkDecision(given, plan().uuid, spent) };
  }

  async #attend(wish: number): Promise<void> {
    const { host: { clock }, held } = this.around;
    while (wish === this.#wish) {
      // A guest that is held lets go of nothing, and does not go on for that.
      const waits = this.#record !== null && this.#record.step !== "on" && held();
      if (this.#record?.step !== "on" && !waits) await this.#next(() => this.#giveNow(wish));
      if (this.#record?.step === "on") await this.#watch(wish);
      else if (!waits && this.#decide().decision.give === "nothing") {
        if (await this.#next(() => this.#takeLeft(wish))) return;
      }
      // One that fails again and again is tried less and less often.
      const pause = RETRY_MS * 2 ** Math.min(this.#failures, 5);
      if (wish === this.#wish) await clock.sleep(pause);
    }
  }

  /**
   * Takes what was left for later where nothing comes after it any more: by force where the policy gives
   * it no longer, and not for a lease that is only spent.
   *
   * @returns whether nothing more is to be done
   */
  async #takeLeft(wish: number): Promise<boolean> {
    const record = this.#record;
    if (record === null || wish !== this.#wish) return true;
    const { reason, keep } = record.ending ?? { reason: "stopped", keep: false };
    if (!record.lease || this.around.grant()?.networking !== "provisioning_only") {
      await this.#take("policy", false);
      return true;
    }
    return await this.#take(reason, keep) || !keep;
  }

  async #giveNow(wish: number): Promise<void> {
    const { host, permit } = this.around;
    const { decision, grant } = this.#decide();
    if (wish !== this.#wish || decision.give === "nothing" || grant === null) return;
    // A card that a guest was slow to let go of is asked for again.
    const reason = this.#record?.ending?.reason ?? "stopped";
    if (this.#record !== null && !await this.#take(reason, true)) return;
    if (!uplinkIsThere(host)) return;
    const allowed = permit();
    if (allowed === null) return;
    try {
      await this.#give(allowed, grant, decision);
      this.#failures = 0;
    } catch (error) {
      this.#failures++;
      this.#notice(error);
      // A card that did not go is asked for again and never forced: nobody wanted the guest reset.
      const keep = error instanceof Fault && error.code === "network.card";
      await this.#take("stopped", keep);
    }
  }

  async #give(_: Allowed<"network.enable">, grant: NetworkGrant, given: Given): Promise<void> {
    const { host, emit, subject, key } = this.around;
    const plan = this.around.plan();
    const qmp = this.#qmp;
    if (qmp === null || await hasCard(qmp)) {
      throw networkFault("network.card", "a card is there already", "the guest keeps what it has");
    }
    const way = renderWay(grant, given);
    const lease = given.give === "lease";
    const { vm, uuid, slot } = plan;
    this.#note({ vm, uuid, step: "giving", lease, told: false, process: null, way, ending: null });
    // Before anything is given: whatever happens from here on, there is no second one.
    if (lease) spend(host, plan, grant.serial);
    const { exposes } = HOT_DEVICES.network;
    emit({ type: "device", subject, device: "network", exposes });
    host.put(`${PATHS.plans}/${slotName(slot)}.net`, way);
    const began = host.clock.monoMs();
    const failed = await launchNet(host, "give", slot);
    if (failed !== null) throw failed;
    const { issues, process } = readPasstBack(host, plan);
    for (const one of issues) emit({ type: "violation", issue: one, vm });
    if (issues.length > 0) {
      throw networkFault("network.jail", "passt's jail is another", "see above");
    }
    await qmp.command("netdev_add");
    await qmp.command("device_add", undefined, { kind: "network", mac: macOf(key(), uuid) });
    // The kernel's lease began a little later than this.
    this.#endsMs = lease ? began + given.seconds * 1000 : null;
    this.#note({ vm, uuid, step: "on", lease, told: true, process, way, ending: null });
    const reason = lease ? "provisioning" : "policy";
    emit({ type: "network", subject, on: true, reason });
  }

  /** Until there is a reason to take it away, which is then done. */
  async #watch(wish: number): Promise<void> {
    const { host } = this.around;
    const agent = new ProvisioningAgent(this.around);
    let asking = false;
    // Not waited for: a guest whose agent is slow keeps its network no longer for that.
    const ask = async () => {
      asking = true;
      if (await agent.saysSo() && wish === this.#wish) this.around.onProvisioned();
      asking = false;
    };
    try {
      for (let looks = 1; wish === this.#wish; looks++) {
        const reason = this.#reasonToEnd();
        if (reason !== null) {
          // Where passt failed nothing passes any more, and another one is wanted: no guest that is slow to let
          // go of its card is reset for that. It is asked again, as long as it takes.
          const keep = reason === "stopped" && this.#record?.lease === false;
          await this.#next(() => this.#take(reason, keep));
          return;
        }
        if (this.#record?.lease && looks % AGENT_EVERY === 0 && !asking) {
          void ask().catch((error) => this.#notice(error));
        }
        await host.clock.sleep(WATCH_MS);
      }
    } finally {
      agent.close();
    }
  }

  #reasonToEnd(): NetworkReason | null {
    const { host, grant, plan } = this.around;
    const { slot } = plan();
    if (this.#endsMs !== null && host.clock.monoMs() >= this.#endsMs) return "lease_expired";
    // A guest whose vCPUs are held sends nothing and cannot help: its passt is looked at when it goes on.
    const passt = this.#record?.lease === false && this.around.held()
      ? null
      : passtProcesses(host, slot);
    if (passt?.length === 0) {
      this.#notice(networkFault("network.passt", "passt has ended", "a lease is over with it"));
      return "stopped";
    }
    if (passt !== null && anyStopped(host, passt)) {
      this.#notice(networkFault("network.passt_stopped", "passt is stopped", "it is ended"));
      return "stopped";
    }
    const now = grant();
    const wanted = this.#record?.lease ? "provisioning_only" : "on";
    if (now?.networking !== wanted) return "policy";
    // A policy that narrows it holds at once, for a lease too.
    const leads = leadsAsFar(renderWay(now, { give: "network" }), this.#record?.way ?? "");
    return leads ? null : "policy";
  }

  /** Whether what was found is a network that the policy gives for good, whole and in its jail. */
  async #holds(qmp: QmpClient): Promise<boolean> {
    const { host, plan } = this.around;
    const record = this.#record;
    if (record === null || record.step !== "on" || record.lease) return false;
    if (record.uuid !== plan().uuid || record.vm !== plan().vm) return false;
    if (this.#decide().decision.give !== "network" || this.#reasonToEnd() !== null) return false;
    const { issues, process } = readPasstBack(host, plan());
    const same = JSON.stringify(process) === JSON.stringify(record.process);
    return issues.length === 0 && same && await hasCard(qmp);
  }

  /** Takes it away, proves it and says so. @returns whether nothing is left of it */
  async #take(reason: NetworkReason, keep: boolean): Promise<boolean> {
    const { host, emit, subject, kill, held } = this.around;
    const { slot, emulated } = this.around.plan();
    const qmp = this.#qmp;
    const record = this.#record;
    if (record === null && leftOf(host, slot).length === 0) {
      if (qmp === null || !hasNetworkPort(this.around.plan())) return true;
      if (!await hasCard(qmp).catch(() => false)) return true;
    }
    if (record !== null) this.#note({ ...record, step: "taking", ending: { reason, keep } });
    this.#endsMs = null;
    // The way first: however slow QEMU and the guest are, nothing passes any more.
    await this.#takeWay();
    let proved = true;
    if (qmp !== null) {
      const asked = { force: !keep, held: held(), emulated };
      proved = await takeCard(qmp, host.clock, asked).catch(() => false);
    }
    if (!proved && keep) return false;
    if (!proved || leftOf(host, slot).length > 0) {
      const what = ["its card", ...leftOf(host, slot)].join(", ");
      if (qmp !== null) {
        const why = `${what} may still be there`;
        this.#notice(networkFault("network.unproved", why, "the guest is killed"));
        await kill();
      }
      await this.#takeWay();
      const left = leftOf(host, slot);
      if (left.length > 0) {
        this.#notice(
          networkFault("network.left", `${left.join(", ")} is left`, "see the kernel's log"),
        );
        return false;
      }
    }
    this.#record = null;
    dropNetworkRecord(host, slot);
    if (record?.told) emit({ type: "network", subject, on: false, reason });
    return true;
  }

  async #takeWay(): Promise<void> {
    const failed = await launchNet(this.around.host, "take", this.around.plan().slot);
    if (failed !== null) this.#notice(failed);
  }

  #note(record: NetworkRecord): void {
    this.#record = record;
    writeNetworkRecord(this.around.host, this.around.plan().slot, record);
  }

  #notice(error: unknown): void {
    const { stage, code, message } = asFault(error, "network", "network.failed");
    const { vm } = this.around.subject;
    this.around.emit({ type: "fault", stage, code, message: `${vm}: ${message}`, vm });
  }
}
