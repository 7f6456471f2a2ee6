import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { type Answers, guestSocket, startJail } from "../../test/fake_guests.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { DATA_DEVICE } from "../../test/fake_jail.ts";
import type { FakeConnection } from "../guest/fake_connection.ts";
import type { LauncherResult } from "../host/port.ts";
import type { Slot, VmId } from "../id.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import type { Request } from "../policy/authorize.ts";
import { deny } from "../policy/conditions.ts";
import { AT_REST } from "../policy/ops.ts";
import type { Operation } from "../runtime.ts";
import { guestOperations } from "./guest_commands.ts";
import { phaseLaunch } from "./launch.ts";
import { turns, until } from "../../test/turns.ts";

/** Milliseconds before each further start of a guest that ends by itself. */
const RESTARTS = [1_000, 4_000, 16_000, 60_000];
const permit = (op: string, vm: string) => ({ op, vm, caller: "policy" }) as never;
const OK: LauncherResult = { code: 0, words: ["ok"] };

/** A host with guests that its policy starts, in the order of their slots. */
function desk(names: readonly string[] = ["demo"]) {
  const host = new FakeHost();
  const { sleep } = host.clock;
  // Between two starts a guest waits longer than what only watches.
  host.clock.sleep = (ms) => sleep(RESTARTS.includes(ms) ? 1_000 : ms);
  const runtime = fakeRuntime(host);
  runtime.dataDevice = "/dev/vda";
  host.seed("/run/rayos/proc/1/mountinfo", `1 0 ${DATA_DEVICE} / /var/rayos rw - ext4 x rw\n`);
  for (const file of ["rootfs.ext4", "vmlinuz"]) {
    host.seed(`/var/rayos/vm/linux/demo/${file}`, file);
  }
  runtime.plans = names.map((name, slot) =>
    samplePlan({ vm: name as VmId, slot: slot as Slot, uid: 61000 + slot })
  );
  runtime.profileOf = () => ({ enabled: true, autoboot: true, devices: {} }) as never;
  runtime.decide = ((_: unknown, { op, vm }: Request) => {
    if (runtime.mode !== "normal") return deny("vm.safe_mode", "not now");
    return op === "vm.start"
      ? { allow: true, permit: permit(op, vm ?? "") }
      : deny("vm.no_present_on_boot", "not at boot");
  }) as never;
  const answers: { of: Answers } = { of: () => undefined };
  /** The connection to each guest's QMP, the newest last. */
  const monitors: FakeConnection[] = [];
  host.socket = (file) => {
    const connection = guestSocket(host, file, (command) => answers.of(command));
    if (file.endsWith("/qmp.sock")) monitors.push(connection);
    return connection;
  };
  host.launcher = (name, args) => {
    if (name === "jail") startJail(host, Number(args[0]) as Slot);
    return OK;
  };
  const said = () => host.consoleText.join("");
  const stateOf = (vm: string) => runtime.guests.get(vm as VmId)?.state;
  const sent = () => monitors.flatMap((one) => one.written.map((text) => JSON.parse(text).execute));
  return { host, runtime, said, stateOf, answers, monitors, sent };
}

/** A saved memory whose reading comes to no end before the test says so. */
function slowMemory(host: FakeHost, vm: string): () => void {
  const reading = Promise.withResolvers<void>();
  host.seed(`/var/rayos/vm/linux/${vm}/state/saved`, "memory");
  const open = host.open.bind(host);
  host.open = (path) => {
    const file = open(path);
    if (file === null || !path.includes(`/${vm}/`)) return file;
    return {
      ...file,
      read: async (at, length) => {
        await reading.promise;
        return await file.read(at, length);
      },
    };
  };
  return () => reading.resolve();
}

Deno.test("phaseLaunch waits for guests that start from their disks, and for no saved memory", async () => {
  const { host, runtime, stateOf } = desk(["saved", "cold"]);
  const go = slowMemory(host, "saved");
  await phaseLaunch(runtime);
  assert.equal(stateOf("cold"), "running");
  assert.equal(runtime.state().guests.get("saved" as VmId)?.state, "starting", "it was begun");
  assert.deepEqual(host.launches.filter((one) => one.startsWith("jail")), ["jail 1"]);
  // What lies there is no memory of this guest's, so that it starts from its disks.
  go();
  await until(() => stateOf("saved") === "running");
});

