/**
 * A machine with an uplink: a second NIC beside it, in a namespace of its own on the same machine, has
 * every address that a guest may want or must not reach, and a DHCP server. Real frames between two
 * NICs; no packet leaves the machine.
 */
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { joinOverlay } from "../../tools/boot_overlay.ts";
import { GUEST_FILES, PROJECT } from "../../tools/boot_prepare.ts";
import { run as toolRun } from "../../tools/build_host.ts";
import { type DiskFiles, makeDataDisk } from "../../tools/boot_data.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, fileInside, insideOverlay } from "./inside.ts";
import { type Home, registryRecord, signedPolicy } from "./machine.ts";

const FAR_MAC = "52:54:00:00:00:02";
const FAR_NIC = [
  ...["-netdev", "hubport,id=far,hubid=0"],
  ...["-device", `virtio-net-pci,netdev=far,mac=${FAR_MAC},romfile=`],
];
/** QEMU arguments of the outer machine: two NICs at one hub. */
export const TWO_NICS = [
  ...["-netdev", "hubport,id=near,hubid=0", "-device", "virtio-net-pci,netdev=near,romfile="],
  ...FAR_NIC,
];
/** What QMP's device_add puts in again after it was taken out. */
export const NEAR_NIC = {
  driver: "virtio-net-pci",
  id: "nic",
  bus: "loose",
  netdev: "near",
  romfile: "",
};
/** The same, with a NIC that can be taken out. */
export const TWO_NICS_ONE_LOOSE = [
  ...[
    "-netdev",
    "hubport,id=near,hubid=0",
    "-device",
    "pcie-root-port,id=loose,chassis=40,slot=40",
  ],
  ...["-device", JSON.stringify(NEAR_NIC)],
  ...FAR_NIC,
];

/** What the machine's own NIC gets. */
export const UPLINK_ADDRESS = "192.168.77.50";
export const ROUTER = "192.168.77.1";
export const RESOLVER = "9.9.9.9";

/** Addresses that the far side has besides, each for one reason. */
const FAR_ADDRESSES = [
  ...[RESOLVER, "8.8.8.8", "93.184.216.34", "169.254.169.254", "10.1.2.3", "10.7.0.5"],
  ...["172.16.5.5", "192.168.88.1", "100.64.0.9", "192.0.2.9", "198.51.100.9", "203.0.113.9"],
  ...["198.19.0.1", "192.0.0.9"],
];

/** Stands before the real launcher and takes the far NIC away first. */
const UPLINK = `#!/bin/busybox sh
bb=/bin/busybox
far=/run/internet
if [ ! -e $far ]; then
  : > $far
  /usr/bin/unshare --net=$far $bb true
  for one in /sys/class/net/*; do
    read -r mac < $one/address
    [ "$mac" = ${FAR_MAC} ] && /usr/bin/ip link set dev \${one##*/} netns $far name wan
  done
fi
[ "$1" = begin ] && [ ! -e /run/udhcpd.conf ] && /usr/lib/internet
exec /usr/lib/rayos/uplink.own "$@"
`;

const INTERNET = `#!/bin/busybox sh
bb=/bin/busybox
far() { $bb nsenter --net=/run/internet "$@"; }
cat() { while read -r line; do echo "$line"; done; }
cat > /run/udhcpd.conf << END
interface wan
start ${UPLINK_ADDRESS}
end ${UPLINK_ADDRESS}
lease_file /run/leases
option subnet 255.255.255.0
option router ${ROUTER}
option dns ${ROUTER}
option lease 600
END
: > /run/leases
far /usr/bin/ip -batch - << END
${
  [
    "link set dev lo up",
    "link set dev wan up",
    `addr add ${ROUTER}/24 dev wan`,
    ...FAR_ADDRESSES.map((one) => `addr add ${one}/32 dev lo`),
    `route add 198.18.0.0/16 via ${UPLINK_ADDRESS}`,
  ].join("\n")
}
END
# Not by the function: its shell would hold the launcher's standard output.
$bb nsenter --net=/run/internet $bb udhcpd -f /run/udhcpd.conf > /run/udhcpd.log 2>&1 < /dev/null &
$bb nsenter --net=/run/internet /usr/lib/probe serve tcp:0.0.0.0:80 tcp:0.0.0.0:53 tcp:0.0.0.0:853 udp:${RESOLVER}:53 udp:8.8.8.8:53 > /dev/null 2>&1 < /dev/null &
`;

/** The programs of the folder `network`. */
const PROGRAMS = ["probe", "raw", "traffic"] as const;
type Program = typeof PROGRAMS[number];

/** One of them, compiled into the home. */
async function compiled(name: Program, home: Home): Promise<Uint8Array> {
  const target = `${home.path}/${name}`;
  const strict = ["-std=gnu11", "-O1", "-Wall", "-Wextra", "-Werror"];
  toolRun("gcc", [
    "-static",
    "-s",
    ...strict,
    "-o",
    target,
    `${PROJECT}/test/boot/network/${name}.c`,
  ]);
  return await Deno.readFile(target);
}

async function programsIn(folder: string, home: Home): Promise<Record<string, OverlayFile>> {
  const files = PROGRAMS.map(async (name) =>
    [`${folder}/${name}`, { data: await compiled(name, home), mode: 0o755 }] as const
  );
  return Object.fromEntries(await Promise.all(files));
}

