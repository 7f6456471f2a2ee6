import assert from "node:assert/strict";
import fc from "fast-check";
import type { VmId } from "../id.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import {
  MAX_REGISTRY_BYTES,
  parseRegistry,
  registryFromPolicy,
  renderRegistry,
} from "./registry.ts";

type Document = Record<string, unknown>;
const UUID = "0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11";
const OTHER_UUID = "1b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f12";

function record(id: string, parts: Document = {}): Document {
  return {
    vm_id: id,
    name: "Linux desktop",
    kind: "linux",
    profile: "linux",
    uuid: UUID,
    slot: 0,
    state: "stopped",
    storage: {
      disks: { root: { path: `vm/linux/${id}/rootfs.ext4`, format: "raw", bus: "virtio" } },
    },
    devices: { vcpus: 2, memory_mib: 2048, input: true, gpu: "virtio", vtpm: false },
    boot: { kernel: `vm/linux/${id}/vmlinuz`, initrd: `vm/linux/${id}/initrd`, cmdline: "quiet" },
    provisioned_at: null,
    saved_state: null,
    ...parts,
  };
}

/** A registry of these records, each under its name; one whose name is no text stands under another. */
function file(...records: Document[]): string {
  const key = ({ vm_id: id }: Document) => typeof id === "string" ? id : "not-a-text";
  const vms = Object.fromEntries(records.map((one) => [key(one), one]));
  return JSON.stringify({ version: 0, vms });
}

const good = record("desk");
const second = record("lab", { uuid: OTHER_UUID, slot: 1 });

/** `id: rule path` of each broken record; the file as a whole must be fine. */
function broken(text: string): string[] {
  const parsed = parseRegistry(text);
  assert.deepEqual(parsed.issues, []);
  assert(parsed.registry !== null);
  return parsed.broken.flatMap((one) =>
    one.issues.map((found) => `${one.vmId}: ${found.rule} ${found.path}`)
  );
}

function whole(text: string | Uint8Array): string[] {
  const parsed = parseRegistry(text);
  assert.equal(parsed.registry, null);
  assert.deepEqual(parsed.broken, []);
  return parsed.issues.map((one) => one.rule);
}

Deno.test("parseRegistry reads a record as the contract shows it", () => {
  const { registry, issues, broken } = parseRegistry(file(good));
  assert.deepEqual([issues, broken], [[], []]);
  assert.deepEqual(registry?.guests.get("desk" as VmId), {
    vmId: "desk",
    name: "Linux desktop",
    kind: "linux",
    profile: "linux",
    uuid: UUID,
    slot: 0,
    state: "stopped",
    disks: [{ name: "root", path: "vm/linux/desk/rootfs.ext4", format: "raw", bus: "virtio" }],
    vcpus: 2,
    memoryMiB: 2048,
    input: true,
    gpu: "virtio",
    vtpm: false,
    boot: {
      kernel: "vm/linux/desk/vmlinuz",
      initrd: "vm/linux/desk/initrd",
      cmdline: "quiet",
    },
    provisionedAt: null,
    savedState: null,
  });
});

Deno.test("parseRegistry refuses the file as a whole for what concerns all guests", () => {
  const text = file(good, second);
  assert.deepEqual(whole(""), ["registry.syntax"]);
  assert.deepEqual(whole("[]"), ["registry.shape"]);
  assert.deepEqual(whole("null"), ["registry.shape"]);
  assert.deepEqual(whole(text.replace('"version":0', '"version":1')), ["registry.version"]);
  assert.deepEqual(whole(text.replace('"version":0', '"version":"0"')), ["registry.shape"]);
  assert.deepEqual(whole('{"vms":{}}'), ["registry.shape"]);
  assert.deepEqual(whole('{"version":0,"vms":{},"extra":1}'), ["registry.unknown_key"]);
  assert.deepEqual(whole('{"version":0,"vms":[]}'), ["registry.shape"]);
  assert.deepEqual(whole('{"version":0,"version":0,"vms":{}}'), ["registry.duplicate_key"]);
  assert.deepEqual(whole(text.replace('"slot":0', '"slot":0,"slot":1')), [
    "registry.duplicate_key",
  ]);
  assert.deepEqual(whole(text.replace('"lab":', '"desk":')), ["registry.duplicate_key"]);
  assert.deepEqual(whole('{"version":0,"vms":{"__proto__":{}}}'), ["registry.prototype_key"]);
  assert.deepEqual(whole(" ".repeat(MAX_REGISTRY_BYTES + 1)), ["registry.size"]);
  assert.deepEqual(whole(new Uint8Array([0x7b, 0xff])), ["registry.utf8"]);
  const many = Array.from({ length: 65 }, (_, n) => record(`g${n}`));
  assert.deepEqual(whole(file(...many)), ["registry.too_many"]);
});

