/**
 * What a disk image's own header says, read before QEMU sees the file: the guest writes that header, so
 * a qcow2 that names another file must be refused by us. Pure.
 *
 * Source: QEMU, docs/interop/qcow2.txt.
 */

import { type Issue, issue } from "../issue.ts";

/** So many bytes of the image are enough for the checks. */
export const HEADER_BYTES = 512;

const QCOW2_MAGIC = 0x514649fb;
const INCOMPATIBLE_EXTERNAL_DATA = 1n << 2n;

/**
 * Whether the image may be opened in that format.
 *
 * @param format what the record says; a raw disk may hold anything
 * @param head the first bytes of the file
 */
export function diskHeaderIssue(format: "raw" | "qcow2", head: Uint8Array): Issue | null {
  if (format === "raw") return null;
  const found = qcow2Fault(head);
  return found === null ? null : issue("path.disk_format", {
    expected: "qcow2 version 2 or 3 that refers to no other file",
    found,
    hint: "convert the disk to a single file, or correct `format` in the registry",
  });
}

function qcow2Fault(head: Uint8Array): string | null {
  if (head.length < 72) return "shorter than a qcow2 header";
  const view = new DataView(head.buffer, head.byteOffset, head.byteLength);
  if (view.getUint32(0) !== QCOW2_MAGIC) return "no qcow2 magic";
  const version = view.getUint32(4);
  if (version !== 2 && version !== 3) return `qcow2 version ${version}`;
  if (view.getBigUint64(8) !== 0n) return "a backing file";
  if (version === 3) {
    if (head.length < 104) return "shorter than a qcow2 header";
    if ((view.getBigUint64(72) & INCOMPATIBLE_EXTERNAL_DATA) !== 0n) return "an external data file";
  }
  return null;
}
