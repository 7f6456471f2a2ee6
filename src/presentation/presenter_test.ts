import assert from "node:assert/strict";
import { lineOf } from "../audit/marker.ts";
import type { HostEvent } from "../event.ts";
import { Fault } from "../fault.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { VmId } from "../id.ts";
import type { MachineState } from "../machine_state.ts";
import { subjectOf } from "../plan/launch_plan.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { EVERY_KEY } from "./keys.ts";
import { Presenter } from "./presenter.ts";
import { turns } from "../../test/turns.ts";

const PLAN = samplePlan({
  devices: [...samplePlan().devices, { device: "gpu", model: "virtio" }, { device: "input" }],
});
const { vm } = PLAN;
const PRESS = { type: "press", key: "key:a", to: vm } as const;

/** One guest whose QEMU acknowledges as the test says; `log` has in order what was sent and told. */
function desk(acknowledge: () => Promise<unknown> = () => Promise.resolve({})) {
  const log: string[] = [];
  const events: HostEvent[] = [];
  const limits: number[] = [];
  const guest = {
    plan: PLAN,
    subject: subjectOf(PLAN),
    state: "running" as MachineState,
    monitor: {
      command: async (name: string, limitMs: number, stroke: { keys?: readonly string[] }) => {
        limits.push(limitMs);
        log.push(`${name} ${stroke.keys?.join("+")}`);
        return await acknowledge();
      },
    } as unknown as QmpClient,
    endSilent: () => {
      log.push("ended");
      guest.state = "failed";
      presenter.moved(vm, "running", "failed");
      return Promise.resolve();
    },
  };
  const rights = { show: true, input: true };
  const presenter = new Presenter({
    emit: (event) => {
      events.push(event);
      if (event.type === "presentation") log.push(event.on ? "on" : "off");
    },
    guest: (id) => id === vm ? guest : undefined,
    show: () => rights.show,
    input: () => rights.input,
  });
  return { presenter, log, events, limits, guest, rights };
}

Deno.test("Presenter sends to the guest that is shown, and hides it when it runs no more", async () => {
  const { presenter, log, guest } = desk();
  assert.equal(await presenter.ask(PRESS), "not_presented");
  assert.equal(await presenter.ask({ type: "present", vm }), "done");
  assert.equal(await presenter.ask(PRESS), "done");
  guest.state = "paused";
  presenter.moved(vm, "running", "paused");
  assert.equal(presenter.shown, null);
  assert.equal(await presenter.ask(PRESS), "not_presented");
  assert.deepEqual(log, ["on", "input-send-event key:a", "off"]);
});

Deno.test("Presenter ends a guest that does not acknowledge, and shows nobody before that", async () => {
  const silent = new Fault("guest", "qmp.silent", "QMP: no word; see the guest's state");
  const { presenter, log, events } = desk(() => Promise.reject(silent));
  await presenter.ask({ type: "present", vm });
  const sent = presenter.ask(PRESS);
  const next = presenter.ask({ type: "present", vm: "other" as VmId });
  assert.equal(await sent, "not_presented");
  assert.equal(await next, "not_allowed");
  assert.deepEqual(log, ["on", "input-send-event key:a", "ended", "off"]);
  const codes = events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["input.silent"]);
});

Deno.test("Presenter gives a guest that is told of every key a second more for each further part", async () => {
  const { presenter, limits, guest } = desk();
  await presenter.ask({ type: "present", vm });
  await presenter.ask(PRESS);
  const [one = 0] = limits.splice(0);
  // Found while it runs: it may believe anything, and is told that every key is up.
  presenter.moved(vm, "defined", "running");
  await presenter.ask({ type: "present", vm });
  await presenter.ask({ type: "hide", vm });
  assert.equal(guest.state, "running");
  assert.ok(limits.length > 10);
  assert.ok((limits[0] ?? 0) > one + (limits.length - 2) * 1000, `${one}, then ${limits[0]}`);
});

