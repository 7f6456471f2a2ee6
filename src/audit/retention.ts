/**
 * Which log files go when there are too many or the disk is full. Pure: names and sizes in, names to
 * remove out. It never names a file outside the log directories.
 */

export interface LogFile {
  /** Relative to the data root. */
  readonly path: string;
  readonly size: number;
  readonly modifiedMs: number;
}

/** Files a category, and bytes a file. */
export const MAX_FILES = 10;
export const MAX_FILE_BYTES = 10 * 1024 * 1024;

/** The oldest files beyond the ten of one category. */
export function surplus(files: readonly LogFile[]): LogFile[] {
  return oldestFirst(files).slice(0, Math.max(0, files.length - MAX_FILES));
}

/**
 * What to remove so that so many bytes become free: the oldest first, the file that is being written
 * never.
 *
 * @returns null when even removing all of them would not do
 */
export function toFree(files: readonly LogFile[], bytes: number): LogFile[] | null {
  const removed: LogFile[] = [];
  let freed = 0;
  for (const file of oldestFirst(files)) {
    if (freed >= bytes) break;
    removed.push(file);
    freed += file.size;
  }
  return freed >= bytes ? removed : null;
}

function oldestFirst(files: readonly LogFile[]): LogFile[] {
  return files.toSorted((a, b) => a.modifiedMs - b.modifiedMs || a.path.localeCompare(b.path));
}
