/**
 * What `tools/rayos bench devices` measures of networks, on one booted host: the same transfers and
 * connections of a guest behind the program's walls and of one on a bare passt, in turns, to the same far
 * end; and of leases, how long it is to the first packet and to the last one.
 */
import { askInside, fileInside, onHost, rayInside, vmCommand } from "../../../test/boot/inside.ts";
import { inGuest, internetOverlay, networkedDisk, TWO_NICS } from "../../../test/boot/internet.ts";
import type { Home } from "../../../test/boot/machine.ts";
import { POLICY_PATH } from "../../boot_data.ts";
import type { LogLine } from "../../boot_log.ts";
import { bootMachine, type BootRun } from "../../boot_machine.ts";
import type { Image } from "../../boot_prepare.ts";
import { readDataDisk } from "../../data_disk.ts";
import { bareOverlay, inBare, startBare } from "./devices_bare.ts";
import { plannedBy } from "./vm_guests.ts";

/** One guest behind the walls, one that is started by hand; those after them have a lease each. */
const [WALLED, BARE] = ["net-0", "net-1"] as const;
const FAR = "93.184.216.34 7777";
/** Bytes of one transfer to the guest. */
export const DOWN = 8 * 1024 * 1024;
/**
 * Bytes of one from it: less, since the passt of Debian 12 (2023-03-09) resets every transfer to the outside
 * that lasts 20 seconds without a byte in return, with walls or without (docs/NETWORK.md).
 */
export const UP = 2 * 1024 * 1024;
const CONNECTIONS = 10;
const LIMIT_MS = 600_000;
const FACTS = "/run/rayos/uplink/u0";

/** Milliseconds, one value for each run (each connection). */
export interface Traffic {
  readonly down: number[];
  readonly up: number[];
  readonly connect: number[];
}

export interface NetworkRuns {
  readonly walled: Traffic;
  readonly bare: Traffic;
  /** Milliseconds from the line that says that a lease is given to its first packet at the far end. */
  readonly first: readonly number[];
  /** Milliseconds from the request to end it to its last packet there, and to the line that says off. */
  readonly last: readonly number[];
  readonly proved: readonly number[];
}

type InGuest = (command: string, mark: string) => Promise<string>;

const MEASURED = [
  `/traffic down ${FAR} ${DOWN}`,
  `/traffic up ${FAR} ${UP}`,
  `/traffic connect ${FAR} ${CONNECTIONS}`,
].join("; ");

async function measure(guest: InGuest, into: Traffic, mark: string): Promise<void> {
  const said = await guest(MEASURED, mark);
  const of = (what: string) =>
    [...said.matchAll(new RegExp(`^traffic ${what} (?:\\d+ )?(\\d+)\\r?$`, "gmu"))]
      .map(([, micros]) => Number(micros) / 1000);
  const found = { down: of("down"), up: of("up"), connect: of("connect") };
  if (found.down.length !== 1 || found.up.length !== 1 || found.connect.length !== CONNECTIONS) {
    throw new Error(`bench devices: a transfer failed: ${said}`);
  }
  for (const key of ["down", "up", "connect"] as const) into[key].push(...found[key]);
}

const at = (line: LogLine) => Date.parse(line.ts);

