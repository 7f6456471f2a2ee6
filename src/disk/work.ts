/**
 * Has the launcher `disk` work on one image and says how far it is; gives a finished image its name, where
 * nothing has it; and takes away what a program that died left of such work. Whether it may be done was
 * decided before.
 */

import { Fault } from "../fault.ts";
import type { Host, LauncherResult } from "../host/port.ts";
import { type GuestKind, type Slot, type VmId } from "../id.ts";
import { DISK_CGROUP, PATHS } from "../permissions.ts";
import type { DiskFormat } from "../registry/guest.ts";
import { diskPlaces } from "./places.ts";

/** Whose disk it is. */
export interface DiskOwner {
  readonly vm: VmId;
  readonly kind: GuestKind;
  readonly slot: Slot;
}

/** One use of the launcher; paths are relative to the data root. */
export type DiskWork =
  | { readonly verb: "create"; readonly to: DiskFormat; readonly bytes: number }
  | {
    readonly verb: "check";
    readonly path: string;
    readonly from: DiskFormat;
    /** The size of the file. */
    readonly bytes: number;
  }
  | {
    readonly verb: "convert";
    readonly path: string;
    readonly from: DiskFormat;
    readonly to: DiskFormat;
    /** What is read, as the guest sees it. */
    readonly bytes: number;
    /** No larger file is written. */
    readonly mostBytes: number;
  }
  | {
    readonly verb: "resize";
    readonly path: string;
    readonly from: DiskFormat;
    readonly bytes: number;
  };

/** Milliseconds: of any use, and beside them those that the least speed gives. */
const LEAST_MS = 120_000;
const LEAST_BYTES_MS = 2 * 1024;
const LOOK_MS = 1_000;
const END_MS = 10_000;
const END_PAUSE_MS = 50;
const PROGRESS_FILE = `${PATHS.run}/err/disk-progress`;
const PROGRESS_BYTES = 64;

/** What a person can do about each of the launcher's codes. */
const HINTS: Readonly<Record<string, string>> = {
  "disk.damaged": "take another copy of the image",
  "disk.no_room": "free space on RayOS Data",
  "disk.running": "wait until the other disk is done",
  "disk.header": "convert it to a single file where it comes from",
};

/**
 * Does it; resolves when the image is on the disk.
 *
 * @param told gets per cents while it converts
 * @throws Fault with the launcher's code; `disk.too_long`, `disk.ended`
 */
export async function workOnDisk(
  host: Host,
  owner: DiskOwner,
  work: DiskWork,
  told: (percent: number) => void = () => {},
): Promise<void> {
  const { limit, args } = argumentsOf(owner, work);
  const started = host.clock.monoMs();
  const over = new AbortController();
  if (work.verb === "convert") void watch(host, told, over.signal);
  let result: LauncherResult;
  try {
    result = await host.launch("disk", args, limit);
  } finally {
    over.abort();
  }
  const [said, code = "", ...rest] = result.words;
  if (said === "ok" && result.code === 0) return;
  const where = work.verb === "create" ? owner.vm : work.path;
  if (said === "fault") {
    const hint = HINTS[code] ?? "see `ray logs`";
    throw new Fault("guest", code, `disk of ${where}: ${work.verb} ${rest.join(" ")}; ${hint}`);
  }
  await endDiskWork(host);
  const late = host.clock.monoMs() - started >= limit;
  const why = late
    ? `not done after ${Math.round(limit / 1000)} s`
    : "it was ended or ran out of memory";
  throw new Fault(
    "guest",
    late ? "disk.too_long" : "disk.ended",
    `disk of ${where}: ${work.verb} ${why}; see \`ray logs\``,
  );
}

function argumentsOf({ slot, kind, vm }: DiskOwner, work: DiskWork) {
  const head = [work.verb, String(slot), kind, vm];
  const time = (bytes: number) => LEAST_MS + Math.ceil(bytes / LEAST_BYTES_MS);
  switch (work.verb) {
    case "create":
      return { args: [...head, work.to, String(work.bytes)], limit: LEAST_MS };
    case "check":
      return { args: [...head, work.path, work.from], limit: time(work.bytes) };
    case "convert":
      return {
        args: [...head, work.path, work.from, work.to, String(work.mostBytes)],
        limit: time(work.bytes),
      };
    case "resize":
      return { args: [...head, work.path, work.from, String(work.bytes)], limit: LEAST_MS };
  }
}

/** The last per cent that qemu-img wrote; shown to a person and nothing else. */
async function watch(
  host: Host,
  told: (percent: number) => void,
  signal: AbortSignal,
): Promise<void> {
  while (!signal.aborted) {
    await host.clock.sleep(LOOK_MS, signal);
    const text = new TextDecoder().decode(host.tail(PROGRESS_FILE, PROGRESS_BYTES) ?? undefined);
    const percent = Number([...text.matchAll(/\((\d{1,3})\.\d\d\/100%\)/g)].at(-1)?.[1]);
    if (!signal.aborted && percent <= 100) told(percent);
  }
}

/** Gives what was made its name. @throws Fault `file.exists` */
export function publish(host: Host, from: string, to: string): void {
  host.renameNew(from, to);
  for (const path of [to, from]) host.syncDirectory(path.slice(0, path.lastIndexOf("/")));
}

/** Removes an image that was never finished. @returns whether there was one */
export function dropUnfinished(host: Host, owner: Pick<DiskOwner, "kind" | "vm">): boolean {
  const { unfinished, state } = diskPlaces(owner);
  if (host.lstat(unfinished) === null) return false;
  host.remove(unfinished);
  host.syncDirectory(state);
  return true;
}

/** Ends whatever works on a disk. @throws Fault `disk.unkillable` */
export async function endDiskWork(host: Host): Promise<void> {
  if (host.lstat(`${DISK_CGROUP}/cgroup.kill`) === null) return;
  host.put(`${DISK_CGROUP}/cgroup.kill`, "1");
  const late = host.clock.monoMs() + END_MS;
  const populated = () =>
    host.readText(`${DISK_CGROUP}/cgroup.events`, 4096)?.startsWith("populated 1") ?? false;
  while (populated()) {
    if (host.clock.monoMs() >= late) {
      throw new Fault(
        "launch",
        "disk.unkillable",
        "disk: its process does not end; see the kernel's log",
      );
    }
    await host.clock.sleep(END_PAUSE_MS);
  }
}
