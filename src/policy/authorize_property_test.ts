import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmId } from "../id.ts";
import { type Allowed, authorize } from "./authorize.ts";
import { MACHINE_STATES } from "../machine_state.ts";
import { CALLERS, OPS } from "./ops.ts";
import type { Policy, Profile } from "./policy.ts";
import { resolvePolicy } from "./resolve.ts";
import { DENY_RULES } from "./rules.ts";
import { policySchema } from "./schema.ts";
import { desk, host, lab, policyOf } from "./sample_host.ts";

const anyGuest = fc.record({
  kind: fc.constantFrom("linux" as const, "windows" as const),
  profile: fc.constantFrom("linux", "lab", "none"),
  state: fc.constantFrom(...MACHINE_STATES),
  memoryMiB: fc.nat({ max: 4096 }),
  violations: fc.constantFrom([], ["path.escape"]),
});
const anyHost = fc.record({
  mode: fc.constantFrom("normal" as const, "safe" as const, "recovery" as const),
  virtualization: fc.constantFrom("kvm" as const, "none" as const),
  memoryMiB: fc.nat({ max: 16384 }),
  guests: fc.tuple(anyGuest, anyGuest).map(([one, other]) => new Map([[desk, one], [lab, other]])),
});
const anyRequest = fc.record({
  op: fc.oneof(fc.constantFrom(...OPS), fc.constant("vm.start"), fc.string()),
  vm: fc.constantFrom(desk, lab, "gone" as VmId),
});
const anyCaller = fc.constantFrom(...CALLERS);
const anyPolicy = fc.record({
  vms: fc.integer({ min: 1, max: 4 }),
  mem: fc.integer({ min: 64, max: 8192 }),
  enabled: fc.boolean(),
  autoboot: fc.boolean(),
  emulated: fc.boolean(),
}).map((given) =>
  policyOf({
    limits: { vms: given.vms, mem_mib: given.mem },
    security: { virtualization: given.emulated ? "emulated_ok" : "required" },
    linux: { enabled: given.enabled, vm_id: "desk", autoboot: given.autoboot },
  })
);

Deno.test("authorize is total: every request gets a yes, or a no with a rule of the table", () => {
  const policy = fc.oneof(fc.constant(null), anyPolicy);
  fc.assert(
    fc.property(policy, anyHost, anyCaller, anyRequest, (given, state, caller, asked) => {
      const decision = authorize(given, state, caller, asked);
      return decision.allow
        ? decision.permit.op === asked.op && decision.permit.caller === caller
        : Object.hasOwn(DENY_RULES, decision.rule) && decision.detail !== "";
    }),
    { numRuns: 3000 },
  );
});

Deno.test("authorize with the empty policy, or none, starts nothing", () => {
  const empty = resolvePolicy(policySchema.parse({ version: 0 }));
  fc.assert(fc.property(anyHost, anyCaller, (state, caller) => {
    return [empty, null].every((policy) =>
      !authorize(policy, state, caller, { op: "vm.start", vm: desk }).allow
    );
  }));
});

Deno.test("authorize never allows more when a permission goes or a limit gets stricter", () => {
  const narrower = fc.constantFrom<(policy: Policy) => Policy>(
    (p) => ({ ...p, limits: { ...p.limits, vms: Math.max(1, p.limits.vms - 1) } }),
    (p) => ({ ...p, limits: { ...p.limits, memMib: (p.limits.memMib ?? 64) - 100 } }),
    (p) => ({ ...p, security: { ...p.security, virtualization: "required" } }),
    (p) => withLinux(p, { enabled: false }),
    (p) => withLinux(p, { autoboot: false }),
    (p) => ({ ...p, profiles: new Map() }),
  );
  fc.assert(
    fc.property(
      anyPolicy,
      narrower,
      anyHost,
      anyCaller,
      anyRequest,
      (p, narrow, s, caller, asked) => {
        const before = authorize(p, s, caller, asked).allow;
        const after = authorize(narrow(p), s, caller, asked).allow;
        return before || !after;
      },
    ),
    { numRuns: 3000 },
  );
});

function withLinux(policy: Policy, parts: Partial<Profile>): Policy {
  const linux = policy.profiles.get("linux");
  assert(linux !== undefined);
  return { ...policy, profiles: new Map([...policy.profiles, ["linux", { ...linux, ...parts }]]) };
}

Deno.test("Allowed cannot be made by hand, nor taken for another operation", () => {
  const take = (_permit: Allowed<"vm.start">) => {};
  const decision = authorize(policyOf(), host(), "socket", { op: "power.off" });
  assert(decision.allow);
  // @ts-expect-error a permit for another operation
  take(decision.permit);
  // @ts-expect-error an object of the same shape
  take({ op: "vm.start", caller: "policy", vm: desk, made: true });
});

Deno.test("DENY_RULES says of each rule what it is and what to do", () => {
  for (const [rule, row] of Object.entries(DENY_RULES)) {
    assert.match(rule, /^(op|vm|input|network|audit)\.[a-z_]+$/);
    assert.match(row.says, /^[A-Z].*\.$/);
    assert(row.todo.endsWith("."), rule);
  }
});
