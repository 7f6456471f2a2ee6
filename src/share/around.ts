/** What a guest's shares need of others, and what they ask of the policy. */

import type { Emit, Subject } from "../event.ts";
import type { Host } from "../host/port.ts";
import type { LaunchPlan, PlannedShare } from "../plan/launch_plan.ts";
import type { Allowed } from "../policy/authorize.ts";

/** What the policy says of one guest's shares, asked anew each time. */
export interface ShareRights {
  /** Whether the policy gives it that share now, as it stands in the plan. */
  readonly gives: (share: PlannedShare) => boolean;
  /** The policy's own right to give it at a start, if there is one now. */
  readonly permit: (tag: string) => Allowed<"share.attach"> | null;
}

/** What a guest's shares need of whoever holds the guest. */
export interface SharesAround extends ShareRights {
  readonly host: Host;
  readonly emit: Emit;
  readonly subject: Subject;
  readonly plan: () => LaunchPlan;
  readonly held: () => boolean;
}
