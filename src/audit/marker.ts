/**
 * How each event of `event.ts` reads as a line: its marker or word, its level, its component and its
 * fields. One row for every event, so that none can be forgotten; it never writes.
 */

import type { HostEvent, Subject } from "../event.ts";
import { type FieldValue, type Line, marker } from "./line.ts";

type Rows = {
  readonly [Type in HostEvent["type"]]: (event: Extract<HostEvent, { type: Type }>) => Line;
};

type Fields = Readonly<Record<string, FieldValue>>;

function info(component: string, event: string, fields: Fields = {}): Line {
  return { level: "info", component, event, fields };
}

function warn(component: string, event: string, fields: Fields = {}): Line {
  return { level: "warn", component, event, fields };
}

function error(component: string, event: string, fields: Fields = {}): Line {
  return { level: "error", component, event, fields };
}

function of(subject: Subject): Fields {
  return {
    vm: subject.vm,
    kind: subject.kind,
    ...(subject.emulated ? { virtualization: "emulated" } : {}),
  };
}

const READY_MARKER = { linux: "RAYOS_LINUX_VM_READY", windows: "RAYOS_WINDOWS_VM_READY" } as const;

const ROWS: Rows = {
  init_start: (e) =>
    info("init", "RAYOS_INIT_START", {
      version: e.version,
      build: e.buildId,
      boot: e.bootId,
      form: e.form,
      runtime: e.runtime,
      profile: e.profile,
      start: e.start,
    }),
  before_program: (e) =>
    info("init", "before_program", {
      kernel_ms: e.kernelMs,
      stage0_ms: e.stage0Ms,
      program_ms: e.programMs,
    }),
  boot_select: (e) => info("init", marker("RAYOS_BOOT_SELECT", e.entry, e.reason)),
  phase_start: (e) => info("sequence", "phase_start", { phase: e.phase }),
  phase_end: (e) =>
    (e.result === "fault" ? error : info)("sequence", "phase_end", {
      phase: e.phase,
      ms: e.ms,
      result: e.result,
      code: e.code,
    }),
  data_mounted: (e) =>
    info("data", "RAYOS_DATA_MOUNTED", { device: e.device, check: e.check, why: e.why }),
  data_fault: (e) => error("data", "data_fault", { code: e.code, detail: e.detail }),
  time_sync: (e) => info("clock", "RAYOS_TIME_SYNC", { mono_ms: e.monoMs, source: e.source }),
  time_untrusted: (e) => warn("clock", "time_untrusted", { reason: e.reason }),
  policy_ok: (e) =>
    info("policy", marker("RAYOS_POLICY_OK", e.sha256), { serial: e.serial, key: e.key }),
  measured: (e) =>
    info("measure", marker("RAYOS_MEASURED", String(e.pcr), e.sha256), { what: e.what }),
  not_measured: (e) => info("measure", "not_measured", { reason: e.reason }),
  policy_unsigned: () => warn("policy", "RAYOS_POLICY_UNSIGNED"),
  violation: (e) =>
    error("policy", marker("RAYOS_POLICY_VIOLATION", e.issue.rule, e.issue.path || e.issue.found), {
      vm: e.vm,
      line: e.issue.line,
      column: e.issue.column,
      expected: e.issue.expected,
      found: e.issue.found,
      hint: e.issue.hint || null,
    }),
  finding: (e) =>
    (e.issue.severity === "warning" ? warn : info)("policy", "finding", {
      rule: e.issue.rule,
      path: e.issue.path,
      line: e.issue.line,
      expected: e.issue.expected,
      found: e.issue.found,
    }),
  fault: (e) =>
    error("init", "fault", {
      stage: e.stage,
      code: e.code,
      message: e.message,
      vm: e.vm ?? null,
    }),
  safe_mode: (e) => warn("init", marker("RAYOS_SAFE_MODE", e.reason)),
  recovery_entered: (e) => warn("recovery", "RAYOS_RECOVERY_ENTERED", { shell: e.shell }),
  passphrase_attempt: (e) =>
    (e.ok ? info : warn)("recovery", e.ok ? "recovery_unlocked" : "passphrase_refused", {
      failed: e.failed,
      wait_ms: e.waitMs,
    }),
  no_virtualization: (e) => warn("virtualization", "RAYOS_NO_VIRTUALIZATION", { policy: e.policy }),
  ready: (e) => info("init", "RAYOS_READY", { mode: e.mode, guests: e.guests }),
  vm_state: (e) =>
    (e.to === "failed" ? error : info)("vm", marker("RAYOS_VM_STATE", e.from, e.to), {
      ...of(e.subject),
      reason: e.reason,
    }),
  vm_confined: (e) =>
    info("jail", "RAYOS_VM_CONFINED", { ...of(e.subject), pid: e.pid, checks: e.checks }),
  vm_ready: (e) => info("vm", READY_MARKER[e.subject.kind], of(e.subject)),
  vm_adopted: (e) => info("vm", "vm_adopted", { ...of(e.subject), pid: e.pid }),
  vm_saved: (e) => info("vm", "vm_saved", { ...of(e.subject), bytes: e.bytes, ms: e.ms }),
  vm_loaded: (e) => info("vm", "vm_loaded", { ...of(e.subject), bytes: e.bytes, ms: e.ms }),
  state_aside: (e) =>
    warn("vm", "state_aside", {
      ...of(e.subject),
      rule: e.issue.rule,
      path: e.issue.path,
      expected: e.issue.expected,
      found: e.issue.found,
      folder: e.folder,
    }),
  vm_restart: (e) => warn("vm", "vm_restart", { ...of(e.subject), wait_ms: e.waitMs }),
  vm_given_up: (e) => error("vm", "vm_given_up", { ...of(e.subject), ends: e.ends }),
  device: (e) =>
    info("plan", marker("RAYOS_DEVICE", e.device), { ...of(e.subject), exposes: e.exposes }),
  network: (e) =>
    info("network", marker("RAYOS_NETWORK", e.on ? "on" : "off"), {
      ...of(e.subject),
      reason: e.reason,
    }),
  presentation: (e) =>
    info("presentation", marker("RAYOS_PRESENTATION", e.on ? "on" : "off"), {
      ...of(e.subject),
      surface: e.surface,
    }),
  input_dropped: (e) => warn("presentation", "input_dropped", { count: e.count }),
  input_accepted: (e) =>
    warn("presentation", "input_accepted", { event: e.event, name: e.name, caller: e.caller }),
  uplink_back: (e) => info("network", "uplink_back", { nic: e.nic }),
  share: (e) =>
    info("share", e.on ? "share_on" : "share_off", {
      ...of(e.subject),
      tag: e.tag,
      reason: e.reason,
    }),
  host_event: (e) =>
    info("control", marker("RAYOS_HOST_EVENT_V0", e.op, e.target), { caller: e.caller }),
  host_ack: (e) => info("control", marker("RAYOS_HOST_ACK", e.op, e.ok ? "ok" : "err", e.detail)),
  disk_done: (e) =>
    info("disk", "disk_done", {
      vm: e.vm,
      what: e.what,
      path: e.path,
      bytes: e.bytes,
      ms: e.ms,
    }),
  disk_finished: (e) => warn("disk", "disk_finished", { vm: e.vm }),
  disk_leftover: (e) => warn("disk", "disk_leftover", { path: e.path }),
  data_low: (e) => warn("data", "data_low", { free: e.freeBytes, whole: e.wholeBytes }),
  console_detached: (e) =>
    info("control", "console_detached", { vm: e.vm, caller: e.caller, reason: e.reason }),
  crash: (e) => error("init", marker("RAYOS_CRASH", e.bootId), { cause: e.cause, phase: e.phase }),
  kernel: (e) => {
    const level = e.priority <= 3 ? "error" : e.priority === 4 ? "warn" : "info";
    const fields = { at_ms: e.ms, text: e.text };
    return {
      level: e.priority === 7 ? "debug" : level,
      component: "kernel",
      event: "kernel",
      fields,
    };
  },
  log_dropped: (e) => warn("log", "log_dropped", { sink: e.sink, lines: e.lines }),
  retention: (e) =>
    info("log", "retention", { removed: e.removed, bytes: e.bytes, category: e.category }),
  audit_finding: (e) =>
    warn("audit", "audit_finding", {
      rule: e.issue.rule,
      path: e.issue.path,
      expected: e.issue.expected,
      found: e.issue.found,
      hint: e.issue.hint,
    }),
  audit_key: (e) => info("audit", "audit_key", { fingerprint: e.fingerprint }),
  audit_sealed: (e) => info("audit", "audit_sealed", { seq: e.seq, head: e.head }),
  guests_account: (e) =>
    info("jail", "guests_account", { ever: e.ever, memory_peak: e.memoryPeakBytes }),
  shutdown: (e) => info("init", marker("RAYOS_SHUTDOWN", e.how, e.reason)),
};

/** The line of an event. */
export function lineOf(event: HostEvent): Line {
  // The table has a row for each type, and the row takes that type: the compiler cannot see the pairing.
  const row = ROWS[event.type] as (event: HostEvent) => Line;
  return row(event);
}
