import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { ProvisioningAgent } from "./provisioning_agent.ts";

/** The agent of a guest, its connection, and the time limit with which it was connected to. */
function desk(emulated: boolean) {
  const connection = new FakeConnection();
  const asked: number[] = [];
  const connect = (_: string, timeoutMs: number) => {
    asked.push(timeoutMs);
    return Promise.resolve(connection);
  };
  const host = Object.assign(new FakeHost(), { connect });
  const plan = () => samplePlan({ emulated });
  const agent = new ProvisioningAgent({ host, plan, answered: () => true });
  return { agent, connection, asked };
}

Deno.test("ProvisioningAgent gives an emulated guest ten times as long, and says so once", async () => {
  for (const [emulated, ms] of [[false, 3_000], [true, 30_000]] as const) {
    const { agent, connection, asked } = desk(emulated);
    connection.onWrite = (text) => {
      const { execute, arguments: { id } } = JSON.parse(text.replace("\u00ff", ""));
      connection.feed(`${JSON.stringify({ return: execute === "guest-sync" ? id : 1 })}\n`);
    };
    assert.equal(await agent.saysSo(), true);
    assert.equal(await agent.saysSo(), false);
    assert.deepEqual(asked, [ms]);
    agent.close();
  }
});

Deno.test("ProvisioningAgent that is closed while it connects leaves no connection, and makes none later", async () => {
  const { agent, connection, asked } = desk(false);
  const saying = agent.saysSo();
  agent.close();
  assert.equal(await saying, false);
  assert.ok(connection.closed);
  assert.equal(await agent.saysSo(), false);
  assert.equal(asked.length, 1);
});
