/**
 * Guests under KVM in the real jail of a booted image, behind a filter that lets pass and logs what the
 * list does not name, so that the kernel's log has exactly that. The filter also leaves out names that
 * wait for a proof; what of them is logged is needed.
 */
import { type CallList, seccompFilter } from "../src/seccomp/filter.ts";
import { guestDiskFiles, type GuestFiles, type Image, PROJECT } from "./boot_prepare.ts";
import { type DiskFiles, makeDataDisk, policyFiles, signWith } from "./boot_data.ts";
import { bootMachine } from "./boot_machine.ts";
import type { OverlayFile } from "./boot_overlay.ts";
import { DEVELOPER_KEY } from "./boot_prepare.ts";
import { qcow2Of } from "./qcow2.ts";
import { loggedCalls } from "./seccomp_trace.ts";

const GUESTS = [
  { vm: "record-raw", format: "raw", kernel: true },
  { vm: "record-qcow2", format: "qcow2", kernel: true },
  { vm: "record-empty", format: "raw", kernel: false },
] as const;

const profile = (name: string, kernel: boolean): string =>
  `
[profiles.${name}]
kind = "linux"
enabled = true
autoboot = true
limits = { mem_mib = 128 }
devices = { vtpm = ${kernel} }
` + (kernel
    ? `
[profiles.${name}.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1"
`
    : "");

const POLICY = `version = 0
serial = 1
${profile("kernel", true)}${profile("empty", false)}`;

/**
 * What the kernel's log had, each call once, on the serial console, asked for by a word. The log is
 * emptied all the time, since one frequent call would push the others out; without rate limit.
 */
const REPORTER = `#!/bin/busybox sh
bb=/bin/busybox
echo 0 > /proc/sys/kernel/printk_ratelimit
short='s/.*\\(type=1326 \\).*\\( comm="[^"]*"\\).*\\( syscall=[0-9]* \\).*/\\1\\2\\3/p'
while :; do
  $bb dmesg -c | $bb sed -n "$short" | $bb sort -u >> /tmp/calls
  $bb sleep 1
done &
while read -r word; do
  [ "$word" = log ] && $bb sort -u /tmp/calls
  echo "log ends"
done
`;

function record(slot: number): unknown {
  const { vm, format, kernel } = GUESTS[slot] ?? GUESTS[0];
  return {
    vm_id: vm,
    name: vm,
    kind: "linux",
    profile: kernel ? "kernel" : "empty",
    uuid: `5d0a3c6e-0000-4000-8000-00000000000${slot}`,
    slot,
    state: "stopped",
    storage: { disks: { root: { path: `vm/linux/${vm}/rootfs.ext4`, format, bus: "virtio" } } },
    devices: { vcpus: 2, memory_mib: 128, input: false, gpu: "none", vtpm: kernel },
    boot: null,
    provisioned_at: null,
    saved_state: null,
  };
}

async function diskFiles(guest: GuestFiles, work: string): Promise<DiskFiles> {
  const policy = new TextEncoder().encode(POLICY.replaceAll("128 }", "128, cpus = 2 }"));
  const vms = Object.fromEntries(GUESTS.map(({ vm }, slot) => [vm, record(slot)]));
  const root = `${work}/root`;
  makeDataDisk(root, {}, { sizeMiB: 16, label: "GUEST" });
  const qcow2 = `${work}/qcow2`;
  await Deno.writeFile(qcow2, qcow2Of(await Deno.readFile(root)));
  return {
    ...policyFiles(policy, await signWith(DEVELOPER_KEY, policy)),
    "vm/registry.json": JSON.stringify({ version: 0, vms }),
    ...Object.assign(
      {},
      ...GUESTS.map(({ vm, format }) => guestDiskFiles(vm, guest, format === "raw" ? root : qcow2)),
    ),
  };
}

async function overlay(filter: Uint8Array): Promise<Record<string, OverlayFile>> {
  const read = (name: string) => Deno.readTextFile(`${PROJECT}/initramfs/skeleton/${name}`);
  const launcher = await read("usr/lib/rayos/jail");
  const careless = launcher.replace(/^\[ "\$\{found%% \*\}" = .*$/m, "");
  if (careless === launcher) throw new Error("the launcher compares no filter; mend the recorder");
  return {
    "/usr/lib/rayos/jail": { data: careless, mode: 0o755 },
    "/usr/lib/rayos/seccomp/qemu.bpf": filter,
    "/etc/inittab": `${await read("etc/inittab")}::once:/usr/lib/reporter\n`,
    "/usr/lib/reporter": REPORTER,
  };
}

/**
 * Boots the image once and gives the names that QEMU called and the list, without `unproven`, lacks.
 */
export async function recordKvm(
  list: CallList,
  unproven: readonly string[],
  image: Image,
  guest: GuestFiles,
): Promise<string[]> {
  const proven = list.allowed.filter((call) => !unproven.includes(call.name));
  const filter = seccompFilter({ ...list, allowed: proven }, "log");
  const work = await Deno.makeTempDir({ prefix: "rayos-record-" });
  try {
    const disk = `${work}/data.img`;
    makeDataDisk(disk, await diskFiles(guest, work));
    await using run = await bootMachine({
      ...image,
      append: "audit_backlog_limit=65536 log_buf_len=16M",
      disks: [{ path: disk }],
      overlay: await overlay(filter),
    });
    for (const { vm, kernel } of GUESTS) {
      const marker = kernel ? "RAYOS_LINUX_VM_READY" : "RAYOS_VM_STATE:starting:running";
      await run.waitFor(`${marker} vm=${vm}`);
    }
    await run.typeSerial("log\r");
    await run.waitForConsole(/log ends/, 60_000);
    await run.powerButton();
    await run.ended;
    return loggedCalls(run.console, ["setpriv", "qemu-system-x86_64"]);
  } finally {
    await Deno.remove(work, { recursive: true });
  }
}
