/**
 * One guest: carries out what `guest_state.ts` says, from the launch to the end, and reports each step
 * as an event. It acts only with a permit that `authorize` made, believes only the kernel about what
 * runs, and lets no guest run an instruction before its jail was read back.
 */

import { mountedAt } from "../boot/mount_table.ts";
import type { Emit, GuestState, Subject } from "../event.ts";
import { asFault, Fault } from "../fault.ts";
import { AgentClient } from "../guest/agent.ts";
import { QmpClient, type QmpEvent } from "../guest/qmp.ts";
import type { Connection, FileFacts, Host } from "../host/port.ts";
import { slotName, socketPath } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { CGROUP_FILES, confinementOf } from "../jail/confinement.ts";
import { renderPlan } from "../jail/render.ts";
import { type JailSpec, jailSpec } from "../jail/spec.ts";
import { PATHS } from "../permissions.ts";
import { DEVICES } from "../plan/device.ts";
import { checkFiles } from "../plan/file_check.ts";
import { type LaunchPlan, subjectOf } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";
import { endGuest, killGuest } from "./ending.ts";
import { type GuestEvent, transition } from "./guest_state.ts";

/** Milliseconds. A launch is slow on an emulated host. */
const LAUNCH_TIMEOUT_MS = 60_000;
const CONNECT_TIMEOUT_MS = 5_000;
const RECONNECT_PAUSE_MS = 20;
const KILL_TIMEOUT_MS = 5_000;
/** The size of the file system that QEMU's errors go to. */
const ERRORS_LIMIT = 1024 * 1024;
const AGENT_ANSWER_MS = 2_000;
const AGENT_PAUSE_MS = 300;

/** What a guest needs from whoever holds it. */
export interface GuestSurroundings {
  readonly host: Host;
  readonly emit: Emit;
  /** Takes the guest's console stream until it ends. */
  readonly takeConsole: (plan: LaunchPlan, connection: Connection) => void;
}

type StopPermit = Allowed<"vm.stop" | "power.off" | "power.reboot" | "policy.install">;

export class Guest {
  readonly subject: Subject;
  #state: GuestState = "defined";
  #qmp: QmpClient | null = null;
  #sawShutdown = false;
  #agentReady = false;
  #violations: readonly Issue[] = [];

  #plan: LaunchPlan;
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

  get state(): GuestState {
    return this.#state;
  }

  get agentReady(): boolean {
    return this.#agentReady && this.#state === "running";
  }

  get violations(): readonly Issue[] {
    return this.#violations;
  }

