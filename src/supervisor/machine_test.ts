import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { ProcessFacts } from "../host/port.ts";
import type { Slot } from "../id.ts";
import { guestSocket } from "../../test/fake_guests.ts";
import type { FakeConnection } from "../guest/fake_connection.ts";
import { renderPlan } from "../jail/render.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { confineMachine, settle } from "./machine.ts";

const SLOT = 0 as Slot;

function processOf(pid: number, uid: number): ProcessFacts {
  const status = `Name:\tx\nUid:\t${uid}\t${uid}\t${uid}\t${uid}\n`;
  return { pid, tasks: [{ tid: pid, status }] } as unknown as ProcessFacts;
}

Deno.test("settle waits for a launcher that is still alone in the cgroup, and for one beside QEMU", async () => {
  const launcher = processOf(7, 0);
  const qemu = processOf(8, 61000);
  for (
    const course of [
      [[launcher], [launcher, qemu], [qemu]],
      [[launcher], []],
      [[qemu]],
    ]
  ) {
    const host = new FakeHost();
    host.processes.set(SLOT, course[0] ?? []);
    let looks = 0;
    const { sleep } = host.clock;
    Object.assign(host.clock, {
      sleep: async (ms: number) => {
        await sleep.call(host.clock, ms);
        host.processes.set(SLOT, course[++looks] ?? []);
      },
    });
    const last = course.at(-1) ?? [];
    assert.deepEqual(await settle(host, SLOT), last.map((one) => one.pid));
    assert.equal(looks, course.length - 1);
  }
});

Deno.test("confineMachine reads back no QEMU that says it is another guest's, and closes the connection to it", async () => {
  const plan = samplePlan();
  const others: Record<string, unknown>[] = [
    { "query-uuid": { UUID: "5d0a3c6e-0000-4000-8000-000000000002" } },
    { "query-name": { name: "other" } },
    { "query-name": {} },
  ];
  for (const other of others) {
    const host = new FakeHost();
    host.seed("/run/rayos/plan/00", renderPlan(plan));
    const connections: FakeConnection[] = [];
    host.socket = (file) => {
      const connection = guestSocket(host, file, (command) => other[command]);
      connections.push(connection);
      return connection;
    };
    host.processFacts = () => assert.fail("it is asked who it is before it is read back");
    await assert.rejects(
      confineMachine(host, plan, {}, () => {}),
      { code: "launch.impostor" },
      JSON.stringify(other),
    );
    assert.deepEqual(connections.map((one) => one.closed), [true]);
  }
});
