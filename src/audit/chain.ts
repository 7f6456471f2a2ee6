/**
 * The chain of the audit log and its keys: each record carries the hash of the line before it and a MAC
 * under a key of its own. The keys go one way: from the key of a record follows that of the next, never
 * that of the one before. Who takes the host at some time has no key with which an older record could be
 * written anew. Pure; whoever holds a state keeps it where nobody reads it, and overwrites the old one.
 *
 * After M. Bellare, B. Yee, "Forward-Security in Private-Key Cryptography" (CT-RSA 2003), and the sealing
 * of systemd's journal (journald.conf(5), `Seal=`; G. Marson, B. Poettering, "Practical Secure Logging:
 * Seekable Sequential Key Generators", ESORICS 2013). Where theirs jumps to any interval by arithmetic, this
 * has two levels of plain hashing: a key for each epoch (from one seal to the next), and from it one for
 * each record. docs/AUDIT.md says what it holds against and what not.
 */

import { createHash, createHmac } from "node:crypto";
import { type AuditRecord, type Content, sealedText, tidy, unsealedText } from "./record.ts";
import { sha256Hex } from "../sha256.ts";

export const KEY_BYTES = 32;
/** What stands for the line before the first. */
export const NO_LINE = "0".repeat(64);

/** Where a chain stands, and the only keys that are left. Secret. */
export interface ChainState {
  /** Of the record that comes next. */
  readonly epoch: number;
  readonly index: number;
  readonly recordKey: Uint8Array;
  /** From which every later epoch follows. */
  readonly nextEpochKey: Uint8Array;
  /** Of the last record; 0 where there is none yet. */
  readonly seq: number;
  /** SHA-256 of the last line, in hex. */
  readonly head: string;
  /** Of the key that the chain began with. */
  readonly fingerprint: string;
}

function derive(label: string, key: Uint8Array): Uint8Array {
  const made = createHash("sha256").update(label).update(key).digest();
  // Not a piece of a pool that others write to.
  const own = Uint8Array.from(made);
  made.fill(0);
  return own;
}

const recordKeyOf = (epochKey: Uint8Array) => derive("rayos audit record\0", epochKey);
const nextRecordKey = (recordKey: Uint8Array) => derive("rayos audit next\0", recordKey);
const nextEpochKeyOf = (epochKey: Uint8Array) => derive("rayos audit epoch\0", epochKey);

export const FINGERPRINT_CHARACTERS = 32;

/** What may be kept of a verification key: 128 bits of a hash, in hex. */
export function fingerprintOf(key: Uint8Array): string {
  const hash = createHash("sha256").update("rayos audit fingerprint\0").update(key);
  return hash.digest("hex").slice(0, FINGERPRINT_CHARACTERS);
}

/** Whether a text has the form of one. */
export const isFingerprint = (text: string): boolean => /^[0-9a-f]{32}$/.test(text);

/** HMAC-SHA-256 (RFC 2104) of a record's text, in hex. */
export function macOf(recordKey: Uint8Array, unsealed: string): string {
  return createHmac("sha256", recordKey).update(unsealed).digest("hex");
}

/** A chain before its first record. */
export function beginChain(key: Uint8Array): ChainState {
  return {
    epoch: 0,
    index: 0,
    recordKey: recordKeyOf(key),
    nextEpochKey: nextEpochKeyOf(key),
    seq: 0,
    head: NO_LINE,
    fingerprint: fingerprintOf(key),
  };
}

/** The next record's line, without its newline, and where the chain stands after it. */
export function link(state: ChainState, content: Content): { line: string; next: ChainState } {
  const unsealed = unsealedText({
    ...content,
    data: tidy(content.data),
    epoch: state.epoch,
    index: state.index,
    prev: state.head,
    seq: state.seq + 1,
  });
  const line = sealedText(unsealed, macOf(state.recordKey, unsealed));
  return { line, next: afterRecord(state, sha256Hex(line)) };
}

function afterRecord(state: ChainState, head: string): ChainState {
  return {
    ...state,
    index: state.index + 1,
    recordKey: nextRecordKey(state.recordKey),
    seq: state.seq + 1,
    head,
  };
}

