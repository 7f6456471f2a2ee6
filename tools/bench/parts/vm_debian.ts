/**
 * The Debian machine of `tools/rayos bench vm`: systemd with one unit a guest, and libvirt, with the same
 * kernel and the same guests as the host beside it. Needs root and mmdebstrap(1).
 */
import * as fs from "node:fs";
import type { Image } from "../../boot_prepare.ts";
import { PROJECT } from "../../boot_prepare.ts";
import { run, ToolError } from "../../build_host.ts";
import { modulesOf, shellQuoted } from "./baseline.ts";
import { type BenchGuests, benchOverlay, guestsDisk, plannedFor, TINY_MIB } from "./vm_guests.ts";
import { BenchMachine, type Life, LIMIT_MS } from "./vm_machine.ts";
import { SETTLE_MS } from "./vm_runs.ts";

export interface DebianRuns {
  /** Milliseconds from the start of the command to the answer of the guest's agent. */
  readonly virsh: readonly number[];
  readonly bare: readonly Life[];
  /** PSS without guests' RAM in MiB: nobody, one, all; each a systemd unit. */
  readonly memory: readonly [number, number, number];
  /** What libvirt's own processes add with no guest. */
  readonly libvirt: number;
}

const PACKAGES = [
  ...["systemd-sysv", "dbus", "busybox-static", "qemu-system-x86"],
  ...["libvirt-daemon-system", "libvirt-clients", "libvirt-daemon-driver-qemu"],
];
const ROOT_MIB = 2048;

const UNIT = `[Unit]
Description=guest %i
[Service]
ExecStart=/bin/sh /srv/units/%i
`;

/** The script inside is started once everything else is, on the console that the harness reads. */
const INSIDE = `[Unit]
After=multi-user.target
[Service]
ExecStart=/bin/sh /srv/bench-inside
StandardInput=tty-force
StandardOutput=tty
TTYPath=/dev/ttyS0
[Install]
WantedBy=multi-user.target
`;

/** Every guest as root and unconfined, as the one that is started by hand. */
const QEMU_CONF = `user = "root"
group = "root"
security_driver = "none"
namespaces = []
cgroup_controllers = []
`;

/** Debian as a disk image, made once. */
function debianDisk(say: (text: string) => void): string {
  const folder = `${PROJECT}/.cache/bench`;
  const disk = `${folder}/debian.img`;
  if (fs.existsSync(disk)) return disk;
  if (run("id", ["-u"]).trim() !== "0") {
    throw new ToolError("bench vm: mmdebstrap needs root here; --without-debian leaves it out");
  }
  if (run.status("which", ["mmdebstrap"]) !== 0) {
    run("apt-get", ["install", "--yes", "--no-install-recommends", "mmdebstrap"]);
  }
  say("making a Debian with systemd and libvirt (once)");
  fs.mkdirSync(folder, { recursive: true });
  const tree = `${folder}/debian`;
  fs.rmSync(tree, { recursive: true, force: true });
  run("mmdebstrap", ["--variant=minbase", `--include=${PACKAGES.join(",")}`, "bookworm", tree]);
  const put = (path: string, text: string) => fs.writeFileSync(`${tree}/${path}`, text);
  put("etc/systemd/system/tiny@.service", UNIT);
  put("etc/systemd/system/bench-inside.service", INSIDE);
  put("etc/libvirt/qemu.conf", QEMU_CONF);
  put("etc/hostname", "debian\n");
  fs.mkdirSync(`${tree}/etc/bench`);
  fs.symlinkSync("/srv/qemu", `${tree}/etc/bench/qemu`);
  const systemctl = (...args: string[]) => run("chroot", [tree, "systemctl", ...args]);
  systemctl("enable", "bench-inside.service");
  // Nobody logs in, and the harness's console has one reader.
  systemctl("mask", "serial-getty@ttyS0.service", "getty@tty1.service");
  run("mke2fs", ["-q", "-t", "ext4", "-d", tree, `${disk}.new`, `${ROOT_MIB}M`]);
  fs.rmSync(tree, { recursive: true });
  fs.renameSync(`${disk}.new`, disk);
  return disk;
}

/** A guest as a unit's shell script: the plan's own arguments, with its own files and sockets. */
function unitScript(guests: BenchGuests, vm: string): string {
  const own: Record<string, string> = {
    "/g/disk0": "rootfs.ext4",
    "/g/kernel": "vmlinuz",
    "/g/initrd": "initrd.img",
  };
  const words = plannedFor(guests, vm).map((word) => {
    const named = word.replace(/\/g\/[a-z0-9]+/gu, (path) => `/srv/vm/linux/${vm}/${own[path]}`);
    if (!named.startsWith("socket,id=console,")) {
      return shellQuoted(named.replaceAll("/s/", `/run/bench/${vm}.`));
    }
    return shellQuoted(`file,id=console,path=/run/bench/${vm}.log`);
  });
  return `mkdir -p /run/bench\nexec /usr/bin/qemu-system-x86_64 -no-user-config -nodefaults ${
    words.join(" ")
  }\n`;
}

