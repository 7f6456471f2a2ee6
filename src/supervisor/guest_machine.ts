/**
 * The machine of a guest and the host's hands on it: carries out the actions that `guest_state.ts` gives
 * and reports each step as an event. It believes only the kernel about what runs, and lets no guest run
 * an instruction before its jail was read back. What is wanted of it comes from `guest.ts`.
 */

import { asFault } from "../fault.ts";
import type { QmpClient, QmpEnd, QmpEvent } from "../guest/qmp.ts";
import type { FileFacts } from "../host/port.ts";
import { DEVICES } from "../plan/device.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import type { GoodState } from "../saved/check.ts";
import { retireSaved } from "../saved/generation.ts";
import { correctClock, loadSaved } from "../saved/load.ts";
import { incomingPlan } from "../saved/plan_hash.ts";
import { attendGuest } from "./attending.ts";
import { GuestEnd } from "./guest_end.ts";
import type { GuestAction, GuestEvent } from "./guest_state.ts";
import { HeldByItself } from "./held.ts";
import { type KeepingOf, putAside, unwanted } from "./keeping.ts";
import { readyFiles } from "./lasting.ts";
import { confineMachine, launchMachine, mayNotRun } from "./machine.ts";
import { type RunRecord, type Step, writeRecord } from "./record.ts";
import { saveMachine } from "./saving.ts";
import type { GuestSurroundings } from "./surroundings.ts";
import { watchTpm } from "./tpm.ts";

export abstract class GuestMachine extends GuestEnd {
  #sawShutdown = false;
  #held = this.#watchHeld();
  /** It is being saved, and its vCPUs were held before. */
  #savedPaused = false;
  /** How often its vCPUs were let go on. */
  resumes = 0;
  /** Whether it was said that its agent answered, which it is not while its vCPUs are held. */
  protected told = false;
  /** QEMU was told to hold its vCPUs, so that it says STOP is no news. */
  #stopAsked = false;

  /** The plan as the launcher was given it: `plan`, or the form of it that waits for saved state. */
  #launched: LaunchPlan;
  #process: RunRecord["process"] = null;
  /** The launcher's work, so that a stop in the middle of it can wait for what comes of it. */
  protected launching: Promise<void> = Promise.resolve();
  protected saving: Promise<void> = Promise.resolve();
  protected saveAbort: AbortController | null = null;
  /** About how much of its memory is written, while it is saved; null otherwise. */
  savedPercent: number | null = null;
  /** Counts what was wished of the machine, so that a start that waits sees that it is outdated. */
  protected wish = 0;

  constructor(plan: LaunchPlan, around: GuestSurroundings) {
    super(plan, around);
    this.#launched = plan;
  }

  /** Gives it that plan, and the form of it that the launcher was given. */
  protected override usePlan(plan: LaunchPlan, launched = plan): void {
    super.usePlan(plan);
    this.#launched = launched;
  }

  protected get held(): boolean {
    return this.state === "paused" || this.#savedPaused;
  }

  get agentReady(): boolean {
    return this.answered && this.state === "running";
  }

  /** Writes the step that is begun now. */
  protected note(step: Step, ran = this.state === "running"): void {
    const process = this.#process;
    const plan = this.#launched;
    writeRecord(this.around.host, { plan, step, process, ran, ready: this.told });
  }

  /** As `#note`; an end is carried out even where it cannot be written down. */
  protected noteEnd(): void {
    try {
      this.note("stopping");
    } catch (error) {
      this.progress.noticed(asFault(error, "guest", "guest.record"));
    }
  }

  /** Moves the state and carries the actions out. @returns whether the event meant anything */
  protected async apply(
    event: GuestEvent,
    reason: string,
    saved: GoodState | null = null,
  ): Promise<boolean> {
    const ran = this.state === "running";
    const actions = this.progress.move(event, reason);
    for (const action of actions ?? []) await this.#act(action, reason, { ran, saved });
    return actions !== null;
  }

