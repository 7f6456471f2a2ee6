/**
 * Phase `policy`: brings the policy into force, or says everything that stands against it. An
 * installation that was interrupted between its two files is brought to its end first.
 */

import { Fault } from "../fault.ts";
import type { Runtime } from "../runtime.ts";
import { finishInstall } from "./policy_install.ts";
import { loadPolicy, policyFiles } from "./policy_source.ts";

export function phasePolicy(runtime: Runtime): void {
  const inMemory = runtime.cmdline.data.by === "tmpfs";
  if (!inMemory) finishInstall(runtime);
  const loaded = loadPolicy(runtime, policyFiles(inMemory));
  if (!loaded.ok) {
    for (const one of loaded.issues) runtime.violation(one);
    const rule = loaded.issues[0]?.rule ?? "policy.refused";
    throw new Fault("policy", rule, `policy: refused by ${rule}; see the violations above`);
  }
  runtime.bringIntoForce(loaded);
}
