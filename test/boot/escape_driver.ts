/**
 * What the escape test adds to the image: the hostile program, the launchers with walls taken away, and
 * a script that starts the program in each jail, beside the real program and a real guest, and prints
 * what each row got. It judges nothing.
 */
import { HARDENING, renderHardening } from "../../src/boot/hardening.ts";
import { type Slot, uidOf, type VmId } from "../../src/id.ts";
import type { DataPath } from "../../src/data_path.ts";
import { renderPlan } from "../../src/jail/render.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { SWTPM_FILTER_SHA256 } from "../../src/seccomp/swtpm.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import type { Jail } from "../hostile/escape_rows.ts";
import { HOST_PLACES, launcherWith, TWIN_ROOT, TWIN_TMP } from "../hostile/escape_twins.ts";

/** The hostile guest's name and slot; the other guest is in slot 0. */
export const HOSTILE = "hostile";
export const OTHER = "other";
const SLOT = 1 as Slot;
const MIB = 1024 * 1024;
/** Size of the hostile guest's disk; the largest file that its program may make. */
export const DISK_BYTES = 2 * MIB;

/**
 * Stage 0's list without those rows: they stop whole rows of the test on the whole host, whatever the
 * jail, so no jail's wall could be shown to hold by itself.
 */
function hardeningWithout(...ids: string[]): string {
  const left = HARDENING.filter((row) => ids.includes(row.id)).map((row) => `${row.where[0]} `);
  const lines = renderHardening().split("\n");
  return lines.filter((line) => !left.some((place) => line.startsWith(place))).join("\n");
}

/** The words that `-uuid` carries to the program; the script puts numbers in their place. */
const TOLD = "@TOLD@";

/** The plan as the program writes it, but for one value that QEMU's stand-in reads. */
function planText(tpm: boolean): string {
  const plan = samplePlan({
    vm: HOSTILE as VmId,
    slot: SLOT,
    uid: uidOf("qemu", SLOT),
    memoryMiB: 32,
    devices: [
      ...samplePlan().devices,
      { device: "network-port" },
      ...tpm ? [{ device: "vtpm" }] as const : [],
    ],
    tpm: tpm
      ? {
        uid: uidOf("swtpm", SLOT),
        stateDir: `vm/linux/${HOSTILE}/tpm` as DataPath,
        seccomp: SWTPM_FILTER_SHA256,
      }
      : null,
    files: [
      { access: "rw", path: `vm/linux/${HOSTILE}/rootfs.ext4` as DataPath, name: "disk0" },
      { access: "ro", path: `vm/linux/${HOSTILE}/vmlinuz` as DataPath, name: "kernel" },
    ],
    limits: {
      cpuMaxUs: 200_000,
      memoryMaxBytes: 96 * MIB,
      pidsMax: 64,
      ioMaxBytesS: null,
      consoleKibS: 64,
    },
  });
  return renderPlan(plan).replace(`arg ${plan.uuid}\n`, `arg ${TOLD}\n`);
}

