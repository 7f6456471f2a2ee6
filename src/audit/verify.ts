/**
 * Verifies an audit log: that each record is whole, follows the one before, and was made with the key that
 * only the host of that moment had. It says which record is the first that is not so, what may be believed
 * all the same, and what that rests on. Without an anchor it says so and claims no more. Pure: bytes in,
 * a report out; a generator, so that a host that verifies its own log does other work in between.
 */

import {
  beginChain,
  type ChainState,
  FILE,
  isSealed,
  NO_LINE,
  pastRecord,
  skipCost,
  skipTo,
} from "./chain.ts";
import { Follower } from "./follower.ts";
import { droppedOf, type KeptFile, missedOf } from "./kept.ts";
import type { KeyState } from "./key_state.ts";
import { linesOf, type Piece } from "./lines_of.ts";
import { type AuditRecord, readRecord } from "./record.ts";

/** One file of the log, by its name in the folder. */
export interface LogPart {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** The end of a log at some time, as `ray audit head` prints it. */
export interface Head {
  readonly seq: number;
  readonly hash: string;
}

/** What a verification rests on, besides the log itself. */
export interface Anchors {
  readonly key: Uint8Array | null;
  readonly head: Head | null;
  /** The host's own key state, where it can be read: how far the log must reach at least. */
  readonly state: KeyState | null;
}

/** What is wrong, and where. */
export interface BadPlace {
  readonly file: string;
  /** 1-based; null where it is about the file or the log as a whole. */
  readonly line: number | null;
  /** Number of the record that is missing or does not hold. */
  readonly seq: number | null;
  readonly rule: string;
  readonly what: string;
}

export interface AuditReport {
  readonly ok: boolean;
  /**
   * `key`: every record that counts was made by the host of its time. `head`: those up to it are unchanged. `tpm`:
   * the same of a head that the host's TPM was given in this boot.
   */
  readonly anchor: "key" | "head" | "tpm" | "none";
  readonly files: number;
  /** Records that follow each other from the first on, and the numbers of the first and last of them. */
  readonly records: number;
  readonly first: number | null;
  readonly last: number | null;
  readonly lastTime: string | null;
  /** Of the last of them. */
  readonly head: Head | null;
  readonly bad: BadPlace | null;
  /** Records behind the bad place whose own seals hold; 0 without a key. */
  readonly sealedAfter: number;
  readonly notes: readonly string[];
}

/** How many lines are looked at between two breaths. */
const BREATH = 400;

/** Verifies the parts, oldest first. */
export function* verifyLog(
  parts: Iterable<LogPart>,
  anchors: Anchors,
): Generator<void, AuditReport> {
  const verifier = new Verifier(anchors);
  let lines = 0;
  let files = 0;
  for (const part of parts) {
    files++;
    verifier.file(part.name, part.bytes.length);
    for (const piece of linesOf(part.bytes)) {
      verifier.piece(piece);
      if (++lines % BREATH === 0) yield;
    }
  }
  return verifier.report(files);
}

/** {@link verifyLog} to its end. */
export function verifyAll(parts: Iterable<LogPart>, anchors: Anchors): AuditReport {
  const work = verifyLog(parts, anchors);
  while (true) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

const NO_KEY = new Uint8Array();
/** Hashes that are spent on places out of turn: enough for one that is as far off as any can be. */
const MOST_HASHES = 1_200_000;

class Verifier {
  #follower: Follower | null = null;
  #bad: BadPlace | null = null;
  #file = "";
  #fileBytes = 0;
  #newFile = false;
  #records = 0;
  #first: AuditRecord | null = null;
  #last: AuditRecord | null = null;
  #lastLine = NO_LINE;
  /** Files of the chain that is being read. */
  #kept: KeptFile[] = [];
  #sealedAfter = 0;
  #hashesLeft = MOST_HASHES;
  #tooFar = false;
  #headSeen: "no" | "same" | "other" = "no";
  #stateSeen: "no" | "same" | "other" = "no";
  /** Fingerprint of the chain that is being read, by its own word. */
  #chain: string | null = null;
  readonly #notes: string[] = [];
  /** Bytes that are no record, which the next record must account for. */
  #torn: { place: BadPlace; bytes: number; records: AuditRecord[] } | null = null;
  readonly #wanted: string | null;

  constructor(readonly anchors: Anchors) {
    this.#wanted = anchors.key === null ? null : beginChain(anchors.key).fingerprint;
  }

  file(name: string, bytes: number): void {
    this.#giveUpTorn();
    this.#file = name;
    this.#fileBytes = bytes;
    this.#newFile = true;
  }

  piece(piece: Piece): void {
    const record = readRecord(piece.bytes);
    if (this.#bad !== null) return this.#afterBad(record);
    const { line } = piece;
    if (record === null) {
      const what = piece.whole ? "it is no record" : "the line was never written to its end";
      this.#torn ??= {
        place: { file: this.#file, line, seq: this.#expected(), rule: "audit.line", what },
        bytes: 0,
        records: [],
      };
      this.#torn.bytes += piece.bytes.length + (piece.whole ? 1 : 0);
      return;
    }
    if (this.#torn !== null) {
      // Only the host could say, under its seal, that it found these bytes after it was cut off.
      const { bytes, place } = this.#torn;
      if (record.data["torn_bytes"] !== bytes) {
        this.#torn.bytes += piece.bytes.length + (piece.whole ? 1 : 0);
        this.#torn.records.push(record);
        return;
      }
      this.#torn = null;
      this.#notes.push(
        `${place.file}:${place.line}: ${bytes} bytes of a record that was cut off while it was ` +
          "written; the next record accounts for them",
      );
    }
    if (this.#newFile && !this.#beginFile(record, line)) return;
    this.#newFile = false;
    this.#take(record, piece);
  }

  #expected(): number | null {
    return this.#follower === null ? null : this.#follower.state.seq + 1;
  }

  #stop(bad: BadPlace): void {
    this.#bad ??= bad;
    const records = this.#torn?.records ?? [];
    this.#torn = null;
    for (const record of records) this.#afterBad(record);
  }

  /** Nothing accounts for those bytes. */
  #giveUpTorn(): void {
    if (this.#torn !== null) this.#stop(this.#torn.place);
  }

  /** The first record of a file: it names its chain, and may begin one. */
  #beginFile(record: AuditRecord, line: number): boolean {
    const { chain, oldest } = record.data;
    if (record.event !== FILE || typeof chain !== "string" || typeof oldest !== "number") {
      const what = "a file does not begin with the record that names its chain";
      this.#stop({ file: this.#file, line, seq: record.seq, rule: "audit.file", what });
      return false;
    }
    if (chain !== this.#chain) {
      if (this.#chain !== null && record.seq !== 1) {
        const what = `the log of another key (${chain}) goes on here`;
        this.#stop({ file: this.#file, line, seq: record.seq, rule: "audit.key", what });
        return false;
      }
      this.#beginChain(record, chain);
    }
    const { seq, time } = record;
    this.#kept.push({ name: this.#file, bytes: this.#fileBytes, seq, time, oldest });
    return true;
  }

