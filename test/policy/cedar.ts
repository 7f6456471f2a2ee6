/**
 * The rules of docs/reference/decisions.md said a second time, in Cedar's language, from the contract
 * and not from the program's tables, so that the two can be held against each other. Used by the
 * differential test and the benchmark only.
 */
import { preparsePolicySet, statefulIsAuthorized } from "@cedar-policy/cedar-wasm/nodejs";
import assert from "node:assert/strict";
import type { HostState, Request } from "../../src/policy/authorize.ts";
import type { Policy, Profile } from "../../src/policy/policy.ts";

const set = (prefix: string, ...names: string[]) =>
  `[${names.map((name) => `${prefix}${JSON.stringify(name)}`).join(", ")}]`;
const actions = (...names: string[]) => set("Action::", ...names);
const text = JSON.stringify;

const PERSON = 'principal in Group::"person"';
const USER = 'principal in Group::"user"';
const PRESENT = 'principal in Group::"present"';

/** Whatever the policy says, with or without one. */
const ALWAYS = `
permit(${PERSON}, action in ${
  actions(
    "status",
    "metrics",
    "vm.list",
    "input.devices",
    "logs.tail",
    "audit.verify",
    "audit.show",
    "crash.list",
    "crash.show",
    "policy.check",
    "policy.install",
    "keys.list",
    "registry.check",
    "aside.list",
    "boot.history",
    "boot.timeline",
    "boot.next",
    "update.status",
    "update.rollback",
    "power.off",
    "power.reboot",
  )
}, resource);
permit(${USER}, action == Action::"update.install", resource);
permit(${PERSON}, action == Action::"input.accept", resource) unless { context.shown };
permit(${PERSON}, action in ${
  actions("vm.log", "disk.info", "network.disable", "network.end_provisioning")
}, resource) when { resource has state };
permit(principal == Caller::"agent", action == Action::"network.end_provisioning", resource)
  when { resource has state };
permit(${PERSON}, action in ${actions("disk.detach")}, resource)
  when { resource has state && ${
  set("", "defined", "stopped", "failed", "suspended")
}.contains(resource.state) };
permit(${PERSON}, action in ${
  actions(
    "disk.create",
    "disk.import",
    "disk.export",
    "disk.resize",
    "vm.clone",
    "vm.restore",
  )
}, resource)
  when { resource has state && !resource.busy && ${
  set("", "defined", "stopped", "failed")
}.contains(resource.state) };
permit(${PERSON}, action == Action::"vm.backup", resource)
  when { resource has state && !resource.busy && ${
  set("", "defined", "stopped", "failed", "suspended", "running")
}.contains(resource.state) };
permit(${PERSON}, action in ${actions("vm.remove", "vm.reset_state")}, resource)
  when { resource has state && !resource.busy && resource has state && ${
  set("", "defined", "stopped", "failed", "suspended")
}.contains(resource.state) };
permit(${PERSON}, action == Action::"vm.stop", resource)
  when { resource has state && ${
  set("", "starting", "running", "paused", "resuming")
}.contains(resource.state) };
permit(${PERSON}, action == Action::"vm.kill", resource)
  when { resource has state && !${
  set("", "defined", "stopped", "failed", "suspended")
}.contains(resource.state) };
permit(${PERSON}, action == Action::"vm.pause", resource)
  when { resource has state && resource.state == "running" };
permit(${PERSON}, action in ${actions("vm.suspend", "device.detach", "share.detach")}, resource)
  when { resource has state && ${set("", "running", "paused")}.contains(resource.state) };
permit(${PRESENT}, action in ${
  actions("registry.restore", "data.repair", "data.mount", "aside.restore")
}, resource)
  when { context.mode != "normal" && context.up == 0 };
permit(${PRESENT}, action in ${actions("serial.accept", "data.check")}, resource)
  when { context.mode != "normal" };
permit(principal == Caller::"recovery", action == Action::"recovery.unlock", resource);
permit(principal == Caller::"recovery", action == Action::"recovery.shell", resource)
  when { context.mode != "normal" && context.developer };
forbid(principal == Caller::"recovery", action, resource)
  unless { context.open || action in ${
  actions(
    "status",
    "metrics",
    "vm.list",
    "vm.plan",
    "vm.log",
    "disk.info",
    "logs.tail",
    "audit.verify",
    "audit.show",
    "crash.list",
    "crash.show",
    "policy.check",
    "policy.show",
    "policy.explain",
    "keys.list",
    "registry.check",
    "data.check",
    "aside.list",
    "recovery.unlock",
    "boot.history",
    "boot.timeline",
    "update.status",
    "power.off",
    "power.reboot",
  )
} || context.dry && action in ${
  actions("policy.install", "registry.restore", "aside.restore", "serial.accept", "data.repair")
} };
`;