Deno.test("phaseLaunch takes up no guest of a machine that is ending: whoever ends that ends what runs", async () => {
  const { host, runtime, monitors } = desk();
  await phaseLaunch(runtime);
  const { host: next, runtime: nextRuntime, monitors: nextMonitors } = desk();
  next.seed("/run/rayos/plan/00", host.readText("/run/rayos/plan/00", 1 << 16) ?? "");
  startJail(next, 0 as Slot);
  nextRuntime.beginEnding();
  await phaseLaunch(nextRuntime);
  assert.equal(monitors.length, 1, "it is there to be taken up");
  assert.deepEqual([nextMonitors.length, nextRuntime.guests.size], [0, 0]);
});

Deno.test("phaseLaunch: a guest that is stopped before its turn came is not started", async () => {
  const { host, runtime, stateOf } = desk(["first", "second", "third", "late"]);
  // As many as are read at once.
  const gos = ["first", "second", "third"].map((vm) => slowMemory(host, vm));
  host.seed("/var/rayos/vm/linux/late/state/saved", "memory");
  await phaseLaunch(runtime);
  assert.equal(runtime.state().guests.get("late" as VmId)?.state, "starting");
  await runtime.guests.get("late" as VmId)?.stop(permit("vm.stop", "late"), "asked");
  for (const go of gos) go();
  await until(() => stateOf("third") === "running");
  await turns(20);
  assert.equal(stateOf("late"), "suspended");
  assert.notEqual(host.lstat("/var/rayos/vm/linux/late/state/saved"), null, "it was not looked at");
});

/** A desk with one guest, `late`, that waits until one of those before it was read. */
async function queued() {
  const seat = desk(["first", "second", "third", "late"]);
  const { host, runtime } = seat;
  // As many as are read at once.
  const gos = ["first", "second", "third"].map((vm) => slowMemory(host, vm));
  host.seed("/var/rayos/vm/linux/late/state/saved", "memory");
  await phaseLaunch(runtime);
  const { decide } = runtime;
  // As the real one: what counts as starting is not begun again.
  runtime.decide = ((caller: never, request: Request) => {
    if (request.op !== "vm.start") return decide(caller, request);
    const { state = "stopped" } = runtime.state().guests.get(request.vm as VmId) ?? {};
    return AT_REST.includes(state) ? decide(caller, request) : deny("vm.state", state);
  }) as never;
  const guest = runtime.guests.get("late" as VmId);
  assert.ok(guest !== undefined);
  const listed = () => runtime.state().guests.get("late" as VmId)?.state;
  assert.equal(listed(), "starting");
  const go = async () => {
    for (const each of gos) each();
    await until(() => seat.stateOf("third") === "running");
    await turns(20);
  };
  return { ...seat, guest, listed, go };
}

for (const op of ["vm.stop", "vm.kill"]) {
  Deno.test(`${op} of a guest before its turn came gives its start up at once, and is answered with where it is`, async () => {
    const { runtime, guest, listed, go, stateOf, said } = await queued();
    const answer = await new Map<string, Operation>(guestOperations(runtime)).get(op)?.(
      permit(op, "late"),
      {},
      "socket",
    );
    assert.deepEqual(answer, { ok: true, result: { state: "suspended" } });
    assert.equal(listed(), "suspended", "its room is free, and a person may begin it");
    // The turn that it had is not the one of what a person begins.
    await guest.start({ ...permit("vm.start", "late") as object, caller: "socket" } as never);
    assert.equal(stateOf("late"), "running");
    await go();
    assert.equal(said().match(/:starting .*vm=late/gu)?.length, 1, said());
  });
}

Deno.test("phaseLaunch: a start whose turn comes under another policy is decided on anew, as one that has not begun", async () => {
  for (const rule of [null, "vm.no_autoboot", "vm.not_measured"] as const) {
    const { host, runtime, listed, go, said } = await queued();
    const { decide } = runtime;
    runtime.inForce = {} as never;
    runtime.decide = ((caller: never, request: Request) => {
      const decision = decide(caller, request);
      return decision.allow && rule !== null && request.op === "vm.start"
        ? deny(rule, "not by this policy")
        : decision;
    }) as never;
    await go();
    assert.equal(listed(), rule === null ? "running" : "suspended");
    assert.equal(host.launches.includes("jail 3"), rule === null);
    const told = [...said().matchAll(/RAYOS_POLICY_VIOLATION:([^:]+)/gu)].map((one) => one[1]);
    assert.deepEqual(told, rule === "vm.not_measured" ? [rule] : []);
  }
});

