import assert from "node:assert/strict";
import { guestDesk as desk } from "../../test/guest_desk.ts";
import { turns, until } from "../../test/turns.ts";
import { Fault } from "../fault.ts";

const RECORD = "/run/rayos/guest/00.json";
const permit = (op: string, vm: string | null = "demo") => ({ op, vm, caller: "socket" }) as never;

Deno.test("a crashed guest whose process lingers is ending until it is gone, then failed and told of, with nothing left", async () => {
  const { host, guest, sockets, states, faults, crashed, slowKernel } = desk();
  await guest.start(permit("vm.start"));
  const gone = slowKernel();
  let taken = 0;
  const end = guest.given.gone.bind(guest.given);
  guest.given.gone = () => {
    taken++;
    return end();
  };
  sockets.qmp?.feed(null);
  await until(() => faults().includes("guest.unkillable"));
  assert.equal(guest.state, "stopping", "a process is there");
  assert.deepEqual([taken, crashed], [0, []]);
  assert.notEqual(host.lstat(RECORD), null);
  await guest.start(permit("vm.start"));
  assert.equal(guest.state, "stopping", "there is no second one beside it");
  gone();
  await until(() => guest.state === "failed");
  assert.deepEqual([taken, crashed], [1, ["demo"]]);
  assert.equal(host.lstat(RECORD), null);
  assert.deepEqual(states().slice(2), ["stopping unkillable", "failed qemu_gone"]);
});

Deno.test("a guest whose process is gone some seconds after it was killed is no unkillable one", async () => {
  const { host, guest, faults, slowKernel } = desk();
  await guest.start(permit("vm.start"));
  const gone = slowKernel();
  const killed = host.clock.monoMs();
  const { sleep } = host.clock;
  host.clock.sleep = async (ms) => {
    await sleep(ms);
    if (host.clock.monoMs() - killed > 15_000) gone();
  };
  await guest.kill(permit("vm.kill"));
  assert.equal(guest.state, "stopped");
  assert.deepEqual(faults(), []);
});

Deno.test("a guest that does not end when it is told to is killed anew by command, and stays stopped then", async () => {
  const { host, guest, sockets, states, faults, crashed, slowKernel } = desk();
  await guest.start(permit("vm.start"));
  const gone = slowKernel();
  sockets.qmp?.feed(null);
  await until(() => faults().includes("guest.unkillable"));
  assert.deepEqual([guest.state, guest.refusal?.rule], ["stopping", "guest.unkillable"]);
  const again = guest.kill(permit("vm.kill"));
  gone();
  await again;
  assert.deepEqual([guest.state, guest.refusal], ["stopped", null]);
  assert.equal(host.lstat(RECORD), null);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([states().at(-1), crashed], ["stopped killed", []]);
  assert.deepEqual(faults(), ["guest.unkillable"]);
});

Deno.test("a guest that is killed anew while what it was given goes stays stopped, and is not told of", async () => {
  const { guest, sockets, faults, crashed, slowKernel } = desk();
  await guest.start(permit("vm.start"));
  const gone = slowKernel();
  sockets.qmp?.feed(null);
  await until(() => faults().includes("guest.unkillable"));
  const going: (() => void)[] = [];
  guest.given.gone = () => new Promise((resolve) => void going.push(() => resolve()));
  gone();
  await until(() => going.length === 1);
  const again = guest.kill(permit("vm.kill"));
  await until(() => going.length === 2);
  for (const one of going) one();
  await again;
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual([guest.state, crashed], ["stopped", []]);
});

Deno.test("a guest that was asked to stop while it obeyed another command is not begun again for how that ended", async () => {
  const { guest, sockets, crashed } = desk();
  await guest.start(permit("vm.start"));
  const { qmp } = sockets;
  assert.ok(qmp !== undefined);
  let asked = false;
  qmp.onWrite = (text) => void (asked ||= text.includes('"stop"'));
  const paused = guest.pause(permit("vm.pause"));
  await until(() => asked);
  const stopped = guest.stop(permit("vm.stop"), "asked");
  qmp.feed(null);
  await Promise.all([paused, stopped]);
  assert.deepEqual([guest.state, crashed], ["failed", []]);
});

