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
import { FOLDED, LOST, SEAL } from "./chain.ts";
import { Folding } from "./fold.ts";
import type { Content } from "./record.ts";
import { isFull } from "./sinks.ts";

/** Records that wait for a disk; those that come when it is full are counted. */
const MOST_WAITING = 4096;
/** What happens within this time is written at once. */
const GROUP_MS = 20;
/** So much is linked and written in one go. */
const BATCH = 256;
/** What to do where the log cannot be written. */
export const LOST_HINT =
  "nothing is given to a guest until it can be written; free space or mend the disk";

export interface AuditOptions {
  /** The time as a record shows it. */
  readonly now: () => string;
  /** Told when the log becomes unwritable, once each time. */
  readonly onLost: (reason: string) => void;
  /** Makes room where the disk is full. @returns whether there is more now */
  readonly makeRoom: () => boolean;
  /** Whether a request of that name only looks: such a one is no record. */
  readonly looks: (op: string) => boolean;
}

export class Audit {
  #log: AuditLog | null = null;
  #place: AuditPlace | null = null;
  #why: string | null = "it is not open yet";
  #waiting: Content[] = [];
  #lost = 0;
  /** How many of those that wait were being written when a fault came. */
  #begun = 0;
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
    return findings;
  }

  #open(place: AuditPlace): Issue[] {
    try {
      const { log, findings } = AuditLog.open(this.host, place, this.options.now);
      this.#log = log;
      this.#why = null;
      return findings;
    } catch (error) {
      this.#fail(error);
      return [];
    }
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
   * @returns why it could not be written; null where it was, or need not be yet
   */
  decided(decided: Decided, exposes: boolean): string | null {
    const entry = decisionEntry(decided, this.options.looks);
    if (entry !== null) this.#add(entry);
    if (!exposes || !decided.allow) return null;
    this.flush();
    return this.#why;
  }

  #add({ kind, event, data }: Entry): void {
    if (this.#ended || !this.#folding.admits(kind, this.host.clock.monoMs())) return;
    this.#wait({ event, time: this.options.now(), data });
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

  /** Opens it after a fault; what came to the disk before the fault waits no longer. */
  #openAgain(place: AuditPlace): boolean {
    this.#open(place);
    this.#waiting.splice(0, Math.min(this.#begun, this.#log?.caughtUp ?? 0));
    this.#begun = 0;
    return this.#log !== null;
  }

  #writeAll(): boolean {
    if (this.#lost > 0) {
      this.#waiting.push({ event: LOST, time: this.options.now(), data: { count: this.#lost } });
      this.#lost = 0;
    }
    try {
      while (this.#waiting.length > 0) {
        const some = this.#waiting.slice(0, BATCH);
        this.#begun = some.length;
        this.#log?.write(some);
        this.#waiting.splice(0, some.length);
        this.#begun = 0;
      }
    } catch (error) {
      this.#fail(error);
      return false;
    }
    this.#told = false;
    return true;
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
