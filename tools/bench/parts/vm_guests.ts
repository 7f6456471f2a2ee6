/**
 * The guests of `tools/rayos bench vm`: which there are, and the QEMU command that the program itself
 * plans for one of them, as the peers are given it. It measures nothing.
 */
import { randomUUID } from "node:crypto";
import { type Home } from "../../../test/boot/machine.ts";
import { severalGuests, TINY_MIB, tinyNames } from "../../../test/boot/several.ts";
import { readOnDesk } from "../../../src/policy/parse.ts";
import { effectiveGuests } from "../../../src/registry/effective.ts";
import { parseRegistry, registryFromPolicy } from "../../../src/registry/registry.ts";
import { launchPlan } from "../../../src/plan/launch_plan.ts";
import { type DiskFiles, makeDataDisk, POLICY_PATH } from "../../boot_data.ts";
import type { OverlayFile } from "../../boot_overlay.ts";
import { shellQuoted } from "./baseline.ts";

export { TINY_MIB };

/** Names of the outer machine's ports that the guest started by hand speaks through. */
export const PORTS = { agent: "org.rayos.bench.agent", qmp: "org.rayos.bench.qmp" } as const;

/** One guest for each of the peers' own, then as many as are to run at once. */
export interface BenchGuests {
  /** The one that is started, stopped and saved again and again. */
  readonly one: string;
  /** The one that is started by hand; the program never starts it. */
  readonly bare: string;
  readonly all: readonly string[];
  readonly files: DiskFiles;
}

/** @param count how many run at once */
export async function benchGuests(count: number, home: Home): Promise<BenchGuests> {
  const names = tinyNames(count + 1);
  const all = names.slice(0, count);
  const [one = ""] = all;
  const files = await severalGuests(names, home, { autoboot: false, vms: count, every: 10 });
  return { one, bare: names[count] ?? "", all, files };
}

/** A disk with everything of these guests, and more files. */
export function guestsDisk(path: string, guests: BenchGuests, more: DiskFiles = {}): string {
  const sizeMiB = 160 + (guests.all.length + 1) * 48 + 3 * TINY_MIB;
  makeDataDisk(path, { ...guests.files, ...more }, { sizeMiB });
  return path;
}

/** The two documents that a plan comes from. */
export interface Documents {
  readonly policy: string | Uint8Array;
  /** Null: what the policy itself says. */
  readonly registry: string | Uint8Array | null;
}

/** QEMU's arguments as the program plans them for that guest by those documents. */
export function plannedBy(documents: Documents, vm: string, kvm: boolean): readonly string[] {
  const { policy: text } = documents;
  const { policy } = readOnDesk(typeof text === "string" ? new TextEncoder().encode(text) : text);
  if (policy === null) throw new Error("bench: its own policy is wrong");
  const registry = documents.registry === null
    ? registryFromPolicy(policy, randomUUID)
    : parseRegistry(documents.registry).registry;
  if (registry === null) throw new Error("bench: its own registry is wrong");
  for (const guest of effectiveGuests(policy, registry).guests.values()) {
    if (guest.vmId === vm) return launchPlan(policy, guest, { kvm, cpus: 1, memoryMiB: 3072 }).argv;
  }
  throw new Error(`bench: ${vm}: no such guest`);
}

/** The same for one of the guests of `bench vm`. */
export function plannedFor(guests: BenchGuests, vm: string): readonly string[] {
  const text = (path: string) => guests.files[path] as string | Uint8Array;
  return plannedBy({ policy: text(POLICY_PATH), registry: text("vm/registry.json") }, vm, true);
}

/** Where the character devices of a guest that is started by hand lead, by their ids, as shell text. */
export type Ways = Readonly<Record<string, string>>;
/** Monitor and agent go through the outer machine's ports. */
const THROUGH_PORTS: Ways = {
  agent: '"pipe,id=agent,path=$agent"',
  qmp: '"pipe,id=qmp,path=$monitor"',
};

/** The arguments as shell text. */
export function bareCommand(argv: readonly string[], ways = THROUGH_PORTS): string {
  const words = argv.map((word) =>
    ways[/^socket,id=(\w+),/u.exec(word)?.[1] ?? ""] ?? shellQuoted(word)
  );
  return `\${root:+$bb chroot $root} /usr/bin/qemu-system-x86_64 -no-user-config -nodefaults ${
    words.join(" ")
  }\n`;
}

/** What a machine needs to do what the benchmark asks. */
export async function benchOverlay(
  guests: BenchGuests,
): Promise<Record<string, OverlayFile>> {
  return {
    "/usr/lib/bench-inside": await Deno.readTextFile(new URL("vm_inside.sh", import.meta.url)),
    "/etc/bench/qemu": bareCommand(plannedFor(guests, guests.bare)),
  };
}