Deno.test("Guest.stop and Guest.kill do nothing by another guest's permit", async () => {
  const { guest } = desk();
  await guest.start(permit("vm.start"));
  assert.equal(await guest.stop(permit("vm.stop", "other"), "asked"), false);
  await guest.kill(permit("vm.kill", "other"));
  assert.equal(guest.state, "running");
  assert.equal(await guest.stop(permit("power.off", null), "poweroff"), true);
});

const STOP = '{"event":"STOP"}\n';

Deno.test("however often QEMU says that it holds the vCPUs, one question is under way", async () => {
  const { guest, sockets, asked, answers } = desk();
  await guest.start(permit("vm.start"));
  const before = asked("query-status") ?? 0;
  const since = () => (asked("query-status") ?? 0) - before;
  const qmp = sockets.qmp;
  assert.ok(qmp !== undefined);
  const { onWrite } = qmp;
  const held: string[] = [];
  qmp.onWrite = (text) => void held.push(text);
  qmp.feed(STOP.repeat(1000));
  await until(() => since() > 0);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(since(), 1);
  // One that came after the question may be another: it is asked about once.
  for (const text of held) onWrite(text);
  await until(() => since() === 2);
  qmp.onWrite = onWrite;
  answers.of = (command) =>
    command === "query-status" ? { running: false, status: "io-error" } : undefined;
  onWrite(held.at(-1) ?? "");
  await until(() => guest.state === "paused");
  assert.equal(since(), 2);
  await guest.kill(permit("vm.kill"));
});

