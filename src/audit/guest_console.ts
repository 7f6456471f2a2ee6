/**
 * A guest's console bytes go to the guest's own log, with a size cap and a rate, and to whoever is
 * attached to the console. Not one of them reaches the host's log or console from here, and nothing
 * reads them back to decide anything.
 */

import type { AppendFile, Connection, Host } from "../host/port.ts";
import { MAX_FILE_BYTES } from "./retention.ts";

/** One guest's console log: `console.log` and the one before it, `console.log.1`. */
export class GuestConsoleLog {
  #file: AppendFile;
  readonly #path: string;

  constructor(readonly host: Host, folder: string) {
    this.#path = `${folder}/console.log`;
    this.#file = host.append(this.#path);
  }

  write(bytes: Uint8Array): void {
    if (this.#file.size + bytes.length > MAX_FILE_BYTES) {
      this.#file.close();
      this.host.rename(this.#path, `${this.#path}.1`);
      this.#file = this.host.append(this.#path);
    }
    this.#file.append(bytes);
  }

  close(): void {
    this.#file.close();
  }
}

/** Where a guest's console goes. */
export interface ConsoleCopy {
  /** The policy's `limits.console_kib_s`. */
  readonly kibPerSecond: number;
  /** Null where it cannot be written from the start. */
  readonly log: GuestConsoleLog | null;
  /** Told once where the log can no longer be written; the guest runs on without it. */
  readonly onLogLost: (error: unknown) => void;
  /** Takes the same bytes at once; never waits. */
  readonly attached: (bytes: Uint8Array) => void;
}

/**
 * Milliseconds between two reads of a guest that writes without a pause: a kernel hands its console on in pieces of
 * 16 bytes (Linux, drivers/tty/hvc), and each would be a turn of the host's. What comes after a pause is read at once.
 */
const GATHER_MS = 20;
/** What is read in larger pieces costs no turn too many, whatever the policy lets through. */
const GATHER_BYTES = 16 * 1024;

/**
 * Copies a guest's console until the stream ends. The rate is held by not reading: QEMU's socket fills
 * and the guest waits for its own console.
 */
export async function copyConsole(
  host: Host,
  connection: Connection,
  { kibPerSecond, log, onLogLost, attached }: ConsoleCopy,
): Promise<void> {
  const bytesPerMs = kibPerSecond * 1024 / 1000;
  let logged = log;
  const logIt = (work: (log: GuestConsoleLog) => void) => {
    try {
      if (logged !== null) work(logged);
    } catch (error) {
      logged = null;
      onLogLost(error);
    }
  };
  const { clock } = host;
  let readyAt = clock.monoMs();
  let readMs = -Infinity;
  try {
    while (true) {
      const bytes = await connection.read();
      if (bytes === null) return;
      const gathers = bytes.length < GATHER_BYTES && clock.monoMs() - readMs < GATHER_MS;
      logIt((one) => one.write(bytes));
      attached(bytes);
      readyAt = Math.max(readyAt, clock.monoMs()) + bytes.length / bytesPerMs;
      // Up to a second's worth may come at once, so that a boot's text is not slowed down.
      const wait = Math.max(readyAt - clock.monoMs() - 1000, gathers ? GATHER_MS : 0);
      if (wait > 0) await clock.sleep(wait);
      readMs = clock.monoMs();
    }
  } finally {
    connection.close();
    logIt((one) => one.close());
  }
}
