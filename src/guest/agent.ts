/**
 * Asks a guest's agent whether it is up, and tells it the time after a resume. The agent is the guest's
 * own word and can only say that this guest is ready; nothing else it sends is used.
 *
 * Source: QEMU guest agent protocol, guest-sync and guest-set-time (qemu-ga(8), qapi-schema.json).
 */

import * as v from "valibot";
import type { Connection } from "../host/port.ts";
import { within } from "../within.ts";
import { LineReader } from "./lines.ts";

const SYNC_REPLY = v.strictObject({ return: v.number() });
/** The reply of a command that gives nothing back. */
const DONE_REPLY = v.strictObject({ return: v.strictObject({}) });
const LINE_CAP = 64 * 1024;
/** Lines in a row that answer nothing: what an agent had left to say before, and no more. */
const MOST_STRAYS = 1_000;

/** One connection to one guest's agent port. */
export class AgentClient {
  #nextId = 1;
  /** `id`: of the sync that is waited for; null: any command's own answer. */
  #waiting: { id: number | null; resolve: (answered: boolean) => void } | null = null;
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
    return await this.#ask(request, id, timeoutMs);
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
    return await this.#ask(request, null, timeoutMs);
  }

  async #ask(request: string, id: number | null, timeoutMs: number): Promise<boolean> {
    if (this.#ended) return false;
    if (this.#writing !== null) {
      return await within(timeoutMs, "guest agent", this.#writing).then(() => false, () => false);
    }
    const answered = new Promise<boolean>((resolve) => this.#waiting = { id, resolve });
    // 0xFF makes the agent drop what half a request may have left in its parser.
    const bytes = new Uint8Array([0xff, ...new TextEncoder().encode(request), 0x0a]);
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
      if (this.#waiting !== null && isAnswer(line.text, this.#waiting.id)) {
        this.#waiting.resolve(true);
        this.#waiting = null;
        strays = 0;
      }
    }
    this.close();
    this.#waiting?.resolve(false);
  }
}

function isAnswer(text: string, id: number | null): boolean {
  try {
    const message = JSON.parse(text);
    if (id === null) return v.is(DONE_REPLY, message);
    const parsed = v.safeParse(SYNC_REPLY, message);
    return parsed.success && parsed.output.return === id;
  } catch {
    return false;
  }
}
