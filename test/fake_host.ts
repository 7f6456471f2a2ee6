/**
 * The port's fake: files in memory, launchers and sockets by script. It throws on every call that no
 * scenario expects, so that a boot that does more than it should is seen. What the claim is about a
 * kernel, a jail or QEMU is tested in real boots, not here.
 */

import assert from "node:assert/strict";
import { FakeConnection } from "../src/guest/fake_connection.ts";
import type {
  AppendFile,
  Clock,
  Connection,
  FileFacts,
  FrameDevice,
  Host,
  LauncherResult,
  Listener,
  NewFile,
  OpenFile,
  ProcessFacts,
} from "../src/host/port.ts";
import { Fault } from "../src/fault.ts";
import { type Slot, slotName } from "../src/id.ts";
import type { Launcher } from "../src/permissions.ts";

const encode = (text: string) => new TextEncoder().encode(text);

/** Ends the fake program. */
export class Exited extends Error {}

export class FakeHost implements Host {
  readonly pid = 77;
  readonly cpus = 2;
  readonly files = new Map<string, Uint8Array>();
  readonly directories = new Set<string>(["/var/rayos", "/run/rayos"]);
  /** What lstat adds to a plain file of root's. */
  readonly facts = new Map<string, Partial<FileFacts>>();
  readonly openable = new Set<string>();
  readonly launches: string[] = [];
  readonly written = new Set<string>();
  readonly processes = new Map<Slot, ProcessFacts[]>();
  readonly consoleText: string[] = [];
  readonly harnessText: string[] = [];
  readonly typed: string[] = [];
  poweredOff: string | null = null;
  powerButton: () => void = () => {};
  launcher: (name: Launcher, args: readonly string[]) => LauncherResult = (name, args) => {
    throw new Error(`no scenario expects ${name} ${args.join(" ")}`);
  };
  socket: (path: string) => FakeConnection = (path) => {
    throw new Error(`no scenario expects a connection to ${path}`);
  };
  #now = 5_000;

  readonly clock: Clock = {
    monoMs: () => this.#now += 0.5,
    wall: () => new Date("2026-11-24T12:00:00Z"),
    sleep: async (ms) => {
      // No scenario lasts as long as the pauses of what only watches.
      if (ms >= 10_000) return await new Promise(() => {});
      this.#now += ms;
      await new Promise((resolve) => setTimeout(resolve, 0));
    },
  };

