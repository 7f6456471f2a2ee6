import assert from "node:assert/strict";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { Connection, Host, Listener } from "../host/port.ts";
import { type VmId, vmId } from "../id.ts";
import { type Allowed, authorize } from "../policy/authorize.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import { GuestConsole, GuestConsoles, MOST_READERS, WAITING_BYTES } from "./guest_console.ts";
import type { Outcome } from "./protocol.ts";
import { serveControl } from "./server.ts";
import { type ControlStream, parseStream, renderInput, type StreamMessage } from "./stream.ts";
import { until } from "../../test/turns.ts";

const desk = vmId("desk") as VmId;
const bytesOf = (text: string) => new TextEncoder().encode(text);
const textOf = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

const permit = (() => {
  const policy = resolvePolicy(
    policySchema.parse({ version: 0, linux: { enabled: true, vm_id: "desk" } }),
  );
  const guest = {
    kind: "linux",
    profile: "linux",
    state: "running",
    memoryMiB: 64,
    violations: [],
  } as const;
  const state = {
    mode: "normal",
    virtualization: "kvm",
    memoryMiB: 4096,
    guests: new Map([[desk, guest]]),
  } as const;
  const decision = authorize(policy, state, "socket", { op: "vm.console", vm: desk });
  assert.ok(decision.allow);
  return decision.permit as Allowed<"vm.console">;
})();

/** A console with what was typed into it. */
function consoleOf(): { guest: GuestConsole; typed: string[] } {
  const typed: string[] = [];
  const send = (bytes: Uint8Array) => {
    typed.push(textOf(bytes));
    return Promise.resolve();
  };
  return { guest: new GuestConsole(send), typed };
}

function attach(guest: GuestConsole, readOnly = true, ends: string[] = []): ControlStream {
  const stream = guest.attach(permit, readOnly, (reason) => ends.push(reason));
  assert.ok(!("rule" in stream));
  return stream;
}

async function next(stream: ControlStream): Promise<unknown> {
  const message = await stream.next();
  return message !== null && "data" in message ? textOf(message.data) : message;
}

Deno.test("GuestConsole gives everybody who is attached what the guest writes, from then on", async () => {
  const { guest, typed } = consoleOf();
  guest.take(bytesOf("before"));
  const [one, two] = [attach(guest), attach(guest, false)];
  guest.take(bytesOf("a"));
  guest.take(bytesOf("b"));
  assert.equal(await next(one), "ab");
  const waiting = next(one);
  guest.take(bytesOf("c"));
  assert.equal(await waiting, "c");
  assert.equal(await next(two), "abc");
  await two.input(bytesOf("typed"));
  assert.deepEqual(typed, ["typed"]);
});

Deno.test("GuestConsole refuses a second writer and a reader too many, until one leaves", () => {
  const { guest } = consoleOf();
  const writer = attach(guest, false);
  const second = guest.attach(permit, false, () => {});
  assert.ok("rule" in second && second.rule === "console.writer");
  const readers = Array.from({ length: MOST_READERS }, () => attach(guest));
  const late = guest.attach(permit, true, () => {});
  assert.ok("rule" in late && late.rule === "console.readers");
  readers[3]?.close();
  attach(guest);
  writer.close();
  attach(guest, false);
});

Deno.test("GuestConsole lets one who looks on type nothing", async () => {
  const { guest, typed } = consoleOf();
  const reader = attach(guest);
  await reader.input(bytesOf("x"));
  assert.deepEqual(await next(reader), { end: "console.read_only" });
  assert.deepEqual(typed, []);
});

Deno.test("GuestConsole keeps the newest for one who does not read, and says how many are lost", async () => {
  const { guest } = consoleOf();
  const [slow, quick] = [attach(guest), attach(guest)];
  guest.take(bytesOf("old"));
  assert.equal(await next(quick), "old");
  guest.take(new Uint8Array(WAITING_BYTES - 1).fill(0x78));
  guest.take(bytesOf("new"));
  assert.deepEqual(await next(slow), { lost: 5 });
  let rest = "";
  while (rest.length < WAITING_BYTES) rest += await next(slow);
  assert.equal(rest.length, WAITING_BYTES);
  assert.ok(rest.endsWith("xnew"));
  assert.deepEqual(await next(quick), { lost: 2 });
});

