import assert from "node:assert/strict";
import { Fault } from "../fault.ts";
import { FakeConnection } from "./fake_connection.ts";
import { QmpClient, type QmpEvent } from "./qmp.ts";

const GREETING = '{"QMP":{"version":{"qemu":{"major":7}},"capabilities":[]}}\n';

/** A QEMU that greets and answers each command by the given function. */
function qemu(answer: (command: string, id: number) => string): FakeConnection {
  const connection = new FakeConnection();
  connection.feed(GREETING);
  connection.onWrite = (text) => {
    const { execute, id } = JSON.parse(text);
    connection.feed(
      execute === "qmp_capabilities" ? `{"return":{},"id":${id}}\n` : answer(execute, id),
    );
  };
  return connection;
}

async function code(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
  } catch (error) {
    return error instanceof Fault ? error.code : String(error);
  }
  return "no fault";
}

Deno.test("QmpClient gives each command its own reply, out of order and between events", async () => {
  const events: QmpEvent[] = [];
  const held: string[] = [];
  const connection = qemu((name, id) => {
    held.push(
      name === "query-uuid"
        ? `{"id":${id},"return":{"UUID":"u"}}\n`
        : `{"event":"RESUME","data":{"a":1},"timestamp":{}}\n{"id":${id},"return":{"running":true,"status":"running"}}\n`,
    );
    return held.length === 2 ? held.toReversed().join("") : "";
  });
  const client = await QmpClient.open(connection, (event) => events.push(event));
  const [uuid, status] = await Promise.all([
    client.command("query-uuid"),
    client.command("query-status"),
  ]);
  assert.equal(uuid.UUID, "u");
  assert.equal(status.status, "running");
  assert.deepEqual(events, [{ name: "RESUME", data: { a: 1 } }]);
  client.close();
});

Deno.test("QmpClient.open refuses a socket that does not greet in time", async () => {
  assert.equal(await code(QmpClient.open(new FakeConnection(), () => {}, 20)), "qmp.no_greeting");
});

Deno.test("QmpClient.open refuses a first line that is no greeting", async () => {
  const connection = new FakeConnection();
  connection.feed('{"event":"STOP"}\n');
  assert.equal(await code(QmpClient.open(connection, () => {}, 1000)), "qmp.no_greeting");
  assert.ok(connection.closed);
});

Deno.test("QmpClient reports an error, silence, a wrong shape and an end, each by its code", async () => {
  const answers: Record<string, (id: number) => string> = {
    cont: (id) => `{"id":${id},"error":{"class":"GenericError","desc":"no"}}\n`,
    stop: () => "",
    "query-uuid": (id) => `{"id":${id},"return":{"UUID":7}}\n`,
    quit: () => "not json\n",
  };
  const client = await QmpClient.open(qemu((name, id) => answers[name]?.(id) ?? ""), () => {});
  assert.equal(await code(client.command("cont")), "qmp.refused");
  assert.equal(await code(client.command("stop", 20)), "qmp.silent");
  assert.equal(await code(client.command("query-uuid")), "qmp.form");
  assert.equal(await code(client.command("quit")), "qmp.closed");
  assert.equal(await client.closed, "qmp_malformed");
  assert.equal(await code(client.command("cont")), "qmp.closed");
});

Deno.test("QmpClient ends the connection on a line longer than its cap", async () => {
  const connection = qemu(() => "");
  const client = await QmpClient.open(connection, () => {});
  const megabyte = new Uint8Array(1024 * 1024).fill(0x78);
  for (let n = 0; n < 10; n++) connection.feed(megabyte);
  connection.feed("\n");
  assert.equal(await client.closed, "qmp_oversized");
  assert.ok(connection.closed);
});

Deno.test("QmpClient gives migration commands QEMU's own socket, whatever the caller is", async () => {
  const connection = qemu((_, id) => `{"id":${id},"return":{}}\n`);
  const client = await QmpClient.open(connection, () => {});
  await client.command("migrate");
  await client.command("migrate-incoming");
  await client.command("migrate-set-parameters", client.timeoutMs, { "max-bandwidth": 1 });
  const sent = connection.written.slice(1).map((text) => JSON.parse(text).arguments);
  const uri = "unix:/s/state.sock";
  assert.deepEqual(sent, [{ uri }, { uri }, { "max-bandwidth": 1 }]);
  client.close();
});

Deno.test("QmpClient takes every reply that it asked for, and ends the connection of one that repeats them", async () => {
  // A mouse reports a thousand times a second, and each report is acknowledged.
  const connection = qemu((_, id) => `{"id":${id},"return":{}}\n`);
  const client = await QmpClient.open(connection, () => {});
  for (let n = 0; n < 5_000; n++) await client.command("stop");
  assert.ok(!connection.closed);
  connection.feed('{"id":1,"return":{}}\n'.repeat(50_000));
  assert.equal(await client.closed, "qmp_flood");
  assert.ok(connection.closed);
});

Deno.test("QmpClient ends the connection of a QEMU that sends few events, each of them as large as a line may be", async () => {
  const connection = qemu(() => "");
  connection.onWrite = () => connection.feed('{"return":{},"id":1}\n');
  let events = 0;
  const client = await QmpClient.open(connection, () => events++);
  const large = `{"event":"STOP","data":{"a":"${"x".repeat(1_000_000)}"}}\n`;
  for (let n = 0; n < 20; n++) connection.feed(large);
  assert.equal(await client.closed, "qmp_flood");
  assert.ok(events <= 3, `${events} of them were taken`);
});

Deno.test("QmpClient cuts what QEMU says of a command that it refused", async () => {
  const desc = "x".repeat(100_000);
  const refused = (_: string, id: number) =>
    `{"id":${id},"error":{"class":"GenericError","desc":"${desc}"}}\n`;
  const client = await QmpClient.open(qemu(refused), () => {});
  const error = await client.command("cont").catch((error) => error);
  assert.ok(error instanceof Fault && error.code === "qmp.refused");
  assert.ok(error.message.length < 300);
  client.close();
});

Deno.test("QmpClient bears a burst of events and ends the connection of a QEMU that floods", async () => {
  for (const [count, ends] of [[1_000, false], [50_000, true]] as const) {
    const connection = qemu((_, id) => `{"id":${id},"return":{}}\n`);
    let events = 0;
    const client = await QmpClient.open(connection, () => events++);
    connection.feed('{"event":"STOP"}\n'.repeat(count));
    if (ends) {
      await client.closed;
      assert.ok(events < count && connection.closed);
    } else {
      await client.command("stop", 5_000);
      assert.equal(events, count);
      client.close();
    }
  }
});

Deno.test("QmpClient ends the connection of a QEMU whose line has no end", async () => {
  const connection = qemu(() => "x".repeat(10 * 1024 * 1024));
  const client = await QmpClient.open(connection, () => {});
  assert.equal(await code(client.command("stop", 50)), "qmp.closed");
  client.close();
});
