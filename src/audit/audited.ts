/**
 * Which events and requests are records of the audit log, and how each counts where many come. One row for
 * every event, so that none can be forgotten. Pure.
 */

import type { HostEvent } from "../event.ts";
import { HOST, type Kind } from "./fold.ts";
import type { Content } from "./record.ts";
import { lineOf } from "./marker.ts";

/** A request and what was decided on it. */
export interface Decided {
  readonly caller: string;
  readonly op: string;
  readonly vm: string | null;
  readonly allow: boolean;
  /** What denied it. */
  readonly rule: string | null;
  readonly detail: string | null;
}

/** A record to be, and how it counts. */
export interface Entry {
  readonly kind: Kind;
  readonly event: string;
  readonly data: Content["data"];
}

/** Who can bring an event about: the host, or the guest that it is about. */
const AUDITED: { readonly [Type in HostEvent["type"]]: "host" | "guest" | "no" } = {
  init_start: "host",
  before_program: "no",
  boot_select: "host",
  phase_start: "no",
  phase_end: "no",
  data_mounted: "host",
  data_fault: "host",
  time_sync: "host",
  time_untrusted: "host",
  policy_ok: "host",
  policy_unsigned: "host",
  measured: "host",
  not_measured: "host",
  violation: "guest",
  finding: "no",
  fault: "guest",
  safe_mode: "host",
  recovery_entered: "host",
  no_virtualization: "host",
  ready: "host",
  vm_state: "guest",
  vm_confined: "guest",
  vm_ready: "guest",
  vm_adopted: "guest",
  vm_saved: "guest",
  vm_loaded: "guest",
  state_aside: "guest",
  vm_restart: "guest",
  vm_given_up: "guest",
  device: "guest",
  network: "guest",
  presentation: "guest",
  passphrase_attempt: "host",
  input_accepted: "host",
  input_dropped: "no",
  uplink_back: "no",
  share: "guest",
  // The decision on the request is a record; the answer is one where it was carried out.
  host_event: "no",
  host_ack: "host",
  disk_done: "host",
  disk_finished: "host",
  disk_leftover: "no",
  data_low: "no",
  crash: "host",
  console_detached: "host",
  kernel: "no",
  log_dropped: "no",
  retention: "no",
  guests_account: "no",
  audit_finding: "host",
  audit_key: "host",
  audit_sealed: "no",
  shutdown: "host",
};

/**
 * What of an event is a record; null where it is none.
 *
 * @param looks whether a request of that name only looks
 */
export function entryOf(event: HostEvent, looks: (op: string) => boolean): Entry | null {
  const by = AUDITED[event.type];
  if (by === "no") return null;
  if (event.type === "host_ack" && looks(event.op)) return null;
  const line = lineOf(event);
  const vm = vmOf(event);
  // Without a guest it is nobody's but the host's.
  const kind = by === "guest" && vm !== null
    ? { source: vm, byGuest: true, key: keyOf(event, line.event) }
    : { source: sourceOf(event), byGuest: false, key: keyOf(event, line.event) };
  return { kind, event: line.event, data: line.fields };
}

function vmOf(event: HostEvent): string | null {
  if ("subject" in event) return event.subject.vm;
  return "vm" in event ? event.vm ?? null : null;
}

/** Who else brings it about: an answer, whoever asked. */
function sourceOf(event: HostEvent): string {
  return event.type === "host_ack" ? "answers" : HOST;
}

function keyOf(event: HostEvent, word: string): string {
  if (event.type === "fault") return `${word}/${event.code}`;
  if (event.type === "host_ack" && !event.ok && isOfAnyName(event.detail)) return event.detail;
  return word;
}

/** A rule that denies requests of any name, or about any: who asks could make up as many as they like. */
function isOfAnyName(rule: string): boolean {
  return rule.startsWith("op.") || rule === "vm.unknown";
}

/** The decision on a request; null for one that only looks: whether it was answered is nobody's account. */
export function decisionEntry(
  decided: Decided,
  looks: (op: string) => boolean,
): Entry | null {
  const { caller, op, vm, allow, rule, detail } = decided;
  if (looks(op)) return null;
  // What the policy asks for by itself comes after what its guest did.
  const byGuest = vm !== null && (caller === "agent" || caller === "policy");
  return {
    kind: {
      source: byGuest ? vm : caller,
      byGuest,
      key: rule !== null && isOfAnyName(rule)
        ? rule
        : `${op}${vm === null ? "" : `/${vm}`}/${rule ?? "allow"}`,
    },
    event: allow ? "audit_allow" : "audit_deny",
    data: { caller, op, vm, rule, detail },
  };
}
