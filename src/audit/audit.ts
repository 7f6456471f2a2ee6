/**
 * The audit of a running host: what happens and what is decided becomes records, and the log on the disk
 * is kept, sealed and opened anew after a fault. A decision that gives something away is on the disk
 * before it is acted on; whatever else happened follows within a moment, many at once. While the log
 * cannot be written, records wait here, so many and no more, and {@link Audit.why} says so to whoever
 * decides.
 */

import type { HostEvent } from "../event.ts";
import { reasonOf } from "../fault.ts";
import type { Host } from "../host/port.ts";
import type { Issue } from "../issue.ts";
import { AuditLog, type AuditPlace } from "./audit_log.ts";
import { type Decided, decisionEntry, type Entry, entryOf } from "./audited.ts";
import { canonicalJson } from "../json.ts";
import { FOLDED, LOST, SEAL } from "./chain.ts";
import { Folding } from "./fold.ts";
import { type Content, tidy } from "./record.ts";
import { isFull } from "./sinks.ts";

/** Records that wait for a disk; those that come when it is full are counted. */
const MOST_WAITING = 4096;
/** What happens within this time is written at once. */
const GROUP_MS = 20;
/** So much is linked and written in one go: records, and bytes of them. A file may be larger by that. */
const BATCH = 256;
const BATCH_BYTES = 256 * 1024;
/** What the chain adds to a record. */
const CHAIN_BYTES = 512;
/** What to do where the log cannot be written. */
export const LOST_HINT =
  "nothing is given to a guest until it can be written; free space or mend the disk";

export interface AuditOptions {
  /** The time as a record shows it. */
  readonly now: () => string;
  /** Told when the log becomes unwritable, once each time. */
  readonly onLost: (reason: string) => void;
  /** Told when it can be written again. */
  readonly onBack: () => void;
  /** Makes room where the disk is full. @returns whether there is more now */
  readonly makeRoom: () => boolean;
  /** Whether a request of that name only looks: such a one is no record. */
  readonly looks: (op: string) => boolean;
}

/** Why a request that was allowed is not acted on. */
export interface Refused {
  readonly rule: "audit.unwritable" | "audit.rate";
  readonly detail: string;
}

/** What stands for the record of a request that was not acted on after all. */
interface Revoked {
  readonly entry: Entry;
  readonly content: Content;
}

export class Audit {
  #log: AuditLog | null = null;
  #place: AuditPlace | null = null;
  #why: string | null = "it is not open yet";
  #waiting: Content[] = [];
  #lost = 0;
  /** How many of those that wait were being written when a fault came: they may be on the disk. */
  #begun = 0;
  /** The last record that was counted as written, and of which chain. */
  #counted: { readonly chain: string; readonly seq: number } | null = null;
  /** Of those that may be, what was not acted on after all. */
  readonly #revoked = new Map<Content, Revoked>();
  #scheduled = false;
  /** Whether it is a full disk that stands against it. */
  #full = false;
  #told = false;
  #ended = false;
  readonly #folding = new Folding();

  constructor(readonly host: Host, readonly options: AuditOptions) {}

  /** Why nothing can be written now; null where it can. */
  get why(): string | null {
    return this.#why;
  }

  get log(): AuditLog | null {
    return this.#log;
  }

  get place(): AuditPlace | null {
    return this.#place;
  }

  /** Opens the log there and writes what waited. */
  open(place: AuditPlace): Issue[] {
    this.close();
    this.#place = place;
    const findings = this.#open(place);
    this.flush();
    if (this.#why === null) this.#isBack();
    return findings;
  }

  #count(log: AuditLog): void {
    this.#counted = { chain: log.fingerprint, seq: log.head.seq };
  }

