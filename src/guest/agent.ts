/**
 * Asks a guest's agent whether it is up. The agent is the guest's own word and can only say that this
 * guest is ready; nothing else it sends is used.
 *
 * Source: QEMU guest agent protocol, guest-sync-delimited (qemu-ga(8), qapi-schema.json).
 */

import * as v from "valibot";
import type { Connection } from "../host/port.ts";
import { LineReader, within } from "./lines.ts";

const SYNC_REPLY = v.strictObject({ return: v.number() });
const LINE_CAP = 64 * 1024;

/**
 * Sends one sync and waits for the answer that carries the same number.
 *
 * @param id a number that this guest has not been sent before, so that an old answer is no answer
 * @param timeoutMs how long to wait
 * @returns whether the agent answered in time
 */
export async function agentAnswers(
  connection: Connection,
  id: number,
  timeoutMs: number,
): Promise<boolean> {
  // 0xFF makes the agent drop what half a request may have left in its parser.
  const request = new TextEncoder().encode(
    JSON.stringify({ execute: "guest-sync", arguments: { id } }),
  );
  const bytes = new Uint8Array([0xff, ...request, 0x0a]);
  const answered = async (): Promise<boolean> => {
    await connection.write(bytes);
    const reader = new LineReader(connection, LINE_CAP);
    while (true) {
      const line = await reader.next();
      if (line === null) return false;
      if (line.kind === "line" && isReply(line.text, id)) return true;
    }
  };
  try {
    return await within(timeoutMs, "guest agent", answered());
  } catch {
    return false;
  }
}

function isReply(text: string, id: number): boolean {
  try {
    const parsed = v.safeParse(SYNC_REPLY, JSON.parse(text));
    return parsed.success && parsed.output.return === id;
  } catch {
    return false;
  }
}
