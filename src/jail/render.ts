/**
 * A launch plan becomes the plan file that the launcher `/usr/lib/rayos/jail` reads: one `key value` a
 * line, arguments last. The launcher checks every value again; this only refuses what cannot be written
 * in that form. Pure.
 */

import { Fault } from "../fault.ts";
import { hasNetworkPort, type LaunchPlan } from "../plan/launch_plan.ts";

/** The launcher refuses a larger plan. */
const MAX_PLAN_BYTES = 65536;

/**
 * The plan file's text.
 *
 * @throws Fault `plan.unprintable` where a value has a line break or NUL, `plan.too_large`
 */
export function renderPlan(plan: LaunchPlan): string {
  const lines = [
    "rayos-jail 0",
    `vm ${plan.vm}`,
    `kind ${plan.kind}`,
    `cpu_max ${plan.limits.cpuMaxUs}`,
    `memory_max ${plan.limits.memoryMaxBytes}`,
    `pids_max ${plan.limits.pidsMax}`,
    `io_max ${plan.limits.ioMaxBytesS ?? "max"}`,
    `kvm ${plan.emulated ? 0 : 1}`,
    `network ${hasNetworkPort(plan) ? 1 : 0}`,
    ...(plan.shares.length === 0 ? [] : [`shares ${plan.shares.length}`]),
    `seccomp ${plan.seccomp}`,
    ...(plan.tpm === null ? [] : [`tpm ${plan.tpm.seccomp} ${plan.tpm.stateDir}`]),
    ...plan.files.map((file) => `${file.access} ${file.path} ${file.name}`),
    ...plan.argv.map((argument) => `arg ${argument}`),
  ];
  // deno-lint-ignore no-control-regex -- these are the very characters that the form cannot hold
  const unprintable = lines.find((line) => /[\u0000\r\n]/.test(line));
  if (unprintable !== undefined) {
    throw new Fault(
      "plan",
      "plan.unprintable",
      `plan of ${plan.vm}: a value has a line break or NUL; remove it from the policy or the registry`,
    );
  }
  const text = `${lines.join("\n")}\n`;
  if (new TextEncoder().encode(text).length > MAX_PLAN_BYTES) {
    throw new Fault(
      "plan",
      "plan.too_large",
      `plan of ${plan.vm}: larger than ${MAX_PLAN_BYTES} bytes; name fewer disks or a shorter command line`,
    );
  }
  return text;
}
