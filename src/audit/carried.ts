/**
 * What a log in memory has recorded, for the log on the disk that comes after it. The words and times are
 * as they were; each says that it was carried over, since it was not written there when it happened.
 */

import type { Host } from "../host/port.ts";
import { auditFiles } from "./audit_log.ts";
import { FILE, SEAL, TORN } from "./chain.ts";
import { linesOf } from "./lines_of.ts";
import { type Content, readRecord } from "./record.ts";
import { MAX_FILE_BYTES } from "./retention.ts";

/** The words by which a log speaks of itself alone. */
const OWN: readonly string[] = [FILE, SEAL, TORN];

/** @throws what the file system says */
export function carriedFrom(host: Host, folder: string): Content[] {
  return auditFiles(host.list(folder)).flatMap((name) => {
    const bytes = host.head(`${folder}/${name}`, 2 * MAX_FILE_BYTES) ?? new Uint8Array();
    return [...linesOf(bytes)].flatMap((piece) => {
      const record = readRecord(piece.bytes);
      if (record === null || OWN.includes(record.event)) return [];
      const { event, time, data } = record;
      return { event, time, data: { ...data, carried: true } };
    });
  });
}