  /** Starts it: files, plan, launcher, QMP, read-back, then `cont`. Never throws; the state tells. */
  async start(permit: Allowed<"vm.start">): Promise<void> {
    if (permit.vm !== this.plan.vm || transition(this.#state, "start") === null) return;
    this.#plan = this.#next ?? this.#plan;
    this.#next = null;
    if (!this.#go("start", permit.caller === "policy" ? "autoboot" : "asked")) return;
    const { host, emit } = this.around;
    const checked = checkFiles(host, this.plan);
    if (checked.issues.length > 0) return await this.#deny(checked.issues);
    for (const device of this.plan.devices) {
      const name = device.device === "disk" ? device.file : device.device;
      emit({
        type: "device",
        subject: this.subject,
        device: name,
        exposes: DEVICES[device.device].exposes,
      });
    }
    try {
      await (this.#launching = this.#launch());
      // A stop that came meanwhile ends what is there and reports it.
      if (this.#state !== "starting") return;
      this.#qmp = await this.#connect();
      const verdict = this.#readBack(checked.files);
      if (verdict.issues.length > 0) return await this.#deny(verdict.issues);
      emit({
        type: "vm_confined",
        subject: this.subject,
        pid: host.processesOf(this.plan.slot)[0] ?? 0,
        checks: verdict.checks,
      });
      if (this.#state !== "starting") return;
      await this.#qmp.command("cont");
      this.#go("confined", "confined");
      this.#attend();
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.failed"));
    }
  }

  /**
   * Takes up a guest that the kernel says is there from before the program was started again.
   *
   * @returns whether there was one; what is found and does not hold is killed
   */
  async adopt(): Promise<boolean> {
    const { host, emit } = this.around;
    if (host.processesOf(this.plan.slot).length === 0) return false;
    await this.#oneProcess();
    const pid = host.processesOf(this.plan.slot)[0] ?? 0;
    try {
      const checked = checkFiles(host, this.plan);
      if (checked.issues.length > 0) {
        await this.#deny(checked.issues);
        return true;
      }
      this.#qmp = await this.#connect();
      const verdict = this.#readBack(checked.files);
      if (verdict.issues.length > 0) {
        await this.#deny(verdict.issues);
        return true;
      }
      const status = await this.#qmp.command("query-status");
      // Found between its start and `cont`: it was read back just now, so it may go on.
      if (!status.running) await this.#qmp.command("cont");
      emit({ type: "vm_adopted", subject: this.subject, pid });
      this.#go("adopt", "adopted");
      this.#attend();
    } catch (error) {
      await this.#fail(asFault(error, "launch", "launch.adoption"));
    }
    return true;
  }

  /**
   * Ends it in order; resolves when no process is left, or says that one is.
   *
   * @returns whether there was anything to end
   */
  stop(_permit: StopPermit, reason: string): Promise<boolean> {
    // Whoever asks again waits for the same end.
    return this.#stopping ??= this.#stop(reason).finally(() => this.#stopping = null);
  }

  async #stop(reason: string): Promise<boolean> {
    const { host } = this.around;
    const before = this.#state;
    if (!this.#go("stop", reason)) return false;
    // Until the launcher is done there may be nothing yet to end.
    if (before === "starting") await this.#launching.catch(() => {});
    const qmp = before === "running" || before === "paused" ? this.#qmp : null;
    const ending = await endGuest(host, this.plan.slot, qmp);
    if (ending === "still_there") {
      this.#go("fault", "unkillable");
      return true;
    }
    this.#qmp?.close();
    this.#go("exited", ending);
    return true;
  }

  #go(event: GuestEvent, reason: string): boolean {
    const next = transition(this.#state, event);
    if (next === null) return false;
    const from = this.#state;
    this.#state = next.to;
    this.around.emit({ type: "vm_state", subject: this.subject, from, to: next.to, reason });
    return true;
  }

  async #launch(): Promise<void> {
    const { host } = this.around;
    const name = slotName(this.plan.slot);
    host.put(`${PATHS.plans}/${name}`, renderPlan(this.plan));
    const result = await host.launch("jail", [String(this.plan.slot)], LAUNCH_TIMEOUT_MS);
    if (result.code === 0 && result.words[0] === "ok") return;
    const [, code = "jail.silent", ...detail] = result.words;
    throw new Fault(
      "launch",
      code,
      `start of ${this.plan.vm}: the launcher says ${detail.join(" ") || "nothing"}; ` +
        `see what it refuses`,
    );
  }

  async #connect(): Promise<QmpClient> {
    const connection = await this.#reach();
    const qmp = await QmpClient.open(connection, (event) => this.#onQmpEvent(event));
    const { UUID } = await qmp.command("query-uuid");
    if (UUID.toLowerCase() !== this.plan.uuid.toLowerCase()) {
      qmp.close();
      throw new Fault(
        "launch",
        "launch.impostor",
        `QMP of slot ${this.plan.slot}: another guest answers (${UUID}); it is killed`,
      );
    }
    return qmp;
  }

  /** QEMU binds its socket a moment before it listens: a refusal while it lives is asked again. */
  async #reach(): Promise<Connection> {
    const { host } = this.around;
    const end = host.clock.monoMs() + CONNECT_TIMEOUT_MS;
    while (true) {
      try {
        return await host.connect(socketPath(this.plan.slot, "qmp"), CONNECT_TIMEOUT_MS);
      } catch (error) {
        const gone = host.processesOf(this.plan.slot).length === 0;
        if (gone || host.clock.monoMs() >= end) throw error;
      }
      await host.clock.sleep(RECONNECT_PAUSE_MS);
    }
  }

  #readBack(files: Readonly<Record<string, FileFacts>>) {
    const { host } = this.around;
    const spec = jailSpec(this.plan);
    const processes = [];
    for (const pid of host.processesOf(this.plan.slot)) {
      const facts = host.processFacts(pid);
      if (facts !== null) processes.push(facts);
    }
    const own = host.readText(`${PATHS.proc}/1/mountinfo`, 256 * 1024) ?? "";
    const cgroup = `${PATHS.cgroup}/rayos/guests/${spec.slotName}`;
    const verdict = confinementOf(spec, {
      processes,
      hostNamespaces: host.processFacts(1)?.namespaces ?? {},
      cgroup: Object.fromEntries(
        CGROUP_FILES.map((
          file,
        ) => [file, host.readText(`${cgroup}/${file}`, 4096)?.trimEnd() ?? null]),
      ),
      files,
      errors: host.lstat(`${PATHS.run}/err/${spec.slotName}`),
      dataDevice: mountedAt(own, PATHS.dataRoot)?.device ?? "none",
    });
    const swapped = this.#swappedFiles(spec, files);
    return {
      issues: [...verdict.issues, ...swapped],
      checks: verdict.checks + spec.files.length,
    };
  }

  /**
   * What the jail holds under each name of the plan, by device and inode: a kernel or an initrd is read
   * once and not held open, and the path that a mount shows can be right again by now.
   */
  #swappedFiles(spec: JailSpec, files: Readonly<Record<string, FileFacts>>): Issue[] {
    const { host } = this.around;
    const [pid = 0] = host.processesOf(this.plan.slot);
    return spec.files.flatMap(({ name, path }) => {
      const given = host.lstat(`${PATHS.proc}/${pid}/root/g/${name}`);
      const checked = files[name];
      const same = given !== null && given.device === checked?.device &&
        given.inode === checked.inode;
      return same ? [] : [issue("vm.confinement", {
        path: `given.${name}`,
        expected: "the file that was checked, same device and inode",
        found: given === null ? "nothing" : "another file",
        hint: `the guest was killed before it ran an instruction; something swaps ${path}`,
      })];
    });
  }

  #onQmpEvent(event: QmpEvent): void {
    if (event.name === "SHUTDOWN") this.#sawShutdown = true;
  }

  /** Watches for the end, copies the console, asks the agent; none of them holds anything up. */
  #attend(): void {
    const { host, takeConsole } = this.around;
    void this.#qmp?.closed.then(() => this.#onQmpClosed());
    void host.connect(socketPath(this.plan.slot, "console"), CONNECT_TIMEOUT_MS)
      .then((connection) => takeConsole(this.plan, connection))
      .catch((error) => this.#lost("console", error));
    if (this.plan.devices.some((one) => one.device === "agent")) void this.#awaitAgent();
  }

  async #onQmpClosed(): Promise<void> {
    // A stop that is under way reports the end itself.
    if (this.#state !== "running" && this.#state !== "paused") return;
    const gone = await killGuest(this.around.host, this.plan.slot, KILL_TIMEOUT_MS);
    if (!gone) this.#go("fault", "unkillable");
    else if (this.#sawShutdown) this.#go("exited", "guest_shutdown");
    else this.#go("crashed", "qemu_gone");
  }

  async #awaitAgent(): Promise<void> {
    const { host, emit } = this.around;
    let agent: AgentClient;
    try {
      agent = new AgentClient(
        await host.connect(socketPath(this.plan.slot, "agent"), CONNECT_TIMEOUT_MS),
      );
    } catch (error) {
      return this.#lost("agent", error);
    }
    while (this.#state === "running" && !this.#agentReady) {
      if (await agent.answers(AGENT_ANSWER_MS)) {
        if (this.#state !== "running") break;
        this.#agentReady = true;
        emit({ type: "vm_ready", subject: this.subject });
      } else await host.clock.sleep(AGENT_PAUSE_MS);
    }
    agent.close();
  }

  /** A stream of the guest's that could not be had: it runs on, and a person is told. */
  #lost(what: string, error: unknown): void {
    if (this.#state !== "running") return;
    const { code, message } = asFault(error, "guest", `guest.${what}`);
    this.around.emit({ type: "fault", stage: "guest", code, message });
  }

  async #deny(issues: readonly Issue[]): Promise<void> {
    this.#violations = issues;
    for (const one of issues) {
      this.around.emit({ type: "violation", issue: one, vm: this.plan.vm });
    }
    await this.#end(issues[0]?.rule ?? "violation");
  }

  /** A launcher whose program died ends bubblewrap's own process a moment after QEMU listens. */
  async #oneProcess(): Promise<void> {
    const { host } = this.around;
    const end = host.clock.monoMs() + CONNECT_TIMEOUT_MS;
    while (host.processesOf(this.plan.slot).length > 1 && host.clock.monoMs() < end) {
      await host.clock.sleep(RECONNECT_PAUSE_MS);
    }
  }

