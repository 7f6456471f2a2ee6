/**
 * What `tools/rayos bench devices` measures of shared folders, on one booted host: a guest whose folders the
 * program gives it, and one with the same by a bare virtiofsd, in turns.
 */
import { askInside, insideOverlay, vmCommand } from "../../../test/boot/inside.ts";
import { inGuest } from "../../../test/boot/internet.ts";
import { guestFiles, type Home, registryRecord, signedPolicy } from "../../../test/boot/machine.ts";
import { type DiskFiles, makeDataDisk } from "../../boot_data.ts";
import { GUEST_FILES } from "../../boot_prepare.ts";
import { bootMachine } from "../../boot_machine.ts";
import { joinOverlay } from "../../boot_overlay.ts";
import type { Image } from "../../boot_prepare.ts";
import { bareOverlay, inBare, startBare } from "./devices_bare.ts";
import { plannedBy } from "./vm_guests.ts";

const [WALLED, BARE] = ["share-0", "share-1"] as const;
const MIB = 96;
/** MiB that are read, and written. */
export const READ_MIB = 32;
export const WRITE_MIB = 16;
const LIMIT_MS = 600_000;

const POLICY = `version = 0
serial = 1
limits.vms = 2
limits.cpu_percent = 100

[profiles.sharing]
kind = "linux"
enabled = true
autoboot = false
networking = "off"
limits = { cpus = 1, mem_mib = ${MIB} }
storage.shares = [
  { tag = "docs", path = "vm/linux/{vm_id}/docs" },
  { tag = "work", path = "vm/linux/{vm_id}/work.ext4", read_only = false, quota_mib = 64 },
]

[profiles.sharing.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 cryptomgr.notests nokaslr mitigations=off"
`;

/** In the guest: mounts both once, then reads and writes, and says its own uptime before and after each. */
const TIMES = `#!/bin/busybox sh
bb=/bin/busybox
$bb mkdir -p /m /w
for folder in docs:/m work:/w; do
  n=0
  until $bb grep -q " \${folder#*:} " /proc/mounts || [ $n -gt 60 ]; do
    $bb mount -t virtiofs \${folder%:*} \${folder#*:} || $bb sleep 1
    n=$((n + 1))
  done
done
echo 3 > /proc/sys/vm/drop_caches
read -r before rest < /proc/uptime
$bb dd if=/m/big of=/dev/null bs=65536 2> /dev/null
read -r after rest < /proc/uptime
echo "share read $before $after"
read -r before rest < /proc/uptime
$bb dd if=/dev/zero of=/w/new bs=65536 count=${WRITE_MIB * 16} conv=fsync 2> /dev/null
read -r after rest < /proc/uptime
$bb rm /w/new
echo "share write $before $after"
`;

/** Milliseconds, one value for each run. */
export interface ShareTimes {
  readonly read: number[];
  readonly write: number[];
}

async function measure(
  guest: (command: string, mark: string) => Promise<string>,
  into: ShareTimes,
  mark: string,
): Promise<void> {
  const said = await guest("/times", mark);
  for (const key of ["read", "write"] as const) {
    const [, before, after] =
      new RegExp(`^share ${key} ([\\d.]+) ([\\d.]+)\r?$`, "mu").exec(said) ??
        [];
    if (after === undefined) throw new Error(`bench devices: no time of ${key}: ${said}`);
    into[key].push((Number(after) - Number(before)) * 1000);
  }
}

async function sharesDisk(home: Home): Promise<{ disk: string; registry: string }> {
  const initrd = `${home.path}/times.img`;
  await joinOverlay(GUEST_FILES.initrd, { "/times": { data: TIMES, mode: 0o755 } }, initrd);
  const big = `${home.path}/big`;
  await Deno.writeFile(big, new Uint8Array(READ_MIB * 1024 * 1024).map((_, n) => n % 251));
  const files: Record<string, DiskFiles[string]> = { ...await signedPolicy(POLICY) };
  for (const vm of [WALLED, BARE]) {
    Object.assign(files, guestFiles(vm, home, { ...GUEST_FILES, initrd }));
    files[`vm/linux/${vm}/docs/big`] = { copy: big };
  }
  const registry = JSON.stringify({
    version: 0,
    vms: {
      [WALLED]: registryRecord(WALLED, 0, "sharing", MIB),
      [BARE]: registryRecord(BARE, 1, "sharing", MIB),
    },
  });
  const disk = `${home.path}/shares.img`;
  makeDataDisk(disk, { ...files, "vm/registry.json": registry }, { sizeMiB: 512 });
  return { disk, registry };
}

/** Boots the host once and measures both guests on it, in turns. */
export async function shareRuns(
  image: Image,
  home: Home,
  runs: number,
  say: (text: string) => void,
): Promise<{ readonly walled: ShareTimes; readonly bare: ShareTimes }> {
  const { disk, registry } = await sharesDisk(home);
  const argv = [
    ...plannedBy({ policy: POLICY, registry }, BARE, true),
    ...["docs", "work"].flatMap((tag, n) => [
      ...["-chardev", `socket,id=fs${n},path=/n/${tag}.sock`],
      "-device",
      JSON.stringify({
        driver: "vhost-user-fs-pci",
        chardev: `fs${n}`,
        tag,
        bus: `port-share${n}`,
      }),
    ]),
  ];
  const overlay = {
    ...await insideOverlay(),
    ...await bareOverlay(argv),
  };
  await using run = await bootMachine({
    ...image,
    disks: [{ path: disk }],
    overlay,
    memoryMiB: 2560,
  });
  await run.waitFor("RAYOS_READY", LIMIT_MS);
  await vmCommand(run, "start", WALLED, "running");
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${WALLED}`, LIMIT_MS);
  await askInside(run, `attach ${WALLED} ${WALLED}`, /inside done/u);
  await startBare(run, `shares linux/${BARE}`);
  const none = (): ShareTimes => ({ read: [], write: [] });
  const [walled, bare] = [none(), none()];
  for (let n = 1; n <= runs; n++) {
    await measure((command, mark) => inGuest(run, WALLED, command, mark), walled, `walled${n}`);
    await measure((command, mark) => inBare(run, command, mark), bare, `bare${n}`);
    const ms = (one: ShareTimes) => `read ${one.read.at(-1)} ms, write ${one.write.at(-1)} ms`;
    say(`  shares ${n}: walls ${ms(walled)}; bare ${ms(bare)}`);
  }
  return { walled, bare };
}
