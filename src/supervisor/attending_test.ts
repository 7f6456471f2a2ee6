import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { AgentClient } from "../guest/agent.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { QmpClient } from "../guest/qmp.ts";
import { socketPath } from "../id.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { type Attended, attendGuest } from "./attending.ts";

/** An agent that answers each guest-sync. */
function answeringAgent(): FakeConnection {
  const agent = new FakeConnection();
  agent.onWrite = (text) => {
    const id = /"id":(\d+)/u.exec(text)?.[1];
    if (id !== undefined) agent.feed(`{"return":${id}}\n`);
  };
  return agent;
}

/** Attends to a guest whose agent answers; what is done in which order. */
async function attended(change: Partial<Attended>): Promise<string[]> {
  const host = new FakeHost();
  const plan = samplePlan({ devices: [{ device: "agent" }] });
  const agent = answeringAgent();
  host.socket = (path) => path === socketPath(plan.slot, "agent") ? agent : new FakeConnection();
  const done: string[] = [];
  await new Promise<void>((resolve, reject) => {
    attendGuest({
      host,
      plan,
      qmp: {} as QmpClient,
      takeConsole: () => {},
      correctClock: (one: AgentClient | null) => {
        done.push(one === null ? "clock" : "clock by its agent");
        return Promise.resolve();
      },
      answered: false,
      wanted: () => true,
      onSilence: () => Promise.resolve(),
      onAgent: () => {
        done.push("ready");
        resolve();
        return Promise.resolve();
      },
      onLost: (what, error) => reject(new Error(`${what}: ${error}`)),
      ...change,
    });
  });
  return done;
}

Deno.test("attendGuest sets the clock of a guest that stood still at once, and again with its agent before it is ready", async () => {
  assert.deepEqual(await attended({}), ["clock", "clock by its agent", "ready"]);
});

Deno.test("attendGuest leaves the clock of a guest alone that did not stand still", async () => {
  assert.deepEqual(await attended({ correctClock: null }), ["ready"]);
});

Deno.test("attendGuest tells of a clock that the agent did not set, and the guest is ready", async () => {
  const lost: string[] = [];
  const done = await attended({
    correctClock: (agent) => agent === null ? Promise.resolve() : Promise.reject(new Error("no")),
    onLost: (what, error) => void lost.push(`${what}: ${(error as Error).message}`),
  });
  assert.deepEqual(done, ["ready"]);
  assert.deepEqual(lost, ["clock: no"]);
});
