import assert from "node:assert/strict";
import type { VmId } from "../id.ts";
import type { GuestView, HostState, Request } from "./authorize.ts";
import { type Asked, CONDITIONS, printable } from "./conditions.ts";
import { AT_REST, type Caller, type Condition, rowOf } from "./ops.ts";
import type { Policy } from "./policy.ts";
import { resolvePolicy } from "./resolve.ts";
import { policySchema } from "./schema.ts";

const DESK = "desk" as VmId;
const OTHER = "other" as VmId;

function policyOf(linux: object = {}, more: object = {}): Policy {
  return resolvePolicy(policySchema.parse({
    version: 0,
    linux: { enabled: true, vm_id: "desk", ...linux },
    ...more,
  }));
}

const guest = (parts: Partial<GuestView> = {}): GuestView => ({
  kind: "linux",
  profile: "linux",
  state: "running",
  memoryMiB: 512,
  violations: [],
  ...parts,
});

interface Question {
  policy?: Policy | null;
  caller?: Caller;
  request?: Partial<Request>;
  desk?: Partial<GuestView> | null;
  other?: Partial<GuestView>;
  state?: Partial<HostState>;
}

/** What a condition says: `yes`, or `rule: detail`. */
function ask(condition: Condition, question: Question = {}): string {
  const { policy = policyOf(), caller = "console", desk = {}, other } = question;
  const request: Request = { op: "vm.start", vm: DESK, ...question.request };
  const row = rowOf(request.op);
  assert(row !== null);
  const guests = new Map<VmId, GuestView>();
  if (desk !== null) guests.set(DESK, guest(desk));
  if (other !== undefined) guests.set(OTHER, guest(other));
  const state: HostState = {
    mode: "normal",
    virtualization: "kvm",
    memoryMiB: 4096,
    guests,
    ...question.state,
  };
  const asked: Asked = { policy, state, caller, request, row };
  const denied = CONDITIONS[condition](asked);
  return denied === null ? "yes" : `${denied.rule}: ${denied.detail}`;
}

