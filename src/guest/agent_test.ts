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
