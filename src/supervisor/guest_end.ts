/**
 * How a guest's machine comes to its end, whoever or whatever ends it: what is left of it is killed, what it was
 * given goes, its record goes, and then its state says so, once. A process that does not end is waited for.
 * What begins a machine stands in `guest_machine.ts`.
 */

import type { GuestState, Subject } from "../event.ts";
import { asFault, Fault } from "../fault.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Issue } from "../issue.ts";
import { type LaunchPlan, subjectOf } from "../plan/launch_plan.ts";
import { ENDING, isInhabited, killGuest, untilGone } from "./ending.ts";
import { Given } from "./given.ts";
import type { GuestEvent } from "./guest_state.ts";
import { lastWords, refusedValue } from "./machine.ts";
import { Progress, type Refusal } from "./progress.ts";
import { dropRecord } from "./record.ts";
import type { GuestSurroundings } from "./surroundings.ts";

export abstract class GuestEnd {
  #plan: LaunchPlan;
  readonly subject: Subject;
  protected readonly progress: Progress;
  readonly given: Given;
  protected qmp: QmpClient | null = null;
  /** Whether the agent answered since the machine began. */
  protected answered = false;
  /** Counts its QEMUs, so that what comes late of one does not end the next. */
  protected run = 0;
  /** The wait for processes that did not end when they were killed; whoever kills it anew takes it over. */
  protected lingering: object | null = null;
  protected starting: Promise<void> | null = null;
  /** A stop or kill that was asked for and is not over. */
  protected stopping: Promise<boolean> | null = null;

  constructor(plan: LaunchPlan, protected readonly around: GuestSurroundings) {
    this.#plan = plan;
    this.subject = subjectOf(plan);
    this.progress = new Progress(this.subject, around.emit, around.onMove);
    this.given = new Given(around, {
      subject: this.subject,
      plan: () => this.#plan,
      held: () => this.held,
      answered: () => this.answered,
      kill: () => this.killAll(),
    });
  }

  /** The plan by which it runs, or would start. */
  get plan(): LaunchPlan {
    return this.#plan;
  }

  protected usePlan(plan: LaunchPlan): void {
    this.#plan = plan;
  }

  /** Whether its vCPUs are held, be it while it is saved. */
  protected abstract get held(): boolean;
  /** Moves the state and carries the actions out. @returns whether the event meant anything */
  protected abstract apply(event: GuestEvent, reason: string): Promise<boolean>;

  get state(): GuestState {
    return this.progress.state;
  }

  get violations(): readonly Issue[] {
    return this.progress.violations;
  }

  /** Why the last command did not come to its end; null where it did. */
  get refusal(): Refusal | null {
    return this.progress.refusal;
  }

  /** Kills whatever is in the guest's cgroup. @returns whether nothing is left */
  protected killAll(): Promise<boolean> {
    return killGuest(this.around.host, this.plan.slot, ENDING.killMs);
  }

  /** Reports the end of a machine that was being ended. */
  protected async ended(how: string, event: GuestEvent = "exited"): Promise<void> {
    if (isInhabited(this.around.host, this.plan.slot)) return this.#linger(event, how);
    // Who waited for it looks only from time to time, and is not to come across the next one.
    this.lingering = null;
    this.qmp?.close();
    await this.#gone();
    await this.apply(event, how);
  }

  /** No process of it is left: nothing is to be taken up, and what it was given goes. */
  async #gone(): Promise<void> {
    await this.given.gone();
    dropRecord(this.around.host, this.plan.slot);
  }

  /**
   * It was killed and a process of it is still there: it is ending until that is gone, whenever that is, and
   * what was to follow its end follows then.
   */
  #linger(event: GuestEvent, reason: string, then: () => void = () => {}): void {
    const { host } = this.around;
    const { vm, slot } = this.plan;
    this.qmp?.close();
    this.qmp = null;
    if (!this.progress.is("stopping")) {
      // One that was found in no state of a machine is in the middle of its end all the same.
      const moved = this.progress.move("kill", "unkillable");
      if (moved === null) this.progress.move("adopt_stopping", "unkillable");
    }
    const why = `${vm}: its process does not end; see the kernel's log`;
    this.progress.failed(new Fault("guest", "guest.unkillable", why), "");
    const mine = this.lingering = {};
    void untilGone(host, slot).then(async () => {
      if (this.lingering !== mine) return;
      await this.#gone();
      // It may have been killed anew while what it was given went.
      if (this.lingering !== mine) return;
      this.lingering = null;
      // While it was ending, a crash is an end like any other; this one is to be told.
      if (await this.apply(event === "crashed" ? "fault" : event, reason)) this.#follow(then);
      else await this.apply("exited", reason);
    }).catch((error) => this.progress.noticed(asFault(error, "guest", "guest.record")));
  }

  /** A QEMU that answers nothing any more cannot be told to do anything: it is ended. */
  async endSilent(): Promise<void> {
    await this.end("qmp_silent", "timeout", () => this.around.onCrash(this.plan.vm));
  }

  /** @returns true, for those who found a guest and ended it so */
  protected async deny(issues: readonly Issue[]): Promise<true> {
    await this.end(this.progress.denied(issues), "denied");
    return true;
  }

  protected async fail(fault: Fault): Promise<void> {
    // What a stop took away under the start is no fault.
    if (this.#isEnding()) return;
    const refused = refusedValue(this.plan, fault);
    if (refused !== null) return void await this.deny([refused]);
    this.progress.failed(fault, lastWords(this.around.host, this.plan.slot));
    await this.end(fault.code, "fault", () => this.around.onCrash(this.plan.vm));
  }

  /** A stop has this guest in hand and reports its end. */
  #isEnding(): boolean {
    return this.progress.is("stopping") || (this.progress.is("stopped") && this.starting === null);
  }

  /** @param then what follows once it is over, where it was this that ended it */
  protected async end(
    reason: string,
    event: "fault" | "denied" | "timeout" = "fault",
    then?: () => void,
  ): Promise<void> {
    if (this.#isEnding()) return;
    const { qmp } = this;
    // Its closing is no news.
    this.qmp = null;
    qmp?.close();
    await this.endBy(event, reason, then);
  }

  /** Kills what is left, and moves on by that event once nothing is. */
  protected async endBy(
    event: GuestEvent,
    reason: string,
    then: () => void = () => {},
  ): Promise<void> {
    const run = this.run;
    // A start that failed before it came to anything leaves it failed as it was.
    const failedBefore = this.progress.is("failed");
    const gone = await this.killAll();
    if (gone) await this.#gone();
    // A stop that came meanwhile reports the end itself, and another start has nothing to do with it.
    if (this.#isEnding() || run !== this.run) return;
    if (!gone) this.#linger(event, reason, then);
    else if (await this.apply(event, reason) || failedBefore) this.#follow(then);
  }

  /** What follows an end that nobody asked for: a stop that only waited for a command is one who did. */
  #follow(then: () => void): void {
    if (this.stopping === null) then();
  }
}
