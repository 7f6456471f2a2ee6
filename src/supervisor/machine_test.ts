import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { ProcessFacts } from "../host/port.ts";
import type { Slot } from "../id.ts";
import { settle } from "./machine.ts";

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
