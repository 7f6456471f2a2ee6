/**
 * The closed list of what the host can report. Folders return or emit these; only the runtime hands
 * them to the sinks, and only `audit/marker.ts` turns them into lines. An event is an observation: no
 * code takes a decision from one.
 */

import type { GuestKind, Slot, VmId } from "./id.ts";
import type { Issue } from "./issue.ts";
import type { MachineState } from "./machine_state.ts";

export type GuestState = MachineState;

/** The guest an event is about. `emulated`: it runs without hardware virtualisation. */
export interface Subject {
  readonly vm: VmId;
  readonly kind: GuestKind;
  readonly slot: Slot;
  readonly emulated: boolean;
}

/** Why a guest has a network from now on, or has none any more. */
export type NetworkReason = "policy" | "provisioning" | "provisioned" | "lease_expired" | "stopped";

/** Why a guest sees a shared folder from now on, or does not any more. */
export type ShareReason = "policy" | "asked" | "stopped" | "suspending" | "died";

/** Why there is a crash report (`audit/crash.ts` says what each means). */
export type CrashCause =
  | "uncaught"
  | "died"
  | "hang"
  | "not_ready"
  | "no_data"
  | "panic"
  | "watchdog";

export type HostEvent =
  | {
    type: "init_start";
    version: string;
    buildId: string;
    bootId: string;
    form: string;
    runtime: string;
    profile: string;
    start: number;
  }
  | { type: "before_program"; kernelMs: number; stage0Ms: number; programMs: number }
  | { type: "boot_select"; entry: string; reason: string }
  | { type: "phase_start"; phase: string }
  | {
    type: "phase_end";
    phase: string;
    ms: number;
    result: "ok" | "fault" | "skipped";
    code: string | null;
  }
  | { type: "data_mounted"; device: string; check: string; why: string | null }
  | { type: "data_fault"; code: string; detail: string }
  | { type: "time_sync"; monoMs: number; source: string }
  | { type: "time_untrusted"; reason: string }
  | { type: "policy_ok"; sha256: string; serial: number | null; key: string | null }
  | { type: "policy_unsigned" }
  | { type: "measured"; pcr: number; sha256: string; what: string }
  | { type: "not_measured"; reason: string }
  | { type: "violation"; issue: Issue; vm: VmId | null }
  | { type: "finding"; issue: Issue }
  /** With a `vm`: something of that guest's, which it may have brought about. */
  | { type: "fault"; stage: string; code: string; message: string; vm?: VmId }
  | { type: "safe_mode"; reason: string }
  | { type: "recovery_entered"; shell: string }
  | { type: "passphrase_attempt"; ok: boolean; failed: number; waitMs: number }
  | { type: "no_virtualization"; policy: string }
  | { type: "ready"; mode: "normal" | "safe" | "recovery"; guests: number }
  | { type: "vm_state"; subject: Subject; from: GuestState; to: GuestState; reason: string }
  | { type: "vm_confined"; subject: Subject; pid: number; checks: number }
  | { type: "vm_ready"; subject: Subject }
  | { type: "vm_adopted"; subject: Subject; pid: number }
  | { type: "vm_saved"; subject: Subject; bytes: number; ms: number }
  | { type: "vm_loaded"; subject: Subject; bytes: number; ms: number }
  | { type: "state_aside"; subject: Subject; issue: Issue; folder: string | null }
  | { type: "vm_restart"; subject: Subject; waitMs: number }
  | { type: "vm_given_up"; subject: Subject; ends: number }
  | { type: "device"; subject: Subject; device: string; exposes: string }
  | { type: "network"; subject: Subject; on: boolean; reason: NetworkReason }
  | { type: "presentation"; subject: Subject; on: boolean; surface: "fb" | "none" }
  | { type: "input_dropped"; count: number }
  | { type: "input_accepted"; name: string; event: string; caller: string }
  | { type: "uplink_back"; nic: string }
  | { type: "share"; subject: Subject; tag: string; on: boolean; reason: ShareReason }
  | { type: "host_event"; op: string; target: string; caller: string }
  | { type: "host_ack"; op: string; ok: boolean; detail: string }
  | { type: "disk_done"; vm: VmId; what: string; path: string; bytes: number; ms: number }
  | { type: "disk_finished"; vm: VmId }
  | { type: "disk_leftover"; path: string }
  | { type: "data_low"; freeBytes: number; wholeBytes: number }
  | { type: "console_detached"; vm: VmId | null; caller: string; reason: string }
  | { type: "crash"; bootId: string; cause: CrashCause | "earlier"; phase: string }
  | { type: "kernel"; priority: number; text: string; ms: number }
  | { type: "log_dropped"; sink: string; lines: number }
  | { type: "retention"; removed: number; bytes: number; category: string }
  | { type: "audit_finding"; issue: Issue }
  | { type: "audit_key"; fingerprint: string }
  | { type: "audit_sealed"; seq: number; head: string }
  | { type: "guests_account"; ever: number; memoryPeakBytes: number | null }
  | { type: "shutdown"; how: "poweroff" | "reboot"; reason: string };

/** How a folder hands an event upwards. */
export type Emit = (event: HostEvent) => void;
