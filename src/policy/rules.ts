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
  "op.no_policy": {
    key: null,
    says: "No policy is in force, and this needs one.",
    todo: "Correct what `ray status` gives as the reason, then boot again.",
  },
  "op.locked": {
    key: "recovery.passphrase",
    says: "The recovery shell only looks until its passphrase was given.",
    todo: "Say `unlock`; without a passphrase in the last accepted policy it stays so.",
  },
  "op.developer": {
    key: null,
    says: "Only a developer image that was booted with `rayos.dev=1` does this.",
    todo: "Boot such an image.",
  },
  "op.mode": {
    key: null,
    says: "This repairs the host, and is done in safe or recovery mode only.",
    todo: "Boot with `rayos.mode=safe` or `rayos.mode=recovery`.",
  },
  "op.guests_running": {
    key: null,
    says: "This needs every guest at rest.",
    todo: "Stop the guests; `ray vm list` shows which are not at rest.",
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
  "vm.exists": {
    key: null,
    says: "There is a guest of that name already.",
    todo: "Choose another name, or remove the guest first.",
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
  "vm.busy": {
    key: null,
    says: "The guest's disks are being copied, converted or grown.",
    todo: "Wait until that is done; `ray vm list` shows how far it is.",
  },
  "vm.limit_slots": {
    key: null,
    says: "There are as many guests as a host can have.",
    todo: "Remove a guest that is no longer needed.",
  },
  "vm.no_virtualization": {
    key: "security.virtualization",
    says: "The policy requires hardware virtualization, and /dev/kvm cannot be used.",
    todo: "Enable it in the firmware, or accept emulation with `emulated_ok`.",
  },
  "vm.not_measured": {
    key: "security.measure",
    says: "The policy requires that the boot is measured into a TPM, and it is not.",
    todo:
      "Enable the TPM in the firmware, or set `if_available` and sign the policy; then boot again.",
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
  "vm.device_unknown": {
    key: null,
    says: "There is no such device, or none that a running guest can be given.",
    todo: "Ask for one of input, gpu, vtpm, agent.",
  },
  "vm.device_none": {
    key: null,
    says:
      "No guest has USB, passthrough, 9p, audio or a memory balloon: version 0 has none of them.",
    todo: "Do without it: nothing gives it.",
  },
  "vm.device_not_given": {
    key: "<profile>.devices, security.guest_agent",
    says: "The policy gives this guest no such device.",
    todo: "Give it in the profile and sign the policy.",
  },
  "vm.share_not_given": {
    key: "<profile>.storage.shares",
    says: "The policy gives this guest no share of that tag.",
    todo: "Add the share to the profile and sign the policy.",
  },
  "vm.share_read_only": {
    key: "<profile>.storage.shares[].read_only",
    says: "The policy gives this share to be read only.",
    todo: "Attach it read-only, or set `read_only = false` and sign the policy.",
  },
  "vm.not_presentable": {
    key: "<profile>.devices.gpu",
    says: "A guest without a screen, or one that does not run, cannot be presented.",
    todo:
      'Set `devices.gpu = "virtio"` in profile and record, sign the policy and start the guest.',
  },
  "vm.presentation": {
    key: "presentation.allow",
    says: "The policy does not let this caller present a guest, hide one or type into it.",
    todo: "Ask from where the policy allows it, or name the caller there and sign the policy.",
  },
  "vm.no_present_on_boot": {
    key: "<profile>.present_on_boot, defaults.present_on_boot",
    says: "The policy does not present this guest at boot.",
    todo: "Set it to true and sign the policy, or present the guest by hand.",
  },
  "input.not_given": {
    key: "<profile>.devices.input",
    says: "The policy gives this guest no input.",
    todo: "Set `devices.input = true` in the profile and sign the policy.",
  },
  "input.host_view": {
    key: null,
    says: "A keyboard that was plugged in later is accepted only while no guest is presented.",
    todo: "Hide the guest first, by `ray hide` or the attention chord.",
  },
  "input.not_presented": {
    key: null,
    says: "Only the guest that the user sees gets input.",
    todo: "Present the guest first.",
  },
  "audit.unwritable": {
    key: null,
    says: "Nothing is given to a guest, or taken from one, while the audit log cannot be written.",
    todo: "See `ray logs` for why; free space on RayOS Data or mend its disk, then ask again.",
  },
  "audit.rate": {
    key: null,
    says: "More was given, to this guest or this caller, than the audit log has records for.",
    todo: "Wait half a minute and ask again; `ray audit show` says what asked so often.",
  },
  "network.off": {
    key: "<profile>.networking, defaults.networking",
    says: "The policy gives this guest no network.",
    todo: "Set `networking` in the profile and sign the policy.",
  },
  "network.provisioned": {
    key: "<profile>.networking",
    says: "The policy gives this guest a network only until it is set up, and it is.",
    todo: 'Set `networking = "on"` in the profile and sign the policy.',
  },
} as const satisfies Record<string, RuleRow>;

export type DenyRule = keyof typeof DENY_RULES;
