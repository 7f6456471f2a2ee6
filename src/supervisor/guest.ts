/**
 * One guest: carries out what `guest_state.ts` says and reports each step as an event. It acts only with
 * a permit that `authorize` made, believes only the kernel about what runs, and lets no guest run an
 * instruction before its jail was read back.
 */

import type { Emit, GuestState, Subject } from "../event.ts";
import { asFault, Fault } from "../fault.ts";
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
import { type GuestAction, type GuestEvent, transition } from "./guest_state.ts";
import { connectMachine, lastWords, launchMachine, readBack, settle } from "./machine.ts";
import {
  dropRecord,
  readRecord,
  type RunRecord,
  setRecordAside,
  type Step,
  writeRecord,
} from "./record.ts";

/** Milliseconds. */
const KILL_TIMEOUT_MS = 5_000;

/** What a guest needs from whoever holds it. */
export interface GuestSurroundings {
  readonly host: Host;
  readonly emit: Emit;
  /** Takes the guest's console stream until it ends. */
  readonly takeConsole: (plan: LaunchPlan, connection: Connection) => void;
}

type StopPermit = Allowed<"vm.stop" | "power.off" | "power.reboot" | "policy.install">;

/** Why a command did not come to its end. */
export interface Refusal {
  readonly rule: string;
  readonly detail: string;
}

