/**
 * Where lines go: the serial console, the harness's port, a ring until the data root is there, then
 * `logs/rayos.log` and this boot's own file. It renders and writes; what is reported, and when, is the
 * runtime's business. A sink that fails is counted and told once; it never stops the host.
 */

import type { HostEvent } from "../event.ts";
import type { AppendFile, Host } from "../host/port.ts";
import { bootLogFile } from "./boot_log.ts";
import { LineBudget } from "./budget.ts";
import { type Level, type Line, renderLine, timestamp } from "./line.ts";
import { lineOf } from "./marker.ts";
import { type CategoryFile, MAX_FILE_BYTES, MAX_FILES, mostTalkative } from "./retention.ts";

const LEVELS: readonly Level[] = ["error", "warn", "info", "debug", "trace"];
/** Lines that wait for the data root, and that `log` shows: 4 KiB each at most, so 8 MiB at worst. */
const RING_LINES = 2000;
/** Said at whatever level: what was done to the log itself, and where the audit log stood. */
const ALWAYS: readonly HostEvent["type"][] = ["violation", "audit_sealed", "retention"];
/** So many files may go for one line. */
const MOST_TRIES = 8;

/** About how long a line is going to be, for one that may not be made at all. */
function charactersOf({ event, fields }: Line): number {
  return Object.values(fields).reduce<number>(
    (sum, value) => sum + (typeof value === "string" ? value.length : 0),
    event.length,
  );
}

/** What the sinks need to know of the logging policy. */
export interface LoggingPolicy {
  readonly level: Level;
  readonly persist: boolean;
}

interface Entry {
  readonly text: string;
  /** Written to the disk whatever the policy says. */
  readonly always: boolean;
  /** Neither for the console nor for the harness. */
  readonly quiet: boolean;
}

interface Files {
  readonly main: AppendFile;
  readonly boot: AppendFile;
  readonly dataRoot: string;
  readonly bootId: string;
}

