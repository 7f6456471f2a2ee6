import assert from "node:assert/strict";
import type { HostEvent } from "../event.ts";
import type { VmId } from "../id.ts";
import { issue } from "../issue.ts";
import { CALLERS, onlyLooks, OPS } from "../policy/ops.ts";
import { decisionEntry, entryOf } from "./audited.ts";
import { Folding, HOST } from "./fold.ts";

Deno.test("every decision and answer is a record, but for requests that only look", () => {
  for (const op of [...OPS, "no.such_op", "__proto__"]) {
    for (const allow of [true, false]) {
      const rule = allow ? null : "op.caller";
      for (const caller of CALLERS) {
        const decided = { caller, op, vm: null, allow, rule, detail: null };
        assert.equal(decisionEntry(decided, onlyLooks) === null, onlyLooks(op), op);
      }
      const ack = { type: "host_ack", op, ok: allow, detail: "done" } as const;
      assert.equal(entryOf(ack, onlyLooks) === null, onlyLooks(op), op);
    }
  }
});

const fault = (code: string, vm?: string): HostEvent => ({
  type: "fault",
  stage: "guest",
  code,
  message: "m",
  ...vm === undefined ? {} : { vm: vm as VmId },
});

/** How many of them are records of their own, all within one minute. */
function admitted(events: readonly HostEvent[], folding = new Folding()): number {
  return events.filter((event) => {
    const entry = entryOf(event, onlyLooks);
    return entry !== null && folding.admits(entry.kind, 0);
  }).length;
}

Deno.test("entryOf lets a guest's faults take from its own records alone", () => {
  const folding = new Folding();
  const many = Array.from({ length: 5000 }, (_, n) => fault(`guest.${n % 10}`, "hostile"));
  assert.ok(admitted(many, folding) <= 200);
  assert.equal(admitted([fault("guest.qmp", "other")], folding), 1, "another guest's");
  assert.equal(admitted([fault("data.read_only"), fault("crash.unwritable")], folding), 2, "ours");
  const broken = issue("sig.mismatch", { expected: "a", found: "b" });
  assert.equal(admitted([{ type: "violation", issue: broken, vm: null }], folding), 1);
  const entry = entryOf(fault("guest.qmp", "hostile"), onlyLooks);
  assert.deepEqual([entry?.kind.source, entry?.kind.byGuest], ["hostile", true]);
  assert.equal(entry?.data["vm"], "hostile");
});

Deno.test("entryOf calls what has no guest the host's, and tells faults apart by their code", () => {
  const kind = entryOf(fault("data.read_only"), onlyLooks)?.kind;
  assert.deepEqual([kind?.source, kind?.byGuest], [HOST, false]);
  const again = [fault("a.b"), fault("a.c"), fault("a.b")];
  assert.equal(admitted(again), 2);
});

Deno.test("decisionEntry and entryOf make two records of any number of requests under names that are made up", () => {
  const folding = new Folding();
  let records = 0;
  for (let n = 0; n < 3000; n++) {
    const op = `op.${n}`.padEnd(64, "x");
    const denied = { caller: "socket", op, allow: false, detail: "no" };
    const entries = [
      decisionEntry({ ...denied, vm: `vm-${n}`, rule: "op.unknown" }, onlyLooks),
      entryOf({ type: "host_ack", op, ok: false, detail: "op.unknown" }, onlyLooks),
      decisionEntry({ ...denied, op: "vm.start", vm: `vm-${n}`, rule: "vm.unknown" }, onlyLooks),
      entryOf({ type: "host_ack", op: "vm.start", ok: false, detail: "vm.unknown" }, onlyLooks),
    ];
    for (const entry of entries) {
      assert.ok(entry !== null);
      if (folding.admits(entry.kind, 0)) records++;
      assert.notEqual(entry.kind.source, HOST, "it takes none of the host's own");
    }
  }
  assert.equal(records, 4);
  // Two that are known, at the same time, are two.
  for (const vm of ["a", "b"]) {
    const entry = decisionEntry({
      caller: "socket",
      op: "vm.stop",
      vm,
      allow: false,
      rule: "vm.state",
      detail: null,
    }, onlyLooks);
    assert.ok(entry !== null && folding.admits(entry.kind, 0));
  }
});

Deno.test("decisionEntry counts what the policy decides on a guest as that guest's, and nothing else", () => {
  const of = (caller: string, vm: string | null) =>
    decisionEntry({ caller, op: "vm.start", vm, allow: true, rule: null, detail: null }, onlyLooks)
      ?.kind;
  assert.deepEqual([of("policy", "a")?.source, of("policy", "a")?.byGuest], ["a", true]);
  assert.deepEqual([of("socket", "a")?.source, of("socket", "a")?.byGuest], ["socket", false]);
  assert.deepEqual([of("policy", null)?.source, of("policy", null)?.byGuest], ["policy", false]);
});