/** The first position of the next epoch; of the one that ends no key is left. */
export function nextEpoch(state: ChainState): ChainState {
  return {
    ...state,
    epoch: state.epoch + 1,
    index: 0,
    recordKey: recordKeyOf(state.nextEpochKey),
    nextEpochKey: nextEpochKeyOf(state.nextEpochKey),
  };
}

/** So far from where it stands a place is looked for: 28 years of a seal every quarter of an hour. */
const FARTHEST_EPOCH = 1_000_000;
/** More than any epoch holds: the host seals long before. */
const FARTHEST_INDEX = 100_000;

type KeyPlace = Pick<AuditRecord, "epoch" | "index">;

/** Hashes that {@link skipTo} takes, at most; null where it finds no way. */
export function skipCost(state: ChainState, place: KeyPlace): number | null {
  const epochs = place.epoch - state.epoch;
  if (epochs < 0 || epochs > FARTHEST_EPOCH || place.index > FARTHEST_INDEX) return null;
  if (epochs > 0) return epochs + 1 + place.index;
  return place.index < state.index ? null : place.index - state.index;
}

/** The state at a later place of the keys; null where it lies before this one, or too far behind it. */
export function skipTo(state: ChainState, place: KeyPlace): ChainState | null {
  if (skipCost(state, place) === null) return null;
  const epochs = place.epoch - state.epoch;
  let at = state;
  if (epochs > 0) {
    let key = state.nextEpochKey;
    for (let n = 1; n < epochs; n++) key = nextEpochKeyOf(key);
    at = {
      ...state,
      epoch: place.epoch,
      index: 0,
      recordKey: recordKeyOf(key),
      nextEpochKey: nextEpochKeyOf(key),
    };
  }
  let { recordKey } = at;
  for (let n = at.index; n < place.index; n++) recordKey = nextRecordKey(recordKey);
  return { ...at, index: place.index, recordKey };
}

/** The place behind one whose record was looked at for its seal alone. */
export function pastRecord(state: ChainState): ChainState {
  return { ...state, index: state.index + 1, recordKey: nextRecordKey(state.recordKey) };
}

/** Overwrites the keys of a state that is no longer needed; nobody else may hold them. */
export function wipe(state: ChainState): void {
  state.recordKey.fill(0);
  state.nextEpochKey.fill(0);
}

/** Why a record does not follow, or where the chain stands after it. */
export type Followed =
  | { readonly ok: true; readonly next: ChainState }
  | { readonly ok: false; readonly rule: FollowRule; readonly what: string };
export type FollowRule = "audit.seq" | "audit.prev" | "audit.position" | "audit.mac";

/**
 * Whether a record that was read is the next one. Where the last one was a seal, the caller has taken
 * {@link nextEpoch} already.
 *
 * @param keyed whether the state's keys are those of the chain; else only hashes and numbers are compared
 */
export function follow(
  state: ChainState,
  record: AuditRecord,
  line: Uint8Array,
  keyed: boolean,
): Followed {
  if (record.seq !== state.seq + 1) {
    const what = `record ${record.seq} stands where ${state.seq + 1} belongs`;
    return { ok: false, rule: "audit.seq", what };
  }
  if (record.epoch !== state.epoch || record.index !== state.index) {
    const what = `place ${record.epoch}/${record.index} of the keys where ` +
      `${state.epoch}/${state.index} belongs`;
    return { ok: false, rule: "audit.position", what };
  }
  if (record.prev !== state.head) {
    return { ok: false, rule: "audit.prev", what: "it names another line as the one before it" };
  }
  if (keyed && !isSealed(state.recordKey, record)) {
    return { ok: false, rule: "audit.mac", what: "its seal does not fit its text" };
  }
  const head = sha256Hex(line);
  if (keyed) return { ok: true, next: afterRecord(state, head) };
  return { ok: true, next: { ...state, index: state.index + 1, seq: record.seq, head } };
}

/** Whether the record was made by who had this key. */
export function isSealed(recordKey: Uint8Array, record: AuditRecord): boolean {
  return macOf(recordKey, record.unsealed) === record.mac;
}

/** The words by which the chain speaks of itself. */
export const FILE = "audit_file";
export const SEAL = "audit_seal";
export const TORN = "audit_torn";
export const FOLDED = "audit_folded";
export const LOST = "audit_lost";