export class LogSinks {
  #harnessRun: string | null = null;
  #wallTrusted = false;
  #policy: LoggingPolicy = { level: "info", persist: true };
  readonly #ring: Entry[] = [];
  #waiting: Entry[] = [];
  #files: Files | null = null;
  readonly #budget = new LineBudget();
  /** Categories of which it was said that something went. */
  readonly #told = new Set<string>();
  /** What is to be said once a line is written. */
  readonly #owed: HostEvent[] = [];
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
    const always = ALWAYS.includes(event.type) || line.event.startsWith("RAYOS_");
    if (!always && LEVELS.indexOf(line.level) > LEVELS.indexOf(this.#policy.level)) return;
    const nowMs = this.host.clock.monoMs();
    const source = `${line.component}${line.fields["vm"] == null ? "" : `/${line.fields["vm"]}`}`;
    const limited = event.type !== "violation" && event.type !== "shutdown";
    if (limited && !this.#budget.admits(source, nowMs, charactersOf(line))) return;
    for (const { source, lines } of this.#budget.due(nowMs, this.#ended)) {
      this.#put(lineOf({ type: "log_dropped", sink: source, lines }), "log_dropped");
    }
    this.#put(line, event.type);
  }

  #put(line: Line, type: HostEvent["type"]): void {
    const text = renderLine(this.now(), line);
    const entry = { text, always: type === "violation", quiet: type === "kernel" };
    if (!entry.quiet) {
      this.toConsole(`${text}\n`);
      if (this.#harnessRun !== null) this.host.harness(`${this.#harnessRun} ${text}\n`);
    }
    this.toFollowers(text);
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
    if (run === null) return;
    for (const { text, quiet } of this.#ring) if (!quiet) this.host.harness(`${run} ${text}\n`);
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
    const boot = this.host.append(bootLogFile(root, bootId));
    this.#files = { main, boot, dataRoot, bootId };
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const entry of waiting) this.#toDisk(entry);
    if (this.#dropped > 0) {
      const lines = this.#dropped;
      this.#dropped = 0;
      this.emit({ type: "log_dropped", sink: "ring", lines });
    }
  }

  /** Lines of files that are let go, before those that wait for the next ones; the last so many. */
  carry(lines: readonly string[]): void {
    const room = Math.max(0, RING_LINES - this.#waiting.length);
    const kept = room === 0 ? [] : lines.slice(-room);
    this.#dropped += lines.length - kept.length;
    this.#waiting.unshift(...kept.map((text) => ({ text, always: true, quiet: true })));
  }

  /** Makes what is written durable and lets go of the file system. */
  closeFiles(): void {
    const files = this.#files;
    this.#files = null;
    files?.main.close();
    files?.boot.close();
  }

  /**
   * Removes the oldest file of the most talkative category from a disk that is full; says so once for each
   * category. Neither a file that is written nor the audit log ever goes.
   *
   * @returns whether something went
   */
  makeRoom(): boolean {
    const files = this.#files;
    if (files === null) return false;
    const file = mostTalkative(removableLogs(this.host, files.dataRoot, files.bootId));
    if (file === null) return false;
    this.host.remove(file.path);
    if (!this.#told.has(file.category)) {
      this.#told.add(file.category);
      const { category, size } = file;
      this.#owed.push({ type: "retention", removed: 1, bytes: size, category });
    }
    return true;
  }

  #toDisk(entry: Entry): void {
    if (!this.#policy.persist && !entry.always) return;
    let failed: unknown = null;
    for (let tries = 0; tries < MOST_TRIES; tries++) {
      try {
        this.#write(this.#encoder.encode(`${entry.text}\n`));
        failed = null;
        break;
      } catch (error) {
        failed = error;
        if (!isFull(error) || !this.makeRoom()) break;
      }
    }
    if (failed !== null) this.#giveUp(failed);
    for (const event of this.#owed.splice(0)) this.emit(event);
  }

  #write(bytes: Uint8Array): void {
    const files = this.#files;
    if (files === null) return;
    if (files.main.size + bytes.length > MAX_FILE_BYTES) this.#rotate(files);
    this.#files?.main.append(bytes);
    if (files.boot.size + bytes.length > MAX_FILE_BYTES) this.#rotateBoot();
    this.#files?.boot.append(bytes);
  }

  /** A disk that is full or gone must not stop the host: console and ring still have the lines. */
  #giveUp(error: unknown): void {
    const files = this.#files;
    this.#files = null;
    for (const file of files === null ? [] : [files.main, files.boot]) {
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

  /** `rayos.log` becomes `rayos.log.1`, and so on; the tenth is dropped. */
  #rotate(files: Files): void {
    files.main.close();
    const name = (n: number) => `${files.dataRoot}/logs/rayos.log${n === 0 ? "" : `.${n}`}`;
    this.host.remove(name(MAX_FILES - 1));
    for (let n = MAX_FILES - 2; n >= 0; n--) {
      if (this.host.lstat(name(n)) !== null) this.host.rename(name(n), name(n + 1));
    }
    this.#files = { ...files, main: this.host.append(name(0)) };
  }

  /** The boot's newest lines are what a report of its end needs. */
  #rotateBoot(): void {
    const files = this.#files;
    if (files === null) return;
    const { bootId } = files;
    const root = `${files.dataRoot}/logs`;
    files.boot.close();
    const own = bootLogFile(root, bootId);
    // It has its other name already where the new one could not be made before.
    if (this.host.lstat(own) !== null) this.host.rename(own, bootLogFile(root, bootId, true));
    this.#files = { ...files, boot: this.host.append(own) };
  }
}

/**
 * The log files under a data root that may go: the host's rotated ones, those of other boots than that one, and
 * what guests wrote before what they write now. Never the audit log. What cannot be looked at, such as a folder that
 * is a link, stays.
 */
export function removableLogs(host: Host, dataRoot: string, bootId: string | null): CategoryFile[] {
  const logs = `${dataRoot}/logs`;
  const rotated = namesIn(host, logs).filter((name) => /^rayos\.log\.\d$/.test(name));
  const consoles = ["linux", "windows"].flatMap((kind) => {
    const guests = `${dataRoot}/vm/${kind}`;
    return namesIn(host, guests).map((vm) => `${guests}/${vm}/logs/console.log.1`);
  });
  return [
    ...filesAt(host, "log", rotated.map((name) => `${logs}/${name}`)),
    ...bootLogs(host, dataRoot, bootId),
    ...filesAt(host, "console", consoles),
  ];
}

/** Of these the ones of boots, but for that one. */
export function bootLogs(host: Host, dataRoot: string, bootId: string | null): CategoryFile[] {
  const logs = `${dataRoot}/logs`;
  const own = bootId === null ? null : bootLogFile(logs, bootId);
  const paths = namesIn(host, `${logs}/boot`).map((name) => `${logs}/boot/${name}`);
  return filesAt(host, "boot", paths.filter((path) => path !== own));
}

function namesIn(host: Host, folder: string): string[] {
  return orElse(() => host.list(folder), []);
}

function filesAt(
  host: Host,
  category: CategoryFile["category"],
  paths: readonly string[],
): CategoryFile[] {
  return paths.flatMap((path) => {
    const facts = orElse(() => host.lstat(path), null);
    if (facts?.type !== "file") return [];
    return [{ category, path, size: facts.size, modifiedMs: facts.modifiedMs }];
  });
}

function orElse<T>(look: () => T, otherwise: T): T {
  try {
    return look();
  } catch {
    return otherwise;
  }
}

/** Whether an error says that the disk is full. */
export function isFull(error: unknown): boolean {
  return /ENOSPC|EDQUOT|no space left|quota/i.test(error instanceof Error ? error.message : "");
}
