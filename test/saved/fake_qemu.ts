/**
 * A QEMU of tests: it speaks QMP, has a memory and a disk, sends its memory as a stream and takes one.
 * What it does is what QEMU 7.2 was seen to do; the real one is tried in real boots.
 */

import { FakeConnection } from "../../src/guest/fake_connection.ts";
import { QmpClient } from "../../src/guest/qmp.ts";
import type { ProcessFacts } from "../../src/host/port.ts";
import type { LaunchPlan } from "../../src/plan/launch_plan.ts";
import { socketPath } from "../../src/id.ts";
import { CutHost } from "./cut_host.ts";

const encode = (text: string) => new TextEncoder().encode(text);

type Status = "prelaunch" | "running" | "paused" | "postmigrate" | "inmigrate" | "io-error";

/** What goes wrong, where a test wants it to. */
export interface Wrongs {
  /** Commands that get no answer. */
  silent?: readonly string[];
  /** Never connects to send its memory. */
  absent?: boolean;
  /** Sends this instead of its memory, and whether the stream ends after it. */
  stream?: Uint8Array;
  open?: boolean;
  /** How `query-migrate` ends. */
  migration?: string;
  /** Does not end when told to. */
  stays?: boolean;
  /** Writes its disk when told to end. */
  writesAtEnd?: boolean;
  version?: number;
  cpu?: string;
}

export class FakeQemu {
  status: Status;
  /** What the guest knows; whoever looks from outside sees it in the stream only. */
  memory: string;
  readonly commands: string[] = [];
  #migration: string | undefined;
  #taking: FakeConnection | null = null;

  constructor(
    readonly host: CutHost,
    readonly plan: LaunchPlan,
    memory: string | null,
    readonly wrongs: Wrongs = {},
  ) {
    this.memory = memory ?? "";
    this.status = memory === null ? "inmigrate" : "prelaunch";
    host.processes.set(plan.slot, [{ pid: 500 } as ProcessFacts]);
    host.guestListener = () => this.#listen();
    host.socket = (path) => {
      if (path !== socketPath(plan.slot, "state")) throw new Error(`no one at ${path}`);
      return this.#taking ??= this.#take();
    };
  }

  get alive(): boolean {
    return this.host.processesOf(this.plan.slot).length > 0;
  }

  kill(): void {
    this.host.processes.delete(this.plan.slot);
  }

  /** A client of it. */
  async qmp(): Promise<QmpClient> {
    return await QmpClient.open(this.connection(), () => {}, QMP_MS);
  }

  /** Its side of a QMP socket. */
  connection(): FakeConnection {
    const connection = new FakeConnection();
    connection.feed('{"QMP":{"version":{}}}\n');
    connection.onWrite = (text) => {
      const { execute, id } = JSON.parse(text);
      if (!this.alive) return connection.feed(null);
      if (this.wrongs.silent?.includes(execute)) return;
      this.commands.push(execute);
      const reply = this.#answer(execute);
      connection.feed(`${JSON.stringify({ id, return: reply })}\n`);
      if (!this.alive) connection.feed(null);
    };
    return connection;
  }

  #answer(command: string): unknown {
    if (!READS.has(command)) this.host.step();
    switch (command) {
      case "query-status":
        return { running: this.status === "running", status: this.status };
      case "query-uuid":
        return { UUID: this.plan.uuid };
      case "query-name":
        return { name: this.plan.vm };
      case "query-version": {
        const micro = this.wrongs.version ?? 22;
        return { qemu: { major: 7, minor: 2, micro }, package: "Debian" };
      }
      case "query-cpu-model-expansion":
        return { model: { name: "host", props: { avx: true, id: this.wrongs.cpu ?? "one" } } };
      case "stop":
        if (this.status === "running") this.status = "paused";
        break;
      case "cont":
        if (this.status !== "inmigrate") this.status = "running";
        break;
      case "migrate":
        this.#migration = this.wrongs.migration ?? "completed";
        if (this.#migration === "completed") this.status = "postmigrate";
        break;
      case "query-migrate":
        return this.#migration === undefined ? {} : { status: this.#migration };
      case "migrate_cancel":
        if (this.#migration !== undefined) this.#migration = "cancelled";
        break;
      case "quit":
        if (this.wrongs.writesAtEnd) this.host.seed(DISK, "after the end");
        if (!this.wrongs.stays) this.kill();
        break;
    }
    return {};
  }

  #listen() {
    const stream = new FakeConnection();
    const bytes = this.wrongs.stream ?? encode(`stream:${this.memory}`);
    for (let at = 0; at < bytes.length; at += 7) stream.feed(bytes.subarray(at, at + 7));
    if (!this.wrongs.open) stream.feed(null);
    return {
      accept: () => this.wrongs.absent ? new Promise<null>(() => {}) : Promise.resolve(stream),
      close: () => {},
    };
  }

  /** The end of what it takes comes with the sender's close. */
  #take(): FakeConnection {
    const connection = new FakeConnection();
    const { close } = connection;
    connection.close = () => {
      close.call(connection);
      const text = connection.written.join("");
      if (text.startsWith("stream:")) {
        this.memory = text.slice("stream:".length);
        this.status = "paused";
      } else this.kill();
    };
    return connection;
  }
}

/** A silent one is waited for so long. */
const QMP_MS = 100;
/** Commands that change nothing: no step of their own. */
const READS = new Set([
  "qmp_capabilities",
  "query-status",
  "query-uuid",
  "query-name",
  "query-version",
  "query-cpu-model-expansion",
  "query-migrate",
]);

export const DISK = "/var/rayos/vm/linux/demo/rootfs.ext4";
export const KERNEL = "/var/rayos/vm/linux/demo/vmlinuz";
export const STATE = "/var/rayos/vm/linux/demo/state/saved";
export const UNFINISHED = `${STATE}.tmp`;

/** A host with one guest's files. */
export function cutHost(): CutHost {
  const host = new CutHost();
  for (const one of ["vm", "vm/linux", "vm/linux/demo", "boot"]) {
    host.directories.add(`/var/rayos/${one}`);
  }
  host.seed(DISK, "disk");
  host.seed(KERNEL, "kernel");
  return host;
}
