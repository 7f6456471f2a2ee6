/**
 * `tools/rayos guest debian`: a Debian guest made with mmdebstrap(1), with systemd and the QEMU guest agent,
 * and a RayOS Data disk with it and a signed policy, which `tools/rayos boot --data` boots. It is made of
 * what the mirrors have on that day, and is no part of any image. Needs root.
 */
import * as fs from "node:fs";
import * as path from "node:path";
import { makeDataDisk, policyFiles, signWith } from "./boot_data.ts";
import { DEVELOPER_KEY, guestDiskFiles, PROJECT } from "./boot_prepare.ts";
import { run, ToolError } from "./build_host.ts";
import { Fault } from "../src/fault.ts";

/** The guest's name in its policy. */
export const DEBIAN_GUEST = "debian";
const DEBIAN_POLICY = `${PROJECT}/tools/debian_guest_policy.toml`;

const OUT = `${PROJECT}/build/guest-debian`;
const PACKAGES = [
  ...["systemd-sysv", "dbus", "udev", "qemu-guest-agent"],
  // hwclock(8), without which the agent sets no clock.
  ...["util-linux-extra"],
  ...["linux-image-cloud-amd64", "initramfs-tools", "zstd"],
];
const ROOT_MIB = 1536;
const DATA_MIB = 2048;

/** Where the guest's three files are. */
export interface DebianGuest {
  readonly kernel: string;
  readonly initrd: string;
  readonly root: string;
}

const FILES: DebianGuest = {
  kernel: `${OUT}/vmlinuz`,
  initrd: `${OUT}/initrd.img`,
  root: `${OUT}/rootfs.ext4`,
};

/** Files of the guest's own: nobody else can come at its console, so that root has no password there. */
const OWN: Readonly<Record<string, string>> = {
  "etc/hostname": "debian\n",
  "etc/fstab": "/dev/vda / ext4 errors=remount-ro 0 1\n",
  "etc/initramfs-tools/conf.d/rayos": "MODULES=list\nCOMPRESS=zstd\n",
  "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\nvirtio_console\n",
};

function onlyOne(folder: string, name: RegExp): string {
  const found = fs.readdirSync(folder).filter((one) => name.test(one));
  const [one] = found;
  if (one === undefined || found.length > 1) {
    throw new ToolError(`Debian guest: ${folder} has ${found.length} of ${name}; look there`);
  }
  return path.join(folder, one);
}

/**
 * Makes the guest where it is not there yet; remove its folder to have it made anew.
 * @throws ToolError where root or a package is missing
 */
export function buildDebianGuest(say: (line: string) => void): DebianGuest {
  if (Object.values(FILES).every((file) => fs.existsSync(file))) return FILES;
  if (run("id", ["-u"]).trim() !== "0") {
    throw new ToolError("Debian guest: mmdebstrap needs root here; run it as root");
  }
  if (run.status("which", ["mmdebstrap"]) !== 0) {
    say("installing mmdebstrap");
    run("apt-get", ["install", "--yes", "--no-install-recommends", "mmdebstrap"]);
  }
  fs.mkdirSync(OUT, { recursive: true });
  const tree = fs.mkdtempSync(path.join(OUT, "tree-"));
  try {
    say(`installing ${PACKAGES.join(" ")} into a root of their own; this takes minutes`);
    const include = `--include=${PACKAGES.join(",")}`;
    run("mmdebstrap", ["--variant=minbase", include, "bookworm", tree]);
    for (const [file, text] of Object.entries(OWN)) {
      fs.mkdirSync(path.dirname(path.join(tree, file)), { recursive: true });
      fs.writeFileSync(path.join(tree, file), text);
    }
    run("chroot", [tree, "passwd", "--quiet", "--delete", "root"]);
    run("chroot", [tree, "update-initramfs", "-u", "-k", "all"]);
    fs.copyFileSync(onlyOne(path.join(tree, "boot"), /^vmlinuz-/u), FILES.kernel);
    fs.copyFileSync(onlyOne(path.join(tree, "boot"), /^initrd\.img-/u), FILES.initrd);
    say("making its disk");
    run("mke2fs", ["-q", "-t", "ext4", "-d", tree, `${FILES.root}.new`, `${ROOT_MIB}M`]);
    fs.renameSync(`${FILES.root}.new`, FILES.root);
  } finally {
    fs.rmSync(tree, { recursive: true, force: true });
  }
  return FILES;
}

/** A RayOS Data disk with the guest and its policy, signed with the checkout's developer key. */
export async function debianDataDisk(guest: DebianGuest, disk: string): Promise<void> {
  const policy = await Deno.readFile(DEBIAN_POLICY);
  makeDataDisk(disk, {
    ...guestDiskFiles(DEBIAN_GUEST, guest, guest.root),
    ...policyFiles(policy, await signWith(DEVELOPER_KEY, policy)),
  }, { sizeMiB: DATA_MIB });
}

if (import.meta.main) {
  const say = (line: string) => console.error(`guest: ${line}`);
  const disk = `${OUT}/data.img`;
  try {
    const guest = buildDebianGuest(say);
    await debianDataDisk(guest, disk);
    const shown = path.relative(Deno.cwd(), disk);
    console.log(`boot it with: tools/rayos boot --data ${shown} --timeout 900`);
  } catch (error) {
    if (!(error instanceof ToolError) && !(error instanceof Fault)) throw error;
    console.error(`rayos: guest: ${error.message}`);
    Deno.exit(3);
  }
}