Deno.test("parseRegistry says in which line a key was given twice", () => {
  const [fault] = parseRegistry('{\n "version": 0,\n "version": 0\n}').issues;
  assert.deepEqual([fault?.line, fault?.column], [3, 2]);
});

Deno.test("parseRegistry refuses the file cut at every length", () => {
  const bytes = new TextEncoder().encode(file(good));
  for (let length = 0; length < bytes.length; length++) {
    assert.deepEqual(whole(bytes.subarray(0, length)), ["registry.syntax"]);
  }
});

Deno.test("parseRegistry leaves a broken record out and keeps the others", () => {
  const parsed = parseRegistry(file(record("desk", { slot: 64 }), second));
  assert.deepEqual([...parsed.registry?.guests.keys() ?? []], ["lab"]);
  assert.deepEqual(parsed.broken.map((one) => one.vmId), ["desk"]);
});

Deno.test("parseRegistry names the fault of each broken record", () => {
  const disks = (root: unknown) => ({ storage: { disks: { root } } });
  const cases: [Document, string][] = [
    [{ extra: 1 }, "registry.unknown_key vms.desk.extra"],
    [
      { devices: { vcpus: 1, memory_mib: 64, usb: true } },
      "registry.device_none vms.desk.devices.usb",
    ],
    [{ slot: 64 }, "registry.shape vms.desk.slot"],
    [{ slot: -1 }, "registry.shape vms.desk.slot"],
    [{ slot: 1.5 }, "registry.shape vms.desk.slot"],
    [{ uuid: "x" }, "registry.shape vms.desk.uuid"],
    [{ uuid: "00000000-0000-0000-0000-000000000000" }, "registry.shape vms.desk.uuid"],
    [{ kind: "mac" }, "registry.shape vms.desk.kind"],
    [{ name: "a\u202eb" }, "registry.shape vms.desk.name"],
    [{ state: "on" }, "registry.shape vms.desk.state"],
    [{ provisioned_at: "yesterday" }, "registry.shape vms.desk.provisioned_at"],
    [{ boot: { kernel: "/boot/vmlinuz" } }, "path.absolute vms.desk.boot.kernel"],
    [
      { boot: { kernel: "linux-guest/k", cmdline: "a\nb" } },
      "registry.shape vms.desk.boot.cmdline",
    ],
    [disks({ path: "../../etc/shadow" }), "path.escape vms.desk.storage.disks.root.path"],
    [disks({ path: "/etc/shadow" }), "path.absolute vms.desk.storage.disks.root.path"],
    [disks({ path: "vm/linux/lab/rootfs.ext4" }), "path.foreign vms.desk.storage.disks.root.path"],
    [disks({ path: "policy/rayos-policy.toml" }), "path.foreign vms.desk.storage.disks.root.path"],
    [disks({ path: "vm/linux/desk/state/x" }), "path.foreign vms.desk.storage.disks.root.path"],
    [
      disks({ path: "linux-guest/a", format: "vmdk" }),
      "registry.shape vms.desk.storage.disks.root.format",
    ],
  ];
  for (const [parts, expected] of cases) {
    assert.deepEqual(broken(file(record("desk", parts), second)), [`desk: ${expected}`]);
  }
  assert.deepEqual(broken('{"version":0,"vms":{"desk":null}}'), ["desk: registry.shape vms.desk"]);
  assert.deepEqual(broken('{"version":0,"vms":{"DESK":{}}}'), ["DESK: registry.vm_id vms.DESK"]);
});

