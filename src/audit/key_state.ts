/**
 * The key state as it lies on the disk (`boot/audit.key`, 0600): 1 KiB that is written over in place,
 * so that no older key stays in another block. It holds the same 256 bytes twice, in two sectors, each
 * with its own check: a power cut in the middle of the one write leaves one of them whole. Pure.
 */

import { createHash } from "node:crypto";
import type { ChainState } from "./chain.ts";

/** Of the whole file, and where its second half begins. */
export const KEY_STATE_BYTES = 1024;
const SECTOR = 512;
const BODY = 224;
const MAGIC = "RAYAUD01";

export interface KeyState {
  readonly chain: ChainState;
  /** Number of the oldest record that is kept, and of the file that is written. */
  readonly oldest: number;
  readonly file: number;
  /** The verification key, until a person was shown it; null from then on. */
  readonly unshown: Uint8Array | null;
}

/** The file's bytes. */
export function encodeKeyState({ chain, oldest, file: part, unshown }: KeyState): Uint8Array {
  const body = new Uint8Array(BODY);
  const view = new DataView(body.buffer);
  body.set(new TextEncoder().encode(MAGIC), 0);
  view.setBigUint64(8, BigInt(chain.epoch));
  view.setBigUint64(16, BigInt(chain.index));
  view.setBigUint64(24, BigInt(chain.seq));
  body.set(fromHex(chain.head), 32);
  body.set(fromHex(chain.fingerprint), 64);
  body.set(chain.recordKey, 80);
  body.set(chain.nextEpochKey, 112);
  view.setUint8(144, unshown === null ? 0 : 1);
  if (unshown !== null) body.set(unshown, 145);
  view.setBigUint64(184, BigInt(oldest));
  view.setBigUint64(192, BigInt(part));
  const file = new Uint8Array(KEY_STATE_BYTES);
  for (const at of [0, SECTOR]) {
    file.set(body, at);
    file.set(checkOf(body), at + BODY);
  }
  body.fill(0);
  return file;
}

/** What the file says: the newer of its halves that are whole; null where none is. */
export function decodeKeyState(file: Uint8Array): KeyState | null {
  if (file.length !== KEY_STATE_BYTES) return null;
  const [first, second] = [0, SECTOR].map((at) => decodeHalf(file.subarray(at, at + SECTOR)));
  if (!first || !second) return first ?? second ?? null;
  return second.chain.seq > first.chain.seq || second.chain.epoch > first.chain.epoch
    ? second
    : first;
}

function decodeHalf(half: Uint8Array): KeyState | null {
  const body = half.subarray(0, BODY);
  if (toHex(checkOf(body)) !== toHex(half.subarray(BODY, BODY + 32))) return null;
  if (new TextDecoder().decode(body.subarray(0, 8)) !== MAGIC) return null;
  const view = new DataView(body.buffer, body.byteOffset, BODY);
  const numbers = [8, 16, 24, 184, 192].map((at) => Number(view.getBigUint64(at)));
  if (!numbers.every(Number.isSafeInteger)) return null;
  return {
    chain: {
      epoch: Number(view.getBigUint64(8)),
      index: Number(view.getBigUint64(16)),
      seq: Number(view.getBigUint64(24)),
      head: toHex(body.subarray(32, 64)),
      fingerprint: toHex(body.subarray(64, 80)),
      recordKey: body.slice(80, 112),
      nextEpochKey: body.slice(112, 144),
    },
    oldest: Number(view.getBigUint64(184)),
    file: Number(view.getBigUint64(192)),
    unshown: view.getUint8(144) === 1 ? body.slice(145, 177) : null,
  };
}

function checkOf(body: Uint8Array): Uint8Array {
  return createHash("sha256").update(body).digest();
}

function toHex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function fromHex(text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], (pair) => parseInt(pair, 16));
}
