/**
 * The interface of everything the operating system does for us. The folders that act take this as a
 * parameter; only `main.ts`, `cli/` and `tools/` make the real one, and the tests' fake refuses every
 * call that no scenario expects. It holds no decision.
 */

import type { Slot } from "../id.ts";
import type { Launcher } from "../permissions.ts";

/** What lstat(2) says of a path, as far as the host decides by it. */
export interface FileFacts {
  readonly type: "file" | "directory" | "symlink" | "other";
  readonly size: number;
  /** What it takes of the disk, in bytes: less than its size where it has holes. */
  readonly allocated?: number;
  readonly uid: number;
  readonly links: number;
  readonly device: number;
  readonly inode: number;
  /** Of the data; set by every write, and by whoever may write (utimensat(2)). */
  readonly modifiedMs: number;
  /** Of anything about the file, in whole seconds; nobody can set it (inode(7), ctime). */
  readonly changedMs: number;
}

/** What a launcher said: its exit code, and its one line of output in words. */
export interface LauncherResult {
  readonly code: number;
  /** `ok …` or `fault <code> <detail>`, split at spaces; empty when it said nothing. */
  readonly words: readonly string[];
}

/** A byte stream to a guest's process or a control client. */
export interface Connection {
  /** The next bytes, or null at the end of the stream. */
  read(): Promise<Uint8Array | null>;
  write(bytes: Uint8Array): Promise<void>;
  close(): void;
}

export interface Listener {
  /** The next client, or null once the listener was closed. */
  accept(): Promise<Connection | null>;
  close(): void;
}

/** A file that only grows. */
export interface AppendFile {
  readonly size: number;
  append(bytes: Uint8Array): void;
  /** What was appended to the disk (fdatasync(2)). */
  sync(): void;
  /** fsync(2), then close(2). */
  close(): void;
}

/** A new file that is written once, from its start to its end. */
export interface NewFile {
  /** Bytes so far. */
  readonly size: number;
  append(bytes: Uint8Array): Promise<void>;
  /** Goes on so many bytes further; what is left out takes no room and reads as zeroes. */
  skip(length: number): Promise<void>;
  /** Everything to the disk (fsync(2)), then close(2). */
  finish(): Promise<void>;
  /** Gives it up where it stands; the file stays. Nothing after {@link finish}. */
  abandon(): void;
}

/** The screen's memory, as the kernel shows it: a character device with places. */
export interface FrameDevice {
  /** @throws Fault `screen.lost` */
  write(position: number, bytes: Uint8Array): void;
  close(): void;
}

/** A regular file that stays the same one while it is read. */
export interface OpenFile {
  readonly size: number;
  readonly inode: number;
  /** Up to `length` bytes from there; fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  close(): void;
}

export interface Clock {
  /** Milliseconds since the kernel started; goes on across restarts of the program. */
  monoMs(): number;
  wall(): Date;
  /** Waits that long; `signal` ends the wait early without an error. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

/** What the kernel says of one task of a guest; every text is the file of procfs as it stands. */
export interface TaskFacts {
  readonly tid: number;
  readonly status: string;
}

export interface ProcessFacts {
  readonly pid: number;
  /** When the kernel started it, in clock ticks since boot (proc(5), field 22 of stat). */
  readonly startTicks: number;
  readonly tasks: readonly TaskFacts[];
  readonly mountinfo: string;
  readonly limits: string;
  /** Namespace name to its identity, e.g. `net` → `net:[4026531840]`. */
  readonly namespaces: Readonly<Record<string, string>>;
  /** Target of each open descriptor, and device and inode of what is open. */
  readonly files: readonly { fd: number; target: string; device: number; inode: number }[];
}

export interface Host {
  readonly clock: Clock;
  /** The program's own process id. */
  readonly pid: number;
  /** Logical CPUs that the kernel has online. */
  readonly cpus: number;