/** Condition, question, answer. */
const CASES: readonly (readonly [Condition, Question, string])[] = [
  ["named", {}, "yes"],
  ["known", {}, "yes"],
  ["known", { desk: null }, "vm.unknown: no guest desk"],
  ["new", {}, "vm.exists: desk is there already"],
  ["new", { desk: null }, "yes"],
  ["in_force", {}, "yes"],
  ["in_force", { policy: null }, "op.no_policy: no policy is in force"],
  ["normal", {}, "yes"],
  ["normal", { policy: null }, "vm.safe_mode: no policy is in force"],
  ["normal", { state: { mode: "safe" } }, "vm.safe_mode: the host is in safe mode"],
  ["normal", { state: { mode: "recovery" } }, "vm.safe_mode: the host is in recovery mode"],
  ["not_normal", {}, "op.mode: the host is in normal mode"],
  ["not_normal", { state: { mode: "safe" } }, "yes"],
  ["all_at_rest", {}, "op.guests_running: 1 guests are not at rest"],
  ["all_at_rest", { desk: { state: "failed" }, other: { state: "suspended" } }, "yes"],
  ["nobody_shown", {}, "yes"],
  ["nobody_shown", { desk: { presented: true } }, "input.host_view: desk is presented"],
  ["nobody_shown", { other: { presented: true } }, "input.host_view: other is presented"],
  ["sound", {}, "yes"],
  ["sound", { desk: { violations: ["a.b", "c.d"] } }, "vm.violation: its record breaks a.b"],
  ["profile", {}, "yes"],
  ["profile", { desk: { profile: "none" } }, "vm.no_profile: no profile none"],
  ["profile", { policy: policyOf({ vm_id: "desc" }) }, "vm.no_profile: profile linux is for desc"],
  [
    "profile",
    { policy: policyOf({ enabled: false }) },
    "vm.disabled: profile linux is not enabled",
  ],
  ["autoboot", {}, "yes"],
  ["autoboot", { caller: "policy" }, "vm.no_autoboot: profile linux does not start at boot"],
  ["autoboot", { caller: "policy", policy: policyOf({ autoboot: true }) }, "yes"],
  ["state", {}, "vm.state: desk is running"],
  ["state", { desk: { state: "stopped" } }, "yes"],
  ["free", {}, "yes"],
  ["free", { desk: { busy: true } }, "vm.busy: the disks of desk are being worked on"],
  ["free", { desk: null, other: { busy: true } }, "yes"],
  ["virtualization", {}, "yes"],
  [
    "virtualization",
    { state: { virtualization: "none" } },
    "vm.no_virtualization: no usable /dev/kvm, and the policy requires it",
  ],
  [
    "virtualization",
    {
      state: { virtualization: "none" },
      policy: policyOf({}, { security: { virtualization: "emulated_ok" } }),
    },
    "yes",
  ],
  ["room_vms", { other: {}, policy: policyOf({}, { limits: { vms: 2 } }) }, "yes"],
  [
    "room_vms",
    { other: {}, policy: policyOf({}, { limits: { vms: 1 } }) },
    "vm.limit_vms: 1 of 1 guests are running",
  ],
  ["room_vms", { policy: null }, "vm.limit_vms: 0 of 0 guests are running"],
  ["room_memory", { other: {}, policy: policyOf({}, { limits: { mem_mib: 1024 } }) }, "yes"],
  [
    "room_memory",
    { other: {}, policy: policyOf({}, { limits: { mem_mib: 1023 } }) },
    "vm.limit_memory: 1024 MiB asked of 1023 MiB for all guests",
  ],
  [
    "room_memory",
    { desk: { memoryMiB: NaN } },
    "vm.limit_memory: NaN MiB asked of 3072 MiB for all guests",
  ],
  [
    "room_memory",
    { desk: { memoryMiB: 1 }, policy: null },
    "vm.limit_memory: 1 MiB asked of 0 MiB for all guests",
  ],
  [
    "room_memory",
    { desk: null },
    "vm.limit_memory: Infinity MiB asked of 3072 MiB for all guests",
  ],
  ["room_slots", {}, "yes"],
  ["may_present", {}, "yes"],
  ["may_present", { caller: "socket" }, "yes"],
  [
    "may_present",
    { caller: "socket", policy: policyOf({}, { presentation: { allow: ["console"] } }) },
    "vm.presentation: socket may not present a guest, hide one or type into it",
  ],
  ["may_present", { policy: null }, "yes"],
  [
    "may_present",
    { policy: null, caller: "socket" },
    "vm.presentation: socket may not present a guest, hide one or type into it",
  ],
  [
    "may_present",
    { caller: "policy" },
    "vm.no_present_on_boot: profile linux is not presented at boot",
  ],
  ["may_present", { caller: "policy", policy: policyOf({ present_on_boot: true }) }, "yes"],
  ["presented", {}, "input.not_presented: desk is not presented"],
  ["presented", { desk: { presented: false } }, "input.not_presented: desk is not presented"],
  ["presented", { desk: { presented: true } }, "yes"],
  ["input_given", {}, "input.not_given: profile linux gives no input"],
  ["input_given", { policy: policyOf({ devices: { input: true } }) }, "yes"],
  ["input_given", { policy: null }, "input.not_given: profile undefined gives no input"],
  ["device_given", {}, 'vm.device_unknown: no device ""'],
  ["device_given", { request: { device: "toString" } }, 'vm.device_unknown: no device "toString"'],
  ["device_given", { request: { device: "usb" } }, 'vm.device_none: "usb": version 0 has none'],
  [
    "device_given",
    { request: { device: "gpu" } },
    "vm.device_not_given: the policy gives desk no gpu",
  ],
  ["device_given", { request: { device: "agent" } }, "yes"],
  [
    "device_given",
    { request: { device: "agent" }, policy: null },
    "vm.device_not_given: the policy gives desk no agent",
  ],
  [
    "device_given",
    { request: { device: "agent" }, desk: { profile: "none" } },
    "vm.device_not_given: the policy gives desk no agent",
  ],
  ...(["input", "gpu", "vtpm"] as const).map((
    device,
  ): readonly [Condition, Question, string] => [
    "device_given",
    {
      request: { device },
      policy: policyOf({ devices: { [device]: device === "gpu" ? "virtio" : true } }),
    },
    "yes",
  ]),
  ["share_given", {}, 'vm.share_not_given: no share ""'],
];

