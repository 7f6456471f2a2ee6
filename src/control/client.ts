/**
 * Asks the running host one thing over its control socket: what `ray` uses. It prints nothing.
 */

import { Fault } from "../fault.ts";
import { LineReader } from "../guest/lines.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { within } from "../within.ts";
import { type ControlResponse, LINE_CAP, parseResponse, renderMessage } from "./protocol.ts";

const CONNECT_TIMEOUT_MS = 5_000;
/**
 * An answer comes when the thing is done: a start on an emulated host, a shutdown that the guest takes
 * its time for, a saved memory. A host that died closes the socket, which ends the wait.
 */
const ANSWER_TIMEOUT_MS = 900_000;
/** An answer may list many guests. */
const ANSWER_CAP = 16 * LINE_CAP;

/**
 * @throws Fault `socket.unreachable`, `control.no_answer`
 */
export async function ask(
  host: Pick<Host, "connect">,
  op: string,
  args: Record<string, unknown> = {},
): Promise<ControlResponse> {
  const connection = await host.connect(PATHS.controlSocket, CONNECT_TIMEOUT_MS);
  try {
    const message = renderMessage({ v: 0, id: "1", op, args });
    await connection.write(new TextEncoder().encode(message));
    const reader = new LineReader(connection, ANSWER_CAP);
    const line = await within(ANSWER_TIMEOUT_MS, PATHS.controlSocket, reader.next());
    const parsed = line?.kind === "line" ? parseResponse(line.text) : null;
    if (parsed !== null) return parsed;
  } catch (error) {
    if (error instanceof Fault) throw error;
  } finally {
    connection.close();
  }
  throw new Fault(
    "control",
    "control.no_answer",
    `${op}: the host gave no answer that can be read; see the console`,
  );
}