  async #act(
    action: GuestAction,
    reason: string,
    { ran, saved }: { readonly ran: boolean; readonly saved: GoodState | null },
  ): Promise<void> {
    switch (action) {
      case "launch":
      case "load":
        return await this.#launch(saved);
      case "save":
        return await (this.saving = this.#save(ran, reason));
      case "hold":
        return await this.#vcpus("pausing", "stop", "held", reason);
      case "release":
        return await this.#vcpus("running", "cont", "let_go", reason);
      case "kill":
        await this.killAll();
        return;
      case "tell_ready":
        this.told = true;
        this.around.emit({ type: "vm_ready", subject: this.subject });
        return this.note("running");
      // The end is waited for by whoever began it.
      case "power_down":
        return;
    }
  }

  /** Has QEMU hold its vCPUs or let them go on; the state follows what it did. */
  async #vcpus(
    step: Step,
    command: "stop" | "cont",
    done: GuestEvent,
    reason: string,
  ): Promise<void> {
    this.#stopAsked = command === "stop";
    try {
      this.note(step);
      // Whatever was saved of it is a thing of the past once it runs on.
      if (command === "cont") retireSaved(this.around.host, this.plan);
      await this.qmp?.command(command);
      if (await this.apply(done, reason) && done === "held") this.note("paused");
      // What its agent answered while it was held.
      if (done === "let_go" && this.answered && !this.told) {
        await this.apply("agent_ready", "agent");
      }
    } catch (error) {
      await this.fail(asFault(error, "guest", "guest.vcpus"));
    } finally {
      this.#stopAsked = false;
      this.#askWhetherHeld(true);
    }
  }

  protected of(): KeepingOf {
    const { host, emit } = this.around;
    return { host, emit, subject: this.subject, plan: this.plan };
  }

  async #save(ran: boolean, reason: string): Promise<void> {
    const { emit, keeping } = this.around;
    const { given, qmp } = this;
    try {
      this.note("saving", ran);
      this.#savedPaused = !ran;
      const kill = () => this.killAll();
      this.saveAbort = new AbortController();
      const { signal } = this.saveAbort;
      const onPercent = (percent: number) => this.savedPercent = percent;
      const done = await saveMachine({
        ...this.of(),
        qmp,
        keeping,
        given,
        kill,
        signal,
        onPercent,
      });
      if (!this.progress.is("suspending")) {
        // It was killed meanwhile, and is not to come back from what was saved all the same.
        if (done.ok) putAside(this.of(), [unwanted("it was killed while it was saved")]);
        return;
      }
      if (done.ok) {
        const { bytes, ms } = done;
        emit({ type: "vm_saved", subject: this.subject, bytes, ms });
        return await this.ended(reason, "saved");
      }
      if (done.guest === "gone") return await this.fail(done.fault);
      if (done.guest === "ended") {
        // It did not end by itself, and does not begin again by itself.
        this.progress.failed(done.fault, "");
        return await this.end(done.fault.code);
      }
      await this.apply("save_failed", done.fault.code);
      if (ran) await this.apply("resume", "save_failed");
      if (qmp !== null && this.progress.is("running")) given.begin(qmp);
      this.progress.failed(done.fault, "");
    } catch (error) {
      await this.fail(asFault(error, "guest", "saved.failed"));
    } finally {
      this.#savedPaused = false;
      this.savedPercent = null;
      this.saveAbort = null;
    }
  }

  async #launch(saved: GoodState | null): Promise<void> {
    const { host, emit } = this.around;
    this.#launched = saved === null ? this.plan : incomingPlan(this.plan);
    this.answered = false;
    this.told = false;
    this.#sawShutdown = false;
    this.#held = this.#watchHeld();
    this.run++;
    this.#process = null;
    try {
      const checked = readyFiles(host, this.plan);
      if (checked.issues.length > 0) return void await this.deny(checked.issues);
      for (const device of this.plan.devices) {
        const name = device.device === "disk" ? device.file : device.device;
        const { exposes } = DEVICES[device.device];
        emit({ type: "device", subject: this.subject, device: name, exposes });
      }
      this.note("launching", true);
      await (this.launching = launchMachine(host, this.#launched));
      // A stop that came meanwhile ends what is there and reports it.
      if (!this.progress.is("starting", "resuming")) return;
      this.note(saved === null ? "confining" : "loading", true);
      const { qmp, verdict, process } = await this.confine(checked.files);
      const { issues, checks } = verdict;
      if (issues.length > 0) return void await this.deny(issues);
      emit({ type: "vm_confined", subject: this.subject, pid: process?.pid ?? 0, checks });
      if (saved !== null && !await this.#load(qmp, saved)) return;
      if (!this.progress.is("starting", "resuming")) return;
      if (!this.around.mayRun()) return void await this.deny([mayNotRun(this.plan)]);
      this.note(saved === null ? "releasing" : "loaded", true);
      await qmp.command("cont");
      await this.apply("confined", "confined");
      this.note("running");
      this.attend(saved !== null);
    } catch (error) {
      await this.fail(asFault(error, "launch", "launch.failed"));
    }
  }

  /** Gives QEMU the state; one that it does not take is set aside, and the guest begins without it. */
  async #load(qmp: QmpClient, saved: GoodState): Promise<boolean> {
    const { host, emit } = this.around;
    const { mayRun } = this.around;
    const loaded = await loadSaved({ host, qmp, plan: this.plan, saved, mayRun });
    if (loaded.ok) {
      const { bytes, ms } = loaded;
      emit({ type: "vm_loaded", subject: this.subject, bytes, ms });
      return true;
    }
    // A stop that came meanwhile took QEMU away: the state has not been used.
    if (!this.progress.is("resuming")) return false;
    // Nor has it where nothing may run any more.
    if (!mayRun()) return !await this.deny([mayNotRun(this.plan)]);
    const { wish } = this;
    await this.end("saved_state");
    putAside(this.of(), loaded.issues);
    // A stop that came while QEMU was ended is the last word.
    if (wish === this.wish) await this.apply("start", "saved_state_refused");
    return false;
  }

  protected async confine(files: Readonly<Record<string, FileFacts>>) {
    const { host } = this.around;
    const confined = await confineMachine(host, this.plan, files, (one) => this.#onQmpEvent(one));
    this.qmp = confined.qmp;
    this.#process = confined.process;
    return confined;
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.name === "SHUTDOWN") this.#sawShutdown = true;
    if (event.name === "RESUME") this.resumes++;
    if (event.name === "STOP" && !this.#stopAsked) this.#askWhetherHeld(false);
  }

  /** @param late only where it said so before it was known to run: right after the reply to `cont`, it may be */
  #askWhetherHeld(late: boolean): void {
    const { qmp } = this;
    if (qmp === null) return;
    const wanted = () => this.qmp === qmp && this.progress.is("running");
    void (late ? this.#held.askLate(qmp, wanted) : this.#held.ask(qmp, wanted));
  }

  #watchHeld(): HeldByItself {
    return new HeldByItself({
      onHeld: (status) => this.apply("held", status),
      onLost: (error) => this.#lost("status", error),
    });
  }

  /** Watches for the end, copies the console, asks the agent; none of them holds anything up. */
  protected attend(wasSaved = false, adopted = false): void {
    const { host, takeConsole, keeping } = this.around;
    const { qmp } = this;
    if (qmp === null) return;
    void qmp.closed.then((how) => this.#onQmpClosed(qmp, how));
    this.#askWhetherHeld(true);
    if (!adopted) this.given.begin(qmp);
    else void this.given.adopt(qmp).catch((error) => this.#lost("given", error));
    // One that is being saved may have to go on.
    const wanted = () => this.qmp === qmp && this.progress.is("running", "paused", "suspending");
    void watchTpm(host, this.plan, wanted, (fault) => this.fail(fault));
    attendGuest({
      host,
      qmp,
      plan: this.plan,
      takeConsole,
      correctClock: wasSaved ? (agent) => correctClock(qmp, agent, keeping.wall()) : null,
      answered: this.answered,
      wanted,
      onSilence: () => this.endSilent(),
      onAgent: async () => {
        this.answered = true;
        await this.apply("agent_ready", "agent");
      },
      onLost: (what, error) => this.#lost(what, error),
    });
  }

  async #onQmpClosed(qmp: QmpClient, how: QmpEnd): Promise<void> {
    // A stop that is under way reports the end itself.
    if (this.qmp !== qmp || !this.progress.is("running", "paused")) return;
    // A command that is still under way gives it nothing any more.
    this.qmp = null;
    if (this.#sawShutdown) await this.endBy("exited", "guest_shutdown");
    else await this.endBy("crashed", how, () => this.around.onCrash(this.plan.vm));
  }

  /** A stream of the guest's that could not be had: it runs on, and a person is told. */
  #lost(what: string, error: unknown): void {
    if (this.progress.is("running", "paused")) {
      this.progress.noticed(asFault(error, "guest", `guest.${what}`));
    }
  }
}
