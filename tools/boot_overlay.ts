/**
 * Adds files to an initramfs for one run, as a second archive behind the first; the image itself is
 * never written. The kernel unpacks both in order, so a file here replaces one of the same path.
 */
import { Fault, reasonOf } from "../src/fault.ts";
import { cpio, type CpioEntry } from "./cpio.ts";

/** A file to add: its content, or content with a mode, or where a symbolic link points. */
export type OverlayFile =
  | string
  | Uint8Array
  | { readonly data: string | Uint8Array; readonly mode: number }
  | { readonly link: string };

const SHEBANG = "#!";

function entryOf(path: string, file: OverlayFile): CpioEntry {
  const own = { path, uid: 0, gid: 0 };
  if (typeof file === "string" || file instanceof Uint8Array) {
    const data = typeof file === "string" ? new TextEncoder().encode(file) : file;
    const script = new TextDecoder().decode(data.subarray(0, 2)) === SHEBANG;
    return { ...own, mode: script ? 0o755 : 0o644, kind: "file", data, same: path };
  }
  if ("link" in file) return { ...own, mode: 0o777, kind: "link", target: file.link };
  const data = typeof file.data === "string" ? new TextEncoder().encode(file.data) : file.data;
  return { ...own, mode: file.mode, kind: "file", data, same: path };
}

/** The entries of these files with the directories above them (0755, root's). */
export function overlayEntries(files: Readonly<Record<string, OverlayFile>>): CpioEntry[] {
  const directories = new Set<string>();
  for (const path of Object.keys(files)) {
    const parts = path.split("/").slice(1, -1);
    parts.forEach((_, n) => directories.add(`/${parts.slice(0, n + 1).join("/")}`));
  }
  return [
    ...[...directories].sort().map((path): CpioEntry => ({
      path,
      mode: 0o755,
      uid: 0,
      gid: 0,
      kind: "dir",
    })),
    ...Object.entries(files).map(([path, file]) => entryOf(path, file)),
  ];
}

/** The kernel's lz4 reader takes all that follows for its own, so that form is unpacked first. */
const LZ4_LEGACY = [0x02, 0x21, 0x4c, 0x18];

async function firstBytes(path: string, count: number): Promise<number[]> {
  using file = await Deno.open(path);
  const bytes = new Uint8Array(count);
  const read = await file.read(bytes);
  return [...bytes.subarray(0, read ?? 0)];
}

/**
 * Writes the initramfs with the files added to `target`, and gives that path.
 * @throws Fault `boot.overlay` where the image cannot be read or unpacked
 */
export async function joinOverlay(
  initramfs: string,
  files: Readonly<Record<string, OverlayFile>>,
  target: string,
): Promise<string> {
  try {
    const lz4 = String(await firstBytes(initramfs, 4)) === String(LZ4_LEGACY);
    if (lz4) {
      const args = ["-q", "-d", "-f", initramfs, target];
      const { success, stderr } = await new Deno.Command("lz4", { args }).output();
      if (!success) throw new Error(new TextDecoder().decode(stderr).trim());
    } else {
      await Deno.copyFile(initramfs, target);
    }
    await Deno.chmod(target, 0o600);
    using file = await Deno.open(target, { append: true });
    const { size } = await file.stat();
    // An archive begins at a multiple of four bytes (kernel, buffer-format.rst).
    const writer = file.writable.getWriter();
    await writer.write(new Uint8Array((4 - size % 4) % 4));
    for (const bytes of cpio(overlayEntries(files))) await writer.write(bytes);
    await writer.close();
  } catch (error) {
    const why = reasonOf(error);
    throw new Fault("cli", "boot.overlay", `overlay on ${initramfs}: ${why}; build the image`);
  }
  return target;
}