Deno.test("that QEMU does not say why it holds the vCPUs is told once", async () => {
  const { guest, sockets, faults, answers } = desk();
  await guest.start(permit("vm.start"));
  answers.of = (command) => command === "query-status" ? { nothing: 1 } : undefined;
  for (let n = 0; n < 5; n++) {
    sockets.qmp?.feed(STOP);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  assert.deepEqual(faults(), ["qmp.form"]);
  await guest.kill(permit("vm.kill"));
});

Deno.test("a guest whose agent answers while it is paused is told of once, when it goes on", async () => {
  const { guest, host, sockets, events, answers } = desk();
  const socket = host.socket;
  const asked: string[] = [];
  host.socket = (file) => {
    const connection = socket(file);
    if (file.endsWith("/agent.sock")) connection.onWrite = (text) => void asked.push(text);
    return connection;
  };
  const ready = () => events.filter((one) => one.type === "vm_ready").length;
  await guest.start(permit("vm.start"));
  await until(() => asked.length > 0);
  await guest.pause(permit("vm.pause"));
  sockets.agent?.feed(`{"return":${JSON.parse(asked[0]?.slice(1) ?? "").arguments.id}}\n`);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([guest.state, ready()], ["paused", 0]);
  const recorded: boolean[] = [];
  answers.of = (command) => {
    if (command === "cont") recorded.push(JSON.parse(host.readText(RECORD, 1 << 18) ?? "").ready);
    return undefined;
  };
  await guest.resume(permit("vm.resume"));
  assert.deepEqual(recorded, [false], "a program that dies before it has said so says it then");
  assert.deepEqual([guest.state, ready()], ["running", 1]);
  assert.equal(JSON.parse(host.readText(RECORD, 1 << 18) ?? "").ready, true);
  await guest.pause(permit("vm.pause"));
  await guest.resume(permit("vm.resume"));
  assert.equal(ready(), 1);
  await guest.kill(permit("vm.kill"));
});

/** What is given to the guest takes its time to go, each time until the test lets it. */
function slowGoing(guest: ReturnType<typeof desk>["guest"]): (() => void)[] {
  const going: (() => void)[] = [];
  guest.given.gone = () => new Promise((resolve) => going.push(resolve));
  return going;
}

Deno.test("an end that a kill overtakes is the kill's to report", async () => {
  const { guest, crashed } = desk();
  await guest.start(permit("vm.start"));
  const going = slowGoing(guest);
  const silent = guest.endSilent();
  await until(() => going.length === 1);
  const killed = guest.kill(permit("vm.kill"));
  await until(() => going.length === 2);
  going[0]?.();
  await silent;
  assert.equal(guest.state, "stopping");
  going[1]?.();
  await killed;
  assert.deepEqual([guest.state, crashed], ["stopped", []]);
});

Deno.test("an end that comes late has nothing to do with the start after it", async () => {
  const { guest, sockets, crashed } = desk();
  await guest.start(permit("vm.start"));
  const going = slowGoing(guest);
  sockets.qmp?.feed(null);
  await until(() => going.length === 1);
  const killed = guest.kill(permit("vm.kill"));
  await until(() => going.length === 2);
  going[1]?.();
  await killed;
  await guest.start(permit("vm.start"));
  going[0]?.();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual([guest.state, crashed], ["running", []]);
  guest.given.gone = () => Promise.resolve();
  await guest.kill(permit("vm.kill"));
});

Deno.test("a second kill has nothing to do with the start that comes after the first one's end", async () => {
  const { host, guest, states, slowKernel } = desk();
  await guest.start(permit("vm.start"));
  const gone = slowKernel();
  const { sleep, monoMs } = host.clock;
  const looks: (() => void)[] = [];
  host.clock.sleep = (ms) => ms === 50 ? new Promise((resolve) => looks.push(resolve)) : sleep(ms);
  const first = guest.kill(permit("vm.kill"));
  await until(() => looks.length === 1);
  const second = guest.kill(permit("vm.kill"));
  await until(() => looks.length === 2);
  gone();
  looks.shift()?.();
  await first;
  await guest.start(permit("vm.start"));
  assert.equal(guest.state, "running");
  // The other one sees a process at its next look, and its time is over.
  host.clock.monoMs = () => monoMs() + 60_000;
  looks.shift()?.();
  await second;
  assert.equal(guest.state, "running");
  assert.equal(states().filter((one) => one === "stopped killed").length, 1);
  host.clock.sleep = sleep;
  await guest.kill(permit("vm.kill"));
});

Deno.test("a start whose disk cannot be looked at fails by that name, also after an end in order", async () => {
  const { host, guest, faults } = desk();
  await guest.start(permit("vm.start"));
  await guest.stop(permit("vm.stop"), "asked");
  const lstat = host.lstat.bind(host);
  host.lstat = (path) => {
    if (path.endsWith("/state/saved")) {
      throw new Fault("data", "file.unreadable", "state: EIO; look at the disk");
    }
    return lstat(path);
  };
  await guest.start(permit("vm.start"));
  assert.deepEqual([faults(), guest.refusal?.rule], [["file.unreadable"], "file.unreadable"]);
});

Deno.test("a QEMU that holds its vCPUs right after it let them go is asked why, and its guest counts as held", async () => {
  const { guest, sockets, answers, states } = desk();
  await guest.start(permit("vm.start"));
  await guest.pause(permit("vm.pause"));
  const { qmp } = sockets;
  const answer = qmp?.onWrite;
  assert.ok(qmp !== undefined && answer);
  let disk = "full";
  qmp.onWrite = (text) => {
    const { execute, id } = JSON.parse(text);
    if (execute !== "cont" || disk !== "full") return answer(text);
    answers.of = (command) =>
      command === "query-status" ? { running: false, status: "io-error" } : undefined;
    // Both are read at once.
    qmp.feed(`{"id":${id},"return":{}}\n{"event":"STOP","data":{}}\n`);
  };
  await guest.resume(permit("vm.resume"));
  await until(() => guest.state === "paused");
  assert.deepEqual(states().slice(-2), ["running asked", "paused io-error"]);
  disk = "empty";
  answers.of = () => undefined;
  await guest.resume(permit("vm.resume"));
  await turns(20);
  assert.equal(guest.state, "running", "one that goes on is not held by what it said before");
  await guest.kill(permit("vm.kill"));
});

Deno.test("a QEMU that holds its vCPUs right after its first cont is asked why, and its guest counts as held", async () => {
  const { host, guest, sockets, answers } = desk();
  const { socket } = host;
  host.socket = (file) => {
    const connection = socket(file);
    const answer = connection.onWrite;
    if (!file.endsWith("/qmp.sock") || answer === null) return connection;
    connection.onWrite = (text) => {
      const { execute, id } = JSON.parse(text);
      if (execute !== "cont") return answer(text);
      answers.of = (command) =>
        command === "query-status" ? { running: false, status: "io-error" } : undefined;
      connection.feed(`{"id":${id},"return":{}}\n{"event":"STOP","data":{}}\n`);
    };
    return connection;
  };
  await guest.start(permit("vm.start"));
  await until(() => guest.state === "paused");
  assert.ok(sockets.qmp !== undefined);
  await guest.kill(permit("vm.kill"));
});

Deno.test("a kill that overtakes a stop, which waited for a save, ends the guest", async () => {
  const { host, guest, sockets, states } = desk();
  await guest.start(permit("vm.start"));
  const saving = Promise.withResolvers<null>();
  guest.given.endForSave = () => saving.promise;
  const saved = guest.suspend(permit("vm.suspend"));
  await until(() => guest.state === "suspending");
  const stopped = guest.stop(permit("vm.stop"), "asked");
  await turns(5);
  const killed = guest.kill(permit("vm.kill"));
  await turns(20);
  sockets.qmp?.feed(null);
  saving.resolve(null);
  await Promise.all([saved, stopped, killed]);
  assert.equal(guest.state, "stopped");
  assert.equal(host.lstat(RECORD), null);
  assert.equal(states().at(-1), "stopped killed");
});

Deno.test("the wait for a process that lingered has no part in the start after a second kill", async () => {
  const { host, guest, states, faults, slowKernel } = desk();
  let now = 0;
  const waits: { readonly atMs: number; readonly go: () => void }[] = [];
  host.clock.monoMs = () => now;
  host.clock.sleep = (ms) => new Promise((go) => waits.push({ atMs: now + ms, go }));
  const at = async (ms: number) => {
    await turns(3);
    for (;;) {
      waits.sort((a, b) => a.atMs - b.atMs);
      if ((waits[0]?.atMs ?? Infinity) > ms) break;
      const next = waits.shift();
      now = Math.max(now, next?.atMs ?? now);
      next?.go();
      await turns(3);
    }
    now = ms;
  };
  void guest.start(permit("vm.start"));
  await at(100);
  assert.equal(guest.state, "running");
  const gone = slowKernel();
  const first = guest.kill(permit("vm.kill"));
  await at(40_000);
  const second = guest.kill(permit("vm.kill"));
  await at(61_000);
  await first;
  assert.deepEqual(faults(), ["guest.unkillable"]);
  await at(80_110);
  gone();
  await at(80_200);
  await second;
  assert.equal(guest.state, "stopped");
  const launch = host.launch.bind(host);
  host.launch = async (name, ...rest) => {
    // The other wait looks while the launcher has put nothing into the cgroup yet.
    if (name === "jail") await host.clock.sleep(1_000);
    return await launch(name, ...rest);
  };
  void guest.start(permit("vm.start"));
  await at(85_000);
  assert.deepEqual(states().slice(-2), ["starting asked", "running confined"]);
  assert.notEqual(host.lstat(RECORD), null);
});