Deno.test("phaseLaunch: a guest that was stopped before its turn came is not started by another policy either", async () => {
  const { runtime, guest, listed, go } = await queued();
  await guest.stop(permit("vm.stop", "late"), "asked");
  runtime.inForce = {} as never;
  await go();
  assert.equal(listed(), "suspended");
});

Deno.test("phaseLaunch: a guest that runs late takes no screen from a person who is at the host itself", async () => {
  for (const [view, shown] of [["asked", null], ["shell", null], ["status", "saved"]] as const) {
    const { host, runtime, stateOf } = desk(["saved"]);
    runtime.plans = runtime.plans.map((plan) => ({
      ...plan,
      devices: [...plan.devices, { device: "gpu", model: "virtio" }],
    }));
    runtime.profileOf = () =>
      ({ enabled: true, autoboot: true, devices: { gpu: "virtio", input: true } }) as never;
    runtime.decide = ((_: unknown, { op, vm }: Request) => ({
      allow: op === "vm.start" || stateOf(vm ?? "") === "running",
      permit: permit(op, vm ?? ""),
    })) as never;
    const go = slowMemory(host, "saved");
    await phaseLaunch(runtime);
    const { presenter } = runtime;
    presenter.seat = { sees: () => true, unasked: () => true, turned() {}, typed() {} };
    if (view === "asked") await presenter.ask({ type: "attention" });
    if (view === "shell") await presenter.ask({ type: "open_shell" });
    assert.equal(presenter.host, view);
    go();
    await until(() => stateOf("saved") === "running");
    await turns(20);
    assert.deepEqual([presenter.shown, presenter.host], [shown, view]);
  }
});

Deno.test("phaseLaunch: a guest whose memory is read when safe mode begins is not started", async () => {
  const { host, runtime, said, stateOf } = desk(["saved"]);
  const go = slowMemory(host, "saved");
  await phaseLaunch(runtime);
  runtime.enterSafeMode("boot.not_ready");
  go();
  await turns(20);
  assert.equal(stateOf("saved"), "suspended");
  assert.deepEqual(host.launches.filter((one) => one.startsWith("jail")), []);
  assert.match(said(), /RAYOS_POLICY_VIOLATION:vm\.safe_mode/u);
});

Deno.test("phaseLaunch: a start that is under way when safe mode begins is ended before its guest runs", async () => {
  const { host, runtime, said, stateOf, sent, answers } = desk();
  answers.of = (command) => {
    if (command === "query-name") runtime.enterSafeMode("boot.not_ready");
    return undefined;
  };
  await phaseLaunch(runtime);
  assert.equal(stateOf("demo"), "failed");
  assert.deepEqual(host.processesOf(0 as Slot), []);
  assert.ok(!sent().includes("cont"), sent().join());
  assert.match(said(), /RAYOS_VM_STATE:starting:failed .*reason=vm\.safe_mode/u);
  await turns(20);
  assert.doesNotMatch(said(), /vm_restart/u, "a rule stands against it");
});

const EXITED: LauncherResult = { code: 1, words: ["fault", "jail.exited", "it", "ended"] };
const start = permit("vm.start", "demo");

/** A desk whose guest's QEMU ended by itself, and whose launcher brings no other up until `mended`. */
async function broken(names: readonly string[] = ["demo"]) {
  const seat = desk(names);
  const { host, runtime, monitors } = seat;
  const healthy = host.launcher;
  await phaseLaunch(runtime);
  host.launcher = (name, args) => name === "jail" && args[0] === "0" ? EXITED : healthy(name, args);
  host.processes.delete(0 as Slot);
  monitors[0]?.feed(null);
  const mended = () => host.launcher = healthy;
  const guest = runtime.guests.get("demo" as VmId);
  assert.ok(guest !== undefined);
  return { ...seat, mended, guest };
}

