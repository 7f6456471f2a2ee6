/**
 * Phase `virtualization`: what the machine gives guests. What the policy makes of it is the plan's
 * matter.
 */

import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";

export function phaseVirtualization(runtime: Runtime): void {
  const { host } = runtime;
  const meminfo = host.readText(`${PATHS.proc}/meminfo`, 64 * 1024) ?? "";
  const kib = Number(meminfo.match(/^MemTotal:\s+(\d+) kB$/m)?.[1] ?? 0);
  runtime.facts = {
    // Opening the node asks the kernel itself: without a driver it is ENODEV or ENXIO.
    kvm: host.canOpen(`${PATHS.run}/kvm`),
    cpus: host.cpus,
    memoryMiB: Math.floor(kib / 1024),
  };
}