Deno.test("Presenter waits for the acknowledgement of what a guest was sent before it left", async () => {
  const acknowledged = Promise.withResolvers<unknown>();
  const { presenter, log, guest } = desk(() => acknowledged.promise);
  await presenter.ask({ type: "present", vm });
  const sent = presenter.ask(PRESS);
  guest.state = "paused";
  presenter.moved(vm, "running", "paused");
  await turns();
  assert.deepEqual(log, ["on", "input-send-event key:a"]);
  acknowledged.resolve({});
  await sent;
  assert.deepEqual(log.slice(2), ["off"]);
});

Deno.test("Presenter hides a guest that a newer policy does not show, and sends nothing that one does not give", async () => {
  const { presenter, log, rights } = desk();
  await presenter.ask({ type: "present", vm });
  rights.input = false;
  assert.equal(await presenter.ask(PRESS), "not_given");
  rights.show = false;
  presenter.decideAgain();
  await presenter.ask({ type: "hide", vm: null });
  assert.deepEqual(log, ["on", "off"]);
  assert.equal(await presenter.ask({ type: "present", vm }), "not_allowed");
});

Deno.test("Presenter lets go of every key of a guest that was there before it was, and of none of a new one", async () => {
  const { presenter, log } = desk();
  presenter.moved(vm, "defined", "running");
  await presenter.ask({ type: "present", vm });
  await presenter.ask({ type: "hide", vm });
  assert.deepEqual([log[0], log.at(-1)], ["on", "off"]);
  const sent = log.slice(1, -1).map((one) => one.replace("input-send-event ", "").split("+"));
  assert.deepEqual(new Set(sent.flat()), new Set(EVERY_KEY));
  assert.ok(sent.every((keys) => keys.length <= 8), "a device drops what it cannot keep");
  const before = log.length;
  presenter.moved(vm, "stopped", "starting");
  await presenter.ask({ type: "present", vm });
  assert.deepEqual(log.slice(before), ["on"]);
});

Deno.test("Presenter keeps the gate on a host without a screen, and says that nothing of it is seen", async () => {
  const { presenter, log, events } = desk();
  await presenter.ask({ type: "present", vm });
  assert.equal(await presenter.ask(PRESS), "done");
  assert.equal(await presenter.ask({ ...PRESS, to: "other" as VmId }), "not_presented");
  await presenter.ask({ type: "hide", vm });
  assert.equal(await presenter.ask(PRESS), "not_presented");
  assert.deepEqual(log, [
    "on",
    "input-send-event key:a",
    "input-send-event key:a",
    "off",
  ]);
  const told = events.map((one) => lineOf(one)).map((
    { event, fields },
  ) => [event, fields?.["surface"]]);
  assert.deepEqual(told, [["RAYOS_PRESENTATION:on", "none"], ["RAYOS_PRESENTATION:off", "none"]]);
});

for (const turn of [{ type: "hide", vm }, { type: "attention" }] as const) {
  Deno.test(`Presenter shows a picture after the word, and takes it away before, at once and once, by ${turn.type}`, async () => {
    const acknowledged = Promise.withResolvers<unknown>();
    const { presenter, log, events } = desk(() => acknowledged.promise);
    presenter.pictures = {
      surface: "fb",
      show: (presented) =>
        void log.push(presented === null ? "no picture" : `shows ${presented.vm}`),
      again: () => void log.push("again"),
      pointed: ({ x, y }) => void log.push(`pointer at ${x},${y}`),
    };
    await presenter.ask({ type: "present", vm });
    const pressed = presenter.ask(PRESS);
    const moved = presenter.ask({ type: "move", place: { x: 3, y: 4 }, to: vm });
    const hidden = presenter.ask(turn);
    // Before anything is acknowledged: whoever runs the guest's QEMU could keep its picture there.
    const atOnce = ["on", `shows ${vm}`, "input-send-event key:a", "no picture"];
    assert.deepEqual(log, atOnce);
    acknowledged.resolve({});
    await Promise.all([pressed, moved, hidden]);
    assert.deepEqual(log, [
      ...atOnce,
      ...["pointer at 3,4", "input-send-event undefined"],
      ...["input-send-event key:a", "off"],
    ]);
    presenter.decideAgain();
    assert.equal(log.at(-1), "again");
    const surfaces = events.flatMap((one) => one.type === "presentation" ? [one.surface] : []);
    assert.deepEqual(surfaces, ["fb", "fb"]);
  });
}