const NO_POLICY = `
permit(principal == Caller::"console", action == Action::"hide", resource)
  when { resource has state };
`;

function underPolicy(policy: Policy, hostMemoryMiB: number): string {
  const hiders = policy.presentation.allow.map((who) => `
permit(principal == Caller::${text(who)}, action == Action::"hide", resource)
  when { resource has state };`).join("");
  return `${hiders}
permit(${PERSON}, action in ${actions("policy.show", "policy.explain")}, resource);
permit(${PERSON}, action == Action::"vm.plan", resource) when { resource has state };
permit(${PERSON}, action == Action::"vm.define", resource)
  when { resource is Guest && !(resource has state) && context.guests < 64 };
${[...policy.profiles.values()].map((one) => forProfile(policy, one, hostMemoryMiB)).join("")}
${
    policy.security.virtualization === "required"
      ? 'forbid(principal, action == Action::"vm.start", resource) unless { context.kvm };'
      : ""
  }
${
    policy.security.measure === "required"
      ? 'forbid(principal, action == Action::"vm.start", resource) unless { context.measured };'
      : ""
  }`;
}

function forProfile(policy: Policy, profile: Profile, hostMemoryMiB: number): string {
  if (!profile.enabled) return "";
  const own = [
    'context.mode == "normal"',
    "resource has state",
    "resource.sound",
    `resource.profile == ${text(profile.name)}`,
    ...(profile.vmId === null ? [] : [`resource == Guest::${text(profile.vmId)}`]),
  ];
  const rule = (who: string, ops: string[], ...when: string[]) =>
    `permit(${who}, action in ${actions(...ops)}, resource) when {\n  ${
      [...own, ...when].join(" &&\n  ")
    }\n};\n`;
  const running = 'resource.state == "running"';
  const most = policy.limits.memMib ?? Math.floor(hostMemoryMiB * 3 / 4);
  const start = [
    "!resource.busy",
    `${set("", "defined", "stopped", "failed", "suspended")}.contains(resource.state)`,
    `context.othersUp < ${policy.limits.vms}`,
    `context.othersMemory + resource.memory <= ${most}`,
  ];
  const out = [rule(PERSON, ["vm.start"], ...start)];
  if (profile.autoboot) out.push(rule('principal == Caller::"policy"', ["vm.start"], ...start));
  if (profile.onShutdown === "suspend" && profile.resumesAtBoot) {
    const suspended = 'resource.state == "suspended"';
    out.push(rule('principal == Caller::"policy"', ["vm.start"], ...start, suspended));
  }
  out.push(rule(PERSON, ["vm.resume"], "!resource.busy", 'resource.state == "paused"'));
  out.push(
    rule(USER, ["vm.console"], `${set("", "running", "paused")}.contains(resource.state)`),
    rule(
      PERSON,
      ["disk.attach"],
      `${set("", "defined", "stopped", "failed", "suspended")}.contains(resource.state)`,
    ),
  );
  if (profile.devices.input) {
    const ops = ["input.key", "input.text", "input.pointer"];
    for (const who of policy.presentation.allow) {
      out.push(rule(`principal == Caller::${text(who)}`, ops, running, "resource.presented"));
    }
  }
  const devices = [
    ...(profile.devices.input ? ["input"] : []),
    ...(profile.devices.gpu === "virtio" ? ["gpu"] : []),
    ...(profile.devices.vtpm ? ["vtpm"] : []),
    ...(policy.security.guestAgent ? ["agent"] : []),
  ];
  if (devices.length > 0) {
    const asked = `${set("", ...devices)}.contains(context.device)`;
    out.push(rule(USER, ["device.attach"], running, asked));
  }
  for (const share of profile.storage.shares) {
    const when = [running, `context.share == ${text(share.tag)}`];
    if (share.readOnly) when.push("!context.writable");
    out.push(rule(USER, ["share.attach"], ...when));
    out.push(rule('principal == Caller::"policy"', ["share.attach"], ...when));
  }
  const screen = profile.devices.gpu !== "none";
  for (const who of screen ? policy.presentation.allow : []) {
    out.push(rule(`principal == Caller::${text(who)}`, ["present"], running));
  }
  if (screen && profile.presentOnBoot) {
    out.push(rule('principal == Caller::"policy"', ["present"], running));
  }
  if (profile.networking !== "off") {
    const when = profile.networking === "on" ? [running] : [running, "resource.unprovisioned"];
    out.push(rule(USER, ["network.enable"], ...when));
    out.push(rule('principal == Caller::"policy"', ["network.enable"], ...when));
  }
  return out.join("");
}

