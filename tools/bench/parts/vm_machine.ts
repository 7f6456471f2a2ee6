/**
 * One outer machine of `tools/rayos bench vm` as the benchmark deals with it: words to the script
 * inside, the monitor and the agent of the guest that is started by hand, times by the harness's own
 * clock. The same for the host and for the Debian beside which it is measured.
 */
import { bootMachine, type BootRun, type MachineOptions } from "../../boot_machine.ts";
import { linesOf } from "../../outer_qmp.ts";
import { PORTS, TINY_MIB } from "./vm_guests.ts";

export const LIMIT_MS = 900_000;
const ASK_PAUSE_MS = 100;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** One port: what is written goes to the guest's process, each line that comes is kept. */
class Port {
  readonly #waiting = new Set<{ readonly test: (line: string) => boolean; done: () => void }>();
  readonly #writer: WritableStreamDefaultWriter<Uint8Array>;

  constructor(readonly connection: Deno.UnixConn) {
    this.#writer = connection.writable.getWriter();
    // The machine's end is the end of the stream.
    void this.#read().catch(() => {});
  }

  async #read(): Promise<void> {
    for await (const line of linesOf(this.connection.readable)) {
      for (const one of this.#waiting) if (one.test(line)) one.done();
    }
  }

  async send(message: Record<string, unknown>): Promise<void> {
    await this.#writer.write(new TextEncoder().encode(`${JSON.stringify(message)}\n`));
  }

  line(test: (line: string) => boolean): Promise<void> {
    return new Promise((resolve) => {
      const one = { test, done: () => void (this.#waiting.delete(one), resolve()) };
      this.#waiting.add(one);
    });
  }
}

/** Milliseconds. */
export interface Life {
  readonly ready: number;
  readonly stop: number;
}

export class BenchMachine implements AsyncDisposable {
  #sync = 0;

  private constructor(
    readonly run: BootRun,
    readonly directory: string,
    readonly agent: Port,
    readonly monitor: Port,
  ) {}

  static async start(options: MachineOptions): Promise<BenchMachine> {
    const directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "rayos-bench-" });
    const listeners = Object.entries(PORTS).map(([id, name]) => {
      const path = `${directory}/${id}.sock`;
      const extra = [
        ...["-chardev", `socket,id=bench-${id},path=${path},server=off`],
        ...["-device", `virtserialport,chardev=bench-${id},name=${name}`],
      ];
      return { listener: Deno.listen({ transport: "unix", path }), extra };
    });
    const extra = listeners.flatMap((one) => one.extra);
    const starting = bootMachine({ ...options, extra: [...options.extra ?? [], ...extra] });
    const [agent, monitor] = await Promise.all(listeners.map(async ({ listener }) => {
      using open = listener;
      return new Port(await open.accept());
    }));
    if (agent === undefined || monitor === undefined) throw new Error("bench vm: no ports");
    return new BenchMachine(await starting, directory, agent, monitor);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.run.end();
    await Deno.remove(this.directory, { recursive: true });
  }

  /** Types a word for the script inside and waits for its answer. */
  async ask(word: string, answer: RegExp): Promise<string> {
    const from = this.run.console.length;
    await this.run.typeSerial(`${word}\r`);
    return await this.run.waitForConsole(answer, LIMIT_MS, from);
  }

  /** PSS of everything but guests' RAM, in MiB. */
  async memory(): Promise<number> {
    const text = await this.ask(`memory ${TINY_MIB * 1024}`, /[\s\S]*inside memory done/u);
    return [...text.matchAll(/inside pss (\d+) \S+/gu)]
      .reduce((sum, [, kib]) => sum + Number(kib) / 1024, 0);
  }

  /** Asks the guest's agent until it answers (guest-sync of the QEMU guest agent protocol). */
  async agentAnswers(): Promise<void> {
    const id = ++this.#sync;
    let answered = false;
    const answer = this.agent.line((line) => line.includes(`"return": ${id}}`)).then(() => {
      answered = true;
    });
    while (!answered) {
      await this.agent.send({ execute: "guest-sync", arguments: { id } });
      await Promise.race([answer, pause(ASK_PAUSE_MS)]);
    }
  }

  /** Has a guest begun by a word for the script inside; gives milliseconds until its agent answered. */
  async readyAfter(word: string, begins: RegExp): Promise<number> {
    const from = this.run.console.length;
    await this.ask(word, begins);
    const began = this.run.now();
    const ended = this.run.waitForConsole(/inside bare ended/u, LIMIT_MS, from).then(() => {
      if (!up) {
        throw new Error("bench vm: the guest that was started by hand ended before it was up");
      }
    });
    let up = false;
    await Promise.race([this.agentAnswers(), ended]);
    up = true;
    ended.catch(() => {});
    return this.run.now() - began;
  }

  /** The life of the guest that is started by hand: QEMU, and its monitor's word to end. */
  async bareLife(guest: string, settle: number): Promise<Life> {
    const greeting = this.monitor.line((line) => line.includes('"QMP"'));
    const from = this.run.console.length;
    const ready = await this.readyAfter(`bare ${guest}`, /inside bare begins/u);
    await greeting;
    await this.monitor.send({ execute: "qmp_capabilities" });
    await pause(settle);
    const asked = this.run.now();
    await this.monitor.send({ execute: "system_powerdown" });
    await this.run.waitForConsole(/inside bare ended/u, LIMIT_MS, from);
    return { ready, stop: this.run.now() - asked };
  }
}
