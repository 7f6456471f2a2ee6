/**
 * Which log files go when there are too many or the disk is full. Pure: names and sizes in, names to
 * remove out. It never names a file outside the log directories.
 */

export interface LogFile {
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/** Files a category, and bytes a file. */
export const MAX_FILES = 10;
export const MAX_FILE_BYTES = 10 * 1024 * 1024;

/** The oldest files beyond the ten of one category. */
export function surplus<File extends LogFile>(files: readonly File[]): File[] {
  return oldestFirst(files).slice(0, Math.max(0, files.length - MAX_FILES));
}

/**
 * What to remove so that so many bytes become free: the oldest first, the file that is being written
 * never.
 *
 * @returns null when even removing all of them would not do
 */
export function toFree<File extends LogFile>(files: readonly File[], bytes: number): File[] | null {
  const removed: File[] = [];
  let freed = 0;
  for (const file of oldestFirst(files)) {
    if (freed >= bytes) break;
    removed.push(file);
    freed += file.size;
  }
  return freed >= bytes ? removed : null;
}

/** A log file of one category: the host's, the boots', or the guests' consoles. Never the audit log. */
export interface CategoryFile extends LogFile {
  readonly category: "log" | "boot" | "console";
}

/**
 * What goes where the disk is full: the oldest file of the category that takes most of it.
 *
 * @param files without those that are being written
 */
export function mostTalkative(files: readonly CategoryFile[]): CategoryFile | null {
  const bytes = new Map<string, number>();
  for (const { category, size } of files) bytes.set(category, (bytes.get(category) ?? 0) + size);
  const [most] = [...bytes].sort((a, b) => b[1] - a[1] || a[0].localeCompare(b[0]));
  const [first] = oldestFirst(files.filter((file) => file.category === most?.[0]));
  return first ?? null;
}

function oldestFirst<File extends LogFile>(files: readonly File[]): File[] {
  return files.toSorted((a, b) => a.modifiedMs - b.modifiedMs || a.path.localeCompare(b.path));
}
