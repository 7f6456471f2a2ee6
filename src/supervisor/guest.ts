/**
 * One guest: carries out what `guest_state.ts` says and reports each step as an event. It acts only with
 * a permit that `authorize` made, believes only the kernel about what runs, and lets no guest run an
 * instruction before its jail was read back.
 */

import type { Emit, GuestState, Subject } from "../event.ts";
import { asFault, type Fault } from "../fault.ts";
import type { QmpClient, QmpEvent } from "../guest/qmp.ts";
import type { Connection, FileFacts, Host } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import { DEVICES } from "../plan/device.ts";
import { checkFiles } from "../plan/file_check.ts";
import { type LaunchPlan, subjectOf } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { adoptionOf } from "./adoption.ts";
import { attendConsole, awaitAgent } from "./attending.ts";
import { endGuest, killGuest } from "./ending.ts";
import type { GuestAction, GuestEvent } from "./guest_state.ts";
import { confineMachine, lastWords, launchMachine, settle } from "./machine.ts";
import { Progress, type Refusal } from "./progress.ts";
import { believedRecord, dropRecord, type RunRecord, type Step, writeRecord } from "./record.ts";

/** Milliseconds. */
const KILL_TIMEOUT_MS = 5_000;

/** What a guest needs from whoever holds it. */
export interface GuestSurroundings {
  readonly host: Host;
  readonly emit: Emit;
  /** Takes the guest's console stream until it ends. */
  readonly takeConsole: (plan: LaunchPlan, connection: Connection) => void;
  /** Told when its QEMU ended without a shutdown, once the state says so. */
  readonly onCrash: (guest: Guest) => void;
}

type StopPermit = Allowed<"vm.stop" | "power.off" | "power.reboot" | "policy.install">;

export class Guest {
  readonly subject: Subject;
  readonly #progress: Progress;
  #qmp: QmpClient | null = null;
  #sawShutdown = false;
  #agentReady = false;
  /** A command of ours that QEMU's next word of its vCPUs answers. */
  #asked: string | null = null;

  #plan: LaunchPlan;
  #process: RunRecord["process"] = null;
  /** The launcher's work, so that a stop in the middle of it can wait for what comes of it. */
  #launching: Promise<void> = Promise.resolve();
  #stopping: Promise<boolean> | null = null;
  /** The plan of the next start, where it is another one. */
  #next: LaunchPlan | null = null;

  constructor(plan: LaunchPlan, readonly around: GuestSurroundings) {
    this.#plan = plan;
    this.subject = subjectOf(plan);
    this.#progress = new Progress(this.subject, around.emit);
  }

  /** The plan by which it runs, or would start. */
  get plan(): LaunchPlan {
    return this.#plan;
  }

  get state(): GuestState {
    return this.#progress.state;
  }

  get agentReady(): boolean {
    return this.#agentReady && this.state === "running";
  }

  get violations(): readonly Issue[] {
    return this.#progress.violations;
  }

  /** Why the last command did not come to its end; null where it did. */
  get refusal(): Refusal | null {
    return this.#progress.refusal;
  }