Deno.test("GuestConsole ends everybody with the guest, after what it wrote last", async () => {
  const consoles = new GuestConsoles();
  const opened = consoles.open(desk, () => Promise.resolve());
  const ends: string[] = [];
  const stream = consoles.attach(permit, false, (reason) => ends.push(reason));
  assert.ok(!("rule" in stream));
  opened.take(bytesOf("last"));
  consoles.close(desk, opened);
  assert.equal(await next(stream), "last");
  assert.deepEqual(await next(stream), { end: "guest_ended" });
  assert.deepEqual(ends, ["guest_ended"]);
  const none = consoles.attach(permit, true, () => {});
  assert.ok("rule" in none && none.rule === "console.none");
});

Deno.test("GuestConsoles.close of a machine that was followed leaves the next one's console", () => {
  const consoles = new GuestConsoles();
  const first = consoles.open(desk, () => Promise.resolve());
  consoles.open(desk, () => Promise.resolve());
  consoles.close(desk, first);
  assert.ok(!("rule" in consoles.attach(permit, true, () => {})));
});

Deno.test("GuestConsoles lets go of those whom the rules no longer let in, and of no other", async () => {
  const consoles = new GuestConsoles();
  consoles.open(desk, () => Promise.resolve());
  const stream = consoles.attach(permit, false, () => {});
  assert.ok(!("rule" in stream));
  consoles.decideAgain((vm, caller) => `${vm}.${caller}` === "desk.console" ? "vm.disabled" : null);
  const waiting = next(stream);
  consoles.decideAgain((vm, caller) => `${vm}.${caller}` === "desk.socket" ? "vm.disabled" : null);
  assert.deepEqual(await waiting, { end: "vm.disabled" });
});

Deno.test("GuestConsole tells one who types into a guest that is gone of its end, and of nothing else", async () => {
  const guest = new GuestConsole(() => Promise.reject(new Error("EPIPE")));
  const writer = attach(guest, false);
  await writer.input(bytesOf("x"));
  guest.end("guest_ended");
  assert.deepEqual(await next(writer), { end: "guest_ended" });
});

Deno.test("GuestConsole types in order, and ends one whose guest takes nothing", async () => {
  const time = new FakeTimers();
  try {
    const typed: string[] = [];
    const taken: (() => void)[] = [];
    const guest = new GuestConsole((bytes) => {
      typed.push(textOf(bytes));
      return new Promise((resolve) => taken.push(resolve));
    });
    const first = attach(guest, false);
    const stuck = first.input(bytesOf("a"));
    await Promise.resolve();
    time.fire();
    await stuck;
    assert.deepEqual(await next(first), { end: "console.input" });
    const second = attach(guest, false);
    const waits = second.input(bytesOf("b"));
    await settled();
    assert.deepEqual(typed, ["a"]);
    taken[0]?.();
    await settled();
    assert.deepEqual(typed, ["a", "b"]);
    taken[1]?.();
    await waits;
    second.close();
    assert.equal(await second.next(), null);
  } finally {
    time.restore();
  }
});

/** Timers that go off when the test says so. */
class FakeTimers {
  readonly #real = { set: globalThis.setTimeout, clear: globalThis.clearTimeout };
  readonly #waiting = new Map<number, () => void>();
  #last = 0;

