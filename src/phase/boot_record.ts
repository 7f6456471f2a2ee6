/** What is kept of each boot on RayOS Data, for `ray boot history`. */

import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";

/** Writes this boot's record anew, as things stand. @param ended how the machine is being ended; null: it goes on */
export function recordBoot(runtime: Runtime, ended: "poweroff" | "reboot" | null): void {
  if (runtime.dataDevice === null) return;
  const { host, bootId, image } = runtime;
  const record = {
    boot_id: bootId,
    version: image.version,
    build_id: image.buildId,
    start: runtime.starts.start,
    wall: host.clock.wall().toISOString(),
    uptime_ms: Math.round(host.clock.monoMs()),
    mode: runtime.mode,
    ready: runtime.ready,
    failed_in: runtime.failedIn,
    troubles: runtime.troubles.map((one) => one.code),
    policy: runtime.inForce?.sha256 ?? null,
    accepted: runtime.accepted,
    ended,
  };
  try {
    host.replace(`${PATHS.dataRoot}/boot/history/${bootId}.json`, `${JSON.stringify(record)}\n`);
  } catch (error) {
    const message = `boot history: ${reasonOf(error)}; check the disk`;
    runtime.emit({ type: "fault", stage: "data", code: "boot.history", message });
  }
}
