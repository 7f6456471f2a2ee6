/**
 * Asks a guest's agent whether it is up and whether the guest is set up, tells it the time after a resume,
 * and has it hold its file systems for a backup. The agent is the guest's own word and can only say that
 * this guest is ready, needs no lease any more, and what a backup's manifest says of it; nothing else it
 * sends is used.
 *
 * Source: QEMU guest agent protocol, guest-sync, guest-set-time, guest-file-open and guest-fsfreeze-*
 * (qemu-ga(8), qapi-schema.json).
 */

import * as v from "valibot";
import type { Connection } from "../host/port.ts";
import { within } from "../within.ts";
import { LineReader } from "./lines.ts";

const SYNC_REPLY = v.strictObject({ return: v.number() });
/** The reply of a command that gives nothing back. */
const DONE_REPLY = v.strictObject({ return: v.strictObject({}) });
/** The reply that names an open file. */
const HANDLE_REPLY = v.strictObject({ return: v.pipe(v.number(), v.integer()) });
/** The reply of those that hold file systems and let them go: how many. */
const COUNT_REPLY = v.strictObject({ return: v.pipe(v.number(), v.integer(), v.minValue(0)) });
const ERROR_REPLY = v.looseObject({ error: v.looseObject({}) });
/** Where a guest puts a file when it is set up; what is in it is never read. */
const PROVISIONED_FILE = {
  linux: "/run/rayos/provisioned",
  windows: "C:\\ProgramData\\RayOS\\provisioned",
} as const;
const LINE_CAP = 64 * 1024;
/**
 * The byte 0xFF makes the agent drop what half a request may have left in its parser. It says an error to
 * that, which is no answer to what follows: so only a sync begins with it, whose answer has a number.
 */
const DROP = "\u00ff";
/** Lines in a row that answer nothing: what an agent had left to say before, and no more. */
const MOST_STRAYS = 1_000;

/** One connection to one guest's agent port. */
export class AgentClient {
  #nextId = 1;
  /** What answers the request that is waited for: null where a message does not. */
  #waiting:
    | { reads: (message: unknown) => boolean | null; resolve: (answer: boolean) => void }
    | null = null;
  #ended = false;
  /** A request that QEMU has not taken yet: a guest that never opens its port must not pile them up. */
  #writing: Promise<void> | null = null;

  constructor(readonly connection: Connection) {
    void this.#readAll();
  }

  /**
   * Sends one sync and waits for the answer that carries the same number.
   *
   * @returns whether the agent answered in that many milliseconds
   */
  async answers(timeoutMs: number): Promise<boolean> {
    const id = this.#nextId++;
    const request = JSON.stringify({ execute: "guest-sync", arguments: { id } });
    const reads = (message: unknown) => {
      const parsed = v.safeParse(SYNC_REPLY, message);
      return parsed.success && parsed.output.return === id ? true : null;
    };
    return await this.#ask(`${DROP}${request}`, reads, timeoutMs);
  }

  /**
   * Whether the guest has put the file there that says that it is set up. To be asked of an agent that has
   * answered, and nothing else meanwhile. The file stays open in the guest, so a yes is asked for once.
   */
  async isProvisioned(kind: keyof typeof PROVISIONED_FILE, timeoutMs: number): Promise<boolean> {
    const path = PROVISIONED_FILE[kind];
    const request = JSON.stringify({ execute: "guest-file-open", arguments: { path, mode: "r" } });
    const reads = (message: unknown) =>
      v.is(HANDLE_REPLY, message) ? true : v.is(ERROR_REPLY, message) ? false : null;
    return await this.#ask(request, reads, timeoutMs);
  }

  /**
   * Sets the guest's wall clock. To be asked of an agent that has answered; its answer carries no
   * number, so nothing else may be asked meanwhile.
   *
   * @returns whether it says that it did, in that many milliseconds
   */
  async setTime(wall: Date, timeoutMs: number): Promise<boolean> {
    // Nanoseconds since 1970: more digits than a number of JavaScript holds.
    const request = `{"execute":"guest-set-time","arguments":{"time":${wall.getTime()}000000}}`;
    const reads = (message: unknown) =>
      v.is(DONE_REPLY, message) ? true : v.is(ERROR_REPLY, message) ? false : null;
    return await this.#ask(request, reads, timeoutMs);
  }

  /**
   * Has the guest write down what it has in memory and hold its file systems. To be asked of an agent that
   * has answered, and nothing else meanwhile. A guest that says no, or nothing in time, may hold them all the
   * same: `thaw` is always asked for afterwards.
   *
   * @returns whether it says that it holds at least one
   */
  async freeze(timeoutMs: number): Promise<boolean> {
    const reads = (message: unknown) =>
      v.is(COUNT_REPLY, message) ? message.return > 0 : v.is(ERROR_REPLY, message) ? false : null;
    return await this.#ask('{"execute":"guest-fsfreeze-freeze"}', reads, timeoutMs);
  }

  /** Lets its file systems go on. @returns whether it says that it did */
  async thaw(timeoutMs: number): Promise<boolean> {
    const reads = (message: unknown) =>
      v.is(COUNT_REPLY, message) ? true : v.is(ERROR_REPLY, message) ? false : null;
    return await this.#ask('{"execute":"guest-fsfreeze-thaw"}', reads, timeoutMs);
  }

  async #ask(
    request: string,
    reads: (message: unknown) => boolean | null,
    timeoutMs: number,
  ): Promise<boolean> {
    if (this.#ended) return false;
    if (this.#writing !== null) {
      return await within(timeoutMs, "guest agent", this.#writing).then(() => false, () => false);
    }
    const answered = new Promise<boolean>((resolve) => this.#waiting = { reads, resolve });
    const bytes = Uint8Array.from(`${request}\n`, (character) => character.charCodeAt(0));
    try {
      this.#writing = this.connection.write(bytes).finally(() => this.#writing = null);
      this.#writing.catch(() => {});
      await within(timeoutMs, "guest agent", this.#writing);
      return await within(timeoutMs, "guest agent", answered);
    } catch {
      return false;
    }
  }

  close(): void {
    this.#ended = true;
    this.connection.close();
  }

  async #readAll(): Promise<void> {
    const reader = new LineReader(this.connection, LINE_CAP);
    let strays = 0;
    while (true) {
      const line = await reader.next();
      if (line === null) break;
      // No agent says more than it was asked; one that floods is not listened to any more.
      if (line.kind === "oversized" || ++strays > MOST_STRAYS) break;
      if (line.kind !== "line") continue;
      const answer = this.#waiting?.reads(parsed(line.text)) ?? null;
      if (answer !== null) {
        this.#waiting?.resolve(answer);
        this.#waiting = null;
        strays = 0;
      }
    }
    this.close();
    this.#waiting?.resolve(false);
  }
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
