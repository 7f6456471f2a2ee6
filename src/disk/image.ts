/**
 * What a disk image is, from its first bytes and its size alone, and whether the host works on it: its
 * format, how large the guest sees it, and what would make it refer to something else or ask for more than
 * any machine has. Pure.
 *
 * Source: QEMU, docs/interop/qcow2.txt.
 */

import { type Issue, issue } from "../issue.ts";
import { diskHeaderIssue } from "../plan/disk_header.ts";
import type { DiskFormat } from "../registry/guest.ts";

/** Largest disk in bytes, 16 TiB: what ext4 takes in one file. */
export const MAX_DISK_BYTES = 2 ** 44;
const SECTOR_BYTES = 512;

export interface ImageFacts {
  readonly format: DiskFormat;
  /** As the guest sees it. */
  readonly virtualBytes: number;
}

const AT = { clusterBits: 20, size: 24, crypt: 32, incompatible: 72 } as const;
const CORRUPT = 1n << 1n;
/** Dirty, corrupt, external data, compression type, extended L2: QEMU 7.2 knows no other. */
const KNOWN_FEATURES = 0x1fn;

/**
 * @param format what the record or the caller says
 * @param head the first bytes of the file, {@link HEADER_BYTES} of them where there are so many
 * @param fileBytes the file's size
 */
export function imageFacts(
  format: DiskFormat,
  head: Uint8Array,
  fileBytes: number,
): ImageFacts | Issue {
  const wrong = diskHeaderIssue(format, head);
  if (wrong !== null) return wrong;
  if (format === "raw") return sized("raw", BigInt(fileBytes));
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  const features = view.getUint32(4) === 3 ? view.getBigUint64(AT.incompatible) : 0n;
  if (view.getUint32(AT.crypt) !== 0) {
    return issue("disk.encrypted", {
      expected: "a qcow2 image without encryption of its own",
      found: "an encrypted one",
      hint: "the host has no place for its key; encrypt inside the guest instead",
    });
  }
  const bits = view.getUint32(AT.clusterBits);
  if ((features & CORRUPT) !== 0n || (features & ~KNOWN_FEATURES) !== 0n || bits < 9 || bits > 21) {
    return issue("disk.damaged", {
      expected: "a whole qcow2 image",
      found: (features & CORRUPT) !== 0n ? "one that says it is damaged" : "an unknown header",
      hint: "take another copy of the image",
    });
  }
  return sized("qcow2", view.getBigUint64(AT.size));
}

function sized(format: DiskFormat, bytes: bigint): ImageFacts | Issue {
  if (bytes >= BigInt(SECTOR_BYTES) && bytes <= BigInt(MAX_DISK_BYTES)) {
    return { format, virtualBytes: Number(bytes) };
  }
  return issue("disk.size", {
    expected: `${SECTOR_BYTES} to ${MAX_DISK_BYTES} bytes as the guest sees it`,
    found: `${bytes}`,
    hint: "take another image",
  });
}

/** How other formats begin; a raw disk does not, unless a guest wrote it so. */
const OTHERS: readonly (readonly [name: string, magic: string])[] = [
  ["VMDK", "KDMV"],
  ["VMDK", "# Disk DescriptorFile"],
  ["VHD", "conectix"],
  ["VHDX", "vhdxfile"],
  ["VDI", "<<< "],
  ["QED", "QED\0"],
  ["LUKS", "LUKS\xba\xbe"],
];

/**
 * The format of an image that a person brings and says nothing of. Never asked of a guest's own disk: what
 * a guest wrote there decides nothing.
 */
export function formatOf(head: Uint8Array): DiskFormat | Issue {
  const text = [...head.subarray(0, 32)].map((byte) => String.fromCharCode(byte)).join("");
  if (text.startsWith("QFI\xfb")) return "qcow2";
  const other = OTHERS.find(([, magic]) => text.startsWith(magic));
  if (other === undefined) return "raw";
  return issue("disk.format", {
    expected: "a raw disk or qcow2",
    found: `${other[0]}, by its first bytes`,
    hint:
      "convert it with `qemu-img convert -O qcow2` where it comes from; --from raw takes it as it is",
  });
}

/** What a new file of that name is: the name says it, as in the policy and the registry. */
export function formatOfName(name: string): DiskFormat {
  return name.endsWith(".qcow2") ? "qcow2" : "raw";
}

/** Whether a size can be a disk's. */
export function sizeIssue(bytes: number): Issue | null {
  if (bytes % SECTOR_BYTES === 0 && bytes >= SECTOR_BYTES && bytes <= MAX_DISK_BYTES) return null;
  return issue("disk.size", {
    expected: `a multiple of ${SECTOR_BYTES} bytes, at most ${MAX_DISK_BYTES}`,
    found: String(bytes),
    hint: "say it as 512M, 8G or 1T",
  });
}
