/**
 * What goes over a control connection after an answer that opens a stream: one JSON object a line in
 * both directions, checked by shape here. Bytes are base64. It decides nothing and touches no socket.
 *
 * Host to client: `{"v":0,"id":…,"data":"<base64>"}`; `{"v":0,"id":…,"lost":<n>}`, so many bytes before
 * the next ones are gone since the client did not read; at last `{"v":0,"id":…,"end":"<reason>"}`, after
 * which the host closes the connection. Client to host: `{"v":0,"id":…,"data":"<base64>"}`. The id is
 * that of the request. A client ends its stream by closing the connection.
 */

import { Buffer } from "node:buffer";
import * as v from "valibot";

/** So many bytes at most are in one line, so that no line is longer than the protocol's cap. */
export const PIECE_BYTES = 32 * 1024;

export type StreamMessage =
  | { readonly data: Uint8Array }
  | { readonly lost: number }
  /** Why: `guest_ended`, or the rule that stood against going on. */
  | { readonly end: string };

/** What a handler answers with beside its result, for a client that stays. */
export interface ControlStream {
  /** The next message; null once the client is gone. The last one is an `end`. */
  next(): Promise<StreamMessage | null>;
  /** Resolves when there will be no more but what waits already. */
  readonly ended: Promise<unknown>;
  /** Takes what the client sent; resolves when there is room for more. */
  input(bytes: Uint8Array): Promise<void>;
  /** Ends the stream for that reason; the client is told. */
  end(reason: string): void;
  /** The client is gone. */
  close(): void;
}

const ID = { v: v.literal(0), id: v.pipe(v.string(), v.maxLength(64)) };
const DATA = v.pipe(v.string(), v.nonEmpty(), v.base64());

const INPUT = v.strictObject({ ...ID, data: DATA });
const MESSAGE = v.union([
  INPUT,
  v.strictObject({ ...ID, lost: v.pipe(v.number(), v.integer(), v.minValue(1)) }),
  v.strictObject({ ...ID, end: v.pipe(v.string(), v.nonEmpty(), v.maxLength(64)) }),
]);

/** The line of a message of the host's, with its newline. */
export function renderStream(id: string, message: StreamMessage): string {
  const body = "data" in message ? { data: toBase64(message.data) } : message;
  return `${JSON.stringify({ v: 0, id, ...body })}\n`;
}

/** The line of a client's bytes, with its newline. */
export function renderInput(id: string, bytes: Uint8Array): string {
  return renderStream(id, { data: bytes });
}

/** What the host says in a line; null where it says nothing of this stream's. */
export function parseStream(line: string, id: string): StreamMessage | null {
  const parsed = v.safeParse(MESSAGE, json(line));
  if (!parsed.success || parsed.output.id !== id) return null;
  const message = parsed.output;
  if ("data" in message) return { data: fromBase64(message.data) };
  return "lost" in message ? { lost: message.lost } : { end: message.end };
}

/** The bytes in a client's line; null where it is none of this stream's. */
export function parseInput(line: string, id: string): Uint8Array | null {
  const parsed = v.safeParse(INPUT, json(line));
  return parsed.success && parsed.output.id === id ? fromBase64(parsed.output.data) : null;
}

function json(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("base64");
}

function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, "base64"));
}
