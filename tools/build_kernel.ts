/**
 * Takes the uncompressed kernel out of a bzImage, so that a machine with slow emulation need not
 * decompress it (kernel Documentation/arch/x86/boot.rst, payload_offset and payload_length). It
 * changes nothing in the kernel.
 */
import { filtered, ToolError } from "./build_host.ts";
import { isElf } from "./elf.ts";

/** Compressions that Debian's kernels have come with: magic bytes and the tool that undoes it. */
const DECOMPRESSORS = [
  { magic: [0xfd, 0x37, 0x7a, 0x58], program: "xz", args: ["-dc", "--single-stream"] },
  { magic: [0x28, 0xb5, 0x2f, 0xfd], program: "zstd", args: ["-dcq"] },
  { magic: [0x1f, 0x8b], program: "gzip", args: ["-dc"] },
] as const;

/**
 * The vmlinux inside a bzImage.
 *
 * @throws ToolError where it is no bzImage, or compressed in a way that is not known here
 */
export function vmlinuxOf(bzImage: Uint8Array): Uint8Array {
  const view = new DataView(bzImage.buffer, bzImage.byteOffset, bzImage.byteLength);
  if (new TextDecoder().decode(bzImage.subarray(0x202, 0x206)) !== "HdrS") {
    throw new ToolError("kernel: no bzImage (HdrS is missing); take Debian's vmlinuz");
  }
  const sectors = view.getUint8(0x1f1) || 4;
  const start = (sectors + 1) * 512 + view.getUint32(0x248, true);
  const payload = bzImage.subarray(start, start + view.getUint32(0x24c, true));
  for (const { magic, program, args } of DECOMPRESSORS) {
    if (!magic.every((byte, n) => payload[n] === byte)) continue;
    // Behind the stream lie four bytes of size, which are not the decompressor's.
    const kernel = filtered(program, [...args, "{in}"], payload.subarray(0, payload.length - 4));
    if (!isElf(kernel)) {
      throw new ToolError("kernel: its payload is not ELF; take Debian's vmlinuz");
    }
    return kernel;
  }
  throw new ToolError("kernel: payload of an unknown compression; add it to tools/build_kernel.ts");
}
