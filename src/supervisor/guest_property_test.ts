import assert from "node:assert/strict";
import fc from "fast-check";
import { guestDesk } from "../../test/guest_desk.ts";
import type { GuestState } from "../event.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { AT_REST } from "../policy/ops.ts";
import { Presenter } from "../presentation/presenter.ts";
import { turns } from "../../test/turns.ts";

const plan = samplePlan();
const screen = samplePlan({ devices: [...plan.devices, { device: "gpu", model: "virtio" }] });
const permit = (op: string) => ({ op, vm: plan.vm, caller: "socket" }) as never;

const STEPS = [
  "start",
  "stop",
  "kill",
  "pause",
  "resume",
  "suspend",
  "present",
  "QEMU dies",
  "guest shuts down",
  "QEMU holds it",
  "launcher fails",
  "launcher works",
] as const;
/** Without them there is little to lose. */
const OFTEN: readonly Step[] = ["start", "start", "start", "launcher works", "present", "resume"];
type Step = typeof STEPS[number];

/** A guest whose lease and picture are counted. */
function watched() {
  const moved: ((from: GuestState, to: GuestState) => void)[] = [];
  const around = { onMove: (_: string, from: GuestState, to: GuestState) => moved[0]?.(from, to) };
  const desk = guestDesk(around, screen);
  const { host, guest, sockets, answers } = desk;
  answers.of = (command) => command === "query-migrate" ? { status: "none" } : undefined;
  const presenter = new Presenter({
    emit: () => {},
    guest: () => guest,
    show: () => true,
    input: () => true,
  });
  moved.push((from, to) => presenter.moved(plan.vm, from, to));
  let lease = false;
  Object.assign(guest.given, {
    begin: () => lease = true,
    adopt: () => Promise.resolve(lease = true),
    gone: () => Promise.resolve(lease = false),
    endForSave: () => Promise.resolve((lease = false, null)),
  });
  const healthy = host.launcher;
  const launch: typeof healthy = (name, args) => {
    assert.equal(host.processesOf(plan.slot).length, 0, "a second QEMU");
    return healthy(name, args);
  };
  host.launcher = launch;
  const ends = (said: string) => {
    host.processes.delete(plan.slot);
    sockets.qmp?.feed(said === "" ? null : said);
    if (said !== "") sockets.qmp?.feed(null);
  };
  const does: Record<Step, () => unknown> = {
    start: () => guest.start(permit("vm.start")),
    stop: () => guest.stop(permit("vm.stop"), "asked"),
    kill: () => guest.kill(permit("vm.kill")),
    pause: () => guest.pause(permit("vm.pause")),
    resume: () => guest.resume(permit("vm.resume")),
    suspend: () => guest.suspend(permit("vm.suspend")),
    present: () => presenter.ask({ type: "present", vm: plan.vm }),
    "QEMU dies": () => ends(""),
    "guest shuts down": () => ends('{"event":"SHUTDOWN"}\n'),
    "QEMU holds it": () => sockets.qmp?.feed('{"event":"STOP"}\n'),
    "launcher fails": () => host.launcher = () => ({ code: 1, words: ["fault", "jail.exited"] }),
    "launcher works": () => host.launcher = launch,
  };
  return { host, guest, presenter, does, lease: () => lease };
}

Deno.test("Guest: whatever is asked and happens at once, there is one QEMU, no lease at rest, and nobody presented who does not run", async () => {
  const steps = fc.array(
    fc.array(fc.constantFrom(...STEPS, ...OFTEN), { minLength: 1, maxLength: 3 }),
    {
      minLength: 1,
      maxLength: 8,
    },
  );
  let shown = 0;
  let leases = 0;
  await fc.assert(
    fc.asyncProperty(steps, async (rounds) => {
      const { host, guest, presenter, does, lease } = watched();
      for (const round of rounds) {
        await Promise.all(round.map((step) => does[step]()));
        await turns(6);
        const { state } = guest;
        if (presenter.shown !== null) shown++;
        if (lease()) leases++;
        assert.ok(presenter.shown === null || state === "running", `presented while ${state}`);
        if (!AT_REST.includes(state)) continue;
        assert.equal(lease(), false, `a lease while ${state}`);
        assert.deepEqual(host.processesOf(plan.slot), [], `a process while ${state}`);
      }
      await guest.kill(permit("vm.kill"));
      assert.ok(AT_REST.includes(guest.state), `${guest.state} has no way out`);
    }),
    { numRuns: 60 },
  );
  assert.ok(shown > 0 && leases > 0, `${shown} ${leases}: there was something to lose`);
});
