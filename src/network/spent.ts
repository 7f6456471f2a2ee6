/**
 * The file that says that a guest has had its lease, in the host's own part of its folder and never inside
 * a jail. What cannot be read says that there was one.
 */

import { makeFolder } from "../folder.ts";
import type { Host } from "../host/port.ts";
import { guestFolder } from "../id.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { parseSpent, renderSpent, type SpentLease } from "./lease.ts";

/** Bytes. */
const LIMIT = 4096;

type Whose = Pick<LaunchPlan, "kind" | "vm" | "uuid">;

function stateFolder({ kind, vm }: Whose): string {
  return `${PATHS.dataRoot}/${guestFolder(kind, vm)}/state`;
}

const spentPath = (whose: Whose) => `${stateFolder(whose)}/network_lease`;

/** What is written down of an earlier lease; null: there is no file. */
export function readSpent(host: Host, whose: Whose): SpentLease | "unreadable" | null {
  const path = spentPath(whose);
  try {
    if (host.lstat(path) === null) return null;
    // Bytes that are no text are given as none.
    return parseSpent(host.readText(path, LIMIT) ?? "");
  } catch {
    return "unreadable";
  }
}

/** On the disk, whatever happens next (`replace` syncs the file and its folder). */
export function spend(host: Host, whose: Whose, serial: number | null): void {
  makeFolder(host, stateFolder(whose));
  host.replace(spentPath(whose), renderSpent({ uuid: whose.uuid, serial }));
}
