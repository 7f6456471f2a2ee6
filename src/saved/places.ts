/**
 * Where a guest's saved state lies: host-owned, under the guest's own folder, never inside a jail. It
 * names places and changes nothing.
 */

import { guestFolder } from "../id.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";

export interface SavedPlaces {
  /** The guest's own folder. */
  readonly guest: string;
  readonly folder: string;
  /** A whole saved state; the only name that is ever loaded. */
  readonly state: string;
  /** One that is being written. */
  readonly unfinished: string;
  /** How many saved states of this guest are done with; see `generation.ts`. */
  readonly generation: string;
  /** Saved states that were refused, each in a numbered folder. */
  readonly aside: string;
}

export function savedPlaces(plan: Pick<LaunchPlan, "kind" | "vm">): SavedPlaces {
  const guest = `${PATHS.dataRoot}/${guestFolder(plan.kind, plan.vm)}`;
  const folder = `${guest}/state`;
  return {
    guest,
    folder,
    state: `${folder}/saved`,
    unfinished: `${folder}/saved.tmp`,
    generation: `${folder}/generation`,
    aside: `${folder}/aside`,
  };
}