  async #fail(fault: Fault): Promise<void> {
    const { emit } = this.around;
    // What a stop took away under the start is no fault.
    if (this.#isEnding()) return;
    if (fault.code.startsWith("jail.")) {
      // The launcher refused a value: that is a denial like any other.
      const one = issue(fault.code, {
        path: this.plan.vm,
        expected: "a plan that the launcher accepts",
        found: fault.message,
      });
      return await this.#deny([one]);
    }
    const words = this.#lastWords();
    const message = words === "" ? fault.message : `${fault.message}; QEMU's last words: ${words}`;
    emit({ type: "fault", stage: fault.stage, code: fault.code, message });
    await this.#end(fault.code);
  }

  /** What QEMU wrote to its standard error last: shown to a person, never decided by. */
  #lastWords(): string {
    try {
      const path = `${PATHS.run}/err/${slotName(this.plan.slot)}`;
      return this.around.host.readText(path, ERRORS_LIMIT)?.trim().split("\n").at(-1) ?? "";
    } catch {
      return "";
    }
  }

  /** A stop has this guest in hand and reports its end. */
  #isEnding(): boolean {
    return this.#state === "stopping" || this.#state === "stopped";
  }

  async #end(reason: string): Promise<void> {
    if (this.#isEnding()) return;
    const before = this.#state;
    this.#qmp?.close();
    await killGuest(this.around.host, this.plan.slot, KILL_TIMEOUT_MS);
    // A stop that came meanwhile reports the end itself.
    if (this.#state === before) this.#go("fault", reason);
  }
}
