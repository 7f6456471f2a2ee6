/**
 * Phase `plan`: policy, records and the machine become launch plans, and the limits of all guests
 * together are set. Nothing is started.
 */

import { Fault } from "../fault.ts";
import { GUESTS_CGROUP, PATHS } from "../permissions.ts";
import { renderFacts } from "../plan/host_facts.ts";
import { launchPlan, wholeLimits } from "../plan/launch_plan.ts";
import type { Policy } from "../policy/policy.ts";
import { effectiveGuests } from "../registry/effective.ts";
import type { Runtime } from "../runtime.ts";

export function phasePlan(runtime: Runtime): void {
  const { host, emit, facts, inForce, registry } = runtime;
  if (inForce === null || registry === null) return;
  const { policy } = inForce;
  // What `ray vm plan` needs on a desk to print the very plan that is executed here.
  host.replace(`${PATHS.run}/facts.json`, renderFacts(facts));
  if (!facts.kvm) {
    emit({ type: "no_virtualization", policy: policy.security.virtualization });
    if (policy.security.virtualization === "required") {
      throw new Fault(
        "plan",
        "plan.no_virtualization",
        "guests: no usable /dev/kvm and the policy requires it; switch virtualization on in the " +
          'firmware, or set security.virtualization = "emulated_ok" and sign the policy',
      );
    }
  }
  const { guests, broken, warnings } = effectiveGuests(policy, registry);
  for (const one of warnings) emit({ type: "finding", issue: one });
  for (const one of broken) {
    for (const found of one.issues) runtime.violation(found);
    runtime.broken.push({ vm: one.vmId, issues: one.issues });
  }
  runtime.plans = [...guests.values()].map((guest) => launchPlan(policy, guest, facts));
  limitAll(runtime, policy);
}

/**
 * Sets the limits of all guests together, and reads them back.
 *
 * @throws Fault `plan.limits` where the kernel has another value: guests would share what nobody limits
 */
export function limitAll({ host, facts }: Runtime, policy: Policy): void {
  const whole = wholeLimits(policy, facts);
  const wanted = {
    "cpu.max": `${whole.cpuMaxUs} 100000`,
    "memory.max": String(whole.memoryMaxBytes),
    "pids.max": String(whole.pidsMax),
  };
  for (const [name, value] of Object.entries(wanted)) {
    const path = `${GUESTS_CGROUP}/${name}`;
    host.put(path, value);
    const found = host.readText(path, 64)?.trim() ?? "nothing";
    if (found === value) continue;
    throw new Fault(
      "plan",
      "plan.limits",
      `guests: ${path} is ${found} and not ${value}; see the kernel's log, and whether its cgroups are mounted`,
    );
  }
}
