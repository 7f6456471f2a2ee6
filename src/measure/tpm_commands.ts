/**
 * The two commands by which a PCR of a TPM 2.0 is extended and read, and their answers, as bytes (Trusted
 * Platform Module Library, part 3: TPM2_PCR_Extend, TPM2_PCR_Read; part 2 for the structures). Only the bank of
 * SHA-256 is used. It speaks to no device.
 */

import { createHash } from "node:crypto";

/** Bytes of a SHA-256. */
export const DIGEST_BYTES = 32;
/** More than any answer to these commands has. */
export const ANSWER_BYTES = 4096;
/** PCRs that every TPM of a PC has. */
const PCR_COUNT = 24;

const TPM_ST_NO_SESSIONS = 0x8001;
const TPM_ST_SESSIONS = 0x8002;
const TPM_CC_PCR_EXTEND = 0x182;
const TPM_CC_PCR_READ = 0x17e;
const TPM_RS_PW = 0x40000009;
const TPM_ALG_SHA256 = 0x000b;
/** Tag, size and code. */
const HEADER_BYTES = 10;

/** Fields of a command or an answer, each big-endian: its bytes, and its value. */
type Field = readonly [bytes: 1 | 2 | 4, value: number];

function command(
  tag: number,
  code: number,
  fields: readonly Field[],
  tail: Uint8Array = new Uint8Array(),
): Uint8Array {
  const size = HEADER_BYTES + fields.reduce((sum, [bytes]) => sum + bytes, 0) + tail.length;
  const out = new Uint8Array(size);
  const view = new DataView(out.buffer);
  let at = 0;
  for (const [bytes, value] of [[2, tag], [4, size], [4, code], ...fields] as readonly Field[]) {
    if (bytes === 1) view.setUint8(at, value);
    else if (bytes === 2) view.setUint16(at, value);
    else view.setUint32(at, value);
    at += bytes;
  }
  out.set(tail, at);
  return out;
}

function checked(pcr: number): number {
  if (!Number.isInteger(pcr) || pcr < 0 || pcr >= PCR_COUNT) throw new RangeError(`PCR ${pcr}`);
  return pcr;
}

/** Extends the PCR by a digest. A PCR's own handle is its number; it needs no password. */
export function extendCommand(pcr: number, digest: Uint8Array): Uint8Array {
  if (digest.length !== DIGEST_BYTES) throw new RangeError(`${digest.length} bytes of a digest`);
  const session: Field[] = [[4, TPM_RS_PW], [2, 0], [1, 0], [2, 0]];
  const fields: Field[] = [[4, checked(pcr)], [4, 9], ...session, [4, 1], [2, TPM_ALG_SHA256]];
  return command(TPM_ST_SESSIONS, TPM_CC_PCR_EXTEND, fields, digest);
}

/** Reads the PCR. */
export function readCommand(pcr: number): Uint8Array {
  const bits = [0, 1, 2].map((byte): Field => [
    1,
    Math.floor(checked(pcr) / 8) === byte ? 1 << (pcr % 8) : 0,
  ]);
  return command(TPM_ST_NO_SESSIONS, TPM_CC_PCR_READ, [
    [4, 1],
    [2, TPM_ALG_SHA256],
    [1, 3],
    ...bits,
  ]);
}

/** The answer's code, 0 for success; null where it is no whole answer. */
export function answerCode(answer: Uint8Array): number | null {
  if (answer.length < HEADER_BYTES) return null;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  const tag = view.getUint16(0);
  if (tag !== TPM_ST_NO_SESSIONS && tag !== TPM_ST_SESSIONS) return null;
  return view.getUint32(2) === answer.length ? view.getUint32(6) : null;
}

/** The value in an answer to {@link readCommand}; null where it has none of that PCR. */
export function pcrIn(answer: Uint8Array, pcr: number): Uint8Array | null {
  if (answerCode(answer) !== 0) return null;
  // Behind the header: a counter; what was asked for, as it was asked; one digest with its size.
  const asked = readCommand(pcr).subarray(HEADER_BYTES);
  const from = HEADER_BYTES + 4;
  const behind = from + asked.length;
  if (answer.length !== behind + 4 + 2 + DIGEST_BYTES) return null;
  if (asked.some((byte, n) => answer[from + n] !== byte)) return null;
  const view = new DataView(answer.buffer, answer.byteOffset, answer.length);
  if (view.getUint32(behind) !== 1 || view.getUint16(behind + 4) !== DIGEST_BYTES) return null;
  return answer.slice(behind + 6);
}

/** What a PCR of that value is after it was extended by each digest in turn. */
export function extended(value: Uint8Array, digests: Iterable<Uint8Array>): Uint8Array {
  let now = value;
  for (const digest of digests) now = createHash("sha256").update(now).update(digest).digest();
  return Uint8Array.from(now);
}
