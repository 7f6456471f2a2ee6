/**
 * Images in which a shell script stands for the host: the project's kernel, busybox, the few modules
 * that the harness port and the power button need, and one `/init` of `fake/`. They boot in three
 * seconds and test the harness alone; nothing of the program is in them.
 */
import { join } from "node:path";
import { overlayEntries, type OverlayFile } from "../../tools/boot_overlay.ts";
import { PROJECT } from "../../tools/boot_prepare.ts";
import { sha256 } from "../../tools/build_host.ts";
import { vmlinuxOf } from "../../tools/build_kernel.ts";
import { readManifest } from "../../tools/build_manifest.ts";
import { resolveModules } from "../../tools/build_modules.ts";
import { cpio } from "../../tools/cpio.ts";
import { debianPackages, memberOf } from "../../tools/debian_packages.ts";

const FAKES = ["good", "violation_at_end", "forged", "hangs"] as const;
export type Fake = typeof FAKES[number];

const MODULES = ["virtio_pci", "virtio_console", "evdev", "button"];

/** The image directory of an imitated host, made below `build/` where it is not there yet. */
export async function fakeImage(fake: Fake): Promise<string> {
  const manifest = readManifest(`${PROJECT}/initramfs/manifest.jsonc`);
  const { package: kernelName, release } = manifest.kernel;
  const pins = Object.entries(manifest.debian).filter(([name]) =>
    name === kernelName || name === "busybox-static"
  );
  const packages = debianPackages(new Map(pins), `${PROJECT}/.cache/debs`, console.error);
  const member = async (name: string, path: string): Promise<Uint8Array> => {
    const file = memberOf(packages.get(name)?.dir ?? "/nonexistent", path);
    if (file === null) throw new Error(`${name}: it has no ${path}`);
    return await Deno.readFile(file);
  };
  const kernelDir = packages.get(kernelName)?.dir ?? "/nonexistent";
  const modules = resolveModules(
    kernelDir,
    release,
    MODULES.map((name) => ({ name, when: "all" as const })),
  );
  const scripts = join(import.meta.dirname ?? ".", "fake");
  const files: Record<string, OverlayFile> = {
    "/bin/busybox": { data: await member("busybox-static", "bin/busybox"), mode: 0o755 },
    "/common.sh": await Deno.readTextFile(`${scripts}/common.sh`),
    "/init": await Deno.readTextFile(`${scripts}/${fake}.sh`),
    "/modules": modules.map((one) => `/${one.member}\n`).join(""),
    "/proc/.keep": "",
    "/sys/.keep": "",
    "/dev/.keep": "",
  };
  for (const one of modules) files[`/${one.member}`] = await member(kernelName, one.member);

  const kernel = `${PROJECT}/build/test/vmlinux-${release}`;
  const archive = [...cpio(overlayEntries(files))];
  const directory = `${PROJECT}/build/test/fake-${fake}`;
  await Deno.mkdir(directory, { recursive: true });
  try {
    await Deno.stat(kernel);
  } catch {
    const vmlinux = vmlinuxOf(await member(kernelName, `boot/vmlinuz-${release}`));
    await Deno.writeFile(kernel, vmlinux);
  }
  await replaceLink(kernel, `${directory}/vmlinux`);
  await writeOnce(`${directory}/initramfs.img`, archive);
  return directory;
}

async function replaceLink(target: string, path: string): Promise<void> {
  await Deno.remove(path).catch(() => {});
  await Deno.symlink(target, path);
}

async function writeOnce(path: string, chunks: Uint8Array[]): Promise<void> {
  const bytes = new Uint8Array(await new Blob(chunks.map((one) => one.slice())).arrayBuffer());
  const old = await Deno.readFile(path).catch(() => new Uint8Array(0));
  if (sha256(old) !== sha256(bytes)) await Deno.writeFile(path, bytes);
}
