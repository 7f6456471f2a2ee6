/**
 * One guest's shared folders: given and taken. Each one's steps come one after the other and are written
 * down before they are taken; at a start they are given one after the other, what is asked by hand waits for no
 * other share, and whoever takes one away does not wait for it to be given. Nothing is reported as gone before it is proved: the device is not in QEMU's tree, virtiofsd
 * has ended, its cgroup and its mount are away. What a guest does with a share is never the guest's end:
 * where one cannot be given, or ends, the guest goes on without it.
 */

import type { ShareReason } from "../event.ts";
import { asFault } from "../fault.ts";
import { HOT_DEVICES } from "../guest/hotplug.ts";
import type { QmpClient } from "../guest/qmp.ts";
import { slotName } from "../id.ts";
import { anyStopped } from "../jail/processes.ts";
import { PATHS } from "../permissions.ts";
import type { PlannedShare } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { SharesAround } from "./around.ts";
import { checkServer, checkShared } from "./checks.ts";
import { launchShare, shareFault } from "./launcher.ts";
import { dropShares, readShares, type ShareRecord, writeShares } from "./record.ts";
import { ShareSteps } from "./share_steps.ts";
import { hasShare, unplugShare } from "./unplug.ts";
import { renderShare } from "./values.ts";
import { isServing, leftOfShare, readShareBack, shareProcesses } from "./virtiofsd.ts";

/** Milliseconds. */
const SERVE_TIMEOUT_MS = 20_000;
const SERVE_POLL_MS = 50;
const WATCH_MS = 1_000;

export class GuestShares {
  /** What there is, by the share's number. */
  readonly #there = new Map<number, ShareRecord>();
  #qmp: QmpClient | null = null;
  /** What is done with each of them, by its number. */
  readonly #steps = new Map<number, ShareSteps>();
  /** Counts what was wished, so that who waits sees that it is outdated. */
  #wish = 0;

  constructor(readonly around: SharesAround) {}

  /** The tags of those that it sees, for `vm.list`. */
  get tags(): string[] {
    return [...this.#there.values()].filter((one) => one.step === "on").map((one) => one.tag);
  }

  /** Gives it what the policy says, and watches over it. */
  begin(qmp: QmpClient): void {
    this.#qmp = qmp;
    if (this.#planned.length === 0) return;
    for (const [share, { tag }] of this.#planned.entries()) {
      if (!this.#there.has(share)) {
        this.#there.set(share, { share, tag, step: "wanted", told: false });
      }
    }
    this.#write();
    this.#attend();
  }

  /** Gives what is still to be given, and watches over each of them meanwhile. */
  #attend(): void {
    const wish = ++this.#wish;
    const failed = (error: unknown) => this.#notice(error);
    for (const share of this.#planned.keys()) void this.#watch(share, wish).catch(failed);
    void this.#giveWanted(wish).catch(failed);
  }

  async #giveWanted(wish: number): Promise<void> {
    for (const [share, { tag }] of this.#planned.entries()) {
      // It may have been taken away while another one was given.
      if (wish !== this.#wish || this.#there.get(share)?.step !== "wanted") continue;
      const permit = this.around.permit(tag);
      if (permit !== null) await this.#attach(permit, "policy");
    }
  }

  /** Takes up what was there before the program was started again. */
  async adopt(qmp: QmpClient): Promise<void> {
    this.#qmp = qmp;
    const { host } = this.around;
    const { slot } = this.around.plan();
    const decided = this.#recall();
    for (const [share, { tag }] of this.#planned.entries()) {
      const record = this.#there.get(share);
      const left = leftOfShare(host, slot, share).length > 0;
      const found = left || (record !== undefined && record.step !== "off");
      if (!found || await this.#holds(share)) continue;
      // The guest may end while it is looked at, and another one begin.
      if (this.#qmp !== qmp) return;
      await this.#stepsOf(share).next(async () => {
        const gone = await this.#take(share, "stopped", false);
        // What the dead program was giving is given; what it was taking is not.
        if (gone && this.#qmp === qmp && record !== undefined && record.step !== "taking") {
          this.#note({ share, tag, step: "wanted", told: false });
        }
      });
    }
    if (this.#qmp !== qmp) return;
    if (decided) this.#attend();
    else this.begin(qmp);
  }

  /** Gives the guest one of its shares. @returns whether it has it */
  async attach(permit: Allowed<"share.attach">): Promise<boolean> {
    return await this.#attach(permit, "asked");
  }

  /** Takes one away until it is given again, or the guest starts anew. @returns whether it is gone */
  async detach(permit: Allowed<"share.detach">): Promise<boolean> {
    const share = this.#numberOf(permit);
    if (share < 0) return false;
    this.#endGive(share);
    return await this.#stepsOf(share).next(async () => {
      const gone = await this.#take(share, "asked", false);
      if (gone) this.#note({ share, tag: permit.share ?? "", step: "off", told: false });
      return gone;
    });
  }

  /**
   * Takes all of them away.
   *
   * @param keep whether one that the guest does not let go stays as it is
   * @returns whether nothing is left of any
   */
  async end(reason: ShareReason, keep = false): Promise<boolean> {
    this.#wish++;
    for (const share of this.#planned.keys()) this.#endGive(share);
    let gone = true;
    for (const share of this.#planned.keys()) {
      gone = await this.#takeAway(share, reason, keep) && gone;
    }
    return gone;
  }

  /** The guest's process is gone: what there was for it goes too. */
  async gone(): Promise<void> {
    this.#qmp = null;
    // It may have gone while no program ran.
    if (this.#there.size === 0) this.#recall();
    await this.end("stopped");
    this.#there.clear();
    dropShares(this.around.host, this.around.plan().slot);
  }

  get #planned(): readonly PlannedShare[] {
    return this.around.plan().shares;
  }

  /** Which of its shares a permit is for; -1: none, or another guest's. */
  #numberOf({ vm, share }: Allowed<"share.attach" | "share.detach">): number {
    if (vm !== this.around.plan().vm) return -1;
    return this.#planned.findIndex((one) => one.tag === share);
  }

  /** @returns whether there was anything to believe */
  #recall(): boolean {
    const read = readShares(this.around.host, this.around.plan());
    for (const one of read ?? []) {
      if (this.#planned[one.share]?.tag === one.tag) this.#there.set(one.share, one);
    }
    return read !== null;
  }

  #stepsOf(share: number): ShareSteps {
    const steps = this.#steps.get(share) ?? new ShareSteps();
    this.#steps.set(share, steps);
    return steps;
  }

