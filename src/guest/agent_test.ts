import assert from "node:assert/strict";
import { AgentClient } from "./agent.ts";
import { FakeConnection } from "./fake_connection.ts";

function agent(answer: (id: number) => string): AgentClient {
  const connection = new FakeConnection();
  connection.onWrite = (text) => {
    const { arguments: { id } } = JSON.parse(text.replace(/^\u00ff/, ""));
    connection.feed(answer(id));
  };
  return new AgentClient(connection);
}

Deno.test("AgentClient is answered by the sync's own number alone", async () => {
  const client = agent((id) => `garbage\n{"return":${id + 1}}\n{"return":${id}}\n`);
  assert.equal(await client.answers(1000), true);
  client.close();
});

Deno.test("AgentClient takes no old, foreign, larger or silent answer for one", async () => {
  for (
    const wrong of [
      (id: number) => `{"return":${id - 1}}\n`,
      (id: number) => `{"return":${id},"more":1}\n`,
      (id: number) => `{"return":"${id}"}\n`,
      () => "",
    ]
  ) {
    const client = agent(wrong);
    assert.equal(await client.answers(20), false);
    client.close();
  }
});

Deno.test("AgentClient says no at once when the port was closed", async () => {
  const connection = new FakeConnection();
  const client = new AgentClient(connection);
  connection.onWrite = () => connection.feed(null);
  assert.equal(await client.answers(60_000), false);
  assert.equal(await client.answers(60_000), false);
});

Deno.test("AgentClient sets the time in nanoseconds, and believes no other answer", async () => {
  for (const [answer, expected] of [["{}", true], ["1", false], ['{"a":1}', false]] as const) {
    const connection = new FakeConnection();
    connection.onWrite = () => connection.feed(`{"return":${answer}}\n`);
    const client = new AgentClient(connection);
    assert.equal(await client.setTime(new Date(1_795_532_927_565), 20), expected);
    assert.match(connection.written[0] ?? "", /"guest-set-time".*"time":1795532927565000000}/);
    client.close();
  }
});

Deno.test("AgentClient takes an agent's error for a clock that was not set, at once", async () => {
  const connection = new FakeConnection();
  connection.onWrite = () =>
    connection.feed('{"error":{"class":"GenericError","desc":"this feature is not supported"}}\n');
  const client = new AgentClient(connection);
  assert.equal(await client.setTime(new Date(0), 60_000), false);
  client.close();
});

Deno.test("AgentClient takes the agent's error at the byte that clears its parser for no answer", async () => {
  const connection = new FakeConnection();
  // As qemu-ga 7.2 answers: each 0xFF is an error of its own, before the answer.
  connection.onWrite = (text) => {
    if (text.startsWith("\u00ff")) {
      connection.feed('{"error":{"class":"GenericError","desc":"JSON parse error, stray"}}\n');
    }
    const { execute, arguments: { id } = { id: 0 } } = JSON.parse(text.replace(/^\u00ff/u, ""));
    connection.feed(`{"return":${execute === "guest-sync" ? id : 1}}\n`);
  };
  const client = new AgentClient(connection);
  assert.equal(await client.answers(1000), true);
  assert.equal(await client.freeze(1000), true);
  assert.equal(await client.thaw(1000), true);
  assert.equal(await client.isProvisioned("linux", 1000), true);
  client.close();
});

Deno.test("AgentClient takes a count for the answer of freeze and thaw, and nothing else", async () => {
  const answers: readonly [answer: string, freezes: boolean, thaws: boolean][] = [
    ['{"return":2}', true, true],
    ['{"return":0}', false, true],
    ['{"error":{"class":"GenericError","desc":"no"}}', false, false],
    ['{"return":-1}', false, false],
    ['{"return":1.5}', false, false],
    ['{"return":"frozen"}', false, false],
    ['{"return":{}}', false, false],
    ['{"return":2,"more":1}', false, false],
    ["[2]", false, false],
    ["", false, false],
  ];
  for (const [answer, freezes, thaws] of answers) {
    const connection = new FakeConnection();
    connection.onWrite = () => connection.feed(`${answer}\n`);
    const client = new AgentClient(connection);
    assert.equal(await client.freeze(20), freezes, answer);
    assert.equal(await client.thaw(20), thaws, answer);
    assert.match(connection.written[0] ?? "", /\{"execute":"guest-fsfreeze-freeze"\}\n$/u);
    assert.match(connection.written[1] ?? "", /\{"execute":"guest-fsfreeze-thaw"\}\n$/u);
    client.close();
  }
});

Deno.test("AgentClient stops listening to a guest that floods its port, with lines or with one that has no end", async () => {
  for (const flood of ["x\n".repeat(5_000), "x".repeat(1024 * 1024)]) {
    const connection = new FakeConnection();
    connection.onWrite = () => connection.feed(flood);
    const client = new AgentClient(connection);
    assert.equal(await client.answers(2_000), false);
    assert.ok(connection.closed);
  }
});
