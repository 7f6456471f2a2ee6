/**
 * What a power cut, or a program that died, left of backups, restores and clones: a change that was decided
 * is finished before anybody reads the registry; copies that belong to nothing are taken away. A change that
 * cannot be finished keeps its guest from starting, and everything stays as it is.
 */

import { dropUnfinishedBackups } from "../disk/backup.ts";
import { carryOutPending, dropPending, isDecided } from "../disk/pending.ts";
import { asFault } from "../fault.ts";
import { guestFolder, vmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import type { BrokenRecord, Runtime } from "../runtime.ts";

/** @returns guests whose change cannot be finished */
export function finishPending(runtime: Runtime, registryFile: string): BrokenRecord[] {
  const { host, emit } = runtime;
  const broken: BrokenRecord[] = [];
  for (const kind of ["linux", "windows"] as const) {
    for (const name of host.list(`${PATHS.dataRoot}/vm/${kind}`)) {
      const vm = vmId(name);
      if (vm === null) continue;
      const of = { kind, vm };
      if (host.lstat(`${PATHS.dataRoot}/${guestFolder(kind, vm)}`)?.type !== "directory") continue;
      const path = (what: string) => `${guestFolder(kind, vm)}/${what}`;
      try {
        if (dropUnfinishedBackups(host, of) > 0) {
          emit({ type: "disk_leftover", path: path("backup") });
        }
        if (!isDecided(host, of)) {
          if (dropPending(host, of)) emit({ type: "disk_leftover", path: path("state/pending") });
          continue;
        }
        const problem = carryOutPending(host, of, registryFile);
        if (problem === null) emit({ type: "disk_finished", vm });
        else broken.push({ vm, issues: [problem] });
      } catch (error) {
        broken.push({ vm, issues: [unfinished(error)] });
      }
    }
  }
  return broken;
}

/** The finding that a decided change met an error. */
export function unfinished(error: unknown): Issue {
  return issue("disk.pending", {
    path: "state/pending.json",
    expected: "a change that is finished",
    found: asFault(error, "registry", "disk.pending").message,
    hint: "check the disk, then start the host again",
  });
}
