/**
 * The mount table of a process as data. It reads the text of proc(5)'s `mountinfo` and looks at nothing
 * else.
 */

export interface Mount {
  /** `major:minor` of the file system. */
  readonly device: string;
  /** Which part of the file system is mounted. */
  readonly root: string;
  readonly place: string;
  readonly options: ReadonlySet<string>;
  readonly type: string;
  /** E.g. `/dev/vda`; what the mounter called it. */
  readonly source: string;
}

/** The lines of mountinfo; octal escapes stay as they are, since no place of ours has one. */
export function mountTable(mountinfo: string): Mount[] {
  return mountinfo.split("\n").filter((line) => line !== "").map((line) => {
    const [front = "", back = ""] = line.split(" - ", 2);
    const [, , device = "", root = "", place = "", options = ""] = front.split(" ");
    const [type = "", source = ""] = back.split(" ");
    return { device, root, place, options: new Set(options.split(",")), type, source };
  });
}

/** The last mount at a place, which is the one that is seen; null where nothing is mounted. */
export function mountedAt(mountinfo: string, place: string): Mount | null {
  return mountTable(mountinfo).findLast((mount) => mount.place === place) ?? null;
}
