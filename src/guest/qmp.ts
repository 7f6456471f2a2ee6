/**
 * A QMP client: greeting, a closed list of commands, replies by id, events. It holds no idea of what a
 * guest may do; it never sends a command that is not in the list, and every wait has a limit. QEMU is
 * not trusted: each line is bounded and checked by shape, and a malformed one ends the connection.
 *
 * Source: QEMU 7.2, docs/interop/qmp-spec.txt.
 */

import * as v from "valibot";
import type { Connection } from "../host/port.ts";
import { within } from "../within.ts";
import { Fault } from "../fault.ts";
import {
  HOT_DEVICES,
  type HotDevice,
  hotId,
  type HotPlace,
  NETDEV,
  plugArguments,
  shareSocketArguments,
  unplugArguments,
} from "./hotplug.ts";
import { inputArguments, type Stroke } from "./input.ts";
import { LineReader } from "./lines.ts";

/** Characters of one of QEMU's own words, and of a sentence of its that is told on. */
const WORD_CHARACTERS = 128;
const DESC_CHARACTERS = 200;
const WORD = v.pipe(v.string(), v.maxLength(WORD_CHARACTERS));
const cutDesc = (text: string) => text.slice(0, DESC_CHARACTERS);

/** The commands that can be sent, and the shape of what each returns. */
const COMMANDS = {
  qmp_capabilities: v.looseObject({}),
  "query-uuid": v.looseObject({ UUID: WORD }),
  "query-name": v.looseObject({ name: v.optional(WORD) }),
  "query-status": v.looseObject({ running: v.boolean(), status: WORD }),
  cont: v.looseObject({}),
  stop: v.looseObject({}),
  migrate_cancel: v.looseObject({}),
  system_powerdown: v.looseObject({}),
  quit: v.looseObject({}),
  "query-version": v.looseObject({
    qemu: v.looseObject({ major: v.number(), minor: v.number(), micro: v.number() }),
    package: v.string(),
  }),
  "query-cpu-model-expansion": v.looseObject({
    model: v.looseObject({ name: v.string(), props: v.record(v.string(), v.unknown()) }),
  }),
  "migrate-set-parameters": v.looseObject({}),
  migrate: v.looseObject({}),
  "query-migrate": v.looseObject({
    status: v.optional(WORD),
    "error-desc": v.optional(v.pipe(v.string(), v.transform(cutDesc))),
  }),
  "migrate-incoming": v.looseObject({}),
  "rtc-reset-reinjection": v.looseObject({}),
  system_reset: v.looseObject({}),
  "qom-list": v.array(v.looseObject({ name: v.string() })),
  netdev_add: v.looseObject({}),
  netdev_del: v.looseObject({}),
  set_link: v.looseObject({}),
  device_add: v.looseObject({}),
  device_del: v.looseObject({}),
  "input-send-event": v.looseObject({}),
  "chardev-add": v.looseObject({}),
  "chardev-remove": v.looseObject({}),
} as const;
export type QmpCommand = keyof typeof COMMANDS;
type Returned<C extends QmpCommand> = v.InferOutput<typeof COMMANDS[C]>;

/** passt's socket, as the jail shows it: the one way to a network that QEMU can be told of. */
const NETWORK_SOCKET = "/n/passt.sock";
/** Where QEMU sends and takes saved state: its own socket in the jail, and nothing else (no `exec:`). */
const STATE_URI = "unix:/s/state.sock";

