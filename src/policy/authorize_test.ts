import assert from "node:assert/strict";
import { authorize, type GuestView, type HostState } from "./authorize.ts";
import { MACHINE_STATES, type MachineState } from "../machine_state.ts";
import { type Caller, CALLERS, type LiveOp, OPS } from "./ops.ts";
import { desk, guest, host, lab, policyOf, start } from "./sample_host.ts";

const LIVE: readonly LiveOp[] = [
  "policy.install",
  "serial.accept",
  "vm.define",
  "vm.remove",
  "status",
  "vm.list",
  "vm.start",
  "vm.stop",
  "vm.kill",
  "vm.pause",
  "vm.resume",
  "vm.suspend",
  "vm.reset_state",
  "vm.plan",
  "vm.log",
  "vm.console",
  "vm.clone",
  "vm.backup",
  "vm.restore",
  "disk.info",
  "disk.create",
  "disk.import",
  "disk.export",
  "disk.resize",
  "logs.tail",
  "power.off",
  "power.reboot",
];

/** What a person may only ask for in order to look. */
const LOOKING: readonly LiveOp[] = [
  "metrics",
  "crash.list",
  "crash.show",
  "policy.check",
  "policy.show",
  "policy.explain",
  "keys.list",
  "registry.check",
  "aside.list",
  "boot.history",
  "boot.timeline",
];

/** These repair a host that is not in normal mode. */
const REPAIR: readonly LiveOp[] = [
  "registry.restore",
  "data.check",
  "data.mount",
  "data.repair",
  "aside.restore",
  "recovery.shell",
];

/** These have a table of their own below. */
const NETWORK: readonly LiveOp[] = [
  "network.enable",
  "network.disable",
  "network.end_provisioning",
];

/** These too. */
const PRESENTATION: readonly LiveOp[] = [
  "present",
  "hide",
  "input.key",
  "input.text",
  "input.pointer",
];

/** These want a guest at rest, a paused one or none at all, or a host that is not in normal mode. */
const NOT_OF_A_RUNNING_GUEST: readonly LiveOp[] = [
  "vm.start",
  "vm.resume",
  "vm.reset_state",
  "vm.define",
  "vm.remove",
  "vm.clone",
  "vm.restore",
  "disk.create",
  "disk.import",
  "disk.export",
  "disk.resize",
  "serial.accept",
];

Deno.test("authorize allows the policy to start an enabled autoboot guest", () => {
  const decision = authorize(policyOf(), host(), "policy", { op: "vm.start", vm: desk });
  assert(decision.allow);
  assert.deepEqual(
    [decision.permit.op, decision.permit.caller, decision.permit.vm],
    ["vm.start", "policy", desk],
  );
  assert.equal(decision.permit.made, true);
  const about = authorize(policyOf(), host(), "console", { op: "status", vm: desk });
  assert.equal(about.allow && about.permit.vm, null, "a permit for the host is about no guest");
});

Deno.test("authorize names what stands against a start", () => {
  const linux = { enabled: true, vm_id: "desk", autoboot: true };
  const with_ = (parts: Partial<GuestView>) => host({ guests: new Map([[desk, guest(parts)]]) });
  assert.equal(start(policyOf(), host({ mode: "safe" })), "vm.safe_mode");
  assert.equal(start(policyOf(), host({ mode: "recovery" })), "vm.safe_mode");
  assert.equal(start(null), "vm.safe_mode");
  assert.equal(start(policyOf(), host(), "policy", lab), "vm.unknown");
  assert.equal(start(policyOf(), with_({ violations: ["path.escape"] })), "vm.violation");
  assert.equal(start(policyOf(), with_({ profile: "none" })), "vm.no_profile");
  assert.equal(start(policyOf({ linux: { ...linux, vm_id: "other" } })), "vm.no_profile");
  assert.equal(start(policyOf({ linux: { ...linux, enabled: false } })), "vm.disabled");
  assert.equal(start(policyOf({ linux: { ...linux, autoboot: false } })), "vm.no_autoboot");
  assert.equal(start(policyOf({ defaults: { autoboot_vms: false } })), "vm.no_autoboot");
  assert.equal(
    start(policyOf({ linux: { ...linux, autoboot: false } }), host(), "socket"),
    "allow",
  );
  assert.equal(start(policyOf(), host({ virtualization: "none" })), "vm.no_virtualization");
  const emulated = policyOf({ security: { virtualization: "emulated_ok" } });
  assert.equal(start(emulated, host({ virtualization: "none" })), "allow");
  assert.equal(start(policyOf(), host(), "agent"), "op.caller");
});

