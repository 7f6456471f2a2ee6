/**
 * The boot: an ordered list of named phases, one table. Its names are the log's names, `ray boot phases`
 * prints it and the documentation is drawn from it. A phase that fails leads to safe mode, never to a
 * boot that carries on as if it had not.
 */

import { asFault, type Stage } from "./fault.ts";
import { enterPhase, SERVING } from "./phase/alive.ts";
import { phaseCmdline } from "./phase/cmdline.ts";
import { phaseControl } from "./phase/control.ts";
import { phaseData } from "./phase/data.ts";
import { phaseLaunch } from "./phase/launch.ts";
import { phaseMeasure } from "./phase/measure.ts";
import { phaseNetwork } from "./phase/network.ts";
import { phasePlan } from "./phase/plan.ts";
import { phasePolicy } from "./phase/policy.ts";
import { phaseReady } from "./phase/ready.ts";
import { phaseRegistry } from "./phase/registry.ts";
import { phaseSession } from "./phase/session.ts";
import { phaseVirtualization } from "./phase/virtualization.ts";
import type { Runtime } from "./runtime.ts";

export interface Phase {
  readonly name: Stage;
  readonly does: string;
  /** `always`; `data`: only with the RayOS Data that was asked for; `normal`: only in normal mode. */
  readonly when: "always" | "data" | "normal";
  readonly run: (runtime: Runtime) => Promise<void> | void;
}

/** The table. */
export const PHASES: readonly Phase[] = [
  {
    name: "cmdline",
    does: "read the kernel command line",
    when: "always",
    run: phaseCmdline,
  },
  {
    name: "session",
    does: "count this start, notice a crash loop",
    when: "always",
    run: phaseSession,
  },
  {
    name: "virtualization",
    does: "ask the kernel for KVM, memory and CPUs",
    when: "always",
    run: phaseVirtualization,
  },
  {
    name: "data",
    does: "find, check and mount RayOS Data; open the logs; judge the clock",
    when: "always",
    run: phaseData,
  },
  {
    name: "policy",
    does: "verify the signature, then read the policy",
    when: "data",
    run: phasePolicy,
  },
  {
    name: "registry",
    does: "read who exists; remember the policy's serial",
    when: "normal",
    run: phaseRegistry,
  },
  {
    name: "measure",
    does: "release, policy and registry go into PCRs of the TPM, where there is one",
    when: "normal",
    run: phaseMeasure,
  },
  {
    name: "plan",
    does: "policy, records and machine become launch plans",
    when: "normal",
    run: phasePlan,
  },
  {
    name: "network",
    does: "ask for an address, apart from the host itself, where a guest may have a network",
    when: "normal",
    run: phaseNetwork,
  },
  {
    name: "control",
    does: "answer on the control socket what is only looked at",
    when: "always",
    run: phaseControl,
  },
  {
    name: "launch",
    does: "take up guests that run, start those that the policy starts",
    when: "normal",
    run: phaseLaunch,
  },
  {
    name: "ready",
    does: "take every request",
    when: "always",
    run: phaseReady,
  },
];

/** Runs every phase in order. A fault is reported, means safe mode, and ends no phase but its own. */
export async function runSequence(runtime: Runtime): Promise<void> {
  const { host, emit } = runtime;
  let dataFailed = false;
  for (const phase of PHASES) {
    if (runtime.ending) return;
    const runs = phase.when === "always" || (phase.when === "data" && !dataFailed) ||
      (phase.when === "normal" && runtime.mode === "normal");
    if (!runs) {
      emit({ type: "phase_end", phase: phase.name, ms: 0, result: "skipped", code: null });
      continue;
    }
    enterPhase(runtime, phase.name);
    emit({ type: "phase_start", phase: phase.name });
    const start = host.clock.monoMs();
    const spent = () => Math.round((host.clock.monoMs() - start) * 10) / 10;
    try {
      await phase.run(runtime);
      emit({ type: "phase_end", phase: phase.name, ms: spent(), result: "ok", code: null });
    } catch (error) {
      const fault = asFault(error, phase.name, `${phase.name}.failed`);
      dataFailed ||= phase.name === "data";
      // A violation was reported where it was found, with its place.
      runtime.trouble(fault);
      runtime.enterSafeMode(fault.code);
      emit({
        type: "phase_end",
        phase: phase.name,
        ms: spent(),
        result: "fault",
        code: fault.code,
      });
    }
  }
  if (!runtime.ending) enterPhase(runtime, SERVING);
}

/** The table for a person. */
export function renderPhases(): string {
  const width = Math.max(...PHASES.map((phase) => phase.name.length));
  return PHASES.map((phase) => `${phase.name.padEnd(width)}  ${phase.does}`).join("\n");
}