  /** Has the launcher take what is being given: it ends the one that gives, which may be far from its end. */
  #endGive(share: number): void {
    const giving = this.#there.get(share)?.step === "giving";
    const end = () => this.#launch("take", share).catch((error) => this.#notice(error));
    this.#stepsOf(share).outdate(giving ? end : null);
  }

  /** Ends what gives it, then takes it away. @returns whether nothing is left of it */
  async #takeAway(share: number, reason: ShareReason, keep: boolean): Promise<boolean> {
    this.#endGive(share);
    return await this.#stepsOf(share).next(() => this.#take(share, reason, keep));
  }

  async #attach(permit: Allowed<"share.attach">, reason: ShareReason): Promise<boolean> {
    const share = this.#numberOf(permit);
    if (share < 0) return false;
    const steps = this.#stepsOf(share);
    const wanted = steps.wanted();
    return await steps.next(async () => {
      const { step } = this.#there.get(share) ?? { step: "wanted" };
      // What was taken away by hand meanwhile is given by hand.
      if (reason === "policy" && step === "off") return false;
      try {
        const qmp = this.#qmp;
        if (step === "on" && qmp !== null && await hasShare(qmp, share)) return true;
        // What was begun before comes to its end first.
        if (step !== "wanted" && step !== "off") await this.#take(share, "stopped", false);
        await this.#give(share, reason, wanted);
        return true;
      } catch (error) {
        // One that was ended on the way has no fault, whatever it met then.
        if (wanted()) this.#notice(error);
        await steps.ended();
        await this.#take(share, "stopped", false);
        return false;
      }
    });
  }

  async #give(share: number, reason: ShareReason, wanted: () => boolean): Promise<void> {
    const goOn = () => {
      if (!wanted()) throw shareFault("share.outdated", "it is taken away", "give it again");
    };
    const { host, emit, subject } = this.around;
    const plan = this.around.plan();
    const qmp = this.#qmp;
    const planned = this.#planned[share];
    if (planned === undefined || qmp === null || await hasShare(qmp, share)) {
      throw shareFault(
        "share.device",
        "a device of it is there already",
        "the guest has not let it go",
      );
    }
    if (!this.around.gives(planned)) {
      throw shareFault(
        "share.policy",
        `the policy gives ${planned.tag} otherwise now`,
        "start it anew",
      );
    }
    goOn();
    const folder = checkShared(this.around, planned);
    const { tag } = planned;
    this.#note({ share, tag, step: "giving", told: false });
    const { exposes } = HOT_DEVICES.share;
    emit({ type: "device", subject, device: `share.${tag}`, exposes });
    host.put(
      `${PATHS.plans}/${slotName(plan.slot)}.share${share}`,
      renderShare(plan, planned),
    );
    await this.#launch("give", share);
    goOn();
    checkServer(this.around, share, planned, "started", folder);
    await qmp.command("chardev-add", undefined, share);
    // QEMU has come: virtiofsd shuts itself in before it serves.
    const end = host.clock.monoMs() + SERVE_TIMEOUT_MS;
    while (wanted() && !isServing(host, plan.slot, share) && host.clock.monoMs() < end) {
      await host.clock.sleep(SERVE_POLL_MS);
    }
    goOn();
    checkServer(this.around, share, planned, "serving", folder);
    await qmp.command("device_add", undefined, { kind: "share", share, tag });
    goOn();
    this.#note({ share, tag, step: "on", told: true });
    emit({ type: "share", subject, tag, on: true, reason });
  }

  /** Whether what was found is a share that the policy gives, whole and in its jail. */
  async #holds(share: number): Promise<boolean> {
    const { host, gives } = this.around;
    const plan = this.around.plan();
    const planned = this.#planned[share];
    const record = this.#there.get(share);
    if (planned === undefined || record?.step !== "on" || !gives(planned)) return false;
    const { issues } = readShareBack(host, { plan, share, planned }, "serving", null);
    return issues.length === 0 && this.#qmp !== null && await hasShare(this.#qmp, share);
  }

  async #watch(share: number, wish: number): Promise<void> {
    const { clock } = this.around.host;
    while (wish === this.#wish) {
      const reason = this.#reasonToEnd(share);
      if (reason !== null) await this.#takeAway(share, reason, false);
      await clock.sleep(WATCH_MS);
    }
  }

  #reasonToEnd(share: number): ShareReason | null {
    const { host, gives, plan } = this.around;
    const planned = this.#planned[share];
    const step = this.#there.get(share)?.step;
    if (step !== "on" && step !== "giving") return null;
    if (planned === undefined || !gives(planned)) return "policy";
    if (step === "giving") return null;
    const pids = shareProcesses(host, plan().slot, share);
    // Whoever takes it says so.
    if (anyStopped(host, pids)) return "died";
    if (pids.length > 0) return null;
    this.#notice(
      shareFault(
        "share.gone",
        `virtiofsd of ${planned.tag} has ended`,
        "the guest goes on without it",
      ),
    );
    return "died";
  }

  /** Ends who serves it where that one is stopped, and says so. @returns whether it was */
  async #endStopped(share: number): Promise<boolean> {
    const { host, plan } = this.around;
    const pids = shareProcesses(host, plan().slot, share);
    if (!anyStopped(host, pids)) return false;
    const why = `virtiofsd of ${this.#planned[share]?.tag ?? share} is stopped`;
    this.#notice(shareFault("share.stopped", why, "it is ended; the guest goes on without it"));
    await this.#launch("take", share).catch((error) => this.#notice(error));
    return true;
  }

  /** Takes it away, proves it and says so. @returns whether nothing is left of it */
  async #take(share: number, reason: ShareReason, keep: boolean): Promise<boolean> {
    const { host, emit, subject, held } = this.around;
    const { slot } = this.around.plan();
    const qmp = this.#qmp;
    const record = this.#there.get(share);
    const begun = record !== undefined && record.step !== "wanted" && record.step !== "off";
    if (!begun && leftOfShare(host, slot, share).length === 0) {
      if (qmp !== null && await hasShare(qmp, share).catch(() => false)) return false;
      if (record?.step === "wanted" && this.#there.delete(share)) this.#write();
      return true;
    }
    if (record !== undefined) this.#note({ ...record, step: "taking" });
    // One that is stopped would have QEMU wait for its word (vhost-user, GET_VRING_BASE) as soon as the
    // guest lets the device go.
    const stopped = await this.#endStopped(share);
    // What the policy does not give is served to no guest that takes its time.
    if (reason === "policy" && !stopped) {
      await this.#launch("take", share).catch((error) => this.#notice(error));
    }
    const unplugged = qmp === null ||
      await unplugShare(qmp, host.clock, share, { held: held(), keep }).catch(() => false);
    if (!unplugged && keep && !stopped && !await this.#endStopped(share)) {
      if (record !== undefined) this.#note(record);
      return false;
    }
    // Whatever the guest does: nothing is behind the device from here on.
    await this.#launch("take", share).catch((error) => this.#notice(error));
    const left = [...(unplugged ? [] : ["its device"]), ...leftOfShare(host, slot, share)];
    if (left.length > 0) {
      const tag = this.#planned[share]?.tag ?? share;
      const todo = "nobody serves it; the guest is rid of the rest when it is started again";
      this.#notice(shareFault("share.left", `${left.join(", ")} of ${tag} is left`, todo));
      return false;
    }
    await qmp?.command("chardev-remove", undefined, share).catch(() => {});
    this.#there.delete(share);
    this.#write();
    if (record?.told) {
      emit({ type: "share", subject, tag: record.tag, on: false, reason });
    }
    return true;
  }

  async #launch(verb: "give" | "take", share: number): Promise<void> {
    const { readOnly = true, quotaMib = 0 } = this.#planned[share] ?? {};
    const writtenMib = verb === "take" || readOnly ? 0 : quotaMib;
    const { slot } = this.around.plan();
    const failed = await launchShare(this.around.host, verb, slot, share, writtenMib);
    if (failed !== null) throw failed;
  }

  #note(record: ShareRecord): void {
    this.#there.set(record.share, record);
    this.#write();
  }

  #write(): void {
    writeShares(this.around.host, this.around.plan(), [...this.#there.values()]);
  }

  #notice(error: unknown): void {
    const { stage, code, message } = asFault(error, "share", "share.failed");
    const { vm } = this.around.subject;
    this.around.emit({ type: "fault", stage, code, message: `${vm}: ${message}`, vm });
  }
}