Deno.test("CONDITIONS say what holds, and with rule and words what does not", () => {
  for (const [condition, question, expected] of CASES) {
    assert.equal(ask(condition, question), expected, `${condition} ${JSON.stringify(question)}`);
  }
});

Deno.test("CONDITIONS named denies a request about no guest", () => {
  const row = rowOf("vm.start");
  assert(row !== null);
  const state: HostState = {
    mode: "normal",
    virtualization: "kvm",
    memoryMiB: 1,
    guests: new Map(),
  };
  const asked: Asked = { policy: null, state, caller: "console", request: { op: "vm.start" }, row };
  assert.equal(CONDITIONS.named(asked)?.detail, "vm.start needs the name of a guest");
  assert.equal(CONDITIONS.known(asked)?.rule, "vm.unknown");
  assert.equal(CONDITIONS.state(asked)?.rule, "vm.state");
});

Deno.test("CONDITIONS share_given keeps a read-only share from writing, and no other", () => {
  const shares = [
    { tag: "docs", path: "vm/linux/desk/docs" },
    { tag: "work", path: "vm/linux/desk/work", read_only: false },
  ];
  const policy = policyOf({ storage: { shares } });
  const of = (share: string, writable?: boolean) =>
    ask("share_given", {
      policy,
      request: writable === undefined ? { share } : { share, writable },
    });
  assert.equal(of("docs"), "yes");
  assert.equal(of("docs", false), "yes");
  assert.equal(of("docs", true), "vm.share_read_only: share docs is read-only");
  assert.equal(of("work", true), "yes");
  assert.equal(of("other"), 'vm.share_not_given: no share "other"');
});

Deno.test("CONDITIONS network_given takes a guest of which nothing is known as provisioned", () => {
  const of = (networking: string, desk: Partial<GuestView> = {}) =>
    ask("network_given", { policy: policyOf({ networking }), desk });
  assert.equal(of("on"), "yes");
  assert.equal(of("off"), "network.off: desk has no network");
  assert.equal(of("provisioning_only"), "network.provisioned: desk is provisioned");
  assert.equal(of("provisioning_only", { provisioned: false }), "yes");
  assert.equal(
    of("provisioning_only", { provisioned: true }),
    "network.provisioned: desk is provisioned",
  );
});

Deno.test("CONDITIONS room_slots denies when all 64 slots are taken", () => {
  const guests = (count: number) =>
    new Map(Array.from({ length: count }, (_, n) => [`g${n}` as VmId, guest()]));
  assert.equal(ask("room_slots", { state: { guests: guests(63) } }), "yes");
  assert.match(ask("room_slots", { state: { guests: guests(64) } }), /^vm\.limit_slots: 64 guests/);
});

Deno.test("CONDITIONS all_at_rest and room_vms count every state that is not at rest", () => {
  assert.deepEqual(AT_REST, ["defined", "stopped", "failed", "suspended"]);
  for (
    const state of ["starting", "running", "paused", "stopping", "suspending", "resuming"] as const
  ) {
    assert.match(ask("all_at_rest", { desk: { state } }), /^op\.guests_running: 1/);
  }
});

Deno.test("printable quotes a text and cuts a long one at 40 characters", () => {
  assert.equal(printable("a\nb"), '"a\\nb"');
  assert.equal(printable("x".repeat(40)), `"${"x".repeat(40)}"`);
  assert.equal(printable("x".repeat(41)), `"${"x".repeat(40)}…"`);
});