  #beginChain(record: AuditRecord, chain: string): void {
    if (this.#chain !== null) {
      this.#notes.push(
        `${this.#file}: the log begins anew with the key ${chain}; ${this.#records} records ` +
          `before it are under ${this.#chain}`,
      );
    }
    this.#chain = chain;
    this.#records = 0;
    this.#first = null;
    this.#kept = [];
    const keyed = this.anchors.key !== null && chain === this.#wanted;
    const start = {
      seq: record.seq - 1,
      head: record.prev,
      fingerprint: chain,
      epoch: record.epoch,
      index: record.index,
    };
    const state = this.anchors.key !== null && keyed
      ? this.#skip(beginChain(this.anchors.key), record)
      : { recordKey: NO_KEY, nextEpochKey: NO_KEY };
    // A place that no log reaches gets no key, and so no seal that holds.
    this.#follower = new Follower(
      { ...(state ?? { recordKey: NO_KEY, nextEpochKey: NO_KEY }), ...start },
      keyed,
    );
  }

  #take(record: AuditRecord, { bytes, line }: Piece): void {
    const follower = this.#follower;
    if (follower === null) return;
    if (record.seq === 1 && record.prev !== NO_LINE) {
      const what = "the first record of a chain names a line before it";
      return this.#stop({ file: this.#file, line, seq: 1, rule: "audit.prev", what });
    }
    const wrong = follower.takeRecord(record, bytes);
    if (wrong !== null) {
      return this.#stop({ file: this.#file, line, seq: follower.state.seq + 1, ...wrong });
    }
    this.#records++;
    this.#first ??= record;
    this.#last = record;
    this.#lastLine = follower.state.head;
    this.#compare(follower.state);
  }

  /** Holds the chain against head and key state where it has come to them. */
  #compare(now: ChainState): void {
    const { head, state } = this.anchors;
    if (head?.seq === now.seq) this.#headSeen = head.hash === now.head ? "same" : "other";
    if (state?.chain.fingerprint !== now.fingerprint || state.chain.seq !== now.seq) return;
    const { chain } = state;
    const keys = this.#follower?.keyed !== true || sameBytes(chain.recordKey, now.recordKey);
    const place = chain.epoch === now.epoch && chain.index === now.index;
    this.#stateSeen = chain.head === now.head && place && keys ? "same" : "other";
  }

  /** Behind the first bad place a record can still be known by its own seal, and counts once. */
  #afterBad(record: AuditRecord | null): void {
    const follower = this.#follower;
    if (record === null || follower === null || !follower.keyed) return;
    const state = this.#skip(follower.state, record);
    if (state === null || !isSealed(state.recordKey, record)) return;
    follower.state = pastRecord(state);
    this.#sealedAfter++;
  }

  /** {@link skipTo}, as long as there is work left: lines that somebody made up must not cost without end. */
  #skip(from: ChainState, to: AuditRecord): ChainState | null {
    const hashes = skipCost(from, to);
    if (hashes === null) return null;
    if (hashes > this.#hashesLeft) {
      this.#tooFar = true;
      return null;
    }
    this.#hashesLeft -= hashes;
    return skipTo(from, to);
  }

  report(files: number): AuditReport {
    this.#endTorn();
    if (this.#bad === null) this.#whole(files);
    const dropped = this.#bad === null ? droppedOf(this.#kept) : null;
    if (dropped !== null) this.#notes.push(dropped);
    if (this.#tooFar) {
      this.#notes.push("lines name places of the keys so far off that not all were looked at");
    }
    const { head } = this.anchors;
    const keyed = this.#follower?.keyed === true;
    const byHead = head !== null && this.#headSeen === "same";
    return {
      ok: this.#bad === null,
      anchor: keyed ? "key" : byHead ? "head" : "none",
      files,
      records: this.#records,
      first: this.#first?.seq ?? null,
      last: this.#last?.seq ?? null,
      lastTime: this.#last?.time ?? null,
      head: this.#last === null ? null : { seq: this.#last.seq, hash: this.#lastLine },
      bad: this.#bad,
      sealedAfter: this.#sealedAfter,
      notes: this.#notes,
    };
  }

  /** Bytes behind the last record: what a power cut leaves, and no forgery. */
  #endTorn(): void {
    if (this.#torn === null) return;
    const { place, bytes, records } = this.#torn;
    if (records.length > 0) return this.#stop(place);
    this.#torn = null;
    this.#notes.push(
      `${place.file}:${place.line}: ${bytes} bytes behind the last record are none: a record that ` +
        "was cut off while it was written",
    );
  }

  /** What is about the log as a whole. */
  #whole(files: number): void {
    const { state, head, key } = this.anchors;
    const file = this.#file;
    const bad = (rule: string, what: string, seq: number | null = null) =>
      this.#stop({ file, line: null, seq, rule, what });
    const last = this.#last?.seq ?? 0;
    if (this.#last === null) {
      if (state !== null && state.chain.seq > 0) {
        return bad("audit.missing", `the log is gone; it had ${state.chain.seq} records`, 1);
      }
      return bad("audit.missing", files === 0 ? "there is no audit log" : "it holds no record");
    }
    if (key !== null && this.#chain !== this.#wanted) {
      const what = `this is the log of another key (${this.#chain}), not of ${this.#wanted}`;
      return bad("audit.key", what);
    }
    const missed = missedOf(this.#kept);
    if (missed !== null) return bad("audit.missing", missed.what, missed.seq);
    if (state !== null) {
      if (state.chain.fingerprint !== this.#chain) {
        return bad("audit.state", "the host's key state is of another chain than the log");
      }
      if (state.chain.seq > last) {
        const what = `the log ends too early: the host has written ${state.chain.seq} records`;
        return bad("audit.truncated", what, last + 1);
      }
      if (state.chain.seq > 0 && this.#stateSeen !== "same") {
        const what = "the host's key state is none that this log leads to";
        return bad("audit.state", what, state.chain.seq);
      }
    }
    if (head !== null) this.#holdToHead(head, bad);
  }

  #holdToHead(
    head: Head,
    bad: (rule: string, what: string, seq: number) => void,
  ): void {
    const { seq } = head;
    const first = this.#first?.seq ?? 0;
    if (seq > (this.#last?.seq ?? 0)) {
      return bad("audit.truncated", `the log ended later once: at record ${seq}`, seq);
    }
    // That the first record names its hash says nothing: whoever makes up a log writes that, too.
    if (seq < first) {
      bad("audit.head", `record ${seq} is not here, so that head says nothing of this log`, seq);
    } else if (this.#headSeen !== "same") {
      bad("audit.head", `record ${seq} is another one than that head's`, seq);
    }
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, n) => byte === other[n]);
}
