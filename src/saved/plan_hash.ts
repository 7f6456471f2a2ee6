/**
 * A launch plan's hash, and its form that waits for saved state. A guest that resumes is started by the
 * very plan it was saved under, apart from the one option that makes QEMU wait, which the hash leaves
 * out. Pure.
 */

import { canonicalJson, type Json } from "../json.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { sha256Hex } from "../sha256.ts";

/** QEMU waits for `migrate-incoming` and runs nothing. */
const INCOMING = ["-incoming", "defer"] as const;

/** The plan, started so that QEMU waits for saved state. */
export function incomingPlan(plan: LaunchPlan): LaunchPlan {
  return { ...plan, argv: [...coldPlan(plan).argv, ...INCOMING] };
}

/** SHA-256 in hex of everything the plan says, its waiting for saved state apart. */
export function planHash(plan: LaunchPlan): string {
  const text = canonicalJson(JSON.parse(JSON.stringify(coldPlan(plan))) as Json);
  return sha256Hex(text);
}

/** The plan, started from its disks. Only the last two words can be that option of QEMU's. */
export function coldPlan(plan: LaunchPlan): LaunchPlan {
  const at = plan.argv.length - INCOMING.length;
  const waits = INCOMING.every((word, n) => plan.argv[at + n] === word);
  return waits ? { ...plan, argv: plan.argv.slice(0, at) } : plan;
}