  put(path: string, text: string): void {
    assert.match(path, /^\/run\/rayos\//, `put ${path}`);
    this.files.set(path, encode(text));
    const killed = path.match(/guests\/(\d\d)\/cgroup\.kill$/);
    if (killed) this.processes.delete(Number(killed[1]) as Slot);
  }

  seed(path: string, content: string | Uint8Array): void {
    this.files.set(path, typeof content === "string" ? encode(content) : content);
  }

  read(path: string, limit: number): Uint8Array | null {
    const bytes = this.files.get(path) ?? null;
    if (bytes === null && this.lstat(path) !== null) {
      throw new Fault("data", "file.not_plain", `${path}: a directory`);
    }
    if (bytes !== null && bytes.length > limit) {
      throw new Fault("data", "file.too_large", `${path}: larger than ${limit} bytes`);
    }
    return bytes;
  }

  readText(path: string, limit: number): string | null {
    const bytes = this.read(path, limit);
    try {
      return bytes === null ? null : new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    } catch {
      return null;
    }
  }

  lstat(path: string): FileFacts | null {
    const bytes = this.files.get(path);
    const under = [...this.files.keys()].some((one) => one.startsWith(`${path}/`));
    if (bytes === undefined && !under && !this.directories.has(path)) return null;
    return {
      type: bytes === undefined ? "directory" : "file",
      size: bytes?.length ?? 0,
      uid: 0,
      links: 1,
      device: 1,
      inode: this.#inodeOf(path),
      modifiedMs: 0,
      changedMs: 0,
      ...this.facts.get(path),
    };
  }

  /** A machine without a screen, where a test gives it none. */
  framebuffer: FrameDevice | null = null;

  frame(_path: string): FrameDevice | null {
    return this.framebuffer;
  }

  /** What every file system has left. */
  free = Number.MAX_SAFE_INTEGER;

  freeBytes(_path: string): number {
    return this.free;
  }

  wholeBytes(_path: string): number {
    return Math.min(this.free * 2, Number.MAX_SAFE_INTEGER);
  }

  head(path: string, length: number): Uint8Array | null {
    return this.files.get(path)?.subarray(0, length) ?? null;
  }

  tail(path: string, length: number): Uint8Array | null {
    return this.files.get(path)?.subarray(-length) ?? null;
  }

  list(path: string): string[] {
    const names = new Set<string>();
    for (const one of this.files.keys()) {
      if (one.startsWith(`${path}/`)) names.add(one.slice(path.length + 1).split("/")[0] ?? "");
    }
    return [...names].sort();
  }

  canOpen(path: string): boolean {
    return this.openable.has(path);
  }

  replace(path: string, bytes: Uint8Array | string): void {
    this.seed(path, bytes);
    this.written.add(path);
  }

  overwrite(path: string, bytes: Uint8Array): void {
    const old = this.files.get(path);
    assert.ok(old !== undefined, `${path} is not there to be written over`);
    const whole = Uint8Array.from(old);
    whole.set(bytes);
    this.files.set(path, whole);
    this.written.add(path);
  }

  /** Folders that were made and whose names a power cut could still take. */
  readonly unsynced = new Set<string>();

  makeDirectory(path: string): void {
    if (!this.directories.has(path)) this.unsynced.add(path);
    this.directories.add(path);
  }

  remove(path: string): void {
    this.files.delete(path);
    this.#inodes.delete(path);
  }

  rename(from: string, to: string): void {
    const bytes = this.files.get(from);
    assert.ok(bytes !== undefined, `rename of ${from}, which is not there`);
    const inode = this.#inodeOf(from);
    this.remove(from);
    this.files.set(to, bytes);
    this.#inodes.set(to, inode);
  }

  renameNew(from: string, to: string): void {
    assert.equal(this.lstat(to), null, `${to} is there already`);
    this.rename(from, to);
  }

  readonly #inodes = new Map<string, number>();
  #lastInode = 10;

  #inodeOf(path: string): number {
    const inode = this.#inodes.get(path) ?? ++this.#lastInode;
    this.#inodes.set(path, inode);
    return inode;
  }

  syncDirectory(path: string): void {
    assert.equal(this.lstat(path)?.type, "directory", `sync of ${path}`);
    this.namesSynced(path);
  }

  protected namesSynced(folder: string): void {
    for (const one of this.unsynced) {
      if (one.slice(0, one.lastIndexOf("/")) === folder) this.unsynced.delete(one);
    }
  }

  create(path: string): NewFile {
    assert.ok(!this.files.has(path), `${path} is there already`);
    const file = this.append(path);
    return {
      get size() {
        return file.size;
      },
      append: (bytes) => Promise.resolve(file.append(bytes)),
      skip: (length) => Promise.resolve(file.append(new Uint8Array(length))),
      finish: () => Promise.resolve(),
      abandon: () => {},
    };
  }

  open(path: string): OpenFile | null {
    const bytes = this.files.get(path);
    if (bytes === undefined) return null;
    return {
      size: bytes.length,
      inode: this.#inodeOf(path),
      read: (position, length) => Promise.resolve(bytes.slice(position, position + length)),
      close: () => {},
    };
  }

  /** What is open for appending, by which its file system is kept (umount(2), EBUSY). */
  readonly opened = new Map<AppendFile, string>();