  /**
   * Gives it another plan.
   *
   * @returns whether it runs on by the old one until its next start
   */
  replan(plan: LaunchPlan): boolean {
    if (JSON.stringify(plan) === JSON.stringify(this.#plan)) return false;
    this.#next = plan;
    return this.state !== "defined" && !this.#progress.takes("start");
  }

  /** Starts it: files, plan, launcher, QMP, read-back, then `cont`. Never throws; the state tells. */
  async start(permit: Allowed<"vm.start">): Promise<void> {
    if (permit.vm !== this.plan.vm || !this.#progress.takes("start")) return;
    this.#plan = this.#next ?? this.#plan;
    this.#next = null;
    await this.#apply("start", permit.caller === "policy" ? "autoboot" : "asked");
  }

  /** Holds its vCPUs. Never throws; the state tells. */
  async pause(permit: Allowed<"vm.pause">): Promise<void> {
    if (permit.vm === this.plan.vm) await this.#apply("pause", "asked");
  }

  /** Lets its vCPUs go on. Never throws; the state tells. */
  async resume(permit: Allowed<"vm.resume">): Promise<void> {
    if (permit.vm === this.plan.vm) await this.#apply("resume", "asked");
  }

  /** Ends it at once; resolves when no process is left. */
  async kill(permit: Allowed<"vm.kill">): Promise<void> {
    if (permit.vm !== this.plan.vm) return;
    const running = this.#stopping;
    if (!await this.#apply("kill", "killed")) return;
    if (running !== null) await running;
    else await this.#ended("killed");
  }

  /**
   * Ends it in order; resolves when no process is left, or says that one is.
   *
   * @returns whether there was anything to end
   */
  stop(_permit: StopPermit, reason: string): Promise<boolean> {
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
      return false;
    }
    const tell = (fault: Fault) => this.#progress.noticed(fault);
    const record = believedRecord(host, this.plan, there, tell);
    // What runs was launched by that plan; the one of now is for the next start.
    if (record !== null) {
      if (this.replan(record.plan)) this.#next = this.#plan;
      this.#plan = record.plan;
    }
    try {
      const checked = checkFiles(host, this.plan);
      if (checked.issues.length > 0) return await this.#deny(checked.issues);
      const { verdict, process } = await this.#confine(checked.files);
      if (verdict.issues.length > 0) return await this.#deny(verdict.issues);
      this.#agentReady = record?.ready ?? false;
      emit({ type: "vm_adopted", subject: this.subject, pid: process?.pid ?? 0 });
      await this.#takeUp(record);
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.adoption"));
    }
    return true;
  }

  async #takeUp(record: RunRecord | null): Promise<void> {
    const qmp = this.#qmp;
    if (qmp === null) return;
    const { step, ran } = record ?? { step: "running", ran: true };
    const what = adoptionOf(step, ran, await qmp.command("query-status"));
    switch (what) {
      case "keep_running":
        await this.#apply("adopt_running", "adopted");
        break;
      case "keep_paused":
        await this.#apply("adopt_paused", "adopted");
        break;
      case "cancel_save":
      case "cancel_save_release":
        await qmp.command("migrate_cancel");
        await this.#apply("adopt_paused", "save_interrupted");
        if (what === "cancel_save_release") await this.#apply("resume", "save_interrupted");
        break;
      case "release":
        this.#note("releasing", true);
        await qmp.command("cont");
        await this.#apply("adopt_running", "adopted");
        break;
      case "stop":
        this.#stopping = this.#stop("adopt_stopping", "adopted")
          .finally(() => this.#stopping = null);
        break;
      case "end":
        return await this.#end("load_interrupted");
    }
    if (this.#progress.is("running")) this.#note("running");
    this.#attend();
  }

  /** Writes the step that is begun now. */
  #note(step: Step, ran = this.state === "running"): void {
    const process = this.#process;
    writeRecord(this.around.host, { plan: this.plan, step, process, ran, ready: this.#agentReady });
  }

  /** As `#note`; an end is carried out even where it cannot be written down. */
  #noteEnd(): void {
    try {
      this.#note("stopping");
    } catch (error) {
      this.#progress.noticed(asFault(error, "guest", "guest.record"));
    }
  }

  /** Moves the state and carries the actions out. @returns whether the event meant anything */
  async #apply(event: GuestEvent, reason: string): Promise<boolean> {
    const actions = this.#progress.move(event, reason);
    for (const action of actions ?? []) await this.#act(action, reason);
    return actions !== null;
  }

  async #act(action: GuestAction, reason: string): Promise<void> {
    switch (action) {
      case "launch":
        return await this.#launch();
      case "hold":
        return await this.#vcpus("pausing", "stop", "held", reason);
      case "release":
        return await this.#vcpus("running", "cont", "let_go", reason);
      case "kill":
        await killGuest(this.around.host, this.plan.slot, KILL_TIMEOUT_MS);
        return;
      case "tell_ready":
        this.around.emit({ type: "vm_ready", subject: this.subject });
        return this.#note("running");
      // The end is waited for by whoever began it.
      case "power_down":
      case "load":
      case "save":
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
    this.#asked = reason;
    try {
      this.#note(step);
      await this.#qmp?.command(command);
      await this.#apply(done, reason);
      if (done === "held") this.#note("paused");
    } catch (error) {
      await this.#fail(asFault(error, "guest", "guest.vcpus"));
    } finally {
      this.#asked = null;
    }
  }

  async #launch(): Promise<void> {
    const { host, emit } = this.around;
    this.#agentReady = false;
    this.#sawShutdown = false;
    this.#process = null;
    const checked = checkFiles(host, this.plan);
    if (checked.issues.length > 0) return void await this.#deny(checked.issues);
    for (const device of this.plan.devices) {
      const name = device.device === "disk" ? device.file : device.device;
      const { exposes } = DEVICES[device.device];
      emit({ type: "device", subject: this.subject, device: name, exposes });
    }
    try {
      this.#note("launching", true);
      await (this.#launching = launchMachine(host, this.plan));
      // A stop that came meanwhile ends what is there and reports it.
      if (!this.#progress.is("starting")) return;
      this.#note("confining", true);
      const { qmp, verdict, process } = await this.#confine(checked.files);
      const { issues, checks } = verdict;
      if (issues.length > 0) return void await this.#deny(issues);
      emit({ type: "vm_confined", subject: this.subject, pid: process?.pid ?? 0, checks });
      if (!this.#progress.is("starting")) return;
      this.#note("releasing", true);
      await qmp.command("cont");
      await this.#apply("confined", "confined");
      this.#note("running");
      this.#attend();
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.failed"));
    }
  }

  async #confine(files: Readonly<Record<string, FileFacts>>) {
    const { host } = this.around;
    const confined = await confineMachine(host, this.plan, files, (one) => this.#onQmpEvent(one));
    this.#qmp = confined.qmp;
    this.#process = confined.process;
    return confined;
  }

  async #stop(event: "stop" | "adopt_stopping", reason: string): Promise<boolean> {
    const { host } = this.around;
    const before = this.state;
    if (!await this.#apply(event, reason)) return false;
    // Until the launcher is done there may be nothing yet to end.
    if (before === "starting") await this.#launching.catch(() => {});
    this.#noteEnd();
    const talks = before === "running" || before === "paused" || event === "adopt_stopping";
    await this.#ended(await endGuest(host, this.plan.slot, talks ? this.#qmp : null));
    return true;
  }

  /** Reports the end of a machine that was being ended. */
  async #ended(how: string): Promise<void> {
    const { host } = this.around;
    if (host.processesOf(this.plan.slot).length > 0) {
      await this.#apply("timeout", "unkillable");
      return;
    }
    this.#qmp?.close();
    dropRecord(host, this.plan.slot);
    await this.#apply("exited", how);
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.name === "SHUTDOWN") this.#sawShutdown = true;
    // Held by QEMU itself, e.g. since a disk is full; what was asked is followed by its reply.
    if (event.name === "STOP" && this.#asked === null && this.#progress.is("running")) {
      void this.#heldByItself().catch((error) => this.#lost("status", error));
    }
  }

  async #heldByItself(): Promise<void> {
    const { running = true, status = "" } = await this.#qmp?.command("query-status") ?? {};
    if (!running && status !== "shutdown") await this.#apply("held", status);
  }

  /** Watches for the end, copies the console, asks the agent; none of them holds anything up. */
  #attend(): void {
    const { host, takeConsole } = this.around;
    void this.#qmp?.closed.then(() => this.#onQmpClosed());
    void attendConsole(host, this.plan, takeConsole).catch((error) => this.#lost("console", error));
    if (this.#agentReady) return;
    const wanted = () => this.#progress.is("running", "paused");
    void awaitAgent(host, this.plan, wanted).then(async (answered) => {
      if (!answered) return;
      this.#agentReady = true;
      await this.#apply("agent_ready", "agent");
    }).catch((error) => this.#lost("agent", error));
  }

  async #onQmpClosed(): Promise<void> {
    const { host, onCrash } = this.around;
    // A stop that is under way reports the end itself.
    if (!this.#progress.is("running", "paused")) return;
    const gone = await killGuest(host, this.plan.slot, KILL_TIMEOUT_MS);
    if (gone) dropRecord(host, this.plan.slot);
    if (!gone) await this.#apply("timeout", "unkillable");
    else if (this.#sawShutdown) await this.#apply("exited", "guest_shutdown");
    else {
      await this.#apply("crashed", "qemu_gone");
      onCrash(this);
    }
  }

  /** A stream of the guest's that could not be had: it runs on, and a person is told. */
  #lost(what: string, error: unknown): void {
    if (this.#progress.is("running", "paused")) {
      this.#progress.noticed(asFault(error, "guest", `guest.${what}`));
    }
  }

  /** @returns true, for those who found a guest and ended it so */
  async #deny(issues: readonly Issue[]): Promise<true> {
    await this.#end(this.#progress.denied(issues), "denied");
    return true;
  }

  async #fail(fault: Fault): Promise<void> {
    // What a stop took away under the start is no fault.
    if (this.#isEnding()) return;
    if (fault.code.startsWith("jail.")) {
      // The launcher refused a value: that is a denial like any other.
      const expected = "a plan that the launcher accepts";
      const found = fault.message;
      await this.#deny([issue(fault.code, { path: this.plan.vm, expected, found })]);
      return;
    }
    this.#progress.failed(fault, lastWords(this.around.host, this.plan.slot));
    await this.#end(fault.code);
  }

  /** A stop has this guest in hand and reports its end. */
  #isEnding(): boolean {
    return this.#progress.is("stopping", "stopped");
  }

  async #end(reason: string, event: "fault" | "denied" = "fault"): Promise<void> {
    if (this.#isEnding()) return;
    const { host } = this.around;
    const before = this.state;
    this.#qmp?.close();
    if (await killGuest(host, this.plan.slot, KILL_TIMEOUT_MS)) dropRecord(host, this.plan.slot);
    // A stop that came meanwhile reports the end itself.
    if (this.state === before) await this.#apply(event, reason);
  }
}
