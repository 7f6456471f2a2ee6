import assert from "node:assert/strict";
import type { Slot, VmId } from "../id.ts";
import type { GuestRecord } from "./guest.ts";
import { slotsInText, withoutRecord, withRecord } from "./change.ts";
import { parseRegistry } from "./registry.ts";

const RECORD: GuestRecord = {
  vmId: "b" as VmId,
  name: "b",
  kind: "linux",
  profile: "linux",
  uuid: "5d0a3c6e-0000-4000-8000-000000000001",
  slot: 3 as Slot,
  state: "defined",
  disks: [],
  vcpus: 1,
  memoryMiB: 64,
  input: false,
  gpu: "none",
  vtpm: false,
  boot: null,
  provisionedAt: null,
  savedState: null,
};
const DAMAGED = { vm_id: "other", slot: 7, surprise: [1] };
const TEXT = JSON.stringify({ version: 0, vms: { damaged: DAMAGED } });

Deno.test("withRecord and withoutRecord leave a record that cannot be used as it stands", () => {
  const more = withRecord(TEXT, RECORD);
  assert.deepEqual(JSON.parse(more).vms.damaged, DAMAGED);
  const parsed = parseRegistry(more);
  assert.deepEqual(parsed.registry?.guests.get("b" as VmId), RECORD);
  assert.deepEqual(JSON.parse(withoutRecord(more, "b")).vms, { damaged: DAMAGED });
  assert.deepEqual(JSON.parse(withoutRecord(more, "nobody")), JSON.parse(more));
});

Deno.test("withRecord begins a registry where there is none, and its bytes do not depend on order", () => {
  const other = { ...RECORD, vmId: "a" as VmId, slot: 4 as Slot };
  const one = withRecord(withRecord(null, RECORD), other);
  assert.equal(one, withRecord(withRecord(null, other), RECORD));
  assert.ok(one.endsWith("}\n"));
});

Deno.test("slotsInText counts a slot that only a damaged record names", () => {
  assert.deepEqual(slotsInText(withRecord(TEXT, RECORD)), new Set([3, 7]));
  assert.deepEqual(slotsInText('{"version":0,"vms":{"a":null,"b":{"slot":64}}}'), new Set());
});