  append(path: string): AppendFile {
    this.written.add(path);
    this.files.set(path, this.files.get(path) ?? new Uint8Array());
    const grow = (bytes: Uint8Array) => {
      const old = this.files.get(path) ?? new Uint8Array();
      const whole = new Uint8Array(old.length + bytes.length);
      whole.set(old);
      whole.set(bytes, old.length);
      this.files.set(path, whole);
    };
    const size = () => this.files.get(path)?.length ?? 0;
    const file: AppendFile = {
      get size() {
        return size();
      },
      append: grow,
      sync: () => {},
      close: () => void this.opened.delete(file),
    };
    this.opened.set(file, path);
    return file;
  }

  launch(name: Launcher, args: readonly string[]): Promise<LauncherResult> {
    this.launches.push([name, ...args].join(" "));
    if (name === "power") {
      this.poweredOff = args[0] ?? "";
      return Promise.resolve({ code: 0, words: [] });
    }
    return Promise.resolve(this.launcher(name, args));
  }

  connect(path: string): Promise<Connection> {
    return Promise.resolve(this.socket(path));
  }

  /** What listens for a guest. */
  guestListener: (path: string, owner: number) => Listener = (path) => {
    throw new Error(`no scenario expects a guest at ${path}`);
  };

  listen(path: string, owner?: number): Promise<Listener> {
    if (owner !== undefined) return Promise.resolve(this.guestListener(path, owner));
    assert.equal(path, "/run/rayos/control.sock");
    return Promise.resolve({
      accept: () => {
        const client = this.#clients.shift();
        return client !== undefined
          ? Promise.resolve(client)
          : new Promise((resolve) => this.#accepting = resolve);
      },
      close: () => this.#accepting?.(null),
    });
  }

  readonly #clients: Connection[] = [];
  #accepting: ((client: Connection | null) => void) | null = null;

  /** A client of the control socket. */
  arrive(client: Connection): void {
    if (this.#accepting === null) this.#clients.push(client);
    else this.#accepting(client);
  }

  processesOf(slot: Slot): number[] {
    return (this.processes.get(slot) ?? []).map((one) => one.pid);
  }

  processFacts(pid: number): ProcessFacts | null {
    if (pid === 1) return fakeInit;
    return [...this.processes.values()].flat().find((one) => one.pid === pid) ?? null;
  }

  console(text: string): void {
    this.consoleText.push(text);
  }

  harness(text: string): void {
    this.harnessText.push(text);
  }

  // deno-lint-ignore require-yield
  async *device(_path: string): AsyncIterable<Uint8Array> {
    throw new Error("no device is here");
  }
  /** A machine without a TPM, where a test gives it none. */
  tpm: (message: Uint8Array) => Uint8Array = () => {
    throw new Error("no TPM is here");
  };
  exchange(path: string, message: Uint8Array): Promise<Uint8Array> {
    assert.equal(path, "/run/rayos/tpm");
    return new Promise((resolve) => resolve(this.tpm(message)));
  }
  consoleScreen() {
    return { columns: 80, plain: true };
  }
  async *consoleKeys(): AsyncIterable<Uint8Array> {
    for (const line of this.typed) yield await Promise.resolve(encode(`${line}\r`));
  }
  consoleLaunch(name: Launcher): Promise<number> {
    this.launches.push(name);
    return Promise.resolve(0);
  }

  onPowerButton(callback: () => void): void {
    this.powerButton = callback;
  }

  onUncaught(): void {}

  drain(): Promise<void> {
    return Promise.resolve();
  }

  exit(): never {
    throw new Exited("the program ended");
  }
}

const NAMESPACES = ["mnt", "pid", "net", "ipc", "uts", "cgroup"];

const fakeInit: ProcessFacts = {
  pid: 1,
  startTicks: 1,
  tasks: [],
  mountinfo: "",
  limits: "",
  namespaces: Object.fromEntries(NAMESPACES.map((name) => [name, `${name}:[1]`])),
  files: [],
};

/** Where the kernel would show a guest's cgroup files. */
export function cgroupFile(slot: Slot, file: string): string {
  return `/run/rayos/cg/rayos/guests/${slotName(slot)}/${file}`;
}
