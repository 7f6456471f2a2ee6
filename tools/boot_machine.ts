/**
 * A boot that can be watched and steered: starts the outer machine on image files, keeps what the
 * host reports and what the console shows, and ends it with nothing left behind. It judges nothing.
 */
import { Fault } from "../src/fault.ts";
import { type LogLine, PortReader } from "./boot_log.ts";
import { matches, parsePattern } from "./boot_judge.ts";
import { joinOverlay, type OverlayFile } from "./boot_overlay.ts";
import type { OuterDisk } from "./outer_argv.ts";
import { type OuterEnd, OuterMachine } from "./outer_machine.ts";

export interface MachineOptions {
  readonly kernel: string;
  readonly initramfs: string;
  /** More words for the kernel command line. */
  readonly append?: string;
  readonly disks?: readonly OuterDisk[];
  readonly kvm?: boolean;
  readonly smp?: number;
  readonly memoryMiB?: number;
  /** Files added to the image, by absolute path; they replace files of the same path. */
  readonly overlay?: Readonly<Record<string, OverlayFile>>;
  /** More QEMU arguments. */
  readonly extra?: readonly string[];
  /** Told the console's bytes as they arrive. */
  readonly onConsole?: (bytes: Uint8Array) => void;
  /** Told each line of the host as it arrives. */
  readonly onLine?: (line: LogLine) => void;
}

/** What a wait is for: an EVENT with fields as in `--expect`, an expression on the line, a test. */
export type LinePattern = string | RegExp | ((line: LogLine) => boolean);

/**
 * One CPU: QEMU 7.2's multi-threaded TCG can translate a branch of the kernel's in the moment in which
 * another CPU patches it, as each nested VM that comes or goes has it do, and the machine then hangs.
 */
const MACHINE = { smp: 1, memoryMiB: 3072 } as const;
const BASE_APPEND = "console=ttyS0 panic=-1 quiet";
/** A unix socket's path has 107 bytes (unix(7)); a long TMPDIR would leave none for the name. */
const LONGEST_DIRECTORY = 90;

