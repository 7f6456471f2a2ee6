/**
 * Cuts at every step of suspend and resume: the power goes, or the program is killed and started again.
 * Whatever is cut, a guest goes on from its newest memory on disks that nobody wrote since, at most once
 * from each state, or it starts from its disks.
 */

import assert from "node:assert/strict";
import fc from "fast-check";
import { asFault } from "../../src/fault.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { setAside } from "../../src/saved/aside.ts";
import { checkSaved } from "../../src/saved/check.ts";
import { retireSaved } from "../../src/saved/generation.ts";
import { hostKey } from "../../src/saved/host_key.ts";
import { loadSaved } from "../../src/saved/load.ts";
import { incomingPlan } from "../../src/saved/plan_hash.ts";
import { suspendGuest } from "../../src/saved/save.ts";
import { Cut } from "./cut_host.ts";
import { cutHost, DISK, FakeQemu, UNFINISHED } from "./fake_qemu.ts";

const plan = samplePlan();
const CPU = "c".repeat(64);

/** One guest for life, and what must hold of it. */
class World {
  readonly host = cutHost();
  qemu: FakeQemu | null = null;
  /** Every memory that ever ran on, with the number of runs from the same moment. */
  readonly #went = new Map<string, number>();
  /** What ran last. */
  #last = "";
  #count = 0;
  resumed = 0;
  cold = 0;

  /** @param writes whether the guest writes its disk; one without a disk is held by nothing else */
  constructor(readonly writes: boolean) {}

  /** `cont` was obeyed: the guest runs from that memory. */
  #runs(qemu: FakeQemu, how: "cold" | "resumed" | "adopted"): void {
    if (how === "resumed") {
      assert.equal(qemu.memory, this.#last, "not its newest memory");
      const disk = new TextDecoder().decode(this.host.contentOf(DISK) ?? undefined);
      if (this.writes) assert.equal(disk, qemu.memory, "another disk than it remembers");
      this.resumed++;
    } else if (how === "adopted") assert.equal(qemu.memory, this.#last);
    else this.cold++;
    const times = (this.#went.get(qemu.memory) ?? 0) + 1;
    this.#went.set(qemu.memory, times);
    assert.ok(how !== "resumed" || times === 1, "two lives from one memory");
    this.work();
  }

  /** It does something that both its memory and its disk know of. */
  work(): void {
    const { qemu } = this;
    if (qemu === null || qemu.status !== "running") return;
    qemu.memory = this.#last = `memory ${++this.#count}`;
    if (this.writes) this.host.seed(DISK, qemu.memory);
  }

  /** A start of the program: takes up what runs, or resumes, or starts from the disks. */
  async boot(): Promise<void> {
    const { host } = this;
    const key = hostKey(host);
    if (this.qemu?.alive) {
      if (this.qemu.status !== "inmigrate") {
        const paused = this.qemu.status !== "running";
        retireSaved(host, plan);
        await (await this.qemu.qmp()).command("cont");
        if (paused) this.#runs(this.qemu, "adopted");
        return;
      }
      this.qemu.kill();
    }
    const checked = await checkSaved({ host, plan, key, cpu: CPU });
    if (checked.kind === "good") {
      const qemu = this.qemu = new FakeQemu(host, incomingPlan(plan), null);
      const qmp = await qemu.qmp();
      const loaded = await loadSaved({ host, qmp, plan, saved: checked.saved });
      if (loaded.ok) {
        await qmp.command("cont");
        return this.#runs(qemu, "resumed");
      }
      // Only a cut ends a load here.
      host.step();
      assert.fail(JSON.stringify(loaded.issues));
    }
    if (checked.kind === "bad") setAside(host, plan, checked.issues);
    const qemu = this.qemu = new FakeQemu(host, plan, `cold ${++this.#count}`);
    this.#last = qemu.memory;
    await (await qemu.qmp()).command("cont");
    this.#runs(qemu, "cold");
  }

  async suspend(): Promise<void> {
    const { host, qemu } = this;
    if (qemu === null) return;
    const qmp = await qemu.qmp();
    const result = await suspendGuest({
      host,
      qmp,
      plan,
      key: hostKey(host),
      cpu: CPU,
      kill: () => Promise.resolve(!qemu.alive),
    });
    if (result.ok) return;
    host.step();
    throw asFault(result.fault, "guest", "test");
  }

  /** Does that, cut at that step of it. @returns whether it was cut */
  async cut(what: "boot" | "suspend", at: number, how: "program" | number): Promise<boolean> {
    const { host } = this;
    host.steps = 0;
    host.cutAt = at;
    let wasCut = false;
    try {
      await this[what]();
    } catch (error) {
      if (!(error instanceof Cut) && !(host.steps >= at)) throw error;
      wasCut = true;
    }
    host.cutAt = Infinity;
    if (!wasCut && host.steps < at) return false;
    if (how !== "program") {
      this.qemu?.kill();
      host.powerCycle(how);
    }
    return true;
  }
}

for (const writes of [true, false]) {
  const guest = writes ? "a guest that writes its disk" : "a guest without a disk";
  for (const how of [0, 0.5, 1, "program"] as const) {
    const name = how === "program" ? "the program is killed" : `the power goes (${how} kept)`;
    Deno.test(`suspend and resume of ${guest}: ${name} at each step`, async () => {
      for (const what of ["suspend", "boot"] as const) {
        for (let at = 1;; at++) {
          const world = new World(writes);
          await world.boot();
          if (what === "boot") await world.suspend();
          if (!await world.cut(what, at, how)) break;
          await world.boot();
          assert.equal(world.qemu?.status, "running");
          // QEMU outlives the program, and a state is there before QEMU is ended: nothing is lost.
          if (how === "program") assert.equal(world.cold, 1, `${what} cut at ${at}`);
          // And once more, so that what the cut left does no harm later.
          await world.suspend();
          await world.boot();
          assert.ok(world.resumed > 0);
          assert.equal(world.host.contentOf(UNFINISHED), null);
          assert.ok(at < 100);
        }
      }
    });
  }
}

Deno.test("a suspend that was reported as done is on the disk, whatever the power does", async () => {
  const world = new World(true);
  await world.boot();
  await world.suspend();
  world.host.powerCycle(0);
  await world.boot();
  assert.deepEqual([world.cold, world.resumed], [1, 1]);
});

Deno.test("suspend and resume keep their promise through any sequence of cuts", async () => {
  const step = fc.record({
    at: fc.integer({ min: 1, max: 30 }),
    how: fc.oneof(fc.constant("program" as const), fc.double({ min: 0, max: 1, noNaN: true })),
    what: fc.constantFrom("boot" as const, "suspend" as const),
    works: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(fc.boolean(), fc.array(step, { maxLength: 8 }), async (writes, steps) => {
      const world = new World(writes);
      await world.boot();
      for (const { at, how, what, works } of steps) {
        if (!world.qemu?.alive || world.qemu.status !== "running") await world.boot();
        if (works) world.work();
        if (what === "boot") await world.suspend();
        await world.cut(what, at, how);
      }
      await world.boot();
      assert.equal(world.qemu?.status, "running");
    }),
    { numRuns: 100 },
  );
});