/** The arguments of those commands that have any, as the wire has them. */
interface Arguments {
  "query-cpu-model-expansion": {
    readonly type: "full";
    readonly model: { readonly name: string; readonly props: Readonly<Record<string, boolean>> };
  };
  "migrate-set-parameters": { readonly "max-bandwidth": number };
  device_add: HotDevice;
  "input-send-event": Stroke;
  device_del: HotPlace;
  /** The number of a share: what serves it is the one other end that QEMU can be told of. */
  "chardev-add": number;
  "chardev-remove": number;
}
type ArgumentsOf<C extends QmpCommand> = C extends keyof Arguments ? [Arguments[C]] : [];
/** What these are given is never a caller's to choose. */
const FIXED: Partial<Record<QmpCommand, unknown>> = {
  migrate: { uri: STATE_URI },
  "migrate-incoming": { uri: STATE_URI },
  "qom-list": { path: "/machine/peripheral" },
  netdev_add: {
    type: "stream",
    id: NETDEV,
    server: false,
    addr: { type: "unix", path: NETWORK_SOCKET },
  },
  netdev_del: { id: NETDEV },
  // Never up again: once the netdev is deleted, QEMU 7.2 dies of it.
  set_link: { name: HOT_DEVICES.network.id, up: false },
};

/** The arguments of a command as the wire has them. */
function wireArguments(name: QmpCommand, given: unknown): unknown {
  if (name === "device_add") return plugArguments(given as HotDevice);
  if (name === "input-send-event") return inputArguments(given as Stroke);
  if (name === "device_del") return unplugArguments(given as HotPlace);
  if (name === "chardev-add") return shareSocketArguments(given as number);
  if (name === "chardev-remove") return { id: hotId({ kind: "share", share: given as number }) };
  return given ?? FIXED[name];
}

const GREETING = v.looseObject({ QMP: v.looseObject({ version: v.unknown() }) });
const EVENT = v.looseObject({
  event: v.string(),
  data: v.optional(v.record(v.string(), v.unknown())),
});
const RETURN = v.looseObject({ id: v.number(), return: v.unknown() });
const ERROR = v.looseObject({
  id: v.number(),
  error: v.looseObject({ class: v.string(), desc: v.string() }),
});

/** What QEMU said without being asked. */
export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

const LINE_CAP = 1024 * 1024;
/** A busy QEMU says a few lines a second; a burst, e.g. of disk errors, may be larger. */
const LINES_PER_S = 500;
const LINES_AT_ONCE = 2_000;
/** So many characters cost as much as a line: to read a large one takes its time. An event has about 150. */
const LINE_CHARACTERS = 1024;
/** Milliseconds for a greeting or a reply; generous, since an emulated host is slow. */
const QMP_TIMEOUT_MS = 20_000;

interface Waiting {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

/** Why a connection ended: QEMU closed it, or the host did, for what QEMU sent. */
export type QmpEnd = "qemu_gone" | "qmp_flood" | "qmp_oversized" | "qmp_malformed";

/** One connection to one QEMU. */
export class QmpClient {
  readonly #waiting = new Map<number, Waiting>();
  #nextId = 1;
  #ended = false;
  /** Lines that came faster than {@link LINES_PER_S}, and when the last one came. */
  #lines = 0;
  #lineAt = performance.now();

  /** Resolves when QEMU closed the connection or broke the protocol, with which of these it was. */
  readonly closed: Promise<QmpEnd>;

  private constructor(
    readonly connection: Connection,
    reader: LineReader,
    onEvent: (event: QmpEvent) => void,
    /** Milliseconds that a reply may take where the caller says nothing else. */
    readonly timeoutMs: number,
  ) {
    this.closed = this.#readAll(reader, onEvent);
  }

  /**
   * Takes the greeting and negotiates.
   *
   * @throws Fault `qmp.no_greeting` when none comes in time: QEMU serves one client at a time
   */
  static async open(
    connection: Connection,
    onEvent: (event: QmpEvent) => void,
    timeoutMs = QMP_TIMEOUT_MS,
  ): Promise<QmpClient> {
    const reader = new LineReader(connection, LINE_CAP);
    try {
      const first = await within(timeoutMs, "QMP greeting", reader.next());
      if (first?.kind !== "line" || !v.is(GREETING, parseJson(first.text))) {
        throw new Error("the first line is no greeting");
      }
    } catch (error) {
      connection.close();
      throw new Fault(
        "guest",
        "qmp.no_greeting",
        `QMP: ${error instanceof Error ? error.message : error}; the guest is not used`,
        error,
      );
    }
    const client = new QmpClient(connection, reader, onEvent, timeoutMs);
    await client.command("qmp_capabilities");
    return client;
  }

