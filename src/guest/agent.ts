/**
 * Asks a guest's agent whether it is up. The agent is the guest's own word and can only say that this
 * guest is ready; nothing else it sends is used.
 *
 * Source: QEMU guest agent protocol, guest-sync (qemu-ga(8), qapi-schema.json).
 */

import * as v from "valibot";
import type { Connection } from "../host/port.ts";
import { within } from "../within.ts";
import { LineReader } from "./lines.ts";

const SYNC_REPLY = v.strictObject({ return: v.number() });
const LINE_CAP = 64 * 1024;

/** One connection to one guest's agent port. */
export class AgentClient {
  #nextId = 1;
  #waiting: { id: number; resolve: (answered: boolean) => void } | null = null;
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
    if (this.#ended) return false;
    if (this.#writing !== null) {
      return await within(timeoutMs, "guest agent", this.#writing).then(() => false, () => false);
    }
    const id = this.#nextId++;
    const answered = new Promise<boolean>((resolve) => this.#waiting = { id, resolve });
    const request = JSON.stringify({ execute: "guest-sync", arguments: { id } });
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
    while (true) {
      const line = await reader.next();
      if (line === null) break;
      if (line.kind !== "line") continue;
      if (this.#waiting !== null && syncId(line.text) === this.#waiting.id) {
        this.#waiting.resolve(true);
        this.#waiting = null;
      }
    }
    this.#ended = true;
    this.#waiting?.resolve(false);
  }
}

function syncId(text: string): number | null {
  try {
    const parsed = v.safeParse(SYNC_REPLY, JSON.parse(text));
    return parsed.success ? parsed.output.return : null;
  } catch {
    return null;
  }
}
