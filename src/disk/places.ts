/**
 * Where a guest's disks lie, where a person puts images for it and finds those it gave away, and where a
 * disk is made before it gets its name. It names places and changes nothing.
 */

import { type DataPath, dataPath, ownedBy } from "../data_path.ts";
import { guestFolder, type GuestKind, type VmId } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";

type Of = { readonly kind: GuestKind; readonly vm: VmId };

export interface DiskPlaces {
  /** Host-owned: never inside a jail of the guest's, so that nobody writes what is being read. */
  readonly inbox: string;
  readonly outbox: string;
  /** The folder of `unfinished`. */
  readonly state: string;
  /** The one file in which a disk is made; the launcher makes no other. */
  readonly unfinished: string;
}

/** Full paths. */
export function diskPlaces({ kind, vm }: Of): DiskPlaces {
  const own = `${PATHS.dataRoot}/${guestFolder(kind, vm)}`;
  return {
    inbox: `${own}/inbox`,
    outbox: `${own}/outbox`,
    state: `${own}/state`,
    unfinished: `${own}/state/disk.tmp`,
  };
}

/** A disk as a person names it: a file of the guest's folder, or a path under the data root. */
export function diskPath({ kind, vm }: Of, name: string): DataPath | Issue {
  const lexical = dataPath(name.includes("/") ? name : `${guestFolder(kind, vm)}/${name}`);
  const result = lexical.ok ? ownedBy(lexical.path, kind, vm) : lexical;
  return result.ok ? result.path : refused(result);
}

/** A file of the guest's inbox or outbox, by its name there. */
export function boxPath(of: Of, box: "inbox" | "outbox", name: string): DataPath | Issue {
  if (name.includes("/")) {
    return refused({ rule: "path.form", expected: `the name of a file in ${box}/`, found: name });
  }
  const result = dataPath(`${guestFolder(of.kind, of.vm)}/${box}/${name}`);
  return result.ok ? result.path : refused(result);
}

function refused(fault: { rule: string; expected: string; found: string }): Issue {
  const { rule, expected, found } = fault;
  return issue(rule, { expected, found, hint: "name a file of the guest's own folder" });
}
