/**
 * A guest that runs on a fake QEMU: what becomes of it when QEMU holds it by itself, and of its saved state
 * when a person gives it up.
 */

import assert from "node:assert/strict";
import type { FakeConnection } from "../../src/guest/fake_connection.ts";
import { FakeConnection as Connection } from "../../src/guest/fake_connection.ts";
import type { HostEvent } from "../../src/event.ts";
import { socketPath } from "../../src/id.ts";
import { jailSpec } from "../../src/jail/spec.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { hostKey } from "../../src/saved/host_key.ts";
import { Guest } from "../../src/supervisor/guest.ts";
import { DATA_DEVICE, jailAsPlanned, putJail } from "../fake_jail.ts";
import { QUIET } from "../quiet_surroundings.ts";
import type { CutHost } from "./cut_host.ts";
import { cutHost, FakeQemu, STATE, type Wrongs } from "./fake_qemu.ts";
import { turns } from "../turns.ts";

const plan = samplePlan();
const permit = (op: string) => ({ op, vm: plan.vm, caller: "console" }) as never;

interface World {
  readonly host: CutHost;
  readonly guest: Guest;
  readonly qemu: () => FakeQemu;
  /** QEMU's side of the way by which it is told what to do. */
  readonly monitor: () => FakeConnection;
  /** Changes of its state, with their reasons. */
  readonly states: () => string[];
  /** Who was told of as having ended by itself. */
  readonly crashed: readonly string[];
  /** Rules by which saved states were set aside. */
  readonly asides: () => string[];
}

/** A guest that was started and runs. */
async function running(wrongs: Wrongs = {}): Promise<World> {
  const host = cutHost();
  const crashed: string[] = [];
  const events: HostEvent[] = [];
  let [qemu, monitor]: [FakeQemu | null, FakeConnection | null] = [null, null];
  host.seed("/run/rayos/proc/1/mountinfo", `1 0 ${DATA_DEVICE} / /var/rayos rw - ext4 /dev/vda rw`);
  host.launcher = () => {
    qemu = new FakeQemu(host, plan, "what it knows", wrongs);
    host.socket = (path) => {
      if (path !== socketPath(plan.slot, "qmp")) return new Connection();
      return monitor ??= qemu!.connection();
    };
    const identify = (path: string) => {
      const { device = 0, inode = 0 } = host.lstat(`/var/rayos/${path}`) ?? {};
      return { device, inode };
    };
    const { cpuMaxUs, memoryMaxBytes, pidsMax } = plan.limits;
    const limits = { cpu_max: cpuMaxUs, memory_max: memoryMaxBytes, pids_max: pidsMax };
    putJail(host, plan, jailAsPlanned(jailSpec(plan), identify), limits);
    return { code: 0, words: ["ok"] };
  };
  const guest = new Guest(plan, {
    ...QUIET,
    host,
    emit: (event) => events.push(event),
    onCrash: (vm) => void crashed.push(vm),
    keeping: { key: () => hostKey(host), cpu: () => "c".repeat(64), wall: () => null },
  });
  await guest.start(permit("vm.start"));
  assert.equal(guest.state, "running", JSON.stringify(events));
  return {
    host,
    guest,
    qemu: () => qemu!,
    monitor: () => monitor!,
    crashed,
    states: () =>
      events.flatMap((one) =>
        one.type === "vm_state" ? [`${one.from}:${one.to} ${one.reason}`] : []
      ),
    asides: () => events.flatMap((one) => one.type === "state_aside" ? [one.issue.rule] : []),
  };
}

Deno.test("Guest is paused by name where QEMU holds it since its disk is full, and goes on once it is asked to", async () => {
  const { guest, qemu, monitor, states } = await running();
  qemu().status = "io-error";
  monitor().feed('{"event":"STOP","timestamp":{"seconds":1,"microseconds":2}}\n');
  await turns(30);
  assert.equal(guest.state, "paused");
  assert.equal(states().at(-1), "running:paused io-error");
  await guest.resume(permit("vm.resume"));
  assert.equal(guest.state, "running");
  assert.equal(qemu().status, "running");
  await guest.kill(permit("vm.kill"));
});

Deno.test("Guest.resetState sets the saved state aside, by name, and the next start is one from its disks", async () => {
  const { host, guest, states, asides } = await running();
  await guest.suspend(permit("vm.suspend"));
  assert.equal(guest.state, "suspended");
  const saved = host.contentOf(STATE);
  assert.notEqual(saved, null);
  await guest.resetState(permit("vm.reset_state"));
  assert.equal(host.lstat(STATE), null);
  assert.deepEqual(host.contentOf(`${STATE.replace("saved", "aside/1/saved")}`), saved);
  assert.deepEqual(asides(), ["vm.saved_unused"]);
  assert.equal(states().at(-1), "suspended:stopped asked");
});

Deno.test("Guest that is killed while it is saved does not come back from that, and the line says so", async () => {
  const { host, guest, asides } = await running();
  let killed: Promise<void> | null = null;
  const rename = host.rename.bind(host);
  // The moment in which there is a saved state, and QEMU still.
  host.rename = (from, to) => {
    rename(from, to);
    if (to === STATE) killed = guest.kill(permit("vm.kill"));
  };
  await guest.suspend(permit("vm.suspend"));
  await killed;
  assert.equal(guest.state, "stopped");
  assert.equal(host.lstat(STATE), null);
  assert.deepEqual(asides(), ["vm.saved_unused"]);
});

Deno.test("Guest whose QEMU the host ended for its save is not begun again for what went wrong at the end", async () => {
  const { guest, states, crashed } = await running({ writesAtEnd: true });
  await guest.suspend(permit("vm.suspend"));
  assert.equal(states().at(-1), "suspending:failed saved.disk");
  assert.equal(guest.refusal?.rule, "saved.disk");
  assert.deepEqual(crashed, []);
});

Deno.test("Guest whose QEMU ends by itself while it is saved is told of, to be begun again", async () => {
  const { guest, qemu, monitor, crashed } = await running({ silent: ["query-migrate"] });
  const suspended = guest.suspend(permit("vm.suspend"));
  await turns(30);
  qemu().kill();
  monitor().feed(null);
  await suspended;
  assert.deepEqual([guest.state, crashed], ["failed", [plan.vm]]);
});
