/**
 * Copies a file byte for byte and says what it held. Where it is all zeroes the copy has a hole, so that it
 * takes no more room than its content. The new file must not be there yet, and is on the disk when this is
 * done.
 */

import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { Fault } from "../fault.ts";
import type { Host, OpenFile } from "../host/port.ts";

const READ_BYTES = 1024 * 1024;
/** A hole is at least so large. */
const PIECE_BYTES = 64 * 1024;
const ZEROES = Buffer.alloc(PIECE_BYTES);

export interface Content {
  readonly bytes: number;
  readonly sha256: string;
}

/**
 * @param told gets the bytes that were read so far
 * @throws Fault `file.missing`, `file.exists`, `file.unwritable`, `file.unreadable`
 */
export async function copyFile(
  host: Host,
  from: string,
  to: string,
  told: (bytes: number) => void = () => {},
): Promise<Content> {
  const file = host.create(to);
  try {
    const content = await read(host, from, async (piece) => {
      for (let at = 0; at < piece.length; at += PIECE_BYTES) {
        const part = piece.subarray(at, at + PIECE_BYTES);
        const empty = ZEROES.subarray(0, part.length).equals(part);
        await (empty ? file.skip(part.length) : file.append(part));
      }
      told(file.size);
    });
    await file.finish();
    return content;
  } finally {
    file.abandon();
  }
}

/** What a file holds. @throws as {@link copyFile} */
export function contentOf(host: Host, path: string): Promise<Content> {
  return read(host, path, () => Promise.resolve());
}

async function read(
  host: Host,
  path: string,
  take: (piece: Uint8Array) => Promise<void>,
): Promise<Content> {
  const source: OpenFile | null = host.open(path);
  if (source === null) throw new Fault("data", "file.missing", `${path}: it is gone; look there`);
  const hash = createHash("sha256");
  let bytes = 0;
  try {
    while (true) {
      const piece = await source.read(bytes, READ_BYTES);
      if (piece.length === 0) break;
      hash.update(piece);
      await take(piece);
      bytes += piece.length;
    }
  } finally {
    source.close();
  }
  return { bytes, sha256: hash.digest("hex") };
}
