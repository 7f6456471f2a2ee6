/**
 * A folder that is there after a power cut: the file system keeps the name of a new one only once the folder
 * above it was brought to the disk (fsync(2)), whatever was synced within it.
 */

import type { Host } from "./host/port.ts";

/** Makes the folder where it is missing. @param path full path; the folder above it must be there */
export function makeFolder(host: Host, path: string): void {
  host.makeDirectory(path);
  // Also where it was there: whoever made it may have died before this.
  host.syncDirectory(path.slice(0, path.lastIndexOf("/")));
}
