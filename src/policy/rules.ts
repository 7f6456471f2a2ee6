/**
 * The rules by which a request is denied, in one table: what the rule is called, which key of the
 * policy it comes from, what it says, and what a person can do. The reference documentation and
 * `ray policy rules` are rendered from it. It decides nothing itself.
 */

/** One row: a rule that denies a request. */
export interface RuleRow {
  /** TOML key it comes from; null where no key can change it. */
  readonly key: string | null;
  readonly says: string;
  readonly todo: string;
}

export const DENY_RULES = {
  "op.unknown": {
    key: null,
    says: "There is no operation of that name.",
    todo: "Ask for one that the reference lists.",
  },
  "op.not_yet": {
    key: null,
    says: "The operation is specified, and this version does not have it.",
    todo: "Use a version that has it.",
  },
  "op.caller": {
    key: null,
    says: "This caller may not ask for that operation.",
    todo: "Ask at the console or through the control socket.",
  },
  "vm.unnamed": {
    key: null,
    says: "The operation is about one guest, and none was named.",
    todo: "Name the guest; `ray vm list` shows them.",
  },
  "vm.unknown": {
    key: null,
    says: "No guest has that name.",
    todo: "`ray vm list` shows the guests there are.",
  },
  "vm.safe_mode": {
    key: null,
    says: "No guest starts in safe or recovery mode, or without a policy in force.",
    todo: "Correct what `ray status` gives as the reason, then boot again.",
  },
  "vm.violation": {
    key: null,
    says: "The guest's record breaks a rule.",
    todo: "Correct the record, or let the policy give what it asks for.",
  },
  "vm.no_profile": {
    key: "profiles",
    says: "The policy has no profile for this guest.",
    todo: "Name an existing profile in the record, or add one to the policy and sign it.",
  },
  "vm.disabled": {
    key: "<profile>.enabled",
    says: "The guest's profile is not enabled.",
    todo: "Set `enabled = true` in the profile and sign the policy.",
  },
  "vm.no_autoboot": {
    key: "<profile>.autoboot, defaults.autoboot_vms",
    says: "The policy does not start this guest at boot.",
    todo: "Set both to true and sign the policy, or start the guest by hand.",
  },
  "vm.state": {
    key: null,
    says: "The guest is in a state from which this cannot be done.",
    todo: "Wait until it is at rest, or running; `ray vm list` shows the state.",
  },
  "vm.no_virtualization": {
    key: "security.virtualization",
    says: "The policy requires hardware virtualization, and /dev/kvm cannot be used.",
    todo: "Enable it in the firmware, or accept emulation with `emulated_ok`.",
  },
  "vm.limit_vms": {
    key: "limits.vms",
    says: "As many guests run as the policy allows at once.",
    todo: "Stop a guest, or raise the limit and sign the policy.",
  },
  "vm.limit_memory": {
    key: "limits.mem_mib",
    says: "All guests together would have more memory than the policy allows.",
    todo: "Stop a guest, give it less memory, or raise the limit and sign the policy.",
  },
} as const satisfies Record<string, RuleRow>;

export type DenyRule = keyof typeof DENY_RULES;
