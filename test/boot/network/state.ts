/**
 * What tests of guests' networks ask a running host besides its lines: what there is of a slot's network,
 * and whether a guest that something else happened to has noticed.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../../tools/boot_machine.ts";
import { fileInside, onHost, seenOnHost } from "../inside.ts";
import { inGuest, reached } from "../internet.ts";

export const PUBLIC = "public=tcp:93.184.216.34:80";
export const NS = "/run/rayos/netns";
export const UPLINK = `$bb nsenter --net=${NS}/uplink`;

/** Processes of a slot's passt, or of a NIC's DHCP client. */
export async function processesOf(run: BootRun, place: string): Promise<string[]> {
  const text = await seenOnHost(run, `$bb cat /run/rayos/cg/rayos/net/${place}/cgroup.procs`);
  return text.split("\n").filter((line) => /^\d+$/u.test(line));
}

export async function signalProcesses(run: BootRun, place: string, signal: string): Promise<void> {
  await onHost(run, `kill -${signal} $($bb cat /run/rayos/cg/rayos/net/${place}/cgroup.procs)`);
}

/** Everything that there is of a slot's network on the host, a word each, in order. */
export async function partsOf(run: BootRun, slot: string): Promise<string[]> {
  const uid = 64_000 + Number(slot);
  const text = await seenOnHost(
    run,
    `[ -e ${NS}/${slot} ] && echo namespace; $bb grep -q ' ${NS}/${slot} ' /proc/mounts && echo mount;` +
      ` [ -e /run/rayos/cg/rayos/net/${slot} ] && echo cgroup; [ -e /run/rayos/net/${slot}.json ] && echo record;` +
      ` [ -e /run/rayos/n/${slot}/passt.sock ] && echo socket;` +
      ` ${UPLINK} /usr/bin/ip -o link show dev g${slot} > /dev/null 2>&1 && echo link;` +
      ` ${UPLINK} /usr/sbin/nft list table inet rayos | $bb grep -q '"g${slot}"' && echo rule;` +
      ` $bb grep -q 'Uid:.${uid}' /proc/[0-9]*/status 2> /dev/null && echo passt`,
  );
  return text.split("\n").filter((line) => line !== "").sort();
}

/** What one network is made of. */
const WHOLE = [
  ...["cgroup", "link", "mount", "namespace", "passt", "record", "rule", "socket"],
];

export async function assertWhole(run: BootRun, slot: string): Promise<void> {
  assert.deepEqual(await partsOf(run, slot), WHOLE);
}

export async function assertNothing(run: BootRun, slot: string): Promise<void> {
  assert.deepEqual(await partsOf(run, slot), []);
}

/** Whether a guest, whose card is up, reaches somebody outside. */
export async function reachesPublic(
  run: BootRun,
  vm: string,
  mark: string,
  first = "",
): Promise<boolean> {
  const said = await inGuest(run, vm, `${first}/probe try 5 ${PUBLIC}`, mark);
  return reached(said).get("public") === true;
}

/** The guest to which nothing happens, as it is now: `assertUnnoticed` holds it against that. */
export interface Bystander {
  readonly vm: string;
  readonly slot: string;
  readonly lines: number;
  readonly passt: readonly string[];
}

export async function bystander(run: BootRun, vm: string, slot: string): Promise<Bystander> {
  return { vm, slot, lines: run.lines.length, passt: await processesOf(run, slot) };
}

/** Not a line about it, the same passt, and its way is open. */
export async function assertUnnoticed(
  run: BootRun,
  before: Bystander,
  mark: string,
): Promise<void> {
  const { vm, slot, lines, passt } = before;
  const told = run.lines.slice(lines).filter((line) => line.fields["vm"] === vm);
  assert.deepEqual(told.map((line) => line.text), []);
  assert.deepEqual(await processesOf(run, slot), passt);
  assert.equal(await reachesPublic(run, vm, mark), true, `${vm} has its network`);
}

/** Codes of the faults of networks since that line. */
export function networkFaults(run: BootRun, from: number): string[] {
  return run.lines.slice(from).filter((line) =>
    line.event === "fault" && line.fields["stage"] === "network"
  ).map((line) => line.fields["code"] ?? "");
}

/** `on policy`, `off stopped`, …: what was said of a guest's network since that line. */
export function networkWords(run: BootRun, vm: string, from = 0): string[] {
  return run.lines.slice(from)
    .filter((line) => line.fields["vm"] === vm && line.event.startsWith("RAYOS_NETWORK"))
    .map((line) => `${line.event.split(":")[1]} ${line.fields["reason"]}`);
}

/** How often the guest's machine has begun, by its console. */
export async function startsOf(run: BootRun, vm: string): Promise<number> {
  const text = await fileInside(run, `/var/rayos/vm/linux/${vm}/logs/console.log`);
  return [...new TextDecoder().decode(text).matchAll(/^guest up/gmu)].length;
}

/** Asserts that the guest's machine began anew, and came up without a card. */
export async function assertReset(run: BootRun, vm: string): Promise<void> {
  const end = performance.now() + 240_000;
  while (await startsOf(run, vm) < 2) {
    assert.ok(performance.now() < end, `${vm} did not begin anew`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  const said = await inGuest(run, vm, "echo devices $(ls /sys/class/net) end", "anew");
  assert.match(said, /^devices lo end/mu);
}
