/**
 * The audit log on the disk: `logs/audit/audit-<n>.jsonl` and the key state beside the host's own key.
 *
 * The order of a write, so that a cut anywhere leaves a log that verifies to its last whole record: the
 * lines are appended and brought to the disk; then the key state is written over in place, which destroys
 * the keys of those lines; only then are they counted as written. Where the cut falls between the two, the
 * next start finds lines behind the state, holds them against its keys and goes on behind them. What is no
 * whole record there was cut off while it was written: it stays, and the next record says how much it was.
 */

import { randomBytes } from "node:crypto";
import type { AppendFile, Host } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import {
  beginChain,
  type ChainState,
  FILE,
  FINGERPRINT_CHARACTERS,
  fingerprintOf,
  KEY_BYTES,
  link,
  nextEpoch,
  SEAL,
  TORN,
  wipe,
} from "./chain.ts";
import { Follower } from "./follower.ts";
import { decodeKeyState, encodeKeyState, KEY_STATE_BYTES, type KeyState } from "./key_state.ts";
import { linesOf } from "./lines_of.ts";
import { type Content, readRecord } from "./record.ts";
import { MAX_FILE_BYTES, MAX_FILES } from "./retention.ts";
import { sha256Hex } from "../sha256.ts";

/** Where an audit log lies, and what is known besides. */
export interface AuditPlace {
  readonly folder: string;
  readonly keyFile: string;
  /** Whether something says that this data root was in use before. */
  readonly hadHistory: boolean;
  /** Fingerprint of the key that the image expects; null: any. */
  readonly expected: string | null;
}

/** Under one epoch's key; a seal follows at the latest then. */
const MAX_EPOCH_RECORDS = 4096;
/** Why such a seal was made. */
const BY_SIZE = "size";
/** A file is a little larger at most: the batch that filled it, which {@link Audit} keeps far below this. */
const READ_LIMIT = MAX_FILE_BYTES + 1024 * 1024;
const FIRST_LINE_BYTES = 64 * 1024;
/** Six digits, and more from the millionth file on; no number has two names. */
const NAME = /^audit-(\d{6}|[1-9]\d{6,14})\.jsonl$/;

/** Names of the log's files among those of a folder, oldest first. */
export function auditFiles(names: readonly string[]): string[] {
  return names.filter((name) => NAME.test(name)).toSorted((a, b) => ordinalOf(a) - ordinalOf(b));
}

function nameOf(ordinal: number): string {
  return `audit-${String(ordinal).padStart(6, "0")}.jsonl`;
}

/** Where the last written record lies, and what is behind it. */
interface Found {
  readonly chain: ChainState;
  readonly ordinal: number;
  /** Whether that file has its first record. */
  readonly begun: boolean;
  /** Bytes at its end that are no record. */
  readonly torn: number;
  readonly newline: boolean;
}

export class AuditLog {
  #file: AppendFile | null = null;
  #state: KeyState;
  /** What stands before the next line: the end of a line that was cut off. */
  #before = "";

  private constructor(
    readonly host: Host,
    readonly place: AuditPlace,
    state: KeyState,
    readonly now: () => string,
  ) {
    this.#state = state;
  }

  /**
   * Opens the log and goes on behind its last whole record; begins one where there is none.
   *
   * @throws what the file system says
   */
  static open(
    host: Host,
    place: AuditPlace,
    now: () => string,
  ): { log: AuditLog; findings: Issue[] } {
    const findings: Issue[] = [];
    const found = (rule: string, what: string, hint: string) =>
      findings.push(issue(rule, {
        path: place.folder,
        expected: "the audit log as this host left it",
        found: what,
        hint,
        severity: "warning",
      }));
    const verify = "copy the folder and run `ray audit verify` on the copy with the key";
    const files = auditFiles(host.list(place.folder));
    const bytes = host.lstat(place.keyFile) === null
      ? null
      : host.read(place.keyFile, KEY_STATE_BYTES);
    let state = bytes === null ? null : decodeKeyState(bytes);
    if (state === null) {
      if (files.length > 0 || bytes !== null) {
        found("audit.key_lost", "no key that goes on with it; it begins anew", verify);
      } else if (place.hadHistory) {
        found("audit.missing", "none on a disk that was in use; it begins anew", verify);
      }
      const key = Uint8Array.from(randomBytes(KEY_BYTES));
      const ordinal = Number(NAME.exec(files.at(-1) ?? "")?.[1] ?? 0) + 1;
      state = { chain: beginChain(key), oldest: 1, file: ordinal, unshown: key };
      host.replace(place.keyFile, encodeKeyState(state));
    }
    const { fingerprint } = state.chain;
    if (place.expected !== null && place.expected !== fingerprint) {
      const what = `the log of the key ${fingerprint}, where the image expects ${place.expected}`;
      found("audit.fingerprint", what, "use the disk that was made for this image");
    }
    const log = new AuditLog(host, place, state, now);
    if (!log.#goOn(files)) {
      const last = state.chain.seq;
      const what = files.length === 0
        ? `nothing, where ${last} records were`
        : `its record ${last} is not there`;
      found(files.length === 0 ? "audit.missing" : "audit.truncated", what, verify);
    }
    return { log, findings };
  }

