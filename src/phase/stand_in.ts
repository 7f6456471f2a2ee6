/**
 * Memory that stands in for RayOS Data while its disk does not come up. What was logged and recorded there
 * goes with it, so it is taken over before it is let go, and written again to whatever comes then.
 */

import { tailOfBootLog } from "../audit/boot_log.ts";
import { carriedFrom } from "../audit/carried.ts";
import { MAX_FILE_BYTES } from "../audit/retention.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { AUDIT_FOLDER } from "./audit.ts";

/** Whether the data root is memory because a disk is missing, and not because that was asked for. */
export function isStandIn({ dataDevice, cmdline }: Runtime): boolean {
  return dataDevice === "tmpfs" && cmdline.data.by !== "tmpfs";
}

/** Takes over what a data root in memory has, of this start and those before it in this boot. */
export function takeOver({ host, audit, sinks, bootId, emit }: Runtime): void {
  audit.close();
  sinks.closeFiles();
  try {
    const log = { root: `${PATHS.dataRoot}/logs`, bootId };
    sinks.carry(tailOfBootLog(host, log, MAX_FILE_BYTES, Infinity));
    audit.carry(carriedFrom(host, AUDIT_FOLDER));
  } catch (error) {
    const message = `what memory had of log and audit log is lost: ${reasonOf(error)}; ` +
      "the lines are on the console";
    emit({ type: "fault", stage: "data", code: "data.not_carried", message });
  }
}
