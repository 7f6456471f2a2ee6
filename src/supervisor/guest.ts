/**
 * One guest: what may be asked of it, each with a permit that `authorize` made, and how it is taken up
 * after the program was started again. What is done to its machine stands in `guest_machine.ts`.
 */

import { asFault, Fault } from "../fault.ts";
import { checkFiles } from "../plan/file_check.ts";
import { type LaunchPlan, samePlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { GoodState } from "../saved/check.ts";
import { retireSaved } from "../saved/generation.ts";
import { cancelSave } from "../saved/save.ts";
import { coldPlan } from "../saved/plan_hash.ts";
import { type Adoption, adoptionOf, LOADING } from "./adoption.ts";
import { endGuest } from "./ending.ts";
import { GuestMachine } from "./guest_machine.ts";
import { hasSaved, leftSomething, putAside, unwanted, usableState } from "./keeping.ts";
import { mayNotRun, settle } from "./machine.ts";
import { believedRecord, dropRecord } from "./record.ts";

type SuspendPermit = Allowed<"vm.suspend" | "power.off" | "power.reboot">;
type StopPermit = Allowed<"vm.stop" | "power.off" | "power.reboot" | "policy.install">;

/** Milliseconds for all that a QEMU is asked while it is taken up. Sixteen at once need a third of it, emulated. */
const ADOPTION_MS = 60_000;

export class Guest extends GuestMachine {
  /** The plan of the next start, where it is another one. */
  #next: LaunchPlan | null = null;
  /** What QEMU was told of its vCPUs, so that an end does not overtake it. */
  #commanding: Promise<unknown> = Promise.resolve();
  #adopting: Promise<unknown> = Promise.resolve();
  /** The end of a guest that was found in the middle of it, until that is over. */
  #foundEnding: Promise<boolean> | null = null;
  /** A start that waits for its turn. */
  #queued: { readonly turn: Promise<void>; readonly giveUp: () => void } | null = null;

  /**
   * Gives it another plan.
   *
   * @returns whether it runs on by the old one until its next start
   */
  replan(plan: LaunchPlan): boolean {
    if (this.progress.takes("start") && this.starting === null) {
      this.usePlan(plan);
      this.#next = null;
      return false;
    }
    this.#next = samePlan(plan, this.plan) ? null : plan;
    return this.#next !== null;
  }

  /** Whether a start is under way, also while its saved state is only being looked at. */
  get beginning(): boolean {
    return this.starting !== null;
  }

  /**
   * Starts it: files, plan, launcher, QMP, read-back, then `cont`; from its saved state where there is
   * one that holds. Never throws; the state tells.
   *
   * @param turn what it waits for before it does anything; it is beginning from now on
   */
  async start(permit: Allowed<"vm.start">, turn?: Promise<void>): Promise<void> {
    if (permit.vm !== this.plan.vm || !this.progress.takes("start")) return;
    const reason = permit.caller === "policy" ? "autoboot" : "asked";
    // Whoever asks again while the saved state is looked at waits for the same start.
    await (this.starting ??= this.#begin(reason, turn));
  }

  #begin(reason: string, turn?: Promise<void>): Promise<void> {
    const starting = this.#start(reason, turn).finally(() => {
      // Where it was given up, another one may be under way.
      if (this.starting === starting) this.starting = null;
    });
    return starting;
  }

  /**
   * Gives a start up that waits for that turn: it is not beginning any more from now on.
   *
   * @returns whether it still waited
   */
  giveUp(turn: Promise<void>): boolean {
    if (this.#queued?.turn !== turn) return false;
    this.#giveUp();
    return true;
  }

  /** What is under way of a start ends at its next step; one that waits for its turn ends at once. */
  #giveUp(): void {
    this.wish++;
    if (this.#queued === null) return;
    this.#queued.giveUp();
    this.#queued = null;
    this.starting = null;
    this.#takeNext();
  }

  #takeNext(): void {
    this.usePlan(this.#next ?? this.plan);
    this.#next = null;
  }

  async #untilTurn(turn: Promise<void>): Promise<void> {
    const given = Promise.withResolvers<void>();
    const queued = this.#queued = { turn, giveUp: given.resolve };
    await Promise.race([turn, given.promise]);
    if (this.#queued === queued) this.#queued = null;
  }

  async #start(reason: string, turn?: Promise<void>): Promise<void> {
    const wish = ++this.wish;
    try {
      // From here on it counts as starting, so that whatever fails is told of.
      await (turn === undefined ? null : this.#untilTurn(turn));
      // It may have been given up meanwhile.
      if (wish !== this.wish || !this.progress.takes("start")) return;
      let saved: GoodState | null = null;
      do {
        this.#takeNext();
        // The host's key is not asked for where nothing is to be checked.
        if (!leftSomething(this.around.host, this.plan)) break;
        saved = await usableState(this.of(), this.around.keeping);
        // It may have been given up, or have got another plan, while its state was read.
        if (wish !== this.wish || !this.progress.takes("start")) return;
      } while (this.#next !== null);
      // What was saved stays where it is.
      if (!this.around.mayRun()) return void this.progress.denied([mayNotRun(this.plan)]);
      if (saved === null) return void await this.apply("start", reason);
      if (this.state !== "suspended") await this.apply("found_saved", "saved_state");
      await this.apply("load", reason, saved);
    } catch (error) {
      await this.fail(asFault(error, "guest", "saved.start"));
    }
  }

  /** Saves its memory and ends it. Never throws; the state tells. */
  async suspend(permit: SuspendPermit, reason = "asked"): Promise<void> {
    if (permit.vm !== null && permit.vm !== this.plan.vm) return;
    await this.#adopting;
    await this.apply("suspend", reason);
  }

  /** Sets its saved state aside, so that the next start is one from its disks. */
  resetState(permit: Allowed<"vm.reset_state">): Promise<void> {
    if (permit.vm === this.plan.vm && this.starting === null) {
      putAside(this.of(), [unwanted("a person asked for it")]);
      this.progress.move("reset", "asked");
    }
    return Promise.resolve();
  }

  /** Holds its vCPUs. Never throws; the state tells. */
  async pause(permit: Allowed<"vm.pause">): Promise<void> {
    if (permit.vm === this.plan.vm) await (this.#commanding = this.apply("pause", "asked"));
  }

  /** Lets its vCPUs go on. Never throws; the state tells. */
  async resume(permit: Allowed<"vm.resume">): Promise<void> {
    if (permit.vm !== this.plan.vm) return;
    await (this.#commanding = this.apply("resume", "asked"));
    // What a save that failed had taken, or what could not be asked of a guest that was held.
    if (this.monitor !== null) this.given.begin(this.monitor);
  }

  /** The way to its QEMU while it runs. */
  get monitor(): QmpClient | null {
    return this.progress.is("running") ? this.qmp : null;
  }

  /** Gives it the network that the policy gives, as soon as there is an uplink. */
  enableNetwork(permit: Allowed<"network.enable">): void {
    if (permit.vm === this.plan.vm && this.qmp !== null) this.given.network.enable(this.qmp);
  }

  /** Takes its network away until its next start, or until it is enabled again. */
  async disableNetwork(permit: Allowed<"network.disable">): Promise<boolean> {
    return permit.vm === this.plan.vm && await this.given.network.disable();
  }

  /** It is set up: the network that it had for that is taken away. */
  async endProvisioning(permit: Allowed<"network.end_provisioning">): Promise<boolean> {
    return permit.vm === this.plan.vm && await this.given.network.endLease("provisioned");
  }

  /** Ends it at once; resolves when no process is left, or says that one is. */
  async kill(permit: Allowed<"vm.kill">): Promise<void> {
    if (permit.vm !== this.plan.vm) return;
    this.#giveUp();
    // It is killed anew, and what comes of that is reported here.
    this.lingering = null;
    const { run } = this;
    if (!await this.apply("kill", "killed")) return;
    // Somebody else may have seen to its end first, and what begins after that is not meant.
    const isOver = () => run !== this.run || !this.progress.is("stopping");
    if (isOver()) return;
    this.saveAbort?.abort();
    // A stop that waited for what was killed finds nothing to end, and then leaves the rest to this.
    await this.stopping?.catch(() => {});
    if (isOver()) return;
    await (this.stopping ??= this.#finishKill().finally(() => this.stopping = null));
  }

  async #finishKill(): Promise<boolean> {
    const { run } = this;
    await this.saving;
    // The launcher may have brought up what the first kill was too early for.
    await this.launching.catch(() => {});
    await this.killAll();
    if (run !== this.run) return false;
    await this.ended("killed");
    return true;
  }

  /**
   * Ends it in order; resolves when no process is left, or says that one is.
   *
   * @returns whether there was anything to end
   */
  stop(permit: StopPermit, reason: string): Promise<boolean> {
    if (permit.vm !== null && permit.vm !== this.plan.vm) return Promise.resolve(false);
    this.#giveUp();
    // Whoever asks again waits for the same end.
    return this.stopping ??= this.#stop("stop", reason).finally(() => this.stopping = null);
  }

  /**
   * Takes up a guest that the kernel says is there from before the program was started again. One that is not
   * taken up in time is killed: no guest holds the boot up.
   *
   * @returns whether there was one; what is found and does not hold is killed
   */
  adopt(): Promise<boolean> {
    const adopting = this.#adopt().catch(async (error) => {
      await this.fail(asFault(error, "launch", "launch.adoption"));
      return true;
    });
    this.#adopting = adopting.catch(() => {});
    return adopting;
  }

  /**
   * Kills it where that work with it is not over in time.
   *
   * @param work may ask whether its time is over, which ends it where it is
   */
  async #inTime(work: (goOn: () => void) => Promise<true>): Promise<true> {
    const { host, onCrash } = this.around;
    const { vm } = this.plan;
    let late: Fault | null = null;
    let over = false;
    void host.clock.sleep(ADOPTION_MS).then(async () => {
      if (over) return;
      const why = `${vm}: its QEMU was not taken up in time; it is killed`;
      late = new Fault("launch", "launch.adoption", why);
      this.progress.failed(late, "");
      await this.killAll();
    }).catch((error) => this.progress.noticed(asFault(error, "launch", "launch.adoption")));
    const goOn = () => {
      if (late !== null) throw late;
    };
    try {
      return await work(goOn);
    } catch (error) {
      // Whatever it met: that was said already.
      if (late === null) throw error;
      await this.end("launch.adoption", "fault", () => onCrash(vm));
      return true;
    } finally {
      over = true;
    }
  }

  async #adopt(): Promise<boolean> {
    const { host } = this.around;
    const there = await settle(host, this.plan.slot);
    if (there.length === 0) {
      await this.given.gone();
      dropRecord(host, this.plan.slot);
      // Its TPM may be left, where the launcher or QEMU ended alone.
      await this.killAll();
      if (hasSaved(host, this.plan)) await this.apply("found_saved", "saved_state");
      return false;
    }
    return await this.#inTime((goOn) => this.#adoptFound(there, goOn));
  }

  async #adoptFound(there: readonly number[], goOn: () => void): Promise<true> {
    const { host, emit } = this.around;
    const tell = (fault: Fault) => this.progress.noticed(fault);
    const record = believedRecord(host, this.plan, there, tell);
    const { step, ran, ready } = record ?? { step: "running", ran: true, ready: false };
    // What runs was launched by that plan; the one of now is for the next start.
    if (record !== null) {
      const now = this.plan;
      this.usePlan(coldPlan(record.plan), record.plan);
      this.#next = samePlan(now, this.plan) ? null : now;
    }
    const waits = record !== null && record.plan !== this.plan;
    if (step === LOADING || (step === "launching" && waits)) return await this.#endLoading();
    const checked = checkFiles(host, this.plan);
    if (checked.issues.length > 0) return await this.deny(checked.issues);
    const { qmp, verdict, process } = await this.confine(checked.files);
    goOn();
    if (verdict.issues.length > 0) return await this.deny(verdict.issues);
    const status = await qmp.command("query-status");
    goOn();
    if (status.status === "inmigrate") return await this.#endLoading();
    this.answered = ready;
    this.told = ready;
    emit({ type: "vm_adopted", subject: this.subject, pid: process?.pid ?? 0 });
    await this.#takeUp(qmp, adoptionOf(step, ran, status));
    return true;
  }

  /** It waited for its saved state and has run nothing: it is begun anew, from what is there. */
  async #endLoading(): Promise<true> {
    const { host } = this.around;
    await this.killAll();
    await this.ended("load_interrupted", hasSaved(host, this.plan) ? "found_saved" : "exited");
    return true;
  }

  async #takeUp(qmp: QmpClient, what: Adoption): Promise<void> {
    switch (what) {
      case "keep_running":
        await this.apply("adopt_running", "adopted");
        break;
      case "keep_paused":
        await this.apply("adopt_paused", "adopted");
        break;
      case "cancel_save":
      case "cancel_save_release":
        await cancelSave({ host: this.around.host, qmp });
        retireSaved(this.around.host, this.plan);
        await this.apply("adopt_paused", "save_interrupted");
        if (what === "cancel_save_release") await this.apply("resume", "save_interrupted");
        break;
      case "release":
        if (!this.around.mayRun()) return void await this.deny([mayNotRun(this.plan)]);
        this.note("releasing", true);
        retireSaved(this.around.host, this.plan);
        await qmp.command("cont");
        await this.apply("adopt_running", "adopted");
        break;
      case "stop":
        this.#foundEnding = this.#stop("adopt_stopping", "adopted")
          .finally(() => this.#foundEnding = null);
        // Who asked for its end meanwhile waits for this one.
        this.stopping ??= this.#foundEnding.finally(() => this.stopping = null);
        break;
    }
    if (this.progress.is("running")) this.note("running");
    this.attend(false, true);
  }

  async #stop(event: "stop" | "adopt_stopping", reason: string): Promise<boolean> {
    const { host } = this.around;
    if (event === "stop") {
      await this.#adopting;
      if (this.#foundEnding !== null) return await this.#foundEnding;
    }
    await this.#commanding;
    // A save comes to its end, or leaves a guest that can be asked to end.
    await this.saving;
    const before = this.state;
    if (!await this.apply(event, reason)) return false;
    // Until the launcher is done there may be nothing yet to end.
    if (before === "starting" || before === "resuming") await this.launching.catch(() => {});
    this.noteEnd();
    const talks = before === "running" || before === "paused" || event === "adopt_stopping";
    await this.ended(await endGuest(host, this.plan.slot, talks ? this.qmp : null));
    return true;
  }
}
