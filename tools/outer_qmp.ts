/**
 * QEMU's control connection (QMP) of the outer machine: one command at a time, events kept by name.
 * Speaks only to the QEMU that the harness itself has started.
 */
import { Fault } from "../src/fault.ts";

/** Bytes of a connection as text lines. */
export async function* linesOf(readable: ReadableStream<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const bytes of readable) {
    const pieces = (rest + decoder.decode(bytes, { stream: true })).split("\n");
    rest = pieces.pop() ?? "";
    yield* pieces;
  }
}

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: Fault) => void;
}

/** A QMP client (QEMU's docs/interop/qmp-spec). */
export class OuterQmp {
  readonly #waiting: Waiting[] = [];
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;
  #ready: Promise<unknown>;
  #closed = false;

  /** @param onEvent told the name of each event, e.g. `SHUTDOWN` */
  constructor(connection: Deno.UnixConn, readonly onEvent: (name: string) => void) {
    this.#writer = connection.writable.getWriter();
    this.#ready = this.#send("qmp_capabilities", {});
    this.#ready.catch(() => {});
    this.#read(connection.readable);
  }

  /**
   * Runs a command and gives its result.
   * @throws Fault `outer.qmp` where QEMU refuses it or has ended
   */
  async command(name: string, args: Record<string, unknown> = {}): Promise<unknown> {
    await this.#ready;
    return await this.#send(name, args);
  }

  #send(name: string, args: Record<string, unknown>): Promise<unknown> {
    if (this.#closed) return Promise.reject(ended(name));
    const answer = new Promise<unknown>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
    });
    const bytes = new TextEncoder().encode(JSON.stringify({ execute: name, arguments: args }));
    this.#writer.write(bytes).catch(() => this.#close());
    return answer;
  }

  async #read(readable: ReadableStream<Uint8Array>): Promise<void> {
    try {
      for await (const text of linesOf(readable)) this.#take(text);
    } catch {
      // A connection that QEMU's end has cut is the end of the stream.
    }
    this.#close();
  }

  #take(text: string): void {
    if (text.trim() === "") return;
    const message: Record<string, unknown> = JSON.parse(text);
    if (typeof message["event"] === "string") return this.onEvent(message["event"]);
    if ("return" in message) return this.#waiting.shift()?.resolve(message["return"]);
    if ("error" in message) {
      const why = JSON.stringify(message["error"]);
      this.#waiting.shift()?.reject(
        new Fault("cli", "outer.qmp", `QMP command: ${why}; see QEMU's qmp reference`),
      );
    }
  }

  #close(): void {
    this.#closed = true;
    for (const one of this.#waiting.splice(0)) one.reject(ended("command"));
  }
}

function ended(what: string): Fault {
  return new Fault("cli", "outer.qmp", `QMP ${what}: the outer machine has ended; boot it again`);
}
