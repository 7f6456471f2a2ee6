/**
 * Which files a log must still have, by what its own files say. The host drops its oldest file only where
 * there are more than it keeps, each of them full; a log that says that records were dropped, and has not
 * what stands for that, lost them otherwise. Pure.
 */

import { MAX_FILE_BYTES, MAX_FILES } from "./retention.ts";

/** A file of one chain, by its first record. */
export interface KeptFile {
  readonly name: string;
  readonly bytes: number;
  /** Number and time of its first record, and what that says is the oldest record kept. */
  readonly seq: number;
  readonly time: string;
  readonly oldest: number;
}

/**
 * Why the files cannot be all that the host kept; null where they can be.
 *
 * @param files of one chain, oldest first; at least one
 */
export function missedOf(files: readonly KeptFile[]): { seq: number; what: string } | null {
  const [first] = files;
  const last = files.at(-1);
  if (first === undefined || last === undefined) return null;
  const { oldest } = last;
  if (first.seq > oldest) {
    return { seq: oldest, what: `files are missing: the log should begin with record ${oldest}` };
  }
  if (oldest <= 1) return null;
  const kept = files.slice(files.findIndex((one) => one.seq === oldest));
  const small = kept.slice(0, -1).find((one) => one.bytes < MAX_FILE_BYTES);
  if (kept[0]?.seq === oldest && kept.length >= MAX_FILES && small === undefined) return null;
  const before = `records before ${oldest} are missing: the host drops them only for`;
  const what = small === undefined
    ? `${before} ${MAX_FILES} files that it keeps, and here are ${files.length}`
    : `${before} files of ${MAX_FILE_BYTES} bytes, and ${small.name} has ${small.bytes}`;
  return { seq: 1, what };
}

/** What is to be said of records that the host dropped by itself; null where there are none. */
export function droppedOf(files: readonly KeptFile[]): string | null {
  const [first] = files;
  const last = files.at(-1);
  if (first === undefined || last === undefined || first.seq <= 1) return null;
  return `records 1 to ${
    first.seq - 1
  } are not here: record ${last.seq} of ${last.time} says that ` +
    `the host, which keeps ${MAX_FILES} files, no longer had room for them; whoever had its keys ` +
    "at that time or before could have dropped them";
}