/** Gives Cedar a policy under a name of its own. */
export function teach(name: string, policy: Policy | null, hostMemoryMiB: number): void {
  const rules = ALWAYS + (policy === null ? NO_POLICY : underPolicy(policy, hostMemoryMiB));
  const answer = preparsePolicySet(name, { staticPolicies: rules });
  assert(answer.type === "success", JSON.stringify(answer));
}

const GROUPS: Readonly<Record<string, readonly string[]>> = {
  console: ["person", "user", "present"],
  recovery: ["person", "present"],
  socket: ["person", "user"],
  policy: [],
  agent: [],
};
const RESTS = ["defined", "stopped", "failed", "suspended"];

/** One question as Cedar is asked it. */
export function question(name: string, state: HostState, caller: string, request: Request) {
  const guest = request.vm === undefined ? undefined : state.guests.get(request.vm);
  const up = [...state.guests].filter(([, one]) => !RESTS.includes(one.state));
  const others = up.filter(([id]) => id !== request.vm);
  const principal = { type: "Caller", id: caller };
  const resource = request.vm === undefined
    ? { type: "Host", id: "host" }
    : { type: "Guest", id: String(request.vm) };
  return {
    principal,
    action: { type: "Action", id: request.op },
    resource,
    context: {
      mode: state.mode,
      kvm: state.virtualization === "kvm",
      measured: state.measured ?? false,
      up: up.length,
      othersUp: others.length,
      othersMemory: others.reduce((sum, [, one]) => sum + one.memoryMiB, 0),
      guests: state.guests.size,
      shown: [...state.guests.values()].some((one) => one.presented === true),
      device: request.device ?? "",
      share: request.share ?? "",
      writable: request.writable ?? false,
      dry: request.dryRun ?? false,
      open: state.recoveryOpen ?? false,
      developer: state.developer ?? false,
    },
    preparsedPolicySetId: name,
    entities: [
      {
        uid: principal,
        attrs: {},
        parents: (GROUPS[caller] ?? []).map((id) => ({ type: "Group", id })),
      },
      {
        uid: resource,
        attrs: guest === undefined ? {} : {
          state: guest.state,
          profile: guest.profile,
          memory: guest.memoryMiB,
          sound: guest.violations.length === 0,
          busy: guest.busy ?? false,
          presented: guest.presented ?? false,
          unprovisioned: guest.provisioned === false,
        },
        parents: [],
      },
    ],
  };
}

/** Cedar's answer; a fault of the question itself is a fault of the test. */
export function asks(one: ReturnType<typeof question>): boolean {
  const answer = statefulIsAuthorized(one);
  assert(answer.type === "success", JSON.stringify(answer));
  assert.deepEqual(answer.response.diagnostics.errors, []);
  return answer.response.decision === "allow";
}
