/**
 * Small files of the data root, which anybody may have put there: a directory, a link, something larger, no
 * UTF-8. Reading one must say so instead of ending what reads it.
 */

import type { Host } from "../host/port.ts";

/** What stands for a file that is there and cannot be read: no document that is expected anywhere. */
export const DAMAGED = "";

/**
 * @param limit in bytes
 * @returns null where there is none; {@link DAMAGED} where it cannot be read as text
 */
export function textOrDamaged(
  host: Pick<Host, "read">,
  path: string,
  limit: number,
): string | null {
  try {
    const bytes = host.read(path, limit);
    return bytes === null ? null : new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    return DAMAGED;
  }
}