  /** Goes on where the log ends. @returns false where what the host wrote is not there any more */
  #goOn(files: readonly string[]): boolean {
    const found = this.#find(files);
    if (found !== null) {
      this.#state = { ...this.#state, chain: found.chain, file: found.ordinal };
      this.#file = this.host.append(this.#path(found.ordinal));
      this.#before = found.newline ? "" : "\n";
      const torn = found.torn === 0 ? {} : { torn_bytes: found.torn + this.#before.length };
      if (!found.begun) this.#write([this.#fileRecord(torn)]);
      else if (found.torn > 0) this.#write([this.#own(TORN, torn)]);
      else this.#keep();
      return true;
    }
    const fresh = this.#state.chain.seq === 0;
    this.#beginFile(Math.max(this.#state.file, ordinalOf(files.at(-1)) + (fresh ? 0 : 1), 1));
    return fresh;
  }

  /** The chain's last record among the files, held against the keys; null where it is not there. */
  #find(files: readonly string[]): Found | null {
    const { chain } = this.#state;
    if (chain.seq === 0) {
      // The first file may have been cut off; an older one is of another chain.
      const name = nameOf(this.#state.file);
      return files.includes(name) ? this.#follow([name], chain, 0) : null;
    }
    for (const name of files.slice(-2).toReversed()) {
      const bytes = this.#bytes(name);
      const at = endOfLine(bytes, chain.head);
      if (at !== null) return this.#follow(files.slice(files.indexOf(name)), chain, at);
    }
    return null;
  }

