import assert from "node:assert/strict";
import { startJail } from "../../test/fake_guests.ts";
import type { FakeHost } from "../../test/fake_host.ts";
import { guestDesk } from "../../test/guest_desk.ts";
import { Fault } from "../fault.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { turns, until } from "../../test/turns.ts";
import { renderPlan } from "../jail/render.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { type Step, writeRecord } from "./record.ts";
import type { GuestSurroundings } from "./surroundings.ts";

const plan = samplePlan();
const { slot } = plan;
const RECORD = "/run/rayos/guest/00.json";

/** A guest that a program which died in that step left running. */
function left(step: Step, around: Partial<GuestSurroundings> = {}) {
  const desk = guestDesk(around);
  const { host, sockets } = desk;
  host.seed("/run/rayos/plan/00", renderPlan(plan));
  startJail(host, slot);
  const [facts] = host.processes.get(slot) ?? [];
  assert.ok(facts !== undefined);
  const { pid, startTicks } = facts;
  writeRecord(host, { plan, step, process: { pid, startTicks }, ran: true, ready: true });
  const sent = () => sockets.qmp?.written.map((text) => JSON.parse(text).execute) ?? [];
  return { ...desk, sent };
}

/** The end of a QEMU's time to be taken up, which comes when the test says so. */
function deadline(host: FakeHost): PromiseWithResolvers<void> {
  const { sleep } = host.clock;
  const late = Promise.withResolvers<void>();
  host.clock.sleep = (ms) => ms === 60_000 ? late.promise : sleep(ms);
  return late;
}

Deno.test("a guest whose save was interrupted is let go only once QEMU has let go of the save", async () => {
  const { guest, answers, sent } = left("saving");
  let looks = 0;
  answers.of = (command) => {
    if (command === "query-status") return { running: false, status: "finish-migrate" };
    if (command !== "query-migrate") return undefined;
    return { status: ++looks < 3 ? "cancelling" : "cancelled" };
  };
  assert.equal(await guest.adopt(), true);
  assert.equal(guest.state, "running");
  const steps = sent().slice(sent().indexOf("migrate_cancel"), sent().indexOf("cont") + 1);
  assert.deepEqual(steps, [
    "migrate_cancel",
    ...Array.from({ length: 3 }, () => "query-migrate"),
    "cont",
  ]);
  await guest.kill({ op: "vm.kill", vm: plan.vm } as never);
});

Deno.test("a guest that was about to be let go is not, where the host has left normal mode meanwhile", async () => {
  const { host, guest, answers, sent } = left("releasing", { mayRun: () => false });
  answers.of = (command) =>
    command === "query-status" ? { running: false, status: "prelaunch" } : undefined;
  await guest.adopt();
  assert.deepEqual([guest.state, guest.refusal?.rule], ["failed", "vm.safe_mode"]);
  assert.ok(!sent().includes("cont"), sent().join());
  assert.deepEqual(host.processesOf(slot), []);
});

Deno.test("a record that is not to be believed is set aside and told of, and the guest is held against the plan of now", async () => {
  const forged: Record<string, (text: string) => string> = {
    "it has another form": (text) => text.replace('"version":0', '"version":1'),
    "another process": (text) => text.replace(/"startTicks":\d+/u, '"startTicks":1'),
    "it cannot be read": () => "{",
    "the launcher was given another plan": (text) => text.replaceAll("rootfs.ext4", "another.ext4"),
  };
  for (const [why, forge] of Object.entries(forged)) {
    const { host, guest, events } = left("stopping");
    const text = forge(host.readText(RECORD, 1 << 18) ?? "");
    host.seed(RECORD, text);
    assert.equal(await guest.adopt(), true, why);
    // By the record it would have been ended.
    assert.equal(guest.state, "running", why);
    const aside = host.list("/run/rayos/guest").filter((name) => name.includes(".aside."));
    assert.equal(aside.length, 1, why);
    assert.equal(host.readText(`/run/rayos/guest/${aside[0]}`, 1 << 18), text, why);
    const told = events.flatMap((one) =>
      one.type === "fault" && one.code === "launch.record" ? [one.message] : []
    );
    assert.equal(told.length, 1, why);
    assert.match(told[0] ?? "", new RegExp(`record of demo: .*${why}.*${aside[0]}`, "u"));
    await guest.kill({ op: "vm.kill", vm: plan.vm } as never);
  }
});

Deno.test("a guest that a record names and the plan of now does not fit is killed where that record is not believed", async () => {
  const { host, guest } = left("running");
  host.seed(RECORD, "{");
  host.seed("/run/rayos/proc/61100/root/g/disk0", "swapped");
  host.facts.delete("/run/rayos/proc/61100/root/g/disk0");
  await guest.adopt();
  assert.equal(guest.state, "failed");
  assert.deepEqual(host.processesOf(slot), []);
});

