/**
 * Keeps what the program knows of itself where a report of its end finds it: under /run for the next start,
 * on RayOS Data for the next boot. Written only where it differs; to the disk seldom, so that a guest that
 * changes its state again and again costs it nothing.
 */

import {
  type LastKnown,
  MAX_LAST_KNOWN_BYTES,
  oomKills,
  readLastKnown,
  renderLastKnown,
} from "../audit/last_known.ts";
import { reasonOf } from "../fault.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { textOrDamaged } from "./damaged_text.ts";
import { isStandIn } from "./stand_in.ts";

/** For the start after this one. */
export const IN_RUN = `${PATHS.run}/last_known.json`;
/** For the boot after this one; one file, since only the last boot is asked for. */
export const ON_DISK = `${PATHS.dataRoot}/boot/last_known.json`;
/** Milliseconds between two writes to the disk: shorter than a beat, which makes up for what was left out. */
const DISK_PAUSE_MS = 5_000;

interface Kept {
  inRun: string;
  onDisk: string;
  diskMs: number;
  /** It was said that it cannot be written. */
  told: boolean;
}

const kept = new WeakMap<Runtime, Kept>();

/** What the program knows of itself now. */
export function knownNow(runtime: Runtime): LastKnown {
  const { host, image, starts } = runtime;
  return {
    version: 0,
    boot_id: runtime.bootId,
    phase: runtime.phase,
    program: {
      version: image.version,
      build_id: image.buildId,
      form: image.form,
      runtime: image.runtime,
      start: starts.start,
    },
    kernel: host.readText(`${PATHS.proc}/sys/kernel/osrelease`, 4096)?.trim() || "unknown",
    mode: runtime.mode,
    policy: runtime.inForce?.sha256 ?? null,
    guests: [...runtime.guests].map(([vm, { state }]) => ({ vm, state })),
    oom_kills: oomKillsNow(host),
  };
}

/** See {@link oomKills}. */
export function oomKillsNow(host: Host): number | null {
  const events = `${PATHS.cgroup}/rayos/memory.events`;
  return oomKills(
    textOrDamaged(host, `${PATHS.proc}/vmstat`, 64 * 1024),
    textOrDamaged(host, events, 4096),
  );
}

/** What the start before this one left; null where it left nothing that can be read. */
export function knownOfStart(host: Host, bootId: string): LastKnown | null {
  return readLastKnown(textOrDamaged(host, IN_RUN, MAX_LAST_KNOWN_BYTES), bootId);
}

/** What that boot left on RayOS Data, which anybody may have written; null likewise. */
export function knownOfBoot(host: Host, bootId: string): LastKnown | null {
  return readLastKnown(textOrDamaged(host, ON_DISK, MAX_LAST_KNOWN_BYTES), bootId);
}

/**
 * Writes what changed. Never throws: a host that cannot write it still has to run.
 *
 * @param atOnce to the disk too, however short ago that was
 */
export function noteKnown(runtime: Runtime, atOnce = false): void {
  const { host } = runtime;
  const last = kept.get(runtime) ?? { inRun: "", onDisk: "", diskMs: -Infinity, told: false };
  kept.set(runtime, last);
  try {
    const text = renderLastKnown(knownNow(runtime));
    if (text !== last.inRun) host.replace(IN_RUN, text);
    last.inRun = text;
    // Memory that stands in for the disk goes before a next boot; a disk that is let go has to stay free.
    if (runtime.dataDevice === null || isStandIn(runtime) || runtime.ending) return;
    const nowMs = host.clock.monoMs();
    if (text === last.onDisk || (!atOnce && nowMs - last.diskMs < DISK_PAUSE_MS)) return;
    last.diskMs = nowMs;
    host.replace(ON_DISK, text);
    last.onDisk = text;
    last.told = false;
  } catch (error) {
    if (last.told) return;
    last.told = true;
    const message = `what a crash report would say is not kept: ${reasonOf(error)}; check the disk`;
    runtime.emit({ type: "fault", stage: "data", code: "crash.not_kept", message });
  }
}
