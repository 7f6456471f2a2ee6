/**
 * The small test guest with a screen of its own: Debian's usual kernel, which the host's image has too, and
 * its driver of virtio's screen. The guest's own kernel for clouds has none.
 */
import { join } from "node:path";
import { joinOverlay, type OverlayFile } from "../../tools/boot_overlay.ts";
import { type GuestFiles, type Image, PROJECT } from "../../tools/boot_prepare.ts";
import { dependencyLines } from "../../tools/build_guest.ts";
import { readManifest } from "../../tools/build_manifest.ts";
import { resolveModules } from "../../tools/build_modules.ts";
import { debianPackages } from "../../tools/debian_packages.ts";
import { type Home, testGuest } from "./machine.ts";

/** What is a module of this kernel, and built into the other one; and the screen. */
const BESIDES = ["crc32c_generic", "ext4", "virtio-gpu"];

/** MiB that it needs: its kernel alone is large. */
export const SCREEN_GUEST_MIB = 192;

/** Kernel and initrd of it. @param image whose kernel it takes, which is unpacked already */
export async function screenGuest(home: Home, image: Image): Promise<GuestFiles> {
  const { kernel, debian } = readManifest(join(PROJECT, "initramfs/manifest.jsonc"));
  const pin = debian[kernel.package];
  if (pin === undefined) throw new Error(`${kernel.package} has no pin`);
  const cache = join(PROJECT, ".cache/debs");
  const packages = debianPackages(new Map([[kernel.package, pin]]), cache, () => {});
  const dir = packages.get(kernel.package)?.dir ?? "";
  const { modules } = readManifest(join(PROJECT, "initramfs/guest/manifest.jsonc"));
  const names = [...BESIDES, ...modules.map((one) => one.name)];
  const all = names.map((name) => ({ name, when: "all" as const }));
  const found = resolveModules(dir, kernel.release, all);
  const overlay: Record<string, OverlayFile> = {
    "/etc/modules": `${names.join(" ")}\n`,
    [`/usr/lib/modules/${kernel.release}/modules.dep`]: dependencyLines(found, kernel.release),
  };
  for (const { member } of found) {
    overlay[`/usr/${member}`] = await Deno.readFile(join(dir, member));
  }
  const initrd = await joinOverlay(testGuest().initrd, overlay, `${home.path}/screen-initrd.img`);
  return { kernel: image.kernel, initrd };
}