function runNumber(): string {
  return [...crypto.getRandomValues(new Uint8Array(8))]
    .map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

async function newDirectory(): Promise<string> {
  const made = await Deno.makeTempDir({ prefix: "rayos-boot-" });
  if (made.length <= LONGEST_DIRECTORY) return made;
  await Deno.remove(made);
  return await Deno.makeTempDir({ dir: "/tmp", prefix: "rayos-boot-" });
}

/** A booting machine. End it with `end()`, or hold it with `await using`. */
export class BootRun implements AsyncDisposable {
  /** All lines of the host so far, in order. */
  readonly lines: LogLine[] = [];
  /** Settles when QEMU has ended by itself or was ended. */
  ended: Promise<OuterEnd>;
  /** Milliseconds from the start of QEMU to its end; null while it runs. */
  endedAt: number | null = null;
  /** Milliseconds to the first press of the power button; null before. */
  pressedAt: number | null = null;
  readonly #reader: PortReader;
  readonly #startedAt = performance.now();
  readonly #watchers = new Set<() => void>();
  readonly #decoder = new TextDecoder();
  #console = "";
  #machine: OuterMachine | null = null;

  constructor(
    readonly options: MachineOptions,
    readonly directory: string,
    readonly run: string,
  ) {
    this.#reader = new PortReader(run);
    this.ended = Promise.reject(new Fault("cli", "outer.start", "boot: not started; start it"));
    this.ended.catch(() => {});
  }

  /** Starts the machine; called once, by `bootMachine`. */
  async start(): Promise<void> {
    const { options } = this;
    const initramfs = options.overlay === undefined
      ? options.initramfs
      : await joinOverlay(options.initramfs, options.overlay, `${this.directory}/initramfs.img`);
    const words = [BASE_APPEND, `rayos.harness=${this.run}`, options.append ?? ""];
    this.#machine = await OuterMachine.start(
      {
        kernel: options.kernel,
        initramfs,
        append: words.join(" ").trim(),
        disks: options.disks ?? [],
        kvm: options.kvm ?? true,
        smp: options.smp ?? MACHINE.smp,
        memoryMiB: options.memoryMiB ?? MACHINE.memoryMiB,
        extra: options.extra ?? [],
      },
      this.directory,
      { serial: (bytes) => this.#onSerial(bytes), harness: (bytes) => this.#onHarness(bytes) },
    );
    this.ended = this.#machine.ended.then((end) => {
      this.endedAt = this.now();
      this.#wake();
      return end;
    });
  }

  /** Everything the serial console has shown so far, as text. */
  get console(): string {
    return this.#console;
  }

  /** Lines on the harness port that were not the host's, and those that break the grammar. */
  get ignored(): { readonly foreign: number; readonly malformed: number } {
    return { foreign: this.#reader.foreign, malformed: this.#reader.malformed };
  }

  /** QEMU's process id. */
  get pid(): number {
    return this.#running().pid;
  }

  /** Milliseconds since the machine was started. */
  now(): number {
    return performance.now() - this.#startedAt;
  }

  /**
   * Waits for a line of the host; one that was there before counts.
   * @param timeout milliseconds
   * @param from index of the first line that counts
   * @throws Fault `boot.wait` when the time is over or the machine has ended without it
   */
  async waitFor(wanted: LinePattern, timeout = 240_000, from = 0): Promise<LogLine> {
    const test = lineTest(wanted);
    return await this.#until(
      () => this.lines.slice(from).find(test) ?? null,
      timeout,
      `line ${typeof wanted === "function" ? "wanted" : String(wanted)}`,
    );
  }

  /**
   * Waits for text on the serial console, from that offset on; gives the match.
   * @param timeout milliseconds
   * @throws Fault `boot.wait` as `waitFor`
   */
  async waitForConsole(wanted: RegExp, timeout = 240_000, from = 0): Promise<string> {
    return await this.#until(
      () => wanted.exec(this.#console.slice(from))?.[0] ?? null,
      timeout,
      `console text ${wanted}`,
    );
  }

  /** Waits until something arrives (a line, console bytes, the end), at most that long. */
  async nextChange(timeout: number): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = () => {
        clearTimeout(timer);
        this.#watchers.delete(done);
        resolve();
      };
      const timer = setTimeout(done, Math.max(0, timeout));
      this.#watchers.add(done);
    });
  }

  /** Runs a QMP command of the outer machine; see `OuterQmp.command`. */
  async qmp(command: string, args: Record<string, unknown> = {}): Promise<unknown> {
    return await this.#running().qmp.command(command, args);
  }

  /** Presses the power button (ACPI). Does nothing when the machine has ended. */
  async powerButton(): Promise<void> {
    if (this.endedAt !== null) return;
    this.pressedAt ??= this.now();
    try {
      await this.qmp("system_powerdown");
    } catch (error) {
      if (this.endedAt === null) {
        await this.nextChange(1000);
        if (this.endedAt === null) throw error;
      }
    }
  }

  /** Types text on the serial console; a line is ended by `\r`. */
  async typeSerial(text: string): Promise<void> {
    await this.#running().type(new TextEncoder().encode(text));
  }

  /** Hands bytes of a terminal to the serial console as they are. */
  async typeBytes(bytes: Uint8Array): Promise<void> {
    await this.#running().type(bytes);
  }

  /** Cuts the machine's power and waits until QEMU is gone; its files stay until `end`. */
  async cutPower(): Promise<void> {
    await this.#machine?.kill();
  }

  /** Ends QEMU if it still runs and removes the run's directory. May be called twice. */
  async end(): Promise<void> {
    await this.#machine?.kill();
    await Deno.remove(this.directory, { recursive: true }).catch(() => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end();
  }

  #running(): OuterMachine {
    if (this.#machine === null) {
      throw new Fault("cli", "outer.start", "boot: the machine was not started; start it");
    }
    return this.#machine;
  }

  async #until<T>(look: () => T | null, timeout: number, what: string): Promise<T> {
    const deadline = this.now() + timeout;
    for (;;) {
      const found = look();
      if (found !== null) return found;
      const left = deadline - this.now();
      if (this.endedAt !== null || left <= 0) {
        const why = this.endedAt === null
          ? `not within ${timeout / 1000} s`
          : "the machine has ended";
        throw new Fault("cli", "boot.wait", `${what}: ${why}; last lines:\n${this.tail(12)}`);
      }
      await this.nextChange(left);
    }
  }

  /** The last lines of the host, or of the console where the host has said nothing. */
  tail(count: number): string {
    const texts = this.lines.length > 0
      ? this.lines.map((line) => line.text)
      : this.#console.split("\n").map((text) => text.trimEnd()).filter((text) => text !== "");
    return texts.slice(-count).map((text) => `  ${text}`).join("\n");
  }

  #onSerial(bytes: Uint8Array): void {
    this.#console += this.#decoder.decode(bytes, { stream: true });
    this.options.onConsole?.(bytes);
    this.#wake();
  }

  #onHarness(bytes: Uint8Array): void {
    for (const line of this.#reader.feed(bytes, this.now())) {
      this.lines.push(line);
      this.options.onLine?.(line);
    }
    this.#wake();
  }

  #wake(): void {
    for (const watcher of [...this.#watchers]) watcher();
  }
}

function lineTest(wanted: LinePattern): (line: LogLine) => boolean {
  if (typeof wanted === "function") return wanted;
  if (wanted instanceof RegExp) return (line) => wanted.test(line.text);
  const parsed = parsePattern(wanted);
  if (parsed === null) throw new TypeError(`marker pattern: "${wanted}" is none`);
  return (line) => matches(parsed, line);
}

/**
 * Boots a machine and gives the run as soon as QEMU has started.
 * @throws Fault `outer.missing` or `outer.start`; nothing is left behind then
 */
export async function bootMachine(options: MachineOptions): Promise<BootRun> {
  const run = new BootRun(options, await newDirectory(), runNumber());
  try {
    await run.start();
    return run;
  } catch (error) {
    await run.end();
    throw error;
  }
}
