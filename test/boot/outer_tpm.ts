/**
 * A TPM of the outer machine: swtpm as the image's packages have it, so that nothing is installed for it. It
 * begins empty and ends with the test.
 */
import { join } from "node:path";
import type { MachineOptions } from "../../tools/boot_machine.ts";
import { type Image, PROJECT } from "../../tools/boot_prepare.ts";
import { readManifest } from "../../tools/build_manifest.ts";
import { debianPackages } from "../../tools/debian_packages.ts";
import type { Home } from "./machine.ts";

/** It, and the libraries that it needs besides the C library. */
const PACKAGES = ["swtpm", "swtpm-libs", "libtpms0", "libseccomp2", "libssl3"];
const START_MS = 10_000;

/**
 * MiB. QEMU 7.2 (hw/i386/x86.c) leaves too little below the top of memory for the ACPI tables of a machine with a TPM,
 * whose log is among them: a ramdisk that is put there would lie over them. A bzImage's lies below 2 GiB.
 */
const MEMORY_MIB = 2560;

export interface OuterTpm extends AsyncDisposable {
  /** The machine that has it. */
  readonly machine: Pick<MachineOptions, "extra" | "kernel" | "memoryMiB">;
}

/** Starts it in the home. @param image what its machine boots */
export async function outerTpm(home: Home, image: Image): Promise<OuterTpm> {
  const { debian } = readManifest(join(PROJECT, "initramfs/manifest.jsonc"));
  const pins = new Map(PACKAGES.map((name) => [name, debian[name] ?? null]));
  const packages = debianPackages(pins, join(PROJECT, ".cache/debs"), () => {});
  const libraries = [...packages.values()].flatMap(({ dir }) => {
    const folder = join(dir, "usr/lib/x86_64-linux-gnu");
    return [folder, join(folder, "swtpm")];
  });
  const state = `${home.path}/tpm`;
  const socket = `${home.path}/tpm.sock`;
  await Deno.mkdir(state);
  const process = new Deno.Command(join(packages.get("swtpm")?.dir ?? "", "usr/bin/swtpm"), {
    args: [
      ...["socket", "--tpm2", "--tpmstate", `dir=${state}`, "--flags", "startup-clear"],
      ...["--ctrl", `type=unixio,path=${socket}`, "--terminate"],
    ],
    env: { LD_LIBRARY_PATH: libraries.join(":") },
    stdin: "null",
    stdout: "null",
    stderr: "inherit",
  }).spawn();
  const end = Date.now() + START_MS;
  while (!await Deno.lstat(socket).then(() => true, () => false)) {
    if (Date.now() > end) throw new Error("swtpm did not come up");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  return {
    machine: {
      extra: [
        ...["-chardev", `socket,id=tpm,path=${socket}`, "-tpmdev", "emulator,id=tpm,chardev=tpm"],
        ...["-device", "tpm-crb,tpmdev=tpm"],
      ],
      kernel: image.kernel.replace(/vmlinux$/u, "vmlinuz"),
      memoryMiB: MEMORY_MIB,
    },
    async [Symbol.asyncDispose]() {
      try {
        process.kill("SIGTERM");
      } catch {
        // It ended with its machine.
      }
      await process.status;
    },
  };
}
