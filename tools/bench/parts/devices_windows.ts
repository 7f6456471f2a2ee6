/**
 * What `tools/rayos bench devices` measures of guests of kind windows, on one booted machine without KVM:
 * from the request to the agent's answer, and the same QEMU and swtpm by the bare commands. Both begin with
 * new variables of the firmware and an empty TPM. Emulated in an emulated machine, so each takes minutes.
 */
import { insideOverlay } from "../../../test/boot/inside.ts";
import { guestFiles, type Home, signedPolicy } from "../../../test/boot/machine.ts";
import { makeDataDisk } from "../../boot_data.ts";
import type { Image } from "../../boot_prepare.ts";
import { bareCommand, plannedBy } from "./vm_guests.ts";
import { BenchMachine, LIMIT_MS } from "./vm_machine.ts";

const VM = "windows-demo-001";
const FOLDER = `vm/windows/${VM}`;
const START_MS = 2 * LIMIT_MS;
const POLICY = `version = 0
serial = 1

[security]
virtualization = "emulated_ok"

[windows]
enabled = true
vm_id = "${VM}"
autoboot = false
limits = { mem_mib = 256 }
devices = { vtpm = true }
storage = { bus = "ahci" }

[windows.boot]
kernel = "${FOLDER}/vmlinuz"
initrd = "${FOLDER}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 cryptomgr.notests nokaslr mitigations=off ipv6.disable=1"
`;

/** Milliseconds to the agent's answer. */
export interface WindowsStart {
  readonly host: number;
  readonly bare: number;
}

export async function windowsStart(
  image: Image,
  home: Home,
  say: (text: string) => void,
): Promise<WindowsStart> {
  const files = Object.entries(guestFiles(VM, home)).map(([path, file]) =>
    [path.replace(/^vm\/linux\//u, "vm/windows/").replace(/rootfs\.ext4$/u, "disk"), file] as const
  );
  const disk = `${home.path}/windows.img`;
  makeDataDisk(disk, { ...Object.fromEntries(files), ...await signedPolicy(POLICY) }, {
    sizeMiB: 256,
  });
  const overlay = {
    ...await insideOverlay(),
    "/usr/lib/bare": await Deno.readTextFile(new URL("devices_bare.sh", import.meta.url)),
    "/etc/bench/qemu": bareCommand(plannedBy({ policy: POLICY, registry: null }, VM, false)),
  };
  await using machine = await BenchMachine.start({
    ...image,
    disks: [{ path: disk }],
    overlay,
    kvm: false,
    memoryMiB: 2560,
  });
  const { run } = machine;
  await run.waitFor("RAYOS_READY mode=normal", LIMIT_MS);
  await run.typeSerial(`ray vm start ${VM}\r`);
  const asked = await run.waitFor(/RAYOS_HOST_EVENT_V0:vm\.start:/u, LIMIT_MS);
  const ready = await run.waitFor(`RAYOS_WINDOWS_VM_READY vm=${VM}`, START_MS);
  const host = ready.at - asked.at;
  say(`  windows kind: host ${(host / 1000).toFixed(0)} s`);
  await machine.ask(`ray vm kill ${VM}`, /inside ray \d+/u);
  const word = `do /usr/lib/bare windows windows/${VM} > /dev/ttyS0 2>&1 < /dev/null &`;
  const bare = await machine.readyAfter(word, /inside bare begins/u);
  say(`  windows kind: bare ${(bare / 1000).toFixed(0)} s`);
  return { host, bare };
}