  /**
   * Sends one command and waits for its reply.
   *
   * @throws Fault `qmp.refused` with QEMU's own words, `qmp.silent`, `qmp.closed`, `qmp.form`
   */
  async command<C extends QmpCommand>(
    name: C,
    timeoutMs = this.timeoutMs,
    ...[given]: ArgumentsOf<C>
  ): Promise<Returned<C>> {
    if (this.#ended) throw fault("qmp.closed", `${name}: the connection is closed`);
    const id = this.#nextId++;
    const reply = new Promise<unknown>((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
    });
    // The reply can fail before anyone waits for it; the wait below reports it.
    reply.catch(() => {});
    const request = { execute: name, arguments: wireArguments(name, given), id };
    const bytes = new TextEncoder().encode(`${JSON.stringify(request)}\n`);
    try {
      await within(timeoutMs, `QMP ${name}`, this.connection.write(bytes));
      const value = await within(timeoutMs, `QMP ${name}`, reply);
      const shaped = v.safeParse(COMMANDS[name], value);
      if (!shaped.success) throw fault("qmp.form", `${name}: the reply has another shape`);
      return shaped.output as Returned<C>;
    } catch (error) {
      if (error instanceof Fault) throw error;
      throw fault("qmp.silent", error instanceof Error ? error.message : String(error));
    } finally {
      this.#waiting.delete(id);
    }
  }

  close(): void {
    this.#end("closed by the host");
  }

  async #readAll(reader: LineReader, onEvent: (event: QmpEvent) => void): Promise<QmpEnd> {
    try {
      while (true) {
        const line = await reader.next();
        if (line === null) return this.#end("QEMU closed the connection");
        if (line.kind === "oversized") return this.#end("a line is oversized", "qmp_oversized");
        if (line.kind !== "line") return this.#end(`a line is ${line.kind}`, "qmp_malformed");
        const found = this.#take(parseJson(line.text), onEvent);
        if (found === "none") return this.#end("a line is no QMP", "qmp_malformed");
        // What was asked for is as much as the host asks.
        if (found === "told" && !this.#affords(line.text.length)) {
          return this.#end("more a second than any QEMU has to say", "qmp_flood");
        }
      }
    } catch (error) {
      return this.#end(error instanceof Error ? error.message : String(error));
    }
  }

  /** A captured QEMU that floods, with many lines or with large ones, must not take the others' time. */
  #affords(characters: number): boolean {
    const now = performance.now();
    const left = this.#lines - (now - this.#lineAt) * LINES_PER_S / 1000;
    this.#lines = Math.max(0, left) + 1 + characters / LINE_CHARACTERS;
    this.#lineAt = now;
    return this.#lines <= LINES_AT_ONCE;
  }

  /** `asked`: the reply to a command that waits for it, once; `told`: anything else that QEMU may say. */
  #take(message: unknown, onEvent: (event: QmpEvent) => void): "asked" | "told" | "none" {
    if (v.is(EVENT, message)) {
      onEvent({ name: message.event, data: message.data ?? {} });
      return "told";
    }
    const isReturn = v.is(RETURN, message);
    if (!isReturn && !v.is(ERROR, message)) return "none";
    const waiting = this.#waiting.get(message.id);
    if (waiting === undefined) return "told";
    this.#waiting.delete(message.id);
    if (isReturn) waiting.resolve(message.return);
    else waiting.reject(fault("qmp.refused", cutDesc(message.error.desc)));
    return "asked";
  }

  #end(why: string, how: QmpEnd = "qemu_gone"): QmpEnd {
    if (this.#ended) return how;
    this.#ended = true;
    this.connection.close();
    for (const one of this.#waiting.values()) one.reject(fault("qmp.closed", why));
    this.#waiting.clear();
    return how;
  }
}

function fault(code: string, why: string): Fault {
  return new Fault("guest", code, `QMP: ${why}; see the guest's state`);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