  /** Follows the lines from there on, as far as they are records of this chain. */
  #follow(names: readonly string[], chain: ChainState, from: number): Found {
    const follower = new Follower(chain, true);
    let found: Found | null = null;
    for (const [n, name] of names.entries()) {
      const start = n === 0 ? from : 0;
      const whole = this.#bytes(name);
      const bytes = whole.subarray(start);
      let good = 0;
      // Behind the last good record: what an earlier start found cut off, if the next one accounts for it.
      let torn = 0;
      for (const piece of linesOf(bytes)) {
        const record = readRecord(piece.bytes);
        const size = piece.bytes.length + (piece.whole ? 1 : 0);
        const accounts = record !== null && (torn === 0 || record.data["torn_bytes"] === torn);
        if (!accounts || follower.takeRecord(record, piece.bytes) !== null) {
          torn += size;
          continue;
        }
        good += torn + size;
        torn = 0;
      }
      found = {
        chain: follower.state,
        ordinal: ordinalOf(name),
        begun: start + good > 0,
        torn: bytes.length - good,
        newline: start + bytes.length === 0 || whole.at(-1) === 10,
      };
    }
    return found ?? { chain, ordinal: 1, begun: false, torn: 0, newline: false };
  }

  #bytes(name: string): Uint8Array {
    return this.host.read(`${this.place.folder}/${name}`, READ_LIMIT) ?? new Uint8Array();
  }

  #path(ordinal: number): string {
    return `${this.place.folder}/${nameOf(ordinal)}`;
  }

  /** Number and hash of the last record. */
  get head(): { readonly seq: number; readonly hash: string } {
    const { seq, head } = this.#state.chain;
    return { seq, hash: head };
  }

  /**
   * What lies behind that record, without what the log writes by itself: all that was given to {@link write}
   * before a fault and came to the disk, whether or not the key state came to say so.
   */
  after(seq: number): Content[] {
    if (seq >= this.#state.chain.seq) return [];
    const files = auditFiles(this.host.list(this.place.folder));
    return files.slice(-2).flatMap((name) =>
      [...linesOf(this.#bytes(name))].flatMap(({ bytes }) => {
        const record = readRecord(bytes);
        return record === null || record.seq <= seq || isOwn(record) ? [] : record;
      })
    );
  }

  /** Fingerprint of the verification key. */
  get fingerprint(): string {
    return this.#state.chain.fingerprint;
  }

  /** The verification key, while nobody has been shown it. */
  get unshown(): Uint8Array | null {
    return this.#state.unshown;
  }

  /** Destroys the verification key: it is with a person now. */
  forgetKey(): void {
    const { unshown } = this.#state;
    this.#state = { ...this.#state, unshown: null };
    this.#keep();
    unshown?.fill(0);
  }

  /**
   * Writes records; when it returns they are on the disk and their keys are gone from it.
   *
   * @throws what the file system says; nothing is counted as written then, and the log must be opened anew
   */
  write(contents: readonly Content[]): void {
    if (this.#file !== null && this.#file.size >= MAX_FILE_BYTES) this.#rotate();
    this.#write(contents);
  }

  #write(contents: readonly Content[]): void {
    const file = this.#file;
    if (file === null) return;
    const before = this.#state;
    const passed: ChainState[] = [];
    let chain = before.chain;
    let text = this.#before;
    const add = (content: Content) => {
      const { line, next } = link(chain, content);
      text += `${line}\n`;
      passed.push(chain);
      chain = next;
      if (content.event !== SEAL) return;
      passed.push(chain);
      chain = nextEpoch(chain);
    };
    for (const content of contents) {
      if (chain.index >= MAX_EPOCH_RECORDS) add(this.#own(SEAL, { reason: BY_SIZE }));
      add(content);
    }
    file.append(new TextEncoder().encode(text));
    file.sync();
    this.#before = "";
    this.#state = { ...before, chain };
    this.#keep();
    for (const one of passed) {
      one.recordKey.fill(0);
      if (one.nextEpochKey !== chain.nextEpochKey) one.nextEpochKey.fill(0);
    }
  }

  /** The key state to the disk, over the one before. */
  #keep(): void {
    const bytes = encodeKeyState(this.#state);
    this.host.overwrite(this.place.keyFile, bytes);
    bytes.fill(0);
  }

  #own(event: string, data: Content["data"]): Content {
    return { event, time: this.now(), data };
  }

  #fileRecord(more: Content["data"]): Content {
    const { file, oldest, chain } = this.#state;
    return this.#own(FILE, { version: 0, file, oldest, chain: chain.fingerprint, ...more });
  }

  #beginFile(ordinal: number): void {
    if (!NAME.test(nameOf(ordinal))) {
      throw new Error(`no file comes after the number ${ordinal - 1}; move the old log elsewhere`);
    }
    this.#file?.close();
    this.#file = this.host.append(this.#path(ordinal));
    this.host.syncDirectory(this.place.folder);
    this.#state = { ...this.#state, file: ordinal };
    this.#write([this.#fileRecord({})]);
  }

  /** Another file; the oldest go when the new one says so. */
  #rotate(): void {
    const files = auditFiles(this.host.list(this.place.folder));
    const kept = files.slice(-(MAX_FILES - 1));
    // Only what is removed here may be missing; a file that somebody else took stays missed.
    const first = kept.length < files.length ? this.#firstSeq(kept[0]) : null;
    if (first !== null) this.#state = { ...this.#state, oldest: first };
    this.#beginFile(ordinalOf(files.at(-1)) + 1);
    for (const name of files.slice(0, -(MAX_FILES - 1))) {
      this.host.remove(`${this.place.folder}/${name}`);
    }
  }

  #firstSeq(name: string | undefined): number | null {
    if (name === undefined) return null;
    const head = this.host.head(`${this.place.folder}/${name}`, FIRST_LINE_BYTES);
    const [first] = head === null ? [] : linesOf(head);
    const record = first === undefined ? null : readRecord(first.bytes);
    // An older chain's files come and go with this one's.
    return record?.data["chain"] === this.fingerprint ? record.seq : null;
  }

  /** Lets go of the file system and of the keys in memory. */
  close(): void {
    const file = this.#file;
    this.#file = null;
    wipe(this.#state.chain);
    file?.close();
  }
}

/** Whether the log wrote it by itself. */
function isOwn({ event, data }: Content): boolean {
  return event === FILE || event === TORN || event === SEAL && data["reason"] === BY_SIZE;
}

function ordinalOf(name: string | undefined): number {
  return Number(NAME.exec(name ?? "")?.[1] ?? 0);
}

/** Where the line ends that has this hash, looked for from the end; null where there is none. */
function endOfLine(bytes: Uint8Array, hash: string): number | null {
  let end = bytes.lastIndexOf(10);
  // One that was cut off before its newline alone.
  if (sha256Hex(bytes.subarray(end + 1)) === hash) return bytes.length;
  while (end >= 0) {
    const before = end === 0 ? -1 : bytes.lastIndexOf(10, end - 1);
    if (sha256Hex(bytes.subarray(before + 1, end)) === hash) return end + 1;
    end = before;
  }
  return null;
}

/** The fingerprint in an image's file; null where there is no file. A text that is none is no log's. */
export function readFingerprint(text: string | null): string | null {
  return text === null ? null : text.trim().slice(0, FINGERPRINT_CHARACTERS + 1);
}

/** A key state before any record, for a disk that is made on a desk. */
export function preparedState(key: Uint8Array): { bytes: Uint8Array; fingerprint: string } {
  const state = { chain: beginChain(key), oldest: 1, file: 1, unshown: null };
  return { bytes: encodeKeyState(state), fingerprint: fingerprintOf(key) };
}