Deno.test("a start that fails is begun again like a guest that ended by itself, and given up at the fifth end", async () => {
  const { said, stateOf, runtime } = await broken();
  await until(() => said().includes("vm_given_up"));
  assert.deepEqual(
    [...said().matchAll(/vm_restart .*wait_ms=(\d+)/gu)].map((one) => Number(one[1])),
    RESTARTS,
  );
  assert.match(said(), /vm_given_up vm=demo .*ends=5/u);
  assert.equal(stateOf("demo"), "failed");
  assert.deepEqual(runtime.troubles.map((one) => one.code), ["vm.given_up"]);
});

Deno.test("a guest that is begun from its saved memory when it would be begun again is left to that, and no rule is broken", async () => {
  const { host, runtime, said, guest, mended } = await broken();
  const { decide } = runtime;
  runtime.decide =
    ((caller: never, request: Request) =>
      request.op === "vm.start" && guest.beginning
        ? deny("vm.state", "starting")
        : decide(caller, request)) as never;
  await until(() => said().includes("vm_restart"));
  mended();
  const go = slowMemory(host, "demo");
  const started = guest.start(start);
  await turns(100);
  assert.ok(guest.beginning && guest.state === "failed", guest.state);
  assert.doesNotMatch(said(), /RAYOS_POLICY_VIOLATION/u);
  assert.deepEqual(runtime.troubles, []);
  go();
  await started;
  assert.equal(guest.state, "running");
});

Deno.test("a guest that was given up is a trouble once, and none once it runs", async () => {
  const { said, runtime, guest, mended } = await broken();
  await until(() => said().includes("vm_given_up"));
  const other = { code: "vm.given_up", text: "other: its QEMU ended 5 times", hint: "" };
  runtime.troubles.push(other);
  await guest.start(start);
  await turns(20);
  assert.equal(said().match(/vm_given_up/gu)?.length, 2);
  assert.equal(runtime.troubles.length, 2, "once for each guest");
  mended();
  await guest.start(start);
  assert.equal(guest.state, "running");
  assert.deepEqual(runtime.troubles, [other]);
});

Deno.test("a guest that ends again and again keeps no other from its start, nor from running", async () => {
  const others = ["a", "b", "c", "d", "e", "f"];
  const { host, runtime, said, stateOf } = desk(["demo", ...others]);
  const healthy = host.launcher;
  host.launcher = (name, args) => name === "jail" && args[0] === "0" ? EXITED : healthy(name, args);
  await phaseLaunch(runtime);
  for (const vm of others) assert.equal(stateOf(vm), "running", vm);
  await until(() => said().includes("vm_given_up"));
  for (const vm of others) assert.equal(stateOf(vm), "running", vm);
  assert.doesNotMatch(said(), /vm_(restart|given_up) vm=(?!demo)/u);
});

Deno.test("a guest that a rule stands against is not begun again", async () => {
  const { host, runtime, said } = desk();
  host.launcher = () => ({ code: 1, words: ["fault", "jail.hardlink", "x"] });
  await phaseLaunch(runtime);
  await turns(20);
  assert.doesNotMatch(said(), /vm_restart/u);
});

Deno.test("a QEMU that ends while its jail is read back, and one that is silent when it is paused, are begun again", async () => {
  const seat = desk();
  const { host, runtime, said, answers, stateOf } = seat;
  let ends = 1;
  answers.of = (command) => {
    if (command === "query-name" && ends-- > 0) throw new Error("closed");
    return undefined;
  };
  const socket = host.socket;
  host.socket = (file) => {
    const connection = socket(file);
    const { onWrite } = connection;
    connection.onWrite = (text) => {
      try {
        onWrite(text);
      } catch {
        host.processes.delete(0 as Slot);
        connection.feed(null);
      }
    };
    return connection;
  };
  await phaseLaunch(runtime);
  assert.match(said(), /RAYOS_VM_STATE:starting:failed .*reason=qmp\.closed/u);
  await until(() => stateOf("demo") === "running");
  answers.of = (command) => {
    if (command === "stop") throw new Error("closed");
    return undefined;
  };
  await runtime.guests.get("demo" as VmId)?.pause(permit("vm.pause", "demo"));
  assert.equal(said().match(/vm_restart/gu)?.length, 2);
  await until(() => stateOf("demo") === "running");
});
