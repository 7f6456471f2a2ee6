/**
 * A launch plan's hash, and its form that waits for saved state. A guest that resumes is started by the
 * very plan it was saved under, apart from the one option that makes QEMU wait, which the hash leaves
 * out. Pure.
 */

import { createHash } from "node:crypto";
import { canonicalJson, type Json } from "../json.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

/** QEMU waits for `migrate-incoming` and runs nothing. */
const INCOMING = ["-incoming", "defer"] as const;

/** The plan, started so that QEMU waits for saved state. */
export function incomingPlan(plan: LaunchPlan): LaunchPlan {
  return { ...plan, argv: [...ownArgv(plan), ...INCOMING] };
}

/** SHA-256 in hex of everything the plan says, its waiting for saved state apart. */
export function planHash(plan: LaunchPlan): string {
  const own = { ...plan, argv: ownArgv(plan) };
  const text = canonicalJson(JSON.parse(JSON.stringify(own)) as Json);
  return createHash("sha256").update(text).digest("hex");
}

/** Only the last two can be that option: elsewhere it may be the value of another. */
function ownArgv({ argv }: LaunchPlan): readonly string[] {
  const at = argv.length - INCOMING.length;
  return INCOMING.every((word, n) => argv[at + n] === word) ? argv.slice(0, at) : argv;
}
