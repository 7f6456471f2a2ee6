/**
 * Where lines go: the serial console, the harness's port, a ring until the data root is there, then
 * `logs/rayos.log` and this boot's own file. It renders and writes; what is reported, and when, is the
 * runtime's business. A sink that fails is counted and told once; it never stops the host.
 */

import type { HostEvent } from "../event.ts";
import type { AppendFile, Host } from "../host/port.ts";
import { type Level, renderLine, timestamp } from "./line.ts";
import { lineOf } from "./marker.ts";
import { MAX_FILE_BYTES, MAX_FILES } from "./retention.ts";

const LEVELS: readonly Level[] = ["error", "warn", "info", "debug", "trace"];
/** Lines that wait for the data root, and that `log` shows: 4 KiB each at most, so 8 MiB at worst. */
const RING_LINES = 2000;

/** What the sinks need to know of the logging policy. */
export interface LoggingPolicy {
  readonly level: Level;
  readonly persist: boolean;
}

export class LogSinks {
  #harnessRun: string | null = null;
  #wallTrusted = false;
  #policy: LoggingPolicy = { level: "info", persist: true };
  readonly #ring: { text: string; always: boolean }[] = [];
  #waiting: { text: string; always: boolean }[] = [];
  #files: { main: AppendFile; boot: AppendFile; root: string } | null = null;
  #dropped = 0;
  #ended = false;
  readonly #encoder = new TextEncoder();

  /** Told each line; whoever follows the log has it from here. */
  toFollowers: (line: string) => void = () => {};
  /** What is shown on the console; whoever has a person typing there puts it above their line. */
  toConsole: (text: string) => void;

  constructor(readonly host: Host) {
    this.toConsole = (text) => host.console(text);
  }

  /** Renders and writes one event. */
  emit(event: HostEvent): void {
    // The shutdown is the last line, whatever is still under way.
    if (this.#ended) return;
    this.#ended = event.type === "shutdown";
    const line = lineOf(event);
    const always = event.type === "violation" || line.event.startsWith("RAYOS_");
    if (!always && LEVELS.indexOf(line.level) > LEVELS.indexOf(this.#policy.level)) return;
    const text = renderLine(this.now(), line);
    this.toConsole(`${text}\n`);
    this.toFollowers(text);
    if (this.#harnessRun !== null) this.host.harness(`${this.#harnessRun} ${text}\n`);
    const entry = { text, always: event.type === "violation" };
    this.#ring.push(entry);
    if (this.#ring.length > RING_LINES) this.#ring.shift();
    if (this.#files === null) {
      this.#waiting.push(entry);
      if (this.#waiting.length > RING_LINES) {
        this.#waiting.shift();
        this.#dropped++;
      }
    } else this.#toDisk(entry);
  }

  /** The time as a line shows it. */
  now(): string {
    const { clock } = this.host;
    return timestamp({ wall: this.#wallTrusted ? clock.wall() : null, monoMs: clock.monoMs() });
  }

  trustWallClock(): void {
    this.#wallTrusted = true;
  }

  setPolicy(policy: LoggingPolicy): void {
    this.#policy = policy;
  }

  /** Says which run the harness counts; what was written before is repeated to it. */
  setHarness(run: string | null): void {
    this.#harnessRun = run;
    if (run !== null) { for (const { text } of this.#ring) this.host.harness(`${run} ${text}\n`); }
  }

  /** The last lines, for a person to read. */
  lastLines(count: number): string[] {
    return this.#ring.slice(-count).map((entry) => entry.text);
  }

  /**
   * Opens the files under the data root and writes what waited.
   *
   * @throws what the file system says; the caller decides whether that data root is used at all
   */
  openFiles(dataRoot: string, bootId: string): void {
    this.closeFiles();
    const root = `${dataRoot}/logs`;
    const main = this.host.append(`${root}/rayos.log`);
    const boot = this.host.append(`${root}/boot/${bootId}.log`);
    this.#files = { main, boot, root };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) this.#toDisk(entry);
    if (this.#dropped > 0) {
      const lines = this.#dropped;
      this.#dropped = 0;
      this.emit({ type: "log_dropped", sink: "ring", lines });
    }
  }

  /** Makes what is written durable and lets go of the file system. */
  closeFiles(): void {
    const files = this.#files;
    this.#files = null;
    files?.main.close();
    files?.boot.close();
  }

  #toDisk(entry: { text: string; always: boolean }): void {
    if (!this.#policy.persist && !entry.always) return;
    const files = this.#files;
    if (files === null) return;
    const bytes = this.#encoder.encode(`${entry.text}\n`);
    try {
      if (files.main.size + bytes.length > MAX_FILE_BYTES) this.#rotate(files);
      this.#files?.main.append(bytes);
      if (files.boot.size + bytes.length <= MAX_FILE_BYTES) files.boot.append(bytes);
    } catch (error) {
      // A disk that is full or gone must not stop the host: console and ring still have the line.
      this.#files = null;
      for (const file of [files.main, files.boot]) {
        try {
          file.close();
        } catch {
          // What the disk says is reported below; an open handle would keep it busy at the end.
        }
      }
      this.emit({
        type: "fault",
        stage: "data",
        code: "log.unwritable",
        message: `log on RayOS Data: ${error instanceof Error ? error.message : error}; ` +
          "free space or check the disk, then start the program again",
      });
    }
  }

  /** `rayos.log` becomes `rayos.log.1`, and so on; the tenth is dropped. */
  #rotate(files: { main: AppendFile; boot: AppendFile; root: string }): void {
    files.main.close();
    const name = (n: number) => `${files.root}/rayos.log${n === 0 ? "" : `.${n}`}`;
    this.host.remove(name(MAX_FILES - 1));
    for (let n = MAX_FILES - 2; n >= 0; n--) {
      if (this.host.lstat(name(n)) !== null) this.host.rename(name(n), name(n + 1));
    }
    this.#files = { ...files, main: this.host.append(name(0)) };
  }
}
