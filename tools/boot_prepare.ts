/**
 * Turns the options of a harness run into a machine that can be booted and what is expected of it:
 * finds or builds the image, and makes the data disk. Writes only below the work directory it is
 * given and below the checkout's own `build/`.
 */
import { resolve } from "node:path";
import { Fault, reasonOf } from "../src/fault.ts";
import { type DiskFiles, makeDataDisk, policyFiles, policyOnDisk, signWith } from "./boot_data.ts";
import { type AutobootGuest, autobootGuests } from "./boot_guests.ts";
import { type Expectation, goodBoot } from "./boot_judge.ts";
import type { MachineOptions } from "./boot_machine.ts";
import type { BootOptions, Form } from "./boot_options.ts";
import type { OverlayFile } from "./boot_overlay.ts";
import { buildImage } from "./build.ts";
import { buildGuest } from "./build_guest.ts";
import { ToolError } from "./build_host.ts";

/** The checkout that this file is part of. */
export const PROJECT = resolve(import.meta.dirname ?? ".", "..");

/** Kernel and initramfs of an image. */
export interface Image {
  readonly kernel: string;
  readonly initramfs: string;
}

export interface Prepared {
  readonly machine: MachineOptions;
  readonly expectation: Expectation;
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch {
    return false;
  }
}

/**
 * The image in a directory: `vmlinux`, else `vmlinuz`, and `initramfs.img`.
 * @throws Fault `image.missing`
 */
export async function imageIn(directory: string): Promise<Image> {
  const initramfs = `${directory}/initramfs.img`;
  for (const name of ["vmlinux", "vmlinuz"]) {
    const kernel = `${directory}/${name}`;
    if (await exists(kernel) && await exists(initramfs)) return { kernel, initramfs };
  }
  throw new Fault(
    "cli",
    "image.missing",
    `image ${directory}: it has no vmlinux or vmlinuz with an initramfs.img; build it first`,
  );
}

/** Runs a build, with what it says of its failure as a fault. */
function built(what: string, build: () => void): void {
  try {
    build();
  } catch (error) {
    if (!(error instanceof ToolError)) throw error;
    throw new Fault("cli", "image.build", `build of the ${what}: ${error.message}`, error);
  }
}

/** Where this checkout's image of that form lies. */
export function imageFolder(form: Form): string {
  return `${PROJECT}/build/${form}`;
}

/**
 * This checkout's image in that form, built where it is not up to date.
 * @throws Fault `image.build`
 */
export async function builtImage(form: Form, say: (text: string) => void): Promise<Image> {
  const out = imageFolder(form);
  const entry = `${PROJECT}/main.ts`;
  const options = { project: PROJECT, form, out, entry, host: null, say } as const;
  built("image", () => buildImage({ ...options, profile: "developer" }));
  return await imageIn(out);
}

/** Kernel and initrd of the test guest. */
export interface GuestFiles {
  readonly kernel: string;
  readonly initrd: string;
}

const GUEST_FOLDER = `${PROJECT}/build/guest`;
export const GUEST_FILES: GuestFiles = {
  kernel: `${GUEST_FOLDER}/vmlinuz`,
  initrd: `${GUEST_FOLDER}/initrd.img`,
};

/**
 * The test guest's files, built where they are not up to date.
 * @throws Fault `image.build`
 */
export function builtGuest(say: (text: string) => void): GuestFiles {
  built("test guest", () => buildGuest({ project: PROJECT, out: GUEST_FOLDER, say }));
  return GUEST_FILES;
}

/** The files of a Linux guest that boots from kernel and initrd, below the data root. */
export function guestDiskFiles(id: string, guest: GuestFiles, rootDisk: string): DiskFiles {
  return {
    [`vm/linux/${id}/vmlinuz`]: { copy: guest.kernel },
    [`vm/linux/${id}/initrd.img`]: { copy: guest.initrd },
    [`vm/linux/${id}/rootfs.ext4`]: { copy: rootDisk },
  };
}

async function readOrFault(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (error) {
    throw new Fault("cli", "file.unreadable", `${path}: ${reasonOf(error)}; name another file`);
  }
}

/** The developer's secret signing key of this checkout, made with the image. */
export const DEVELOPER_KEY = `${PROJECT}/.rayos/keys/policy-dev.key`;
export const DEFAULT_POLICY = `${PROJECT}/tools/boot_default_policy.toml`;

const GUEST_DISK_MIB = 16;
const GUEST_DISK_LABEL = "GUEST";

/** The policy of a run: the one that was named, or the harness's own, signed. */
async function policyOf(options: BootOptions): Promise<{ files: DiskFiles; text: string }> {
  const bytes = await readOrFault(options.policy ?? DEFAULT_POLICY);
  const beside = `${options.policy}.minisig`;
  const signature = options.policy === null || options.sign
    ? await signWith(DEVELOPER_KEY, bytes)
    : await exists(beside)
    ? await Deno.readTextFile(beside)
    : null;
  return { files: policyFiles(bytes, signature), text: new TextDecoder().decode(bytes) };
}

async function trustedKey(path: string): Promise<Record<string, OverlayFile>> {
  const text = new TextDecoder().decode(await readOrFault(path));
  if (/secret key/u.test(text.split("\n")[0] ?? "")) {
    throw new Fault("cli", "key.secret", `--key ${path}: it is a secret key; name its .pub file`);
  }
  return { "/etc/rayos/keys/policy-of-this-run.pub": text };
}

function expectationOf(options: BootOptions, guests: readonly AutobootGuest[]): Expectation {
  const { expect, refuse, interactive } = options;
  if (interactive || expect.length > 0) return { expect, refuse };
  const good = goodBoot(guests);
  return { expect: good.expect, refuse: [...good.refuse, ...refuse] };
}

/**
 * Prepares a run. The data disk is made at `<work>/data.img` unless the options name one.
 * @param say told what is being done, a line at a time
 * @throws Fault with what is missing
 */
export async function prepare(
  options: BootOptions,
  work: string,
  say: (text: string) => void,
): Promise<Prepared> {
  const image = options.image === null
    ? await builtImage(options.form, say)
    : await imageIn(options.image);
  let disk = options.data;
  let policy: string;
  if (disk === null) {
    disk = `${work}/data.img`;
    const { files, text } = await policyOf(options);
    policy = text;
    const guests = autobootGuests(text).filter(({ kind }) => kind === "linux");
    const guestRoot = `${work}/guest-root.img`;
    let guestFiles: DiskFiles = {};
    if (guests.length > 0) {
      const guest = builtGuest(say);
      makeDataDisk(guestRoot, {}, { sizeMiB: GUEST_DISK_MIB, label: GUEST_DISK_LABEL });
      guestFiles = Object.assign(
        {},
        ...guests.map(({ id }) => guestDiskFiles(id, guest, guestRoot)),
      );
    }
    say("making the RayOS Data disk");
    makeDataDisk(disk, { ...guestFiles, ...files });
    await Deno.remove(guestRoot).catch(() => {});
  } else {
    await readable(disk);
    policy = policyOnDisk(disk);
  }
  return {
    machine: {
      ...image,
      append: options.append,
      disks: [{ path: resolve(disk) }],
      kvm: options.kvm,
      ...(options.key === null ? {} : { overlay: await trustedKey(options.key) }),
    },
    expectation: expectationOf(options, autobootGuests(policy)),
  };
}

async function readable(path: string): Promise<void> {
  if (!await exists(path)) {
    throw new Fault("cli", "file.unreadable", `--data ${path}: no such file; make it first`);
  }
}
