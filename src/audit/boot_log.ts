/**
 * A boot's own log: its newest lines in one file, those before them in another, so that a boot that lasts
 * for months has its end there and no more than twice a file's size.
 */

import type { Host } from "../host/port.ts";
import { lastLines, REPORT_LINES } from "./crash.ts";

/** @param root the folder of the logs. @param old the file that was full before */
export function bootLogFile(root: string, bootId: string, old = false): string {
  return `${root}/boot/${bootId}.log${old ? ".1" : ""}`;
}

/** The last lines of a boot, from the last so many bytes of its log. */
export function tailOfBootLog(
  host: Pick<Host, "tail" | "lstat">,
  file: { readonly root: string; readonly bootId: string },
  bytes: number,
  most = REPORT_LINES,
): string[] {
  const tail = (path: string, room: number) =>
    lastLines(host.tail(path, room), (host.lstat(path)?.size ?? 0) <= room, most);
  const newest = bootLogFile(file.root, file.bootId);
  const lines = tail(newest, bytes);
  // A line is never cut in two by a file's end.
  const room = bytes - (host.lstat(newest)?.size ?? 0);
  if (room <= 0) return lines;
  const before = tail(bootLogFile(file.root, file.bootId, true), room);
  return [...before, ...lines].slice(-most);
}
