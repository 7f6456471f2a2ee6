/**
 * What is done about disks before guests are launched: work that a program which died had begun is ended,
 * and an image that was never finished is taken away. It has no name that anything could use, so nothing
 * is lost by it. And a person is told, once, when RayOS Data runs low.
 */

import { dropUnfinished, endDiskWork } from "../disk/work.ts";
import { diskPlaces } from "../disk/places.ts";
import { isLow } from "../disk/room.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";

const LOOK_MS = 60_000;

export async function tidyDisks(runtime: Runtime): Promise<void> {
  const { host, registry, emit } = runtime;
  await endDiskWork(host);
  for (const { vmId: vm, kind } of registry?.guests.values() ?? []) {
    if (!dropUnfinished(host, { kind, vm })) continue;
    emit({ type: "disk_leftover", path: diskPlaces({ kind, vm }).unfinished });
  }
}

/** Looks from time to time until the machine ends. */
export async function watchRoom(runtime: Runtime): Promise<void> {
  while (!runtime.ending) {
    noticeRoom(runtime);
    await runtime.host.clock.sleep(LOOK_MS);
  }
}

/** Runtimes that have been told; told again only after there was enough meanwhile. */
const told = new WeakSet<Runtime>();

/** @returns whether there is little room */
export function noticeRoom(runtime: Runtime): boolean {
  const { host, emit } = runtime;
  const freeBytes = host.freeBytes(PATHS.dataRoot);
  const wholeBytes = host.wholeBytes(PATHS.dataRoot);
  const low = isLow(freeBytes, wholeBytes);
  if (!low) told.delete(runtime);
  else if (!told.has(runtime)) {
    told.add(runtime);
    emit({ type: "data_low", freeBytes, wholeBytes });
  }
  return low;
}
