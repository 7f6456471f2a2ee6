/**
 * A guest and its saved state, as the supervisor deals with them: whether there is one that may be used,
 * what becomes of one that may not, and how both are reported. How a state is written, checked and loaded
 * stands in `src/saved/`.
 */

import type { Emit, Subject } from "../event.ts";
import type { Host } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { setAside } from "../saved/aside.ts";
import { checkSaved, type GoodState } from "../saved/check.ts";
import { savedPlaces } from "../saved/places.ts";

/** What saving and loading need of the host besides its port. */
export interface Keeping {
  /** The host's own key. @throws Fault `saved.key` */
  readonly key: () => Uint8Array;
  /** What the machine's CPU is, as `hostCpu` gives it. */
  readonly cpu: () => string;
  /** Null where the host does not trust its clock. */
  readonly wall: () => Date | null;
}

export interface KeepingOf {
  readonly host: Host;
  readonly emit: Emit;
  readonly subject: Subject;
  readonly plan: LaunchPlan;
}

/** Whether there is a file that says that it is a saved state of that guest. */
export function hasSaved(host: Host, plan: LaunchPlan): boolean {
  return host.lstat(savedPlaces(plan).state) !== null;
}

/** Whether there is anything to look at, be it half a state. */
export function leftSomething(host: Host, plan: LaunchPlan): boolean {
  return hasSaved(host, plan) || host.lstat(savedPlaces(plan).unfinished) !== null;
}

/**
 * The saved state that may be given to QEMU; what may not be is set aside and reported.
 *
 * @throws where the disk did not take a change: then the guest must not start
 */
export async function usableState(of: KeepingOf, keeping: Keeping): Promise<GoodState | null> {
  const { host, plan } = of;
  const checked = await checkSaved({ host, plan, key: keeping.key(), cpu: keeping.cpu() });
  if (checked.kind === "good") return checked.saved;
  if (checked.kind === "bad") putAside(of, checked.issues);
  return null;
}

/** Sets the state aside, and says why and where it is. @returns whether there was one */
export function putAside(of: KeepingOf, issues: readonly Issue[]): boolean {
  const { host, emit, subject, plan } = of;
  const folder = setAside(host, plan, issues);
  for (const one of issues) emit({ type: "state_aside", subject, issue: one, folder });
  return folder !== null;
}

/** The reason where a person wants the guest without its saved state. */
export function unwanted(why: string): Issue {
  return issue("vm.saved_unused", {
    expected: "a start without saved state",
    found: "a saved state",
    hint: why,
  });
}
