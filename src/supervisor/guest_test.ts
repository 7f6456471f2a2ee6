import assert from "node:assert/strict";
import { QUIET } from "../../test/quiet_surroundings.ts";
import type { HostEvent } from "../event.ts";
import type { Host, LauncherResult } from "../host/port.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { Guest } from "./guest.ts";
import { turns } from "../../test/turns.ts";

/** A host whose launcher ends when the test says so; every file of the plan is as it should be. */
function slowHost() {
  let done: (result: LauncherResult) => void = () => {};
  const launched = new Promise<LauncherResult>((resolve) => done = resolve);
  let processes: number[] = [];
  let connects = 0;
  const host = {
    clock: { monoMs: () => performance.now(), sleep: () => Promise.resolve() },
    lstat: (path: string) =>
      /\/(state|netns|net)\//.test(path) ? null : ({
        type: /\.ext4$|vmlinuz$/.test(path) ? "file" : "directory",
        size: 0,
        uid: 0,
        links: 1,
        device: 1,
        inode: 1,
        modifiedMs: 0,
        changedMs: 0,
      }),
    head: () => new Uint8Array(512),
    put: (path: string) => {
      if (path.endsWith("cgroup.kill")) processes = [];
    },
    readText: () => "",
    replace: () => {},
    remove: () => {},
    makeDirectory: () => {},
    launch: () => launched,
    processesOf: () => processes,
    processFacts: () => null,
    connect: () => {
      connects++;
      return Promise.reject(new Error("refused"));
    },
  } as unknown as Host;
  return {
    host,
    connects: () => connects,
    finishLaunch() {
      processes = [7];
      done({ code: 0, words: ["ok"] });
    },
  };
}

function guestOn(host: Host, emit: (event: HostEvent) => void = () => {}): Guest {
  return new Guest(samplePlan(), { ...QUIET, host, emit });
}

const permit = (op: string, vm: string | null) => ({ op, vm, caller: "policy" }) as never;

Deno.test("Guest.stop in the middle of a start waits for the launcher and kills what came of it", async () => {
  const slow = slowHost();
  const events: HostEvent[] = [];
  const guest = guestOn(slow.host, (event) => events.push(event));
  const started = guest.start(permit("vm.start", "demo"));
  await turns();
  const stopped = guest.stop(permit("power.off", null), "poweroff");
  const again = guest.stop(permit("vm.stop", "demo"), "asked");
  await turns();
  assert.equal(guest.state, "stopping");
  slow.finishLaunch();
  await started;
  assert.equal(await stopped, true);
  assert.equal(await again, true, "who asks again waits for the same end");
  assert.equal(guest.state, "stopped");
  assert.equal(slow.connects(), 0, "nobody spoke to QEMU, so it never ran");
  const states = events.flatMap((event) => event.type === "vm_state" ? [event.to] : []);
  assert.deepEqual(states, ["starting", "stopping", "stopped"]);
  assert.ok(!events.some((event) => event.type === "vm_confined" || event.type === "fault"));
});

Deno.test("Guest.start does nothing by another guest's permit", async () => {
  const slow = slowHost();
  const guest = guestOn(slow.host, () => assert.fail("nothing is reported"));
  await guest.start(permit("vm.start", "other"));
  assert.equal(guest.state, "defined");
});

Deno.test("Guest.kill in the middle of a start leaves no QEMU behind", async () => {
  const slow = slowHost();
  const guest = guestOn(slow.host);
  const started = guest.start(permit("vm.start", "demo"));
  await turns();
  const killed = guest.kill(permit("vm.kill", "demo"));
  await turns();
  slow.finishLaunch();
  await Promise.all([started, killed]);
  assert.equal(guest.state, "stopped");
  assert.deepEqual(slow.host.processesOf(0 as never), []);
});

Deno.test("Guest.replan: the last plan that was given is the one of the next start", async () => {
  const slow = slowHost();
  const guest = guestOn(slow.host);
  const [first, second] = [samplePlan(), samplePlan({ memoryMiB: 64 })];
  assert.equal(guest.replan(second), false, "at rest it is taken at once");
  assert.equal(guest.plan.memoryMiB, 64);
  assert.equal(guest.replan(first), false);
  const started = guest.start(permit("vm.start", "demo"));
  assert.equal(guest.replan(second), true);
  assert.equal(guest.replan(first), false, "it is what runs already");
  const killed = guest.kill(permit("vm.kill", "demo"));
  slow.finishLaunch();
  await Promise.all([started, killed]);
  assert.equal(guest.plan.memoryMiB, first.memoryMiB);
});

Deno.test("Guest.giveUp takes a start back that waits for that turn, and touches no other start", async () => {
  const slow = slowHost();
  const guest = guestOn(slow.host);
  const turn = Promise.withResolvers<void>();
  const queued = guest.start(permit("vm.start", "demo"), turn.promise);
  assert.equal(guest.replan(samplePlan({ memoryMiB: 64 })), true);
  assert.equal(guest.giveUp(Promise.resolve()), false);
  assert.equal(guest.beginning, true);
  assert.equal(guest.giveUp(turn.promise), true);
  assert.deepEqual([guest.beginning, guest.state], [false, "defined"]);
  assert.equal(guest.plan.memoryMiB, 64, "what is decided next is decided by the plan of now");
  const other = Promise.withResolvers<void>();
  void guest.start(permit("vm.start", "demo"), other.promise);
  await queued;
  assert.equal(guest.giveUp(other.promise), true, "one that waits for another turn waits on");
  const started = guest.start(permit("vm.start", "demo"));
  await turns();
  assert.equal(guest.beginning, true, "the end of the one is not that of the other");
  const killed = guest.kill(permit("vm.kill", "demo"));
  slow.finishLaunch();
  await Promise.all([started, killed]);
  const third = guest.start(permit("vm.start", "demo"), turn.promise);
  turn.resolve();
  await turns();
  assert.equal(guest.giveUp(turn.promise), false, "its turn came");
  await Promise.all([third, guest.kill(permit("vm.kill", "demo"))]);
});
