/**
 * Serves the control socket: lines in, the handler's outcome out, one request of a client at a time.
 * A bad line gets an error and closes nothing; a client that does not read is let go. It decides
 * nothing: the handler does, by `authorize`.
 */

import type { Connection, Host, Listener } from "../host/port.ts";
import { LineReader } from "../guest/lines.ts";
import { PATHS } from "../permissions.ts";
import { within } from "../within.ts";
import { LINE_CAP, type Outcome, parseRequest, renderMessage, response } from "./protocol.ts";

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
    const answer = await answerTo(line, handler);
    try {
      await within(WRITE_TIMEOUT_MS, "control client", client.write(encoder.encode(answer)));
    } catch {
      return;
    }
  }
}

type Line = NonNullable<Awaited<ReturnType<LineReader["next"]>>>;

async function answerTo(line: Line, handler: Handler): Promise<string> {
  if (line.kind !== "line") {
    const detail = line.kind === "oversized"
      ? `a line is longer than ${LINE_CAP} bytes`
      : "not UTF-8";
    return renderMessage(response("", { ok: false, rule: "control.form", detail }));
  }
  const parsed = parseRequest(line.text);
  if (!parsed.ok) {
    const { id, detail } = parsed;
    return renderMessage(response(id, { ok: false, rule: "control.form", detail }));
  }
  const { id, op, args } = parsed.request;
  return renderMessage(response(id, await handler(op, args)));
}