  #open(place: AuditPlace): Issue[] {
    try {
      const { log, findings } = AuditLog.open(this.host, place, this.options.now);
      this.#log = log;
      this.#why = null;
      this.#catchUp(log.fingerprint === this.#counted?.chain ? log.after(this.#counted.seq) : []);
      this.#count(log);
      return findings;
    } catch (error) {
      this.#fail(error);
      return [];
    }
  }

  /** Records of a log that ends before this one is open; they come first, those that have no room are counted. */
  carry(contents: readonly Content[]): void {
    const room = Math.max(0, MOST_WAITING - this.#waiting.length);
    this.#waiting.unshift(...contents.slice(0, room));
    this.#lost += Math.max(0, contents.length - room);
  }

  /** An event that was reported. */
  observe(event: HostEvent): void {
    const entry = entryOf(event, this.options.looks);
    if (entry !== null) this.#add(entry);
  }

  /**
   * What was decided on a request.
   *
   * @param exposes whether it is acted on only where the record is on the disk
   * @param often whether many of the same are one record and a count, as of what is typed
   * @returns why an allowed one must not be acted on; null where nothing stands against it
   */
  decided(decided: Decided, exposes: boolean, often = false): Refused | null {
    const entry = decisionEntry(decided, this.options.looks);
    if (entry === null) return null;
    if (!decided.allow || !exposes) {
      this.#add(entry);
      return null;
    }
    const nowMs = this.host.clock.monoMs();
    if (often && !this.#ended && !this.#folding.admits(entry.kind, nowMs)) {
      const detail = this.#why;
      return detail === null ? null : this.#refuse(decided, { rule: "audit.unwritable", detail });
    }
    if (!often && !this.#ended && !this.#folding.affords(entry.kind, nowMs)) {
      const detail = `${entry.kind.source} is given more than there are records for; wait a little`;
      return this.#refuse(decided, { rule: "audit.rate", detail });
    }
    const content = this.#contentOf(entry);
    if (!this.#ended) {
      this.#waiting.push(content);
      this.flush();
      if (!this.#waiting.includes(content)) return null;
    }
    const why = this.#why ?? "it is not open";
    return this.#refuse(decided, { rule: "audit.unwritable", detail: why }, content);
  }

  /** @param allowed the record that says otherwise, and waits */
  #refuse(decided: Decided, refused: Refused, allowed?: Content): Refused {
    const entry = decisionEntry({ ...decided, ...refused, allow: false }, this.options.looks);
    if (entry === null || this.#ended) return refused;
    const at = allowed === undefined ? -1 : this.#waiting.indexOf(allowed);
    if (allowed !== undefined && at < this.#begun) {
      this.#revoked.set(allowed, { entry, content: this.#contentOf(entry) });
      return refused;
    }
    if (at >= 0) this.#waiting.splice(at, 1);
    this.#add(entry);
    return refused;
  }

  #contentOf({ event, data }: Entry): Content {
    return { event, time: this.options.now(), data };
  }

  #add(entry: Entry): void {
    if (this.#ended || !this.#folding.admits(entry.kind, this.host.clock.monoMs())) return;
    this.#wait(this.#contentOf(entry));
    if (this.#scheduled || this.#log === null) return;
    this.#scheduled = true;
    void this.host.clock.sleep(GROUP_MS).then(() => {
      this.#scheduled = false;
      this.flush();
    });
  }

  #wait(content: Content): void {
    if (this.#waiting.length < MOST_WAITING) this.#waiting.push(content);
    else this.#lost++;
  }

  /** Writes what waits. */
  flush(): void {
    if (this.#place === null || this.#waiting.length === 0 && this.#why === null) return;
    if (this.#log === null && !this.#openAgain(this.#place)) return;
    if (this.#writeAll() || !this.#full) return;
    if (this.options.makeRoom() && this.#openAgain(this.#place)) this.#writeAll();
  }

  #openAgain(place: AuditPlace): boolean {
    this.#open(place);
    return this.#log !== null;
  }

  /**
   * After a fault: what came to the disk before it waits no longer, and what was not acted on says so, as its
   * only record or, where the other is on the disk, behind it.
   */
  #catchUp(there: readonly Content[]): void {
    const nowMs = this.host.clock.monoMs();
    const before = this.#waiting;
    this.#waiting = [];
    this.#begun = 0;
    for (const [n, one] of before.entries()) {
      const isThere = n < there.length && isSame(one, there[n]);
      const revoked = this.#revoked.get(one);
      // No more than before: what waits already is never dropped here.
      if (revoked === undefined) { if (!isThere) this.#waiting.push(one); }
      else if (isThere || this.#folding.admits(revoked.entry.kind, nowMs)) {
        this.#waiting.push(revoked.content);
      }
    }
    this.#revoked.clear();
  }

  /** The first of those that wait, as many as go into one write. */
  #batch(): Content[] {
    let bytes = 0;
    const end = this.#waiting.slice(0, BATCH).findIndex((content) => {
      bytes += JSON.stringify(content).length * 3 + CHAIN_BYTES;
      return bytes > BATCH_BYTES;
    });
    return this.#waiting.slice(0, end < 0 ? BATCH : Math.max(1, end));
  }

  #writeAll(): boolean {
    if (this.#lost > 0) {
      this.#waiting.push({ event: LOST, time: this.options.now(), data: { count: this.#lost } });
      this.#lost = 0;
    }
    try {
      while (this.#log !== null && this.#waiting.length > 0) {
        const some = this.#batch();
        this.#begun = some.length;
        this.#log.write(some);
        this.#count(this.#log);
        this.#waiting.splice(0, some.length);
        this.#begun = 0;
      }
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.#isBack();
    return true;
  }

  #isBack(): void {
    if (this.#told) this.options.onBack();
    this.#told = false;
  }

  #fail(error: unknown): void {
    const log = this.#log;
    this.#log = null;
    this.#why = reasonOf(error);
    this.#full = isFull(error);
    try {
      log?.close();
    } catch {
      // The fault that led here is told; a handle that cannot be closed says nothing more.
    }
    if (this.#told) return;
    this.#told = true;
    this.options.onLost(this.#why);
  }

  /** Ends the epoch: what is before it can be reached by no key that is left. */
  seal(reason: "timer" | "shutdown"): { seq: number; hash: string } | null {
    const time = this.options.now();
    for (const data of this.#folding.counted()) this.#wait({ event: FOLDED, time, data });
    this.#wait({ event: SEAL, time, data: { reason } });
    this.flush();
    return this.#why === null ? this.#log?.head ?? null : null;
  }

  /** The last seal; nothing is recorded after it. */
  end(last: HostEvent): { seq: number; hash: string } | null {
    this.observe(last);
    const head = this.seal("shutdown");
    this.close();
    this.#ended = true;
    return head;
  }

  /** Writes what waits and lets go of the file system. */
  close(): void {
    this.flush();
    const log = this.#log;
    this.#log = null;
    this.#place = null;
    if (log !== null) this.#why = "it is closed";
    try {
      log?.close();
    } catch (error) {
      this.#why = reasonOf(error);
    }
  }
}

/** Whether a record that was read back is the one that was to be written. */
function isSame(given: Content, read: Content | undefined): boolean {
  return read !== undefined && given.event === read.event && given.time === read.time &&
    canonicalJson(tidy(given.data)) === canonicalJson({ ...read.data });
}