const POWER_OFF = { op: "power.off", vm: null, caller: "console" } as never;

Deno.test("whoever ends a guest that is found in the middle of its end waits for that end", async () => {
  const { host, guest, states } = left("stopping");
  let there = host.processes.get(slot);
  const { delete: end } = host.processes;
  // It takes its time to shut down.
  host.processes.delete = (one) => there === undefined && end.call(host.processes, one);
  const adopting = guest.adopt();
  let ended: boolean | null = null;
  const stopped = guest.stop(POWER_OFF, "poweroff").then((one) => ended = one);
  await adopting;
  await turns(20);
  assert.deepEqual([ended, guest.state], [null, "stopping"]);
  there = undefined;
  host.processes.delete(slot);
  await stopped;
  assert.deepEqual([ended, guest.state], [true, "stopped"]);
  assert.equal(states().filter((one) => one.startsWith("stopped")).length, 1);
});

Deno.test("a save that is asked for while the guest is taken up comes after that", async () => {
  const { guest, sent, states } = left("running");
  const adopting = guest.adopt();
  await guest.suspend(POWER_OFF, "poweroff");
  await adopting;
  assert.deepEqual(states().slice(0, 2), ["running adopted", "suspending poweroff"]);
  assert.ok(sent().includes("migrate_cancel"), "nobody listens here: it was tried");
  await guest.kill({ op: "vm.kill", vm: plan.vm } as never);
});

Deno.test("a guest whose QEMU draws its taking up out is killed for that, and the next program's boot goes on", async () => {
  const { host, guest, states, faults } = left("running");
  const late = deadline(host);
  const { socket } = host;
  let asked = 0;
  let qmp: FakeConnection | null = null;
  host.socket = (file) => {
    qmp = socket(file);
    // It says who it is, and no more.
    qmp.onWrite = () => asked++;
    return qmp;
  };
  // Its end closes what it said it on.
  const put = host.put.bind(host);
  host.put = (path, text) => {
    put(path, text);
    if (path.endsWith("cgroup.kill")) qmp?.feed(null);
  };
  const adopting = guest.adopt();
  await until(() => asked > 0);
  late.resolve();
  assert.equal(await adopting, true);
  assert.deepEqual([guest.state, faults()], ["failed", ["launch.adoption"]]);
  assert.match(states().at(-1) ?? "", /^failed launch\.adoption/u);
  assert.deepEqual(host.processesOf(slot), []);
});

Deno.test("a save that QEMU does not let go of when it is cancelled is no guest that goes on", async () => {
  const { host, guest, answers, sent } = left("saving");
  answers.of = (command) => {
    if (command === "query-status") return { running: false, status: "finish-migrate" };
    return command === "query-migrate" ? { status: "cancelling" } : undefined;
  };
  await guest.adopt();
  assert.equal(guest.state, "failed");
  assert.ok(!sent().includes("cont"), sent().join());
  assert.deepEqual(host.processesOf(slot), []);
});

Deno.test("a QEMU whose last answer comes with the end of its time is killed for that, and no wall of its jail is called weak", async () => {
  const { host, guest, events, faults, crashed } = left("running");
  const late = deadline(host);
  const { socket } = host;
  let answer: (() => void) | null = null;
  host.socket = (file) => {
    const connection = socket(file);
    const own = connection.onWrite;
    connection.onWrite = (text) => {
      if (JSON.parse(text).execute === "query-name") answer = () => own?.(text);
      else own?.(text);
    };
    return connection;
  };
  const adopting = guest.adopt();
  await until(() => answer !== null);
  const put = host.put.bind(host);
  host.put = (path, text) => {
    if (path.endsWith("cgroup.kill")) answer?.();
    put(path, text);
  };
  late.resolve();
  assert.equal(await adopting, true);
  assert.deepEqual([guest.state, faults(), crashed], ["failed", ["launch.adoption"], ["demo"]]);
  assert.ok(!events.some((event) => event.type === "violation"));
});

Deno.test("a kill that fails when the time of a QEMU is over is told of, and is not the program's end", async () => {
  const { host, guest, faults } = left("running");
  const late = deadline(host);
  host.socket = () => new FakeConnection();
  void guest.adopt();
  await turns(5);
  host.put = () => {
    throw new Fault("guest", "file.unwritable", "cgroup.kill: EIO; look at the kernel's log");
  };
  late.resolve();
  await until(() => faults().length === 2);
  assert.deepEqual(faults(), ["launch.adoption", "file.unwritable"]);
});