  constructor() {
    globalThis.setTimeout = ((work: () => void) => {
      this.#waiting.set(++this.#last, work);
      return this.#last;
    }) as unknown as typeof setTimeout;
    globalThis.clearTimeout =
      ((id: number) => this.#waiting.delete(id)) as unknown as typeof clearTimeout;
  }

  fire(): void {
    for (const work of this.#waiting.values()) work();
    this.#waiting.clear();
  }

  restore(): void {
    globalThis.setTimeout = this.#real.set;
    globalThis.clearTimeout = this.#real.clear;
  }
}

/** Everything that follows from what happened already. */
async function settled(): Promise<void> {
  for (let n = 0; n < 20; n++) await Promise.resolve();
}

/** A control server whose every request attaches to the console. */
async function serving(guest: GuestConsole, ends: string[] = []) {
  const clients: ((client: Connection | null) => void)[] = [];
  const arrive = (client: Connection | null) => clients.shift()?.(client);
  const host = {
    listen: (): Promise<Listener> =>
      Promise.resolve({
        accept: () => new Promise((resolve) => clients.push(resolve)),
        close: () => arrive(null),
      }),
  };
  const listener = await serveControl(host as unknown as Host, (_, args): Outcome => {
    const stream = guest.attach(permit, args.read_only === true, (reason) => ends.push(reason));
    return "rule" in stream ? { ok: false, ...stream } : { ok: true, result: {}, stream };
  });
  return { listener, arrive };
}

const ASK = '{"v":0,"id":"7","op":"vm.console","args":{}}\n';
const streamed = (client: FakeConnection, n: number): StreamMessage | null =>
  parseStream(client.written[n] ?? "", "7");

Deno.test("serveControl turns a connection into the stream, and closes it after the end", async () => {
  const { guest, typed } = consoleOf();
  const ends: string[] = [];
  const { listener, arrive } = await serving(guest, ends);
  const client = new FakeConnection();
  arrive(client);
  client.feed(ASK);
  await until(() => client.written.length === 1);
  assert.deepEqual(JSON.parse(client.written[0] ?? ""), { v: 0, id: "7", ok: true, result: {} });
  guest.take(bytesOf("login: "));
  client.feed(renderInput("7", bytesOf("root\r")));
  await until(() => client.written.length === 2 && typed.length === 1);
  assert.deepEqual([streamed(client, 1), typed], [{ data: bytesOf("login: ") }, ["root\r"]]);
  guest.end("guest_ended");
  await until(() => client.closed);
  assert.deepEqual(streamed(client, 2), { end: "guest_ended" });
  assert.deepEqual(ends, ["guest_ended"]);
  listener.close();
});

Deno.test("serveControl lets the console go with its client, read or unread", async () => {
  const { guest } = consoleOf();
  const ends: string[] = [];
  const { listener, arrive } = await serving(guest, ends);
  const client = new FakeConnection();
  arrive(client);
  client.feed(ASK);
  await until(() => client.written.length === 1);
  client.feed(null);
  await until(() => client.closed);
  assert.deepEqual(ends, ["detached"]);
  attach(guest, false);
  listener.close();
});

Deno.test("serveControl ends a stream at a line that is none of its own", async () => {
  for (const line of [ASK, renderInput("8", bytesOf("x")), "x".repeat(70_000) + "\n", "\xff\n"]) {
    const { guest, typed } = consoleOf();
    const { listener, arrive } = await serving(guest);
    const client = new FakeConnection();
    arrive(client);
    client.feed(ASK);
    client.feed(line);
    await until(() => client.closed);
    assert.deepEqual(streamed(client, 1), { end: "control.form" });
    assert.deepEqual(typed, []);
    listener.close();
  }
});

Deno.test("serveControl: a client that takes nothing holds up neither the guest nor another", async () => {
  const { guest } = consoleOf();
  const { listener, arrive } = await serving(guest);
  const stuck = new FakeConnection();
  const writes: (() => void)[] = [];
  stuck.write = (bytes) => {
    stuck.written.push(textOf(bytes));
    return new Promise((resolve) => stuck.written.length === 1 ? resolve() : writes.push(resolve));
  };
  arrive(stuck);
  stuck.feed('{"v":0,"id":"7","op":"vm.console","args":{"read_only":true}}\n');
  await until(() => stuck.written.length === 1);
  const quick = new FakeConnection();
  arrive(quick);
  quick.feed(ASK);
  await until(() => quick.written.length === 1);
  for (let n = 0; n < 8; n++) {
    guest.take(new Uint8Array(WAITING_BYTES / 4).fill(0x61 + n));
    await until(() => quick.written.length === n + 2);
  }
  assert.equal(stuck.written.length, 2);
  writes.shift()?.();
  await until(() => stuck.written.length === 3);
  assert.deepEqual(streamed(stuck, 2), { lost: 3 * WAITING_BYTES / 4 });
  for (const one of [stuck, quick]) one.feed(null);
  while (writes.length > 0) {
    writes.shift()?.();
    await settled();
  }
  await until(() => stuck.closed && quick.closed);
  listener.close();
});

Deno.test("serveControl waits only so long for a client to read that its guest ended", async () => {
  const { guest } = consoleOf();
  const { listener, arrive } = await serving(guest);
  const stuck = new FakeConnection();
  stuck.write = (bytes) => {
    stuck.written.push(textOf(bytes));
    return stuck.written.length === 1 ? Promise.resolve() : new Promise(() => {});
  };
  arrive(stuck);
  stuck.feed(ASK);
  await until(() => stuck.written.length === 1);
  const time = new FakeTimers();
  try {
    guest.take(bytesOf("unread"));
    await settled();
    time.fire();
    await settled();
    assert.ok(!stuck.closed, "as long as the guest runs it may");
    guest.end("guest_ended");
    await settled();
    time.fire();
    await settled();
    assert.ok(stuck.closed);
  } finally {
    time.restore();
  }
  listener.close();
});
