/**
 * Several small guests of one profile: the policy, the registry and the files of their disks, and what
 * each of them counted on its own disk.
 */
import assert from "node:assert/strict";
import { type DiskFiles, makeDataDisk } from "../../tools/boot_data.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import type { GuestFiles } from "../../tools/boot_prepare.ts";
import { run as toolRun } from "../../tools/build_host.ts";
import { readDataDisk } from "../../tools/data_disk.ts";
import { rayInside } from "./inside.ts";
import { guestFiles, Home, registryRecord, signedPolicy } from "./machine.ts";

export const TINY_MIB = 96;
const COUNT_LIMIT_MS = 240_000;

export interface SeveralOptions {
  /** How many of them start at boot: the first ones. */
  readonly autoboot?: boolean;
  readonly onShutdown?: "shutdown" | "suspend";
  /** Whether they have a screen, a keyboard and a pointer. */
  readonly screen?: boolean;
  /** Of the host's log. */
  readonly level?: "info" | "trace";
  /** Whether the first that runs is presented at boot. */
  readonly presented?: boolean;
  /** Those of them that have a screen and no keyboard. */
  readonly mute?: readonly string[];
  /** What they boot; the small test guest where nothing is said. */
  readonly guest?: GuestFiles;
  /** MiB of each. */
  readonly eachMib?: number;
  /** Seconds for each number that they count: where many of them share a CPU, one a second is too much for it. */
  readonly every?: number;
  /** Room on the disk besides, in MiB. */
  readonly spareMib?: number;
  /** Running at once, and MiB for all together. */
  readonly vms?: number;
  readonly memMib?: number;
}

/** The names of that many guests. */
export function tinyNames(count: number): string[] {
  return Array.from({ length: count }, (_, n) => `tiny-${String(n).padStart(2, "0")}`);
}

function policyText(options: SeveralOptions): string {
  const { autoboot = true, onShutdown = "shutdown", vms = 16, memMib = 64 * TINY_MIB } = options;
  const { screen = false, presented = false, eachMib = TINY_MIB, every = 1 } = options;
  const { level = "info" } = options;
  return `
version = 0
serial = 1
logging.level = "${level}"
limits.vms = ${vms}
limits.mem_mib = ${memMib}
limits.cpu_percent = 100

[profiles.tiny]
kind = "linux"
enabled = true
autoboot = ${autoboot}
networking = "off"
on_shutdown = "${onShutdown}"
present_on_boot = ${presented}
limits = { cpus = 1, mem_mib = ${eachMib} }
devices = { input = ${screen}, gpu = "${screen ? "virtio" : "none"}" }

[profiles.tiny.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 pci=lastbus=0 cryptomgr.notests nokaslr mitigations=off ipv6.disable=1 every=${every}"
`;
}

function registryText(names: readonly string[], options: SeveralOptions): string {
  const { screen = false, mute = [], eachMib = TINY_MIB } = options;
  const records = names.map((id, slot) => {
    const record = registryRecord(id, slot, "tiny", eachMib);
    const input = !mute.includes(id);
    const devices = screen ? { ...record.devices, input, gpu: "virtio" } : record.devices;
    return [id, { ...record, devices }];
  });
  return JSON.stringify({ version: 0, vms: Object.fromEntries(records) });
}

/** Everything on RayOS Data for those guests. */
export async function severalGuests(
  names: readonly string[],
  home: Home,
  options: SeveralOptions = {},
): Promise<DiskFiles> {
  return {
    ...Object.assign({}, ...names.map((id) => guestFiles(id, home, options.guest))),
    ...await signedPolicy(policyText(options)),
    "vm/registry.json": registryText(names, options),
  };
}

/** A data disk that holds them. */
export async function severalDisk(
  names: readonly string[],
  home: Home,
  options: SeveralOptions = {},
): Promise<string> {
  const disk = `${home.path}/data.img`;
  // A saved guest takes as much as its memory, and one that was set aside stays.
  const saved = options.onShutdown === "suspend" ? 3 * TINY_MIB : 0;
  const sizeMiB = 96 + names.length * (48 + saved) + (options.spareMib ?? 0);
  makeDataDisk(disk, await severalGuests(names, home, options), { sizeMiB });
  return disk;
}

/**
 * A file of a guest's disk; null where there is none. What a guest that did not unmount it has in the
 * journal alone is on the disk as well: debugfs(8) would not look there.
 */
export function fileOn(image: Uint8Array, name: string, home: Home): Uint8Array | null {
  const own = `${home.path}/guest-disk.img`;
  Deno.writeFileSync(own, image);
  toolRun.status("e2fsck", ["-p", "-E", "journal_only", own]);
  const found = readDataDisk(own, name);
  Deno.removeSync(own);
  return found;
}

/** The numbers that a guest wrote to its own disk, a second apart on its own clock. */
export function countsOf(disk: string, id: string, home: Home): number[] {
  return countsIn(readDataDisk(disk, `vm/linux/${id}/rootfs.ext4`) ?? new Uint8Array(), home);
}

/** The same of a guest's disk that lies somewhere else. */
export function countsIn(image: Uint8Array, home: Home): number[] {
  return startsIn(image, home).flat();
}

/** The same, each start of the guest for itself. */
export function startsIn(image: Uint8Array, home: Home): number[][] {
  const text = new TextDecoder().decode(fileOn(image, "count", home) ?? new Uint8Array());
  return text.split(/^boot [\da-f-]+$/mu).slice(1).map(numbersOf);
}

function numbersOf(text: string): number[] {
  return [...text.matchAll(/^count (\d+)$/gmu)].map((match) => Number(match[1]));
}

/** Waits until a running guest's console shows a higher number: its seconds are long ones here. */
export async function countedPast(run: BootRun, id: string, number: number): Promise<void> {
  const until = Date.now() + COUNT_LIMIT_MS;
  while (Date.now() < until) {
    const { output } = await rayInside(run, `vm log ${id} --lines 200`);
    if ((numbersOf(output.replaceAll("\r", "")).at(-1) ?? 0) > number) return;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`${id} did not count past ${number}`);
}

/** Asserts that a guest counted on and on: one machine, never begun again, no second left out. */
export function assertCountedOn(counts: readonly number[], id: string): void {
  assert.ok(counts.length > 0, `${id} counted`);
  const gaps = counts.slice(1).flatMap((count, n) => count === (counts[n] ?? 0) + 1 ? [] : [n]);
  assert.deepEqual(gaps, [], `${id}: ${counts.join(" ")}`);
}
