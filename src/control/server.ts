/**
 * Serves the control socket: lines in, the handler's outcome out, one request of a client at a time.
 * A bad line gets an error and closes nothing; a client that does not read is let go. After an answer
 * that opens a stream the connection is that stream's to its end. It decides nothing: the handler does,
 * by `authorize`.
 */

import type { Connection, Host, Listener } from "../host/port.ts";
import { LineReader } from "../guest/lines.ts";
import { PATHS } from "../permissions.ts";
import { within } from "../within.ts";
import { LINE_CAP, type Outcome, parseRequest, renderMessage, response } from "./protocol.ts";
import { type ControlStream, parseInput, renderStream } from "./stream.ts";

/** What answers a request that has the right shape. */
export type Handler = (
  op: string,
  args: Readonly<Record<string, unknown>>,
) => Promise<Outcome> | Outcome;

const MAX_CLIENTS = 64;
const WRITE_TIMEOUT_MS = 10_000;

/** Listens until closed. Resolves once the socket answers. */
export async function serveControl(host: Host, handler: Handler): Promise<Listener> {
  const listener = await host.listen(PATHS.controlSocket);
  void acceptAll(listener, handler);
  return listener;
}

async function acceptAll(listener: Listener, handler: Handler): Promise<void> {
  let clients = 0;
  while (true) {
    const client = await listener.accept();
    if (client === null) return;
    if (clients >= MAX_CLIENTS) {
      client.close();
      continue;
    }
    clients++;
    void serveClient(client, handler).finally(() => {
      clients--;
      client.close();
    });
  }
}

async function serveClient(client: Connection, handler: Handler): Promise<void> {
  const reader = new LineReader(client, LINE_CAP);
  const encoder = new TextEncoder();
  while (true) {
    const line = await reader.next();
    if (line === null) return;
    const { id, outcome } = await answerTo(line, handler);
    const stream = outcome.ok ? outcome.stream : undefined;
    try {
      const answer = encoder.encode(renderMessage(response(id, outcome)));
      await within(WRITE_TIMEOUT_MS, "control client", client.write(answer));
      if (stream !== undefined) return await serveStream(client, reader, id, stream);
    } catch {
      return;
    } finally {
      stream?.close();
    }
  }
}

/**
 * Sends what the stream has and hands it what the client sends, until either ends. A client may leave
 * what comes unread for as long as it likes: the stream's room is limited. Only its end has a limit.
 */
async function serveStream(
  client: Connection,
  reader: LineReader,
  id: string,
  stream: ControlStream,
): Promise<void> {
  void takeInput(reader, id, stream);
  const encoder = new TextEncoder();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let over = false;
  const overdue = stream.ended.then(() =>
    new Promise<never>((_, reject) => {
      const late = () => reject(new Error("control client: it does not read"));
      if (!over) timer = setTimeout(late, WRITE_TIMEOUT_MS);
    })
  );
  overdue.catch(() => {});
  try {
    while (true) {
      const message = await stream.next();
      if (message === null) return;
      const written = client.write(encoder.encode(renderStream(id, message)));
      written.catch(() => {});
      await Promise.race([written, overdue]);
      if ("end" in message) return;
    }
  } finally {
    over = true;
    clearTimeout(timer);
  }
}

/** A line that is none of the stream's ends it: who speaks so does not know what it types into. */
async function takeInput(reader: LineReader, id: string, stream: ControlStream): Promise<void> {
  while (true) {
    const line = await reader.next();
    if (line === null) return stream.close();
    const bytes = line.kind === "line" ? parseInput(line.text, id) : null;
    if (bytes === null) return stream.end("control.form");
    await stream.input(bytes);
  }
}

type Line = NonNullable<Awaited<ReturnType<LineReader["next"]>>>;

async function answerTo(line: Line, handler: Handler): Promise<{ id: string; outcome: Outcome }> {
  if (line.kind !== "line") {
    const detail = line.kind === "oversized"
      ? `a line is longer than ${LINE_CAP} bytes`
      : "not UTF-8";
    return { id: "", outcome: { ok: false, rule: "control.form", detail } };
  }
  const parsed = parseRequest(line.text);
  if (!parsed.ok) {
    const { id, detail } = parsed;
    return { id, outcome: { ok: false, rule: "control.form", detail } };
  }
  const { id, op, args } = parsed.request;
  return { id, outcome: await handler(op, args) };
}