Deno.test("authorize starts and stops from exactly the states of the contract", () => {
  const startable: MachineState[] = ["defined", "stopped", "failed", "suspended"];
  const stoppable: MachineState[] = ["starting", "running", "paused", "resuming"];
  for (const state of MACHINE_STATES) {
    const one = host({ guests: new Map([[desk, guest({ state })]]) });
    assert.equal(start(policyOf(), one), startable.includes(state) ? "allow" : "vm.state", state);
    const stop = authorize(policyOf(), one, "socket", { op: "vm.stop", vm: desk });
    assert.equal(stop.allow, stoppable.includes(state), state);
  }
});

Deno.test("authorize counts the guests that run against limits.vms and limits.mem_mib", () => {
  const running = host({
    guests: new Map([
      [desk, guest()],
      [lab, guest({ profile: "lab", state: "running", memoryMiB: 1000 })],
    ]),
  });
  assert.equal(start(policyOf({ limits: { vms: 1 } }), running), "vm.limit_vms");
  assert.equal(start(policyOf({ limits: { vms: 2 } }), running), "allow");
  assert.equal(start(policyOf({ limits: { mem_mib: 1511 } }), running), "vm.limit_memory");
  assert.equal(start(policyOf({ limits: { mem_mib: 1512 } }), running), "allow");
  // Without a limit of its own: three quarters of the host's memory.
  assert.equal(start(policyOf(), { ...running, memoryMiB: 2016 }), "allow");
  assert.equal(start(policyOf(), { ...running, memoryMiB: 2015 }), "vm.limit_memory");
  const resting = host({
    guests: new Map([[desk, guest()], [lab, guest({ profile: "lab", state: "failed" })]]),
  });
  assert.equal(start(policyOf({ limits: { vms: 1 } }), resting), "allow");
});

Deno.test("authorize lets a guest be stopped in safe mode and without a policy", () => {
  const state = host({ mode: "safe", guests: new Map([[desk, guest({ state: "running" })]]) });
  assert(authorize(null, state, "console", { op: "vm.stop", vm: desk }).allow);
  assert(!authorize(null, state, "policy", { op: "vm.stop", vm: desk }).allow);
});

Deno.test("authorize gives each live operation to its callers and to no other", () => {
  const state = host({ guests: new Map([[desk, guest({ state: "running" })]]) });
  for (const op of [...LIVE, ...LOOKING]) {
    for (const caller of CALLERS) {
      const decision = authorize(policyOf(), state, caller, { op, vm: desk });
      // Only someone who is at the machine may accept a serial; recovery uses no guest.
      const person = caller === "console" ||
        caller === "recovery" && op !== "vm.console" ||
        caller === "socket" && op !== "serial.accept";
      if (NOT_OF_A_RUNNING_GUEST.includes(op)) {
        const refused = !decision.allow && decision.rule === "op.caller";
        assert.equal(refused, op === "vm.start" ? caller === "agent" : !person, `${op} ${caller}`);
      } else assert.equal(decision.allow, person, `${op} ${caller}`);
    }
  }
});

Deno.test("authorize gives a network by the policy and to a user, and lets a guest only lose one", () => {
  const asked = (op: LiveOp, networking: string) =>
    CALLERS.filter((caller) => {
      const policy = policyOf({ linux: { enabled: true, vm_id: "desk", networking } });
      const state = host({ guests: new Map([[desk, guest({ state: "running" })]]) });
      return authorize(policy, state, caller, { op, vm: desk }).allow;
    });
  assert.deepEqual(asked("network.enable", "off"), []);
  assert.deepEqual(asked("network.enable", "provisioning_only"), [], "it counts as set up");
  assert.deepEqual(asked("network.enable", "on"), ["policy", "console", "socket"]);
  for (const networking of ["off", "on", "provisioning_only"]) {
    const persons = ["console", "recovery", "socket"];
    assert.deepEqual(asked("network.disable", networking), persons);
    assert.deepEqual(asked("network.end_provisioning", networking), [...persons, "agent"]);
  }
});