/** The far end's word on datagrams since its last one: ms of the machine's wall clock. */
async function beats(run: BootRun, seen: number): Promise<readonly [first: number, last: number]> {
  const until = performance.now() + LIMIT_MS;
  while (performance.now() < until) {
    const text = new TextDecoder().decode(await fileInside(run, "/run/traffic"));
    const found = [...text.matchAll(/^traffic beats (\d+) (\d+)/gmu)][seen];
    if (found !== undefined) return [Number(found[1]), Number(found[2])];
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error("bench devices: no datagram came");
}

/**
 * One lease: the guest is up and waits for a card before there is an uplink, since a guest that boots
 * would be all that is measured otherwise.
 */
async function lease(run: BootRun, vm: string, seen: number) {
  await onHost(run, `$bb mv ${FACTS}/facts ${FACTS}/kept`);
  const from = run.lines.length;
  await vmCommand(run, "start", vm, "running");
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, LIMIT_MS, from);
  await askInside(run, `attach ${vm} ${vm}`, /inside done/u);
  await inGuest(
    run,
    vm,
    `((/card; exec /traffic beat ${FAR}) > /dev/null 2>&1 < /dev/null &)`,
    "waits",
  );
  await onHost(run, `$bb mv ${FACTS}/kept ${FACTS}/facts`);
  const on = await run.waitFor(`RAYOS_NETWORK:on vm=${vm}`, LIMIT_MS, from);
  await new Promise((resolve) => setTimeout(resolve, 15_000));
  const { code, output } = await rayInside(run, `network end-provisioning ${vm}`);
  if (code !== 0) throw new Error(`bench devices: ${vm}: ${output}`);
  const asked = await run.waitFor(
    /RAYOS_HOST_EVENT_V0:network\.end_provisioning:/u,
    LIMIT_MS,
    from,
  );
  const off = await run.waitFor(`RAYOS_NETWORK:off vm=${vm}`, LIMIT_MS, from);
  const [first, last] = await beats(run, seen);
  await vmCommand(run, "stop", vm, "stopped");
  return { first: first - at(on), last: last - at(asked), proved: at(off) - at(asked) };
}

/** Boots the host once and measures everything on it. */
export async function networkRuns(
  image: Image,
  home: Home,
  runs: number,
  say: (text: string) => void,
): Promise<NetworkRuns> {
  const leased = Array.from({ length: runs }, (_, n) => `net-${n + 2}`);
  const disk = await networkedDisk(home, [
    { networking: "on" },
    { networking: "on", autoboot: false },
    ...leased.map(
      () => ({ networking: "provisioning_only", minutes: 30, autoboot: false } as const),
    ),
  ]);
  const documents = {
    policy: readDataDisk(disk, POLICY_PATH) ?? "",
    registry: readDataDisk(disk, "vm/registry.json") ?? "",
  };
  const argv = [
    ...plannedBy(documents, BARE, true),
    ...["-netdev", "stream,id=n0,server=off,addr.type=unix,addr.path=/n/bare.sock"],
    // As JSON: QEMU 7.2 makes devices that are written otherwise before those, and so before the port.
    "-device",
    JSON.stringify({ driver: "virtio-net-pci", netdev: "n0", bus: "port-network", romfile: "" }),
  ];
  const overlay = {
    ...await internetOverlay(home),
    ...await bareOverlay(argv),
  };
  await using run = await bootMachine({
    ...image,
    disks: [{ path: disk }],
    overlay,
    memoryMiB: 2560,
    extra: TWO_NICS,
  });
  await run.waitFor(`RAYOS_NETWORK:on vm=${WALLED}`, LIMIT_MS);
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${WALLED}`, LIMIT_MS);
  await onHost(
    run,
    "$bb nsenter --net=/run/internet /usr/lib/traffic serve 7777 > /run/traffic 2>&1 < /dev/null &",
  );
  await askInside(run, `attach ${WALLED} ${WALLED}`, /inside done/u);
  await inGuest(run, WALLED, "/card", "card");
  say("  the guest behind the walls is up");
  await startBare(run, `network linux/${BARE}`);
  say("  the guest on a bare passt is up");
  await inBare(run, "/card", "card");
  const walled: Traffic = { down: [], up: [], connect: [] };
  const bare: Traffic = { down: [], up: [], connect: [] };
  for (let n = 1; n <= runs; n += 1) {
    await measure((command, mark) => inGuest(run, WALLED, command, mark), walled, `walled${n}`);
    await measure((command, mark) => inBare(run, command, mark), bare, `bare${n}`);
    const ms = (one: Traffic) =>
      `${one.down.at(-1)?.toFixed(0)} ms down, ${one.up.at(-1)?.toFixed(0)} ms up`;
    say(`  network ${n}: walls ${ms(walled)}; bare ${ms(bare)}`);
  }
  const leases: Awaited<ReturnType<typeof lease>>[] = [];
  for (const [n, vm] of leased.entries()) {
    const one = await lease(run, vm, n);
    leases.push(one);
    say(
      `  lease ${n + 1}: first packet ${one.first} ms, last ${one.last} ms, off ${one.proved} ms`,
    );
  }
  return {
    walled,
    bare,
    first: leases.map((one) => one.first),
    last: leases.map((one) => one.last),
    proved: leases.map((one) => one.proved),
  };
}
