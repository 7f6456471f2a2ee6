/**
 * What each condition of the operations' table means: one small function each, that looks at policy,
 * state, caller and request and returns the denial, or null where the condition holds. None of them
 * acts, and none knows which operations need it.
 */
import { SLOT_COUNT } from "../id.ts";
import { AT_REST, type Caller, type Condition, type OpRow } from "./ops.ts";
import type { Denied, GuestView, HostState, Request } from "./authorize.ts";
import { neverGiven } from "./never_given.ts";
import { memoryForGuests, type Policy, type Profile } from "./policy.ts";
import type { DenyRule } from "./rules.ts";

/** All that a condition may look at. */
export interface Asked {
  readonly policy: Policy | null;
  readonly state: HostState;
  readonly caller: Caller;
  readonly request: Request;
  readonly row: OpRow;
}

type Check = (asked: Asked) => Denied | null;

/** The devices that a guest can be given while it runs, and the key that gives each. */
const GIVABLE: Readonly<Record<string, (profile: Profile, policy: Policy) => boolean>> = {
  input: (profile) => profile.devices.input,
  gpu: (profile) => profile.devices.gpu !== "none",
  vtpm: (profile) => profile.devices.vtpm,
  agent: (_, policy) => policy.security.guestAgent,
};

/** The table. */
export const CONDITIONS: { readonly [C in Condition]: Check } = {
  named: ({ request }) =>
    request.vm === undefined ? deny("vm.unnamed", `${request.op} needs the name of a guest`) : null,

  known: (asked) =>
    guestOf(asked) === null ? deny("vm.unknown", `no guest ${asked.request.vm}`) : null,

  new: (asked) =>
    guestOf(asked) === null ? null : deny("vm.exists", `${asked.request.vm} is there already`),

  in_force: ({ policy }) => policy === null ? deny("op.no_policy", "no policy is in force") : null,

  normal: ({ policy, state }) => {
    if (state.mode !== "normal") return deny("vm.safe_mode", `the host is in ${state.mode} mode`);
    return policy === null ? deny("vm.safe_mode", "no policy is in force") : null;
  },

  not_normal: ({ state }) =>
    state.mode === "normal" ? deny("op.mode", "the host is in normal mode") : null,

  developer: ({ state }) =>
    state.developer === true ? null : deny("op.developer", "this boot is not in developer mode"),

  all_at_rest: ({ state }) => {
    const up = [...state.guests.values()].filter((guest) => !AT_REST.includes(guest.state)).length;
    return up === 0 ? null : deny("op.guests_running", `${up} guests are not at rest`);
  },

  sound: (asked) => {
    const violation = guestOf(asked)?.violations[0];
    return violation === undefined ? null : deny("vm.violation", `its record breaks ${violation}`);
  },

  profile: (asked) => {
    const name = guestOf(asked)?.profile ?? "";
    const profile = asked.policy?.profiles.get(name);
    if (profile === undefined) return deny("vm.no_profile", `no profile ${name}`);
    if (profile.vmId !== null && profile.vmId !== asked.request.vm) {
      return deny("vm.no_profile", `profile ${profile.name} is for ${profile.vmId}`);
    }
    return profile.enabled ? null : deny("vm.disabled", `profile ${profile.name} is not enabled`);
  },

  autoboot: (asked) => {
    const profile = profileOf(asked);
    const resumes = profile?.resumesAtBoot === true && guestOf(asked)?.state === "suspended";
    return asked.caller !== "policy" || profile?.autoboot === true || resumes
      ? null
      : deny("vm.no_autoboot", `profile ${profile?.name} does not start at boot`);
  },

  state: (asked) => {
    const state = guestOf(asked)?.state;
    return state !== undefined && asked.row.states?.includes(state)
      ? null
      : deny("vm.state", `${asked.request.vm} is ${state}`);
  },

  free: (asked) =>
    guestOf(asked)?.busy === true
      ? deny("vm.busy", `the disks of ${asked.request.vm} are being worked on`)
      : null,

  virtualization: ({ policy, state }) =>
    state.virtualization === "none" && policy?.security.virtualization !== "emulated_ok"
      ? deny("vm.no_virtualization", "no usable /dev/kvm, and the policy requires it")
      : null,

  measured: ({ policy, state }) =>
    policy?.security.measure === "required" && state.measured !== true
      ? deny("vm.not_measured", "this boot is not measured into a TPM, and the policy requires it")
      : null,

  room_vms: (asked) => {
    const up = othersUp(asked).length;
    const most = asked.policy?.limits.vms ?? 0;
    return up < most ? null : deny("vm.limit_vms", `${up} of ${most} guests are running`);
  },

  room_memory: (asked) => {
    const own = guestOf(asked)?.memoryMiB ?? Infinity;
    const sum = othersUp(asked).reduce((total, one) => total + one.memoryMiB, own);
    const most = asked.policy === null ? 0 : memoryForGuests(asked.policy, asked.state.memoryMiB);
    // Written so that a number that is none denies too.
    return sum <= most
      ? null
      : deny("vm.limit_memory", `${sum} MiB asked of ${most} MiB for all guests`);
  },

  room_slots: ({ state }) =>
    state.guests.size < SLOT_COUNT
      ? null
      : deny("vm.limit_slots", `${state.guests.size} guests are defined, as many as there can be`),

  screen_given: (asked) =>
    profileOf(asked)?.devices.gpu === "virtio"
      ? null
      : deny("vm.not_presentable", `profile ${profileOf(asked)?.name} gives no screen`),

  may_present: (asked) => {
    const { caller, policy } = asked;
    if (caller === "policy") {
      const profile = profileOf(asked);
      return profile?.presentOnBoot === true
        ? null
        : deny("vm.no_present_on_boot", `profile ${profile?.name} is not presented at boot`);
    }
    // Without a policy the person at the console may still hide; nobody can present then.
    const allowed: readonly Caller[] = policy?.presentation.allow ?? ["console"];
    return allowed.includes(caller)
      ? null
      : deny("vm.presentation", `${caller} may not present a guest, hide one or type into it`);
  },

  nobody_shown: ({ state }) => {
    const shown = [...state.guests].find(([, guest]) => guest.presented === true);
    return shown === undefined ? null : deny("input.host_view", `${shown[0]} is presented`);
  },

  presented: (asked) =>
    guestOf(asked)?.presented === true
      ? null
      : deny("input.not_presented", `${asked.request.vm} is not presented`),

  input_given: (asked) =>
    profileOf(asked)?.devices.input === true
      ? null
      : deny("input.not_given", `profile ${profileOf(asked)?.name} gives no input`),

  device_given: (asked) => {
    const { policy, request } = asked;
    const profile = profileOf(asked);
    const device = request.device ?? "";
    const never = neverGiven(device);
    if (never !== null) return deny("vm.device_none", `${printable(device)}: version 0 has none`);
    const gives = Object.hasOwn(GIVABLE, device) ? GIVABLE[device] : undefined;
    if (gives === undefined) return deny("vm.device_unknown", `no device ${printable(device)}`);
    return policy !== null && profile !== null && gives(profile, policy)
      ? null
      : deny("vm.device_not_given", `the policy gives ${request.vm} no ${device}`);
  },

  share_given: (asked) => {
    const { request } = asked;
    const share = profileOf(asked)?.storage.shares.find((one) => one.tag === request.share);
    if (share === undefined) {
      return deny("vm.share_not_given", `no share ${printable(request.share ?? "")}`);
    }
    return share.readOnly && request.writable === true
      ? deny("vm.share_read_only", `share ${share.tag} is read-only`)
      : null;
  },

  network_given: (asked) => {
    const networking = profileOf(asked)?.networking;
    if (networking === "on") return null;
    if (networking !== "provisioning_only") {
      return deny("network.off", `${asked.request.vm} has no network`);
    }
    // A guest of which nothing is known counts as provisioned.
    return guestOf(asked)?.provisioned === false
      ? null
      : deny("network.provisioned", `${asked.request.vm} is provisioned`);
  },
};

export function deny(rule: DenyRule, detail: string): Denied {
  return { allow: false, rule, detail };
}

/** A text of somebody else's, short and quoted. */
export function printable(text: string): string {
  const short = text.length > 40 ? `${text.slice(0, 40)}…` : text;
  return JSON.stringify(short);
}

function guestOf({ request, state }: Asked): GuestView | null {
  return request.vm === undefined ? null : state.guests.get(request.vm) ?? null;
}

function profileOf(asked: Asked): Profile | null {
  return asked.policy?.profiles.get(guestOf(asked)?.profile ?? "") ?? null;
}

function othersUp({ request, state }: Asked): GuestView[] {
  return [...state.guests].filter(([id, one]) => id !== request.vm && !AT_REST.includes(one.state))
    .map(([, one]) => one);
}