const SCRIPT = `#!/bin/busybox sh
umask 022
bb=/bin/busybox
here=/usr/lib/escape
jail=/usr/lib/rayos/root/qemu
folder=/var/rayos/vm/linux/${HOSTILE}
cgroup=/run/rayos/cg/rayos/guests/01
sockets=/run/rayos/g/01

failed() { echo "escape-failed $*"; exit 1; }
until [ "$word" = go ]; do read -r word; done

for one in /proc/[0-9]*; do
  [ "$($bb tr '\\0' ' ' < $one/cmdline 2> /dev/null | $bb grep -c '/usr/lib/rayos/.* init $')" = 1 ] &&
    supervisor=\${one#/proc/}
done
while read -r one; do
  $bb grep -q '^/usr/bin/qemu' /proc/$one/cmdline && guest=$one
done < /run/rayos/cg/rayos/guests/00/cgroup.procs
for one in /proc/$guest/fd/*; do
  [ "$($bb readlink $one)" = anon_inode:kvm-vm ] && vm=\${one##*/}
done
set -- $($bb stat -c '0x%t 0x%T' /dev/vda)
device=$((($1 << 8) | $2))
[ -n "$supervisor" ] && [ -n "$guest" ] && [ -n "$vm" ] || failed "no supervisor, guest or VM"

# The namespace for NICs, of which this machine has none, and a slot's way to a network, as the launcher
# makes it where a guest may have one.
/usr/lib/rayos/uplink park > /dev/null || failed "no namespace of an uplink"
$bb mkdir -p /run/rayos/n/00
$bb chown 64000:61000 /run/rayos/n/00
$bb chmod 2750 /run/rayos/n/00
$bb ip link set lo up
$bb ip address add 192.0.2.1/32 dev lo
$here/escape host > /run/escape-cookie &
until read -r cookie < /run/escape-cookie; do $bb sleep 0.05; done
$bb chown 64000:61000 /run/rayos/n/00/passt.sock
$bb chmod 0770 /run/rayos/n/00/passt.sock
secret() { # each that is not there is made, of root's alone
  for one; do
    $bb mkdir -p \${one%/*}
    [ -e $one ] || echo secret > $one
    $bb chmod 0600 $one
  done
}
secret $folder/state/saved $folder/logs/console.log $folder/backup/nvram /run/rayos/net/00.json
for one in $folder /var/rayos/vm/linux/${OTHER}; do
  secret $one/state/network_lease $one/inbox/image $one/outbox/image $one/backup/1/manifest.json
done
$bb mkdir -m 0700 $folder/tpm /run/rayos/uplink/u0
$bb chown 62001:62001 $folder/tpm
secret /run/rayos/uplink/u0/facts
$bb chown -R 60900:60900 /run/rayos/uplink/u0
$bb mv $jail/usr/bin/qemu-system-x86_64 $jail/usr/bin/qemu
$bb cp $here/escape $jail/usr/bin/qemu-system-x86_64
$bb cp $here/escape $jail/usr/bin/escape-setuid
$bb chmod 4755 $jail/usr/bin/escape-setuid
$bb mkdir -p ${TWIN_ROOT} ${TWIN_TMP.small} ${TWIN_TMP.large}
name=$($bb hostname)

is_empty() { $bb grep -q '^populated 0' $cgroup/cgroup.events; }
run() { # $1 = number of the jail, $2 = rows
  /usr/bin/mount -t tmpfs -o mode=1777,size=16m t ${TWIN_TMP.small}
  /usr/bin/mount -t tmpfs -o mode=1777 t ${TWIN_TMP.large}
  $bb truncate -s ${DISK_BYTES} $folder/rootfs.ext4
  $bb chown 0:0 $folder/rootfs.ext4 $folder/vmlinuz
  plan=plan
  [ "$2" = own_tpm_socket ] && plan=plan.tpm
  $bb sed "s/${TOLD}/$2 $supervisor $guest $vm $device $cookie/" $here/$plan > /run/rayos/plan/01
  said=$($here/jail.$1 1)
  [ "$said" = ok ] || echo "escape-failed jail $1: $said"
  $here/escape poke $sockets/qmp.sock
  until $bb grep -q '^row end' $sockets/rows || is_empty; do $bb sleep 0.1; done
  $bb sed -n "s/^row /escape $1 /p" $sockets/rows
  is_empty && echo "escape $1 $2 killed"
  if [ -L $sockets/planted ]; then
    $bb cat $sockets/planted > /dev/null 2>&1 || echo "escape $1 link_left_for_host own"
  fi
  if [ "$2" = all ]; then
    [ "$($bb hostname)" = "$name" ] && echo "escape $1 host_name same"
    $bb hostname "$name"
  fi
  echo 1 > $cgroup/cgroup.kill
  until is_empty; do $bb sleep 0.05; done
  $bb umount -l ${TWIN_ROOT} 2> /dev/null
  $bb umount ${TWIN_TMP.small} ${TWIN_TMP.large}
}
`;

/** The files that the jails of this run need in the image. */
export async function escapeOverlay(
  jails: readonly Jail[],
  program: Uint8Array,
): Promise<Record<string, OverlayFile>> {
  const skeleton = `${PROJECT}/initramfs/skeleton`;
  const inittab = await Deno.readTextFile(`${skeleton}/etc/inittab`);
  const launcher = await Deno.readTextFile(`${skeleton}/usr/lib/rayos/jail`);
  const places = HOST_PLACES.map((place) => `$jail${place}`).join(" ");
  const runs = jails.flatMap(({ name, rows }, number) => [
    // The whole jail has seen the image as it is; a place for what a twin sees is needed only then.
    ...name === "none" ? [`$bb mkdir -p ${places}`] : [],
    `run ${number} ${rows}`,
  ]);
  const launchers = jails.map(({ name, walls }, number): [string, OverlayFile] => [
    `/usr/lib/escape/jail.${number}`,
    name === "whole"
      ? { link: "/usr/lib/rayos/jail" }
      : { data: launcherWith(launcher, walls), mode: 0o755 },
  ]);
  return {
    "/etc/rayos/hardening": hardeningWithout("ptrace", "user_namespaces"),
    "/etc/inittab": `${inittab}::once:/usr/lib/escape/begin\n`,
    "/usr/lib/escape/begin": `${SCRIPT}\n${runs.join("\n")}\necho escape-done\n`,
    "/usr/lib/escape/plan": planText(false),
    "/usr/lib/escape/plan.tpm": planText(true),
    "/usr/lib/escape/escape": { data: program, mode: 0o755 },
    ...Object.fromEntries(launchers),
  };
}
