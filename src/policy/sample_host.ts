/** Policies, guests and hosts for tests of what is allowed. For tests only. */

import type { VmId } from "../id.ts";
import { authorize, type GuestView, type HostState } from "./authorize.ts";
import type { Caller } from "./ops.ts";
import type { Policy } from "./policy.ts";
import { resolvePolicy } from "./resolve.ts";
import { policySchema } from "./schema.ts";

export const desk = "desk" as VmId;
export const lab = "lab" as VmId;

export function policyOf(document: Record<string, unknown> = {}): Policy {
  return resolvePolicy(policySchema.parse({
    version: 0,
    linux: { enabled: true, vm_id: "desk", autoboot: true },
    profiles: { lab: { kind: "linux", enabled: true, autoboot: true } },
    ...document,
  }));
}

export function guest(parts: Partial<GuestView> = {}): GuestView {
  return {
    kind: "linux",
    profile: "linux",
    state: "stopped",
    memoryMiB: 512,
    violations: [],
    ...parts,
  };
}

export function host(parts: Partial<HostState> = {}): HostState {
  return {
    mode: "normal",
    virtualization: "kvm",
    memoryMiB: 4096,
    guests: new Map([[desk, guest()]]),
    recoveryOpen: true,
    ...parts,
  };
}

export function start(policy: Policy | null, state = host(), caller: Caller = "policy", vm = desk) {
  const decision = authorize(policy, state, caller, { op: "vm.start", vm });
  return decision.allow ? "allow" : decision.rule;
}