Deno.test("parseRegistry fails the record whose id differs from its key, and no other", () => {
  const text = JSON.stringify({ version: 0, vms: { desk: record("other"), lab: second } });
  const found = broken(text);
  assert(found.includes("desk: registry.id_differs vms.desk.vm_id"));
  assert(found.every((one) => one.startsWith("desk:")));
});

Deno.test("parseRegistry fails both of two records with one slot, uuid or file", () => {
  const rules = (parts: Document) => broken(file(good, record("lab", parts)));
  const path = "linux-guest/shared";
  const disk = { storage: { disks: { root: { path } } } };
  assert.deepEqual(rules({ uuid: OTHER_UUID }), [
    "desk: registry.slot_twice vms.desk",
    "lab: registry.slot_twice vms.lab",
  ]);
  assert.deepEqual(rules({ slot: 1, uuid: UUID.toUpperCase() }), [
    "desk: registry.uuid_twice vms.desk",
    "lab: registry.uuid_twice vms.lab",
  ]);
  assert.deepEqual(
    broken(file(record("desk", disk), record("lab", { ...disk, slot: 1, uuid: OTHER_UUID }))),
    ["desk: path.foreign vms.desk", "lab: path.foreign vms.lab"],
  );
  const inside = { storage: { disks: { root: { path: `${path}/x` } } }, slot: 1, uuid: OTHER_UUID };
  assert.equal(broken(file(record("desk", disk), record("lab", inside))).length, 2);
});

Deno.test("parseRegistry fails only the record that names another guest's file", () => {
  const thief = record("thief", {
    slot: 1,
    uuid: OTHER_UUID,
    storage: { disks: { root: { path: "vm/linux/desk/rootfs.ext4" } } },
  });
  const parsed = parseRegistry(file(good, thief));
  assert.deepEqual([...parsed.registry?.guests.keys() ?? []], ["desk"]);
  assert.deepEqual(parsed.broken.map((one) => one.vmId), ["thief"]);
});

Deno.test("registryFromPolicy makes a record for each enabled profile that names a guest", () => {
  const policy = resolvePolicy(policySchema.parse({
    version: 0,
    linux: { enabled: true, vm_id: "desk", limits: { cpus: 2, mem_mib: 1024 } },
    windows: {
      enabled: true,
      vm_id: "win",
      storage: { disk: "windows-guest/win.qcow2" },
      devices: { vtpm: true },
    },
    profiles: { kiosk: { kind: "linux", enabled: true } },
  }));
  const uuids = [UUID, OTHER_UUID];
  const registry = registryFromPolicy(policy, () => uuids.shift() ?? "");
  const seen = [...registry.guests.values()].map((one) => [
    one.vmId,
    one.slot,
    one.uuid,
    one.state,
    one.memoryMiB,
    one.disks.map((disk) => `${disk.path} ${disk.format}`).join(),
  ]);
  assert.deepEqual(seen, [
    ["desk", 0, UUID, "defined", 1024, "vm/linux/desk/rootfs.ext4 raw"],
    ["win", 1, OTHER_UUID, "defined", 512, "windows-guest/win.qcow2 qcow2"],
  ]);
  const off = resolvePolicy(policySchema.parse({ version: 0, linux: { vm_id: "desk" } }));
  assert.equal(registryFromPolicy(off, () => UUID).guests.size, 0);
});

Deno.test("renderRegistry gives the same bytes whatever the order, and parseRegistry reads them back", () => {
  const { registry } = parseRegistry(file(good, second));
  const { registry: turned } = parseRegistry(file(second, good));
  assert(registry !== null && turned !== null);
  const text = renderRegistry(registry);
  assert.equal(text, renderRegistry(turned));
  assert(text.endsWith("}\n"));
  const again = parseRegistry(text);
  assert.deepEqual(again, { registry, issues: [], broken: [] });
});

Deno.test("parseRegistry of a good file with any value changed throws nothing", () => {
  const value = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("..", "\0", -0, 1e400));
  const keys = fc.constantFrom(...Object.keys(good), "extra");
  fc.assert(
    fc.property(keys, value, (key, given) => {
      const parsed = parseRegistry(file(record("desk", { [key]: given }), second));
      return parsed.registry === null || parsed.registry.guests.has("lab" as VmId) ||
        parsed.broken.some((one) => one.vmId === "lab");
    }),
    { numRuns: 2000 },
  );
});