/** What is added to the host's image. */
export async function internetOverlay(home: Home): Promise<Record<string, OverlayFile>> {
  const launcher = `${PROJECT}/initramfs/skeleton/usr/lib/rayos/uplink`;
  return {
    ...await insideOverlay(),
    "/usr/lib/rayos/uplink": UPLINK,
    "/usr/lib/rayos/uplink.own": await Deno.readTextFile(launcher),
    "/usr/lib/internet": INTERNET,
    ...await programsIn("/usr/lib", home),
  };
}

/** Waits for the card and takes the addresses that passt would give by DHCP. */
const CARD = `#!/bin/busybox sh
bb=/bin/busybox
tries=0
while ! [ -d /sys/class/net/eth0 ] && [ $tries -lt 1200 ]; do $bb usleep 100000; tries=$((tries + 1)); done
$bb ip addr add 198.19.0.2/24 dev eth0
$bb ip link set dev eth0 up
$bb ip route add default via 198.19.0.1
# Loopback of the other side: its own addresses are taken off here, so that packets go out.
$bb ip addr del 127.0.0.1/8 dev lo
echo 1 > /proc/sys/net/ipv4/conf/all/route_localnet
echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet
$bb ip route add 127.0.0.1/32 via 198.19.0.1
echo "card up"
`;

/** The test guest with the probe in it. */
async function probingGuest(home: Home): Promise<string> {
  const initrd = `${home.path}/probing.img`;
  const files = {
    "/card": CARD,
    ...await programsIn("", home),
  };
  await joinOverlay(GUEST_FILES.initrd, files, initrd);
  return initrd;
}

const MIB = 96;

export interface NetworkedGuest {
  readonly networking: "off" | "on" | "provisioning_only";
  readonly minutes?: number;
  readonly autoboot?: boolean;
  /** More words for its kernel. */
  readonly cmdline?: string;
}

/** A data disk with those guests, in the order of their slots; names are `net-<slot>`. */
export async function networkedDisk(
  home: Home,
  guests: readonly NetworkedGuest[],
  onShutdown: "shutdown" | "suspend" = "shutdown",
): Promise<string> {
  const initrd = await probingGuest(home);
  const root = `${home.path}/root.img`;
  makeDataDisk(root, {}, { sizeMiB: 16, label: "GUEST" });
  const names = guests.map((_, slot) => `net-${slot}`);
  const profile = (
    { networking, minutes, autoboot = true, cmdline = "" }: NetworkedGuest,
    slot: number,
  ) => `
[profiles.net-${slot}]
kind = "linux"
enabled = true
autoboot = ${autoboot}
networking = "${networking}"
${minutes === undefined ? "" : `provisioning_minutes = ${minutes}`}
on_shutdown = "${onShutdown}"
limits = { cpus = 1, mem_mib = ${MIB} }

[profiles.net-${slot}.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 cryptomgr.notests nokaslr mitigations=off net.ifnames=0 ${cmdline}"
`;
  const policy = `version = 0
serial = 7
limits.vms = 8
limits.mem_mib = ${8 * MIB}
limits.cpu_percent = 100
network.resolver = "${RESOLVER}"
network.allow_private = ["10.7.0.0/16"]
${guests.map(profile).join("")}`;
  const files: DiskFiles = Object.assign(
    {},
    ...names.map((name) => ({
      [`vm/linux/${name}/vmlinuz`]: { copy: GUEST_FILES.kernel },
      [`vm/linux/${name}/initrd.img`]: { copy: initrd },
      [`vm/linux/${name}/rootfs.ext4`]: { copy: root },
    })),
    await signedPolicy(policy),
    {
      "vm/registry.json": JSON.stringify({
        version: 0,
        vms: Object.fromEntries(
          names.map((name, slot) => [name, registryRecord(name, slot, `net-${slot}`, MIB)]),
        ),
      }),
    },
  );
  const disk = `${home.path}/data.img`;
  makeDataDisk(disk, files, { sizeMiB: 128 + guests.length * 160 });
  return disk;
}

const CONSOLE = (vm: string) => `/var/rayos/vm/linux/${vm}/logs/console.log`;

async function consoleOf(run: BootRun, vm: string): Promise<string> {
  return new TextDecoder().decode(await fileInside(run, CONSOLE(vm)));
}

/** Has a guest's shell do something and waits until its console shows that it was done. */
export async function inGuest(
  run: BootRun,
  vm: string,
  command: string,
  mark: string,
): Promise<string> {
  const before = (await consoleOf(run, vm)).length;
  await askInside(run, `type ${vm} run ${command}; echo ${mark} over`, /inside done/u);
  const until = performance.now() + 240_000;
  while (performance.now() < until) {
    const said = (await consoleOf(run, vm)).slice(before);
    if (new RegExp(`^${mark} over`, "mu").test(said)) return said;
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
  throw new Error(`${vm} did not come to ${mark}:\n${await consoleOf(run, vm)}`);
}

/** Name → whether it was open. */
export function reached(text: string): Map<string, boolean> {
  return new Map(
    [...text.matchAll(/^reach (\S+) (open|shut)/gmu)].map((found) =>
      [found[1] ?? "", found[2] === "open"] as const
    ),
  );
}