Deno.test("authorize presents what has a screen, to whom the policy lets, and gives input to who is presented", () => {
  const rules = (op: LiveOp, linux: Record<string, unknown>, presented = false, rest = {}) =>
    Object.fromEntries(CALLERS.map((caller) => {
      const policy = policyOf({ linux: { enabled: true, vm_id: "desk", ...linux }, ...rest });
      const guests = new Map([[desk, guest({ state: "running", presented })]]);
      const decision = authorize(policy, host({ guests }), caller, { op, vm: desk });
      return [caller, decision.allow ? "allow" : decision.rule];
    }));
  const screen = { devices: { gpu: "virtio", input: true } };
  const refused = { recovery: "op.caller", agent: "op.caller" };
  assert.deepEqual(rules("present", screen), {
    ...refused,
    policy: "vm.no_present_on_boot",
    console: "allow",
    socket: "allow",
  });
  assert.equal(rules("present", { ...screen, present_on_boot: true })["policy"], "allow");
  assert.equal(rules("present", {})["console"], "vm.not_presentable");
  const quiet = { presentation: { allow: ["console"] } };
  assert.equal(rules("present", screen, false, quiet)["socket"], "vm.presentation");
  assert.equal(rules("hide", screen, true, quiet)["socket"], "vm.presentation");
  for (const op of ["input.key", "input.text", "input.pointer"] as const) {
    assert.equal(rules(op, screen)["socket"], "input.not_presented");
    assert.equal(rules(op, { devices: { gpu: "virtio" } }, true)["socket"], "input.not_given");
    assert.equal(rules(op, screen, true, quiet)["socket"], "vm.presentation");
    assert.equal(rules(op, screen, true, quiet)["console"], "allow");
    assert.deepEqual(rules(op, screen, true), {
      ...refused,
      policy: "op.caller",
      console: "allow",
      socket: "allow",
    });
  }
});

Deno.test("authorize denies what this version does not have, and what no version has", () => {
  const live: readonly string[] = [
    ...LIVE,
    ...NETWORK,
    ...PRESENTATION,
    "input.devices",
    "input.accept",
    ...LOOKING,
    ...REPAIR,
    "recovery.unlock",
    "share.attach",
    "share.detach",
    "audit.verify",
    "audit.show",
  ];
  for (const op of OPS.filter((one) => !live.includes(one))) {
    for (const caller of CALLERS) {
      const decision = authorize(policyOf(), host(), caller, { op, vm: desk });
      assert(!decision.allow && decision.rule === "op.not_yet", op);
    }
  }
  for (
    const op of ["", "vm", "vm.start ", "VM.START", "__proto__", "constructor", "x".repeat(999)]
  ) {
    const decision = authorize(policyOf(), host(), "console", { op });
    assert(!decision.allow && decision.rule === "op.unknown", op);
    assert(decision.detail.length < 200);
  }
  const unnamed = authorize(policyOf(), host(), "console", { op: "vm.start" });
  assert(!unnamed.allow && unnamed.rule === "vm.unnamed");
});

Deno.test("authorize lets a locked recovery shell change nothing, whatever it asks for", () => {
  for (const mode of ["normal", "safe", "recovery"] as const) {
    const { recoveryOpen: _, ...locked } = host({ mode });
    const may = OPS.filter((op) =>
      authorize(policyOf(), locked, "recovery", { op, vm: desk }).allow
    );
    const looks = may.filter((op) => !op.startsWith("power.") && op !== "recovery.unlock");
    assert.match(
      looks.join(" "),
      /^[a-z.]+( [a-z]+\.(list|show|check|plan|log|info|tail|explain|history|timeline|verify)| metrics)*$/,
    );
    for (const op of OPS.filter((one) => !may.includes(one))) {
      const dry = authorize(policyOf(), locked, "recovery", { op, vm: desk, dryRun: true });
      // A permit that was given for a dry run says so.
      assert(!dry.allow || dry.permit.dryRun, op);
    }
    // Nobody else is locked out by it.
    assert(authorize(policyOf(), locked, "console", { op: "policy.install" }).allow);
  }
});

Deno.test("authorize gives a root shell to the recovery shell of a developer's boot alone", () => {
  const asked = (parts: Partial<HostState>, caller: Caller = "recovery") => {
    const decision = authorize(null, host({ mode: "safe", ...parts }), caller, {
      op: "recovery.shell",
    });
    return decision.allow ? "allow" : decision.rule;
  };
  assert.equal(asked({ developer: true }), "allow");
  assert.equal(asked({}), "op.developer");
  assert.equal(asked({ developer: true, recoveryOpen: false }), "op.locked");
  assert.equal(asked({ developer: true, mode: "normal" }), "op.mode");
  for (const caller of ["policy", "console", "socket", "agent"] as const) {
    assert.equal(asked({ developer: true }, caller), "op.caller");
  }
});
