/**
 * The outer machine: one QEMU process with its three connections (serial console, harness port,
 * QMP). Starts it, ends it, and hands its bytes on; what they mean is decided elsewhere. It never
 * outlives the process that started it.
 */
import { Fault, reasonOf } from "../src/fault.ts";
import {
  OUTER_SOCKETS,
  outerArgv,
  type OuterMachineSpec,
  type OuterSocket,
  outerSocket,
} from "./outer_argv.ts";
import { OuterQmp } from "./outer_qmp.ts";

/** Called with the bytes of each connection as they arrive. */
export interface OuterSinks {
  readonly serial: (bytes: Uint8Array) => void;
  readonly harness: (bytes: Uint8Array) => void;
}

/** How QEMU ended. */
export interface OuterEnd {
  readonly code: number;
  readonly signal: string | null;
  /** The last of what QEMU wrote to its standard error. */
  readonly stderr: string;
}

/** Time QEMU has to connect its sockets, which it does before it runs an instruction. */
const CONNECT_MS = 30_000;
const STDERR_KEPT = 4096;

/**
 * QEMU 7.2's emulation of SVM changes `interrupt_request` in the vCPU's thread without a lock (VMRUN and
 * #VMEXIT set and clear VIRQ), so that an interrupt which another thread raises in that moment is lost:
 * seen as a machine with nested guests that idles for ever. Any later interrupt wakes it, and delivers
 * the lost one too. A key that is let go without having been pressed is one, and no program sees it.
 */
const NUDGE_MS = 5_000;
const NUDGE = {
  events: [{ type: "key", data: { down: false, key: { type: "qcode", data: "scroll_lock" } } }],
};

/** A started QEMU. */
export class OuterMachine {
  readonly qmp: OuterQmp;
  /** Settles when QEMU has ended and all its bytes were handed on; never rejects. */
  readonly ended: Promise<OuterEnd>;
  readonly #process: Deno.ChildProcess;
  readonly #serial: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(
    process: Deno.ChildProcess,
    connections: Record<OuterSocket, Deno.UnixConn>,
    stderr: Promise<string>,
    sinks: OuterSinks,
  ) {
    this.#process = process;
    this.#serial = connections.serial.writable.getWriter();
    this.qmp = new OuterQmp(connections.qmp, () => {});
    const nudging = setInterval(
      () => void this.qmp.command("input-send-event", NUDGE).catch(() => clearInterval(nudging)),
      NUDGE_MS,
    );
    const drained = [
      drain(connections.serial.readable, sinks.serial),
      drain(connections.harness.readable, sinks.harness),
    ];
    this.ended = Promise.all([process.status, stderr, ...drained]).then(([status, text]) => {
      clearInterval(nudging);
      for (const name of OUTER_SOCKETS) closeQuietly(connections[name]);
      return { code: status.code, signal: status.signal, stderr: text };
    });
  }

  /**
   * Starts QEMU with its sockets in the given directory, which must be new and short of name.
   * @throws Fault `outer.missing` without QEMU, `outer.start` where it ends at once
   */
  static async start(
    spec: OuterMachineSpec,
    directory: string,
    sinks: OuterSinks,
  ): Promise<OuterMachine> {
    const listeners = new Map<OuterSocket, Deno.UnixListener>();
    for (const name of OUTER_SOCKETS) {
      listeners.set(name, Deno.listen({ transport: "unix", path: outerSocket(directory, name) }));
    }
    try {
      const process = spawn(outerArgv(spec, directory));
      const stderr = lastText(process.stderr);
      try {
        const connections = await connect(listeners, process, stderr);
        return new OuterMachine(process, connections, stderr, sinks);
      } catch (error) {
        killQuietly(process);
        await process.status;
        throw error;
      }
    } finally {
      for (const listener of listeners.values()) closeQuietly(listener);
    }
  }

  /** QEMU's process id, for whoever looks at the machine from outside. */
  get pid(): number {
    return this.#process.pid;
  }

  /** Types bytes on the serial console. */
  async type(bytes: Uint8Array): Promise<void> {
    try {
      await this.#serial.write(bytes);
    } catch {
      // The machine ended while someone was typing.
    }
  }

  /** Ends QEMU at once, as a power loss would, and waits until it is gone. */
  async kill(): Promise<OuterEnd> {
    killQuietly(this.#process);
    return await this.ended;
  }
}

/** QEMU as a child that the kernel kills when this process dies, however it dies (prctl(2)). */
function spawn(argv: string[]): Deno.ChildProcess {
  try {
    return new Deno.Command("setpriv", {
      args: ["--pdeathsig", "KILL", "--", "qemu-system-x86_64", ...argv],
      stdin: "null",
      stdout: "null",
      stderr: "piped",
    }).spawn();
  } catch (error) {
    throw new Fault(
      "cli",
      "outer.missing",
      `start of QEMU: ${reasonOf(error)}; run tools/rayos setup`,
      error,
    );
  }
}

async function connect(
  listeners: ReadonlyMap<OuterSocket, Deno.UnixListener>,
  process: Deno.ChildProcess,
  stderr: Promise<string>,
): Promise<Record<OuterSocket, Deno.UnixConn>> {
  const accepted = new Map<OuterSocket, Deno.UnixConn>();
  const all = Promise.all([...listeners].map(async ([name, listener]) => {
    try {
      accepted.set(name, await listener.accept());
    } catch {
      // The listener was closed below: QEMU ended before it came.
    }
  }));
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"late">((resolve) => {
    timer = setTimeout(() => resolve("late"), CONNECT_MS);
  });
  const first = await Promise.race([all, process.status, late]);
  clearTimeout(timer);
  const [serial, harness, qmp] = OUTER_SOCKETS.map((name) => accepted.get(name));
  if (serial !== undefined && harness !== undefined && qmp !== undefined) {
    return { serial, harness, qmp };
  }
  for (const listener of listeners.values()) closeQuietly(listener);
  for (const connection of accepted.values()) closeQuietly(connection);
  killQuietly(process);
  const said = (await stderr).trim().split("\n").at(-1) ?? "";
  const why = said !== "" ? said : first === "late" ? "it does not connect" : "it ended at once";
  throw new Fault("cli", "outer.start", `start of QEMU: ${why}; try its options by hand`);
}

async function drain(
  readable: ReadableStream<Uint8Array>,
  sink: (bytes: Uint8Array) => void,
): Promise<void> {
  try {
    for await (const bytes of readable) sink(bytes);
  } catch {
    // A reset by a killed QEMU is the end of the stream.
  }
}

async function lastText(readable: ReadableStream<Uint8Array>): Promise<string> {
  const decoder = new TextDecoder();
  let text = "";
  for await (const bytes of readable) {
    text = (text + decoder.decode(bytes, { stream: true })).slice(-STDERR_KEPT);
  }
  return text;
}

function killQuietly(process: Deno.ChildProcess): void {
  try {
    process.kill("SIGKILL");
  } catch {
    // It has ended already.
  }
}

function closeQuietly(resource: { close(): void }): void {
  try {
    resource.close();
  } catch {
    // Closed already.
  }
}