export class Guest {
  readonly subject: Subject;
  #state: GuestState = "defined";
  #qmp: QmpClient | null = null;
  #sawShutdown = false;
  #agentReady = false;
  #violations: readonly Issue[] = [];
  #refusal: Refusal | null = null;
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
  }

  /** The plan by which it runs, or would start. */
  get plan(): LaunchPlan {
    return this.#plan;
  }

  get state(): GuestState {
    return this.#state;
  }

  get agentReady(): boolean {
    return this.#agentReady && this.#state === "running";
  }

  get violations(): readonly Issue[] {
    return this.#violations;
  }

  /** Why the last command did not come to its end; null where it did. */
  get refusal(): Refusal | null {
    return this.#refusal;
  }

  /**
   * Gives it another plan.
   *
   * @returns whether it runs on by the old one until its next start
   */
  replan(plan: LaunchPlan): boolean {
    if (JSON.stringify(plan) === JSON.stringify(this.#plan)) return false;
    this.#next = plan;
    return this.#state !== "defined" && transition(this.#state, "start") === null;
  }

  /** Starts it: files, plan, launcher, QMP, read-back, then `cont`. Never throws; the state tells. */
  async start(permit: Allowed<"vm.start">): Promise<void> {
    if (permit.vm !== this.plan.vm || transition(this.#state, "start") === null) return;
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
    if (host.processesOf(this.plan.slot).length === 0) {
      dropRecord(host, this.plan.slot);
      return false;
    }
    const there = await settle(host, this.plan.slot);
    const record = this.#believe(there);
    // What runs was launched by that plan; the one of now is for the next start.
    if (record !== null) {
      this.replan(record.plan);
      [this.#plan, this.#next] = [record.plan, this.#next === null ? null : this.#plan];
    }
    try {
      const checked = checkFiles(host, this.plan);
      if (checked.issues.length > 0) return await this.#deny(checked.issues);
      this.#qmp = await connectMachine(host, this.plan, (event) => this.#onQmpEvent(event));
      const verdict = readBack(host, this.plan, checked.files);
      if (verdict.issues.length > 0) return await this.#deny(verdict.issues);
      this.#process = this.#processNow();
      this.#agentReady = record?.ready ?? false;
      emit({ type: "vm_adopted", subject: this.subject, pid: this.#process?.pid ?? 0 });
      await this.#takeUp(record);
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.adoption"));
    }
    return true;
  }

  /** The record of what runs there, where it is to be believed; what is not is set aside and reported. */
  #believe(processes: readonly number[]): RunRecord | null {
    const { host, emit } = this.around;
    const read = readRecord(host, this.plan, processes);
    if (read.kind === "good") return read.record;
    if (read.kind === "bad") {
      const aside = setRecordAside(host, this.plan.slot);
      const message =
        `record of ${this.plan.vm}: ${read.why}; it is in ${aside}, and the guest is ` +
        "taken up only if it is as the plan of now says";
      emit({ type: "fault", stage: "launch", code: "launch.record", message });
    }
    return null;
  }

  async #takeUp(record: RunRecord | null): Promise<void> {
    const qmp = this.#qmp;
    if (qmp === null) return;
    const what = adoptionOf(
      record?.step ?? "running",
      record?.ran ?? true,
      await qmp.command("query-status"),
    );
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
        if (what === "cancel_save") break;
        await this.#apply("resume", "save_interrupted");
        break;
      case "release":
        this.#note("releasing");
        await qmp.command("cont");
        await this.#apply("adopt_running", "adopted");
        break;
      case "stop":
        this.#stopping = this.#stop("adopt_stopping", "adopted").finally(() =>
          this.#stopping = null
        );
        break;
      case "end":
        return await this.#end("load_interrupted");
    }
    this.#attend();
  }

  /** What QEMU's one process is, as the record keeps it. */
  #processNow(): RunRecord["process"] {
    const { host } = this.around;
    const [pid] = host.processesOf(this.plan.slot);
    const facts = pid === undefined ? null : host.processFacts(pid);
    return facts === null ? null : { pid: facts.pid, startTicks: facts.startTicks };
  }

  /** Writes the step that is begun now. */
  #note(step: Step, ran = this.#state === "running"): void {
    const { plan } = this;
    const process = this.#process;
    writeRecord(this.around.host, { plan, step, process, ran, ready: this.#agentReady });
  }

  /** As `#note`; an end is carried out even where it cannot be written down. */
  #noteEnd(): void {
    try {
      this.#note("stopping");
    } catch (error) {
      const { stage, code, message } = asFault(error, "guest", "guest.record");
      this.around.emit({ type: "fault", stage, code, message });
    }
  }

  /** Moves the state and carries the actions out. @returns whether the event meant anything */
  async #apply(event: GuestEvent, reason: string): Promise<boolean> {
    const next = transition(this.#state, event);
    if (next === null) return false;
    const from = this.#state;
    this.#state = next.to;
    if (from !== next.to) {
      this.around.emit({ type: "vm_state", subject: this.subject, from, to: next.to, reason });
    }
    this.#refusal = event === "fault" || event === "denied" || event === "timeout"
      ? this.#refusal
      : null;
    for (const action of next.actions) await this.#act(action, reason);
    return true;
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
    this.#violations = [];
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
      this.#note("launching");
      await (this.#launching = launchMachine(host, this.plan));
      // A stop that came meanwhile ends what is there and reports it.
      if (this.#state !== "starting") return;
      this.#note("confining");
      await this.#confine(checked.files);
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.failed"));
    }
  }

  /** Reads the new machine back and lets it go. */
  async #confine(files: Readonly<Record<string, FileFacts>>): Promise<void> {
    const { host, emit } = this.around;
    const qmp = await connectMachine(host, this.plan, (event) => this.#onQmpEvent(event));
    this.#qmp = qmp;
    const { issues, checks } = readBack(host, this.plan, files);
    if (issues.length > 0) return void await this.#deny(issues);
    this.#process = this.#processNow();
    emit({ type: "vm_confined", subject: this.subject, pid: this.#process?.pid ?? 0, checks });
    if (this.#state !== "starting") return;
    this.#note("releasing", true);
    await qmp.command("cont");
    await this.#apply("confined", "confined");
    this.#note("running");
    this.#attend();
  }

  async #stop(event: "stop" | "adopt_stopping", reason: string): Promise<boolean> {
    const { host } = this.around;
    const before = this.#state;
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
    if (this.around.host.processesOf(this.plan.slot).length > 0) {
      await this.#apply("timeout", "unkillable");
      return;
    }
    this.#qmp?.close();
    dropRecord(this.around.host, this.plan.slot);
    await this.#apply("exited", how);
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.name === "SHUTDOWN") this.#sawShutdown = true;
    // Held by QEMU itself, e.g. since a disk is full; what was asked is followed by its reply.
    if (event.name === "STOP" && this.#asked === null && this.#state === "running") {
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
    const wanted = () => this.#state === "running" || this.#state === "paused";
    void awaitAgent(host, this.plan, wanted).then(async (answered) => {
      if (!answered) return;
      this.#agentReady = true;
      await this.#apply("agent_ready", "agent");
    }).catch((error) => this.#lost("agent", error));
  }

  async #onQmpClosed(): Promise<void> {
    // A stop that is under way reports the end itself.
    if (this.#state !== "running" && this.#state !== "paused") return;
    const gone = await killGuest(this.around.host, this.plan.slot, KILL_TIMEOUT_MS);
    if (gone) dropRecord(this.around.host, this.plan.slot);
    if (!gone) await this.#apply("timeout", "unkillable");
    else if (this.#sawShutdown) await this.#apply("exited", "guest_shutdown");
    else await this.#apply("crashed", "qemu_gone");
  }

  /** A stream of the guest's that could not be had: it runs on, and a person is told. */
  #lost(what: string, error: unknown): void {
    if (this.#state !== "running" && this.#state !== "paused") return;
    const { code, message } = asFault(error, "guest", `guest.${what}`);
    this.around.emit({ type: "fault", stage: "guest", code, message });
  }

  /** @returns true, for those who found a guest and ended it so */
  async #deny(issues: readonly Issue[]): Promise<true> {
    this.#violations = issues;
    for (const one of issues) {
      this.around.emit({ type: "violation", issue: one, vm: this.plan.vm });
    }
    const [first] = issues;
    this.#refusal = {
      rule: first?.rule ?? "vm.violation",
      detail: `${first?.path ?? ""}: expected ${first?.expected}, found ${first?.found}`,
    };
    await this.#end(first?.rule ?? "violation", "denied");
    return true;
  }

  async #fail(fault: Fault): Promise<void> {
    // What a stop took away under the start is no fault.
    if (this.#isEnding()) return;
    if (fault.code.startsWith("jail.")) {
      // The launcher refused a value: that is a denial like any other.
      await this.#deny([issue(fault.code, {
        path: this.plan.vm,
        expected: "a plan that the launcher accepts",
        found: fault.message,
      })]);
      return;
    }
    const words = lastWords(this.around.host, this.plan.slot);
    const message = words === "" ? fault.message : `${fault.message}; QEMU's last words: ${words}`;
    this.around.emit({ type: "fault", stage: fault.stage, code: fault.code, message });
    this.#refusal = { rule: fault.code, detail: fault.message };
    await this.#end(fault.code);
  }

  /** A stop has this guest in hand and reports its end. */
  #isEnding(): boolean {
    return this.#state === "stopping" || this.#state === "stopped";
  }

  async #end(reason: string, event: "fault" | "denied" = "fault"): Promise<void> {
    if (this.#isEnding()) return;
    const before = this.#state;
    this.#qmp?.close();
    const gone = await killGuest(this.around.host, this.plan.slot, KILL_TIMEOUT_MS);
    if (gone) dropRecord(this.around.host, this.plan.slot);
    // A stop that came meanwhile reports the end itself.
    if (this.#state === before) await this.#apply(event, reason);
  }
}
