import assert from "node:assert/strict";
import type { HostEvent } from "../event.ts";
import type { Runtime } from "../runtime.ts";
import { followKernel } from "./kernel_log.ts";

function kernelSays(records: readonly (string | Error)[], seen: string | null = null) {
  const files = new Map([["/run/rayos/stage0", "1.00 2.50\n"]]);
  if (seen !== null) files.set("/run/rayos/kmsg.seen", seen);
  const events: HostEvent[] = [];
  let at = 0;
  const host = {
    clock: { sleep: () => Promise.resolve() },
    lstat: () => ({ type: "other" }),
    readText: (path: string) => files.get(path) ?? null,
    put: (path: string, text: string) => files.set(path, text),
    async *device() {
      while (at < records.length) {
        const one = records[at++];
        if (one instanceof Error) throw one;
        yield await Promise.resolve(new TextEncoder().encode(one));
      }
    },
  };
  const runtime = { host, emit: (event: HostEvent) => events.push(event) } as unknown as Runtime;
  followKernel(runtime);
  return { events, files };
}

const turns = async () => {
  for (let n = 0; n < 50; n++) await Promise.resolve();
};

Deno.test("followKernel gives each message after stage 0 once, over a restart and over lost ones", async () => {
  const records = [
    "6,1,1000000,-;on the console already",
    "4,2,2600000,-;first\n SUBSYSTEM=x\n",
    "nothing that the kernel writes",
    new Error("EPIPE"),
    "4,2,2600000,-;first",
    "3,9,3000000,-;second",
  ];
  const first = kernelSays(records);
  await turns();
  assert.deepEqual(first.events, [
    { type: "kernel", priority: 4, text: "first", ms: 2600 },
    { type: "kernel", priority: 3, text: "second", ms: 3000 },
  ]);
  const again = kernelSays(
    [...records, "6,10,4000000,-;third"],
    first.files.get("/run/rayos/kmsg.seen"),
  );
  await turns();
  assert.deepEqual(again.events.map((one) => one.type === "kernel" ? one.text : ""), ["third"]);
});

Deno.test("followKernel gives up a device that only fails, and says so once", async () => {
  const { events } = kernelSays(Array.from({ length: 100 }, () => new Error("EIO")));
  for (let n = 0; n < 20; n++) await turns();
  assert.deepEqual(events.map((one) => one.type === "fault" ? one.code : one.type), ["kernel.log"]);
});

Deno.test("followKernel gives up a device that gives the same records and then fails, each time", async () => {
  const records = ["6,1,3000000,-;first", new Error("EINVAL")];
  const { events } = kernelSays(Array.from({ length: 100 }, () => records).flat());
  for (let n = 0; n < 60; n++) await turns();
  const said = events.map((one) => one.type === "fault" ? one.code : one.type);
  assert.deepEqual(said, ["kernel", "kernel.log"]);
});