  /** A file's bytes, at most `limit` of them; null where there is none. A larger file is a fault. */
  read(path: string, limit: number): Uint8Array | null;
  /** {@link read} as UTF-8; null also where it is not UTF-8. */
  readText(path: string, limit: number): string | null;
  /** lstat(2): links are not followed; null where there is nothing. */
  lstat(path: string): FileFacts | null;
  /** First `length` bytes, of a regular file opened without following a link; null where that fails. */
  head(path: string, length: number): Uint8Array | null;
  /** Last `length` bytes, likewise. */
  tail(path: string, length: number): Uint8Array | null;
  list(path: string): string[];
  /** Bytes that its file system has for others than root: the reserved blocks stay (statfs(2)). */
  freeBytes(path: string): number;
  /** Bytes that its file system has in all. */
  wholeBytes(path: string): number;
  /** Whether the node can be opened: a device without a driver cannot (ENODEV, ENXIO). */
  canOpen(path: string): boolean;
  /** Writes through a sibling file, fsync, rename, fsync of the directory. Mode 0600. */
  replace(path: string, bytes: Uint8Array | string): void;
  /**
   * Writes over the first bytes of a file that is there, in place and in one write, and brings them to the
   * disk (fdatasync(2)): what was there is in no other block of the file system.
   */
  overwrite(path: string, bytes: Uint8Array): void;
  /** Writes to a file of the kernel's (cgroup, proc) or of /run, in one write. */
  put(path: string, text: string): void;
  /** Makes a directory 0700 where there is none; parents must exist. */
  makeDirectory(path: string): void;
  remove(path: string): void;
  rename(from: string, to: string): void;
  /** Gives a file a name that nothing has (link(2), unlink(2)); a fault where something has it. */
  renameNew(from: string, to: string): void;
  /** A directory's entries to the disk: what was renamed or removed there stays so after a power cut. */
  syncDirectory(path: string): void;
  append(path: string): AppendFile;
  /** Makes a file 0600 that must not be there yet, not even as a link. */
  create(path: string): NewFile;
  /** Opens a regular file without following a link; null where there is none. */
  open(path: string): OpenFile | null;
  /** Runs a launcher and waits for its line. */
  launch(name: Launcher, args: readonly string[], timeoutMs: number): Promise<LauncherResult>;

  connect(path: string, timeoutMs: number): Promise<Connection>;
  /** @param owner uid and gid of the only one that may connect besides root; left out: root alone */
  listen(path: string, owner?: number): Promise<Listener>;

  /** Ids of the processes in a slot's cgroup; empty where there is no such cgroup. */
  processesOf(slot: Slot): number[];
  /** What procfs says of a process; null where it is gone. */
  processFacts(pid: number): ProcessFacts | null;

  /** Text to the serial console, in order. */
  console(text: string): void;
  /** Text to the harness's port; nothing where there is none. */
  harness(text: string): void;
  /**
   * What a character device says, in the pieces in which it says it, until it is gone.
   *
   * @throws Fault `device.gone`
   */
  device(path: string): AsyncIterable<Uint8Array>;
  /**
   * Gives a character device one message and takes its answer, of so many bytes at most.
   *
   * @throws Fault `device.failed`
   */
  exchange(path: string, message: Uint8Array, limit: number): Promise<Uint8Array>;
  /** Opens a framebuffer; null where there is none. */
  frame(path: string): FrameDevice | null;
  /** The terminal at the console, as far as it is known. */
  consoleScreen(): { readonly columns: number; readonly plain: boolean };
  /** What a person types on the console, as it is typed and not shown, until the console is gone. */
  consoleKeys(): AsyncIterable<Uint8Array>;
  /**
   * Hands the console to a launcher and waits for its end. Only while nobody reads keys.
   *
   * @returns its exit code
   */
  consoleLaunch(name: Launcher): Promise<number>;
  /** Calls back when the machine's power button was pressed. */
  onPowerButton(callback: () => void): void;
  /**
   * Calls back when nobody caught an error; the program ends after it, with exit code 1, and PID 1
   * starts it again.
   */
  onUncaught(callback: (error: unknown) => void): void;
  /** Resolves when everything given to the console and the harness port was written, or after the time. */
  drain(timeoutMs: number): Promise<void>;
  /** Ends the program; PID 1 starts it again. */
  exit(code: number): never;
}
