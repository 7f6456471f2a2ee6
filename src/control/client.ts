/**
 * Asks the running host one thing over its control socket, or stays at it for a stream: what `ray` uses.
 * It prints nothing.
 */

import { Fault } from "../fault.ts";
import { LineReader } from "../guest/lines.ts";
import type { Connection, Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { within } from "../within.ts";
import { type ControlResponse, LINE_CAP, parseResponse, renderMessage } from "./protocol.ts";
import { parseStream, PIECE_BYTES, renderInput, type StreamMessage } from "./stream.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/**
 * An answer comes when the thing is done: a start on an emulated host, a shutdown that the guest takes
 * its time for, a saved memory. A host that died closes the socket, which ends the wait.
 */
const ANSWER_TIMEOUT_MS = 900_000;
/** Copies take as long as the disks are large; a host that hangs over one shows it in `ray vm list`. */
const COPY_TIMEOUT_MS = 24 * 3600 * 1000;
const COPIES = /^(disk\.|vm\.(clone|backup|restore)$)/;
/** An answer may list many guests. */
const ANSWER_CAP = 16 * LINE_CAP;
/** One request of a connection needs no other. */
const ID = "1";

/** All that a client needs of the host. */
type Connector = Pick<Host, "connect">;

/**
 * @throws Fault `socket.unreachable`, `control.no_answer`
 */
export async function ask(
  host: Connector,
  op: string,
  args: Record<string, unknown> = {},
): Promise<ControlResponse> {
  const { connection, answer } = await request(host, op, args);
  connection.close();
  return answer;
}

/** A connection that stays open after its answer. */
export interface OpenStream {
  /** What the answer said. */
  readonly result: unknown;
  /** The next message; null where the connection ended, after an `end` or without one. */
  next(): Promise<StreamMessage | null>;
  /** Sends bytes; resolves when the host's socket took them. */
  send(bytes: Uint8Array): Promise<void>;
  close(): void;
}

/**
 * Asks for something that goes on.
 *
 * @throws Fault `socket.unreachable`, `control.no_answer`
 */
export async function openStream(
  host: Connector,
  op: string,
  args: Record<string, unknown>,
): Promise<
  { readonly ok: true; readonly stream: OpenStream } | Extract<ControlResponse, { ok: false }>
> {
  const { connection, reader, answer } = await request(host, op, args);
  if (!answer.ok) {
    connection.close();
    return answer;
  }
  const stream: OpenStream = {
    result: answer.result,
    async next() {
      const line = await reader.next();
      if (line === null) return null;
      const message = line.kind === "line" ? parseStream(line.text, ID) : null;
      if (message === null) throw unreadable(op);
      return message;
    },
    async send(bytes) {
      for (let at = 0; at < bytes.length; at += PIECE_BYTES) {
        const piece = renderInput(ID, bytes.subarray(at, at + PIECE_BYTES));
        await connection.write(new TextEncoder().encode(piece));
      }
    },
    close: () => connection.close(),
  };
  return { ok: true, stream };
}

async function request(
  host: Connector,
  op: string,
  args: Record<string, unknown>,
): Promise<{ connection: Connection; reader: LineReader; answer: ControlResponse }> {
  const connection = await host.connect(PATHS.controlSocket, CONNECT_TIMEOUT_MS);
  try {
    await connection.write(new TextEncoder().encode(renderMessage({ v: 0, id: ID, op, args })));
    const reader = new LineReader(connection, ANSWER_CAP);
    const line = await within(
      COPIES.test(op) ? COPY_TIMEOUT_MS : ANSWER_TIMEOUT_MS,
      PATHS.controlSocket,
      reader.next(),
    );
    const answer = line?.kind === "line" ? parseResponse(line.text) : null;
    if (answer === null) throw unreadable(op);
    return { connection, reader, answer };
  } catch (error) {
    connection.close();
    throw error instanceof Fault ? error : unreadable(op);
  }
}

function unreadable(op: string): Fault {
  return new Fault(
    "control",
    "control.no_answer",
    `${op}: the host gave no answer that can be read; see the console`,
  );
}
