/**
 * One guest: what may be asked of it, each with a permit that `authorize` made, and how it is taken up
 * after the program was started again. What is done to its machine stands in `guest_machine.ts`.
 */

import { asFault, type Fault } from "../fault.ts";
import { checkFiles } from "../plan/file_check.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { retireSaved } from "../saved/generation.ts";
import { coldPlan } from "../saved/plan_hash.ts";
import { adoptionOf, LOADING } from "./adoption.ts";
import { endGuest, killGuest } from "./ending.ts";
import { GuestMachine, KILL_TIMEOUT_MS } from "./guest_machine.ts";
import { hasSaved, leftSomething, putAside, unwanted, usableState } from "./keeping.ts";
import { settle } from "./machine.ts";
import { believedRecord, dropRecord, type Step } from "./record.ts";

type SuspendPermit = Allowed<"vm.suspend" | "power.off" | "power.reboot">;
type StopPermit = Allowed<"vm.stop" | "power.off" | "power.reboot" | "policy.install">;

export class Guest extends GuestMachine {
  #stopping: Promise<boolean> | null = null;
  /** The plan of the next start, where it is another one. */
  #next: LaunchPlan | null = null;
  #starting: Promise<void> | null = null;
  /** Counts what was wished of the machine, so that a start that waits sees that it is outdated. */
  #wish = 0;

  /**
   * Gives it another plan.
   *
   * @returns whether it runs on by the old one until its next start
   */
  replan(plan: LaunchPlan): boolean {
    if (JSON.stringify(plan) === JSON.stringify(this.plan)) return false;
    this.#next = plan;
    return this.state !== "defined" && !this.progress.takes("start");
  }

  /**
   * Starts it: files, plan, launcher, QMP, read-back, then `cont`; from its saved state where there is
   * one that holds. Never throws; the state tells.
   */
  async start(permit: Allowed<"vm.start">): Promise<void> {
    if (permit.vm !== this.plan.vm || !this.progress.takes("start")) return;
    const reason = permit.caller === "policy" ? "autoboot" : "asked";
    // Whoever asks again while the saved state is looked at waits for the same start.
    await (this.#starting ??= this.#start(reason).finally(() => this.#starting = null));
  }

  async #start(reason: string): Promise<void> {
    this.usePlan(this.#next ?? this.plan);
    this.#next = null;
    // The host's key is not asked for where nothing is to be checked.
    if (!leftSomething(this.around.host, this.plan)) return void await this.apply("start", reason);
    const wish = ++this.#wish;
    try {
      const saved = await usableState(this.of(), this.around.keeping);
      // It may have been given up while its state was read.
      if (wish !== this.#wish || !this.progress.takes("start")) return;
      if (saved === null) return void await this.apply("start", reason);
      if (this.state !== "suspended") await this.apply("found_saved", "saved_state");
      await this.apply("load", reason, saved);
    } catch (error) {
      await this.fail(asFault(error, "guest", "saved.start"));
    }
  }

  /** Saves its memory and ends it. Never throws; the state tells. */
  async suspend(permit: SuspendPermit, reason = "asked"): Promise<void> {
    if (permit.vm === null || permit.vm === this.plan.vm) await this.apply("suspend", reason);
  }

  /** Sets its saved state aside, so that the next start is one from its disks. */
  resetState(permit: Allowed<"vm.reset_state">): Promise<void> {
    if (permit.vm === this.plan.vm && this.#starting === null) {
      putAside(this.of(), [unwanted("a person asked for it")]);
      this.progress.move("reset", "asked");
    }
    return Promise.resolve();
  }

  /** Holds its vCPUs. Never throws; the state tells. */
  async pause(permit: Allowed<"vm.pause">): Promise<void> {
    if (permit.vm === this.plan.vm) await this.apply("pause", "asked");
  }

  /** Lets its vCPUs go on. Never throws; the state tells. */
  async resume(permit: Allowed<"vm.resume">): Promise<void> {
    if (permit.vm === this.plan.vm) await this.apply("resume", "asked");
  }

  /** Ends it at once; resolves when no process is left. */
  async kill(permit: Allowed<"vm.kill">): Promise<void> {
    if (permit.vm !== this.plan.vm) return;
    const running = this.#stopping;
    this.#wish++;
    if (!await this.apply("kill", "killed")) return;
    if (running !== null) await running;
    else await this.ended("killed");
  }

  /**
   * Ends it in order; resolves when no process is left, or says that one is.
   *
   * @returns whether there was anything to end
   */
  stop(_permit: StopPermit, reason: string): Promise<boolean> {
    this.#wish++;
    // Whoever asks again waits for the same end.
    return this.#stopping ??= this.#stop("stop", reason).finally(() => this.#stopping = null);
  }

  /**
   * Takes up a guest that the kernel says is there from before the program was started again.
   *
   * @returns whether there was one; what is found and does not hold is killed
   */
  async adopt(): Promise<boolean> {
    const { host, emit } = this.around;
    const there = await settle(host, this.plan.slot);
    if (there.length === 0) {
      dropRecord(host, this.plan.slot);
      if (hasSaved(host, this.plan)) await this.apply("found_saved", "saved_state");
      return false;
    }
    const tell = (fault: Fault) => this.progress.noticed(fault);
    const record = believedRecord(host, this.plan, there, tell);
    // What runs was launched by that plan; the one of now is for the next start.
    if (record !== null) {
      if (this.replan(coldPlan(record.plan))) this.#next = this.plan;
      this.usePlan(coldPlan(record.plan), record.plan);
    }
    const step = record?.step ?? "running";
    if (step === LOADING) {
      await killGuest(host, this.plan.slot, KILL_TIMEOUT_MS);
      await this.ended("load_interrupted", "found_saved");
      return true;
    }
    try {
      const checked = checkFiles(host, this.plan);
      if (checked.issues.length > 0) return await this.deny(checked.issues);
      const { verdict, process } = await this.confine(checked.files);
      if (verdict.issues.length > 0) return await this.deny(verdict.issues);
      this.answered = record?.ready ?? false;
      emit({ type: "vm_adopted", subject: this.subject, pid: process?.pid ?? 0 });
      await this.#takeUp(step, record?.ran ?? true);
    } catch (error) {
      await this.fail(asFault(error, "launch", "launch.adoption"));
    }
    return true;
  }

  async #takeUp(step: Exclude<Step, typeof LOADING>, ran: boolean): Promise<void> {
    const qmp = this.qmp;
    if (qmp === null) return;
    const what = adoptionOf(step, ran, await qmp.command("query-status"));
    switch (what) {
      case "keep_running":
        await this.apply("adopt_running", "adopted");
        break;
      case "keep_paused":
        await this.apply("adopt_paused", "adopted");
        break;
      case "cancel_save":
      case "cancel_save_release":
        await qmp.command("migrate_cancel");
        retireSaved(this.around.host, this.plan);
        await this.apply("adopt_paused", "save_interrupted");
        if (what === "cancel_save_release") await this.apply("resume", "save_interrupted");
        break;
      case "release":
        this.note("releasing", true);
        retireSaved(this.around.host, this.plan);
        await qmp.command("cont");
        await this.apply("adopt_running", "adopted");
        break;
      case "stop":
        this.#stopping = this.#stop("adopt_stopping", "adopted")
          .finally(() => this.#stopping = null);
        break;
    }
    if (this.progress.is("running")) this.note("running");
    this.attend();
  }

  async #stop(event: "stop" | "adopt_stopping", reason: string): Promise<boolean> {
    const { host } = this.around;
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