/** A virtual function of the root bus: the guest's kernel looks at no other. */
const at = (slot: number) => `<address type='pci' domain='0' bus='0' slot='${slot}' function='0'/>`;

/** The guest that is started by hand, as libvirt is told of it. */
function domain(guests: BenchGuests, agentPort: string): string {
  const argv = plannedFor(guests, guests.bare);
  const value = (option: string) => argv[argv.indexOf(option) + 1] ?? "";
  const files = `/srv/vm/linux/${guests.bare}`;
  return `<domain type='kvm'>
<name>peer</name><uuid>${value("-uuid")}</uuid>
<memory unit='MiB'>${TINY_MIB}</memory><vcpu>1</vcpu>
<os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type>
<kernel>${files}/vmlinuz</kernel><initrd>${files}/initrd.img</initrd>
<cmdline>${value("-append")}</cmdline></os>
<features><acpi/></features>
<cpu mode='host-passthrough'/>
<devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='${files}/rootfs.ext4'/>
<target dev='vda' bus='virtio'/>${at(4)}</disk>
<controller type='virtio-serial' index='0'>${at(5)}</controller>
<controller type='usb' model='none'/>
<console type='pty'><target type='virtio'/></console>
<channel type='pipe'><source path='${agentPort}'/>
<target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<memballoon model='none'/><video><model type='none'/></video></devices>
</domain>
`;
}

/** The n-th port of the machine's second serial bus device; the harness's own is the first. */
const AGENT_DEVICE = "/dev/vport1p2";

/** Boots Debian once and measures what the host was measured by. */
export async function debianRuns(
  image: Image,
  guests: BenchGuests,
  directory: string,
  runs: number,
  say: (text: string) => void,
): Promise<DebianRuns> {
  const root = `${directory}/debian.img`;
  await Deno.copyFile(debianDisk(say), root);
  const overlay = await benchOverlay(guests);
  const units = guests.all.map((vm) => [`units/${vm}`, unitScript(guests, vm)]);
  const disk = guestsDisk(`${directory}/debian-guests.img`, guests, {
    ...Object.fromEntries(units),
    "bench-inside": String(overlay["/usr/lib/bench-inside"]),
    qemu: String(overlay["/etc/bench/qemu"]),
    "peer.xml": domain(guests, AGENT_DEVICE),
  });
  await using machine = await BenchMachine.start({
    ...image,
    disks: [{ path: root }, { path: disk }],
    overlay: {
      "/init": await Deno.readTextFile(new URL("vm_debian_init.sh", import.meta.url)),
      "/etc/baseline/modules": modulesOf(),
    },
    append: "systemd.show_status=0",
    memoryMiB: 1536 + guests.all.length * 224,
  });
  say("Debian boots");
  await machine.run.waitForConsole(/inside is here/u, LIMIT_MS);
  const memory: number[] = [];
  // What has no guest is not asked of libvirt yet, whose daemons start when they are.
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  await machine.ask(
    "unit stop libvirtd.service libvirtd.socket virtlogd.socket",
    /inside unit \d+/u,
  );
  memory.push(await machine.memory());
  for (const [n, vm] of guests.all.entries()) {
    await machine.ask(`unit start tiny@${vm}`, /inside unit 0/u);
    for (let tries = 0;; tries += 1) {
      const text = await machine.ask("up", /inside up \d+ end/u);
      if (Number(/\d+/u.exec(text)?.[0]) === n + 1) break;
      if (tries > 600) throw new Error(`bench vm: ${vm} did not come up under systemd`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    if (n === 0 || n === guests.all.length - 1) memory.push(await machine.memory());
    // As the host's guests are held once they are up.
    await machine.ask("hold", /inside held/u);
    say(`  ${n + 1} under systemd`);
  }
  for (const vm of guests.all) await machine.ask(`unit stop tiny@${vm}`, /inside unit 0/u);
  await machine.ask("unit start libvirtd.socket virtlogd.socket", /inside unit \d+/u);
  await machine.ask("virsh define /srv/peer.xml", /inside virsh 0/u);
  // The first start has libvirt look at QEMU, and is not counted.
  const virsh: number[] = [];
  const bare: Life[] = [];
  const before = await machine.memory();
  for (let n = 0; n <= runs; n += 1) {
    const ready = await machine.readyAfter("virsh start peer", /inside virsh begins/u);
    await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
    await machine.ask("virsh destroy peer", /inside virsh 0/u);
    const life = await machine.bareLife(guests.bare, SETTLE_MS);
    if (n === 0) continue;
    virsh.push(ready);
    bare.push(life);
    say(`  life ${n}: virsh ready ${ready.toFixed(0)} ms, bare ${life.ready.toFixed(0)} ms`);
  }
  const [nobody = 0, one = 0, all = 0] = memory;
  return { virsh, bare, memory: [nobody, one, all], libvirt: before - nobody };
}
