/**
 * Puts a saved state that is not used out of the way: nothing is deleted or overwritten but a file that
 * was never finished, and what was set aside is never loaded again. The guest then starts from its
 * disks.
 */

import { Fault } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Issue } from "../issue.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { nextGeneration } from "./generation.ts";
import { savedPlaces } from "./places.ts";

/** So many may lie aside; each is as large as the guest's memory, and none is ever removed by the host. */
export const MOST_ASIDE = 8;

/**
 * Looked at before a state is saved: what is set aside was saved before, so that they stay bounded.
 *
 * @throws Fault `saved.asides` where no further one has room
 */
export function checkAsides(host: Host, plan: LaunchPlan): void {
  const { aside } = savedPlaces(plan);
  if (host.lstat(aside) === null) return;
  const kept = host.list(aside).filter((name) => host.lstat(`${aside}/${name}/saved`) !== null);
  if (kept.length < MOST_ASIDE) return;
  throw new Fault(
    "guest",
    "saved.asides",
    `saving a guest: ${kept.length} saved states of it lie aside, of at most ${MOST_ASIDE}; ` +
      `remove those in ${aside} that nobody needs`,
  );
}

/**
 * Moves the state to `state/aside/<n>/`, with the reasons beside it, and removes an unfinished one.
 *
 * @returns the folder it lies in now, under the data root's full path; null where there was none
 * @throws where the disk did not take it: then the guest must not start
 */
export function setAside(host: Host, plan: LaunchPlan, issues: readonly Issue[]): string | null {
  const places = savedPlaces(plan);
  if (host.lstat(places.unfinished) !== null) host.remove(places.unfinished);
  if (host.lstat(places.state) === null) return null;
  host.makeDirectory(places.aside);
  const numbers = host.list(places.aside).map(Number).filter(Number.isSafeInteger);
  const folder = `${places.aside}/${Math.max(0, ...numbers) + 1}`;
  host.makeDirectory(folder);
  const wall = host.clock.wall().toISOString();
  host.replace(`${folder}/reasons.json`, `${JSON.stringify({ wall, issues }, null, 2)}\n`);
  // From here on it cannot be loaded, wherever a power cut leaves it.
  nextGeneration(host, plan);
  host.rename(places.state, `${folder}/saved`);
  for (const changed of [folder, places.aside, places.folder]) host.syncDirectory(changed);
  return folder;
}
