import assert from "node:assert/strict";
import fc from "fast-check";
import type { DataPath } from "../data_path.ts";
import type { Slot, VmId } from "../id.ts";
import { errorsOf } from "../issue.ts";
import type { Policy } from "../policy/policy.ts";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import { effective, effectiveGuests } from "./effective.ts";
import type { GuestRecord } from "./guest.ts";

const desk = "desk" as VmId;

function policyOf(linux: Record<string, unknown> = {}, more: Record<string, unknown> = {}): Policy {
  return resolvePolicy(policySchema.parse({
    version: 0,
    linux: {
      enabled: true,
      vm_id: "desk",
      autoboot: true,
      limits: { cpus: 2, mem_mib: 1024 },
      ...linux,
    },
    ...more,
  }));
}

function record(parts: Partial<GuestRecord> = {}): GuestRecord {
  return {
    vmId: desk,
    name: "Desk",
    kind: "linux",
    profile: "linux",
    uuid: "0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11",
    slot: 0 as Slot,
    state: "stopped",
    disks: [disk("root", "vm/linux/desk/rootfs.ext4")],
    vcpus: 2,
    memoryMiB: 1024,
    input: false,
    gpu: "none",
    vtpm: false,
    boot: null,
    provisionedAt: null,
    savedState: null,
    ...parts,
  };
}

function disk(name: string, path: string, bus: "virtio" | "ahci" = "virtio") {
  return { name, path: path as DataPath, format: "raw" as const, bus };
}

function rules(policy: Policy, parts: Partial<GuestRecord>): string[] {
  const { guest, issues } = effective(policy, record(parts));
  assert.equal(guest === null, errorsOf(issues).length > 0);
  return issues.map((one) => one.rule);
}

Deno.test("effective carries all that a plan needs", () => {
  const policy = policyOf({
    boot: { kernel: "vm/linux/{vm_id}/vmlinuz", cmdline: "console=ttyS0" },
    limits: { cpus: 4, mem_mib: 2048, io_mib_s: 10, console_kib_s: 32 },
    storage: { shares: [{ tag: "t", path: "vm/linux/desk/docs" }] },
  });
  const { guest, issues } = effective(policy, record());
  assert.deepEqual(issues, []);
  assert.deepEqual(guest, {
    vmId: "desk",
    kind: "linux",
    name: "Desk",
    profile: "linux",
    uuid: "0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11",
    slot: 0,
    enabled: true,
    autoboot: true,
    presentOnBoot: false,
    onShutdown: "shutdown",
    vcpus: 2,
    memoryMiB: 1024,
    disks: [disk("root", "vm/linux/desk/rootfs.ext4")],
    shares: [{ tag: "t", path: "vm/linux/desk/docs", readOnly: true, quotaMib: 64 }],
    kernel: "vm/linux/desk/vmlinuz",
    initrd: null,
    cmdline: "console=ttyS0",
    consoleKibS: 32,
    ioMibS: 10,
    networking: "off",
    provisioningMinutes: 30,
    input: false,
    gpu: "none",
    vtpm: false,
    tpmStateDir: null,
    windows: null,
  });
});

Deno.test("effective makes a violation of each thing asked above the policy", () => {
  const policy = policyOf();
  assert.deepEqual(rules(policy, {}), []);
  assert.deepEqual(rules(policy, { memoryMiB: 1025 }), ["registry.memory_above_policy"]);
  assert.deepEqual(rules(policy, { vcpus: 3 }), ["registry.vcpus_above_policy"]);
  assert.deepEqual(rules(policy, { input: true }), ["registry.input_above_policy"]);
  assert.deepEqual(rules(policy, { gpu: "virtio" }), ["registry.gpu_above_policy"]);
  assert.deepEqual(rules(policy, { vtpm: true }), ["registry.vtpm_above_policy"]);
  const ahci = [disk("root", "vm/linux/desk/rootfs.ext4", "ahci")];
  assert.deepEqual(rules(policy, { disks: ahci }), ["registry.bus_above_policy"]);
  assert.deepEqual(rules(policyOf({ storage: { bus: "ahci" } }), { disks: ahci }), []);
  assert.deepEqual(rules(policy, { profile: "kiosk" }), ["registry.no_profile"]);
  assert.deepEqual(rules(policy, { memoryMiB: 9999, vcpus: 64 }), [
    "registry.vcpus_above_policy",
    "registry.memory_above_policy",
  ]);
});

Deno.test("effective holds a record to the kind and the guest of its profile", () => {
  const policy = policyOf({}, { windows: { enabled: false } });
  assert(rules(policy, { profile: "windows" }).includes("registry.kind_not_in_policy"));
  const other = { vmId: "lab" as VmId, disks: [disk("root", "vm/linux/lab/x")] };
  assert.deepEqual(rules(policy, other), ["registry.vm_id_not_in_policy"]);
});

Deno.test("effective gives a windows guest its firmware and TPM, and none without a TPM", () => {
  const windows = { enabled: true, vm_id: "win", devices: { vtpm: true } };
  const policy = policyOf({}, { windows });
  const parts = {
    vmId: "win" as VmId,
    kind: "windows" as const,
    profile: "windows",
    vcpus: 1,
    memoryMiB: 512,
    disks: [disk("root", "vm/windows/win/disk")],
  };
  assert.deepEqual(rules(policy, parts), ["registry.windows_vtpm"]);
  const { guest } = effective(policy, record({ ...parts, vtpm: true }));
  assert.deepEqual(guest?.windows, {
    ovmfVars: "vm/windows/win/ovmf_vars.fd",
    secureBoot: false,
  });
  assert.equal(guest?.tpmStateDir, "vm/windows/win/tpm");
});

Deno.test("effective gives a linux guest a TPM where both ask, in a folder that no disk of it lies in", () => {
  const policy = policyOf({ devices: { vtpm: true } });
  const { guest } = effective(policy, record({ vtpm: true }));
  assert.deepEqual([guest?.vtpm, guest?.tpmStateDir], [true, "vm/linux/desk/tpm"]);
  assert.equal(effective(policy, record()).guest?.tpmStateDir, null);
  assert.deepEqual(rules(policyOf(), { vtpm: true }), ["registry.vtpm_above_policy"]);
  const inside = [disk("root", "vm/linux/desk/rootfs.ext4"), disk("more", "vm/linux/desk/tpm/x")];
  assert.deepEqual(rules(policy, { vtpm: true, disks: inside }), ["registry.file_twice"]);
});

Deno.test("effective refuses more AHCI disks than the controller has ports", () => {
  const policy = policyOf({ storage: { bus: "ahci" } });
  const disks = (count: number) =>
    Array.from({ length: count }, (_, n) => ({
      ...disk(n === 0 ? "root" : `d${n}`, `vm/linux/desk/d${n}`),
      bus: "ahci" as const,
    }));
  assert.deepEqual(rules(policy, { disks: disks(6) }), []);
  assert.deepEqual(rules(policy, { disks: disks(7) }), ["registry.ahci_ports"]);
});

Deno.test("effective uses the profile's boot, and the record's where the profile has none", () => {
  const boot = { kernel: "vm/linux/desk/k" as DataPath, initrd: null, cmdline: "own" };
  assert.equal(effective(policyOf(), record({ boot })).guest?.cmdline, "own");
  const policy = policyOf({ boot: { kernel: "linux-guest/k", cmdline: "policy" } });
  const both = effective(policy, record({ boot }));
  assert.equal(both.guest?.kernel, "linux-guest/k");
  assert.equal(both.guest?.cmdline, "policy");
  assert.deepEqual(both.issues.map((one) => [one.rule, one.severity]), [
    ["registry.boot_not_used", "warning"],
  ]);
  assert.deepEqual(rules(policyOf(), { disks: [] }), ["registry.nothing_to_boot"]);
  assert.deepEqual(rules(policyOf(), { disks: [], boot }), []);
});

Deno.test("effective holds the root disk to the policy's where the policy names one", () => {
  const policy = policyOf({ storage: { root_disk: "linux-guest/desk.img" } });
  assert.deepEqual(rules(policy, {}), ["registry.disk_not_in_policy"]);
  assert.deepEqual(rules(policy, { disks: [disk("root", "linux-guest/desk.img")] }), []);
  assert.deepEqual(rules(policyOf(), { disks: [disk("root", "vm/linux/desk/other")] }), []);
});

Deno.test("effective refuses a file that one guest names twice", () => {
  const boot = { kernel: "vm/linux/desk/rootfs.ext4" as DataPath, initrd: null, cmdline: "" };
  assert.deepEqual(rules(policyOf(), { boot }), ["registry.file_twice"]);
});

Deno.test("effective of a disabled profile is a guest that does not start", () => {
  const { guest, issues } = effective(policyOf({ enabled: false }), record());
  assert.deepEqual(issues, []);
  assert.deepEqual([guest?.enabled, guest?.autoboot], [false, false]);
  const off = policyOf({}, { defaults: { autoboot_vms: false } });
  assert.deepEqual([effective(off, record()).guest?.autoboot], [false]);
});

Deno.test("effectiveGuests fails one guest and keeps the other", () => {
  const policy = policyOf({}, { profiles: { lab: { kind: "linux", enabled: true } } });
  const lab = record({
    vmId: "lab" as VmId,
    profile: "lab",
    slot: 1 as Slot,
    vcpus: 1,
    memoryMiB: 4096,
    disks: [disk("root", "vm/linux/lab/rootfs.ext4")],
  });
  const registry = { version: 0 as const, guests: new Map([[desk, record()], [lab.vmId, lab]]) };
  const found = effectiveGuests(policy, registry);
  assert.deepEqual([...found.guests.keys()], ["desk"]);
  assert.deepEqual(found.broken.map((one) => [one.vmId, one.issues[0]?.rule]), [
    ["lab", "registry.memory_above_policy"],
  ]);
});

Deno.test("effectiveGuests fails both of two guests with one file, also where only the policy names it", () => {
  const kernel = "linux-guest/desk/k";
  const policy = policyOf({ boot: { kernel } }, {
    profiles: { lab: { kind: "linux", enabled: true } },
  });
  const lab = record({
    vmId: "lab" as VmId,
    profile: "lab",
    slot: 1 as Slot,
    vcpus: 1,
    memoryMiB: 512,
    disks: [disk("root", "linux-guest/desk")],
  });
  const registry = { version: 0 as const, guests: new Map([[desk, record()], [lab.vmId, lab]]) };
  const found = effectiveGuests(policy, registry);
  assert.equal(found.guests.size, 0);
  assert.deepEqual(found.broken.map((one) => [one.vmId, one.issues[0]?.rule]), [
    ["desk", "path.foreign"],
    ["lab", "path.foreign"],
  ]);
});

Deno.test("effective never gives more than either the record or the policy says", () => {
  const bool = fc.boolean();
  const ask = fc.record({
    vcpus: fc.integer({ min: 1, max: 64 }),
    memoryMiB: fc.integer({ min: 32, max: 4096 }),
    input: bool,
    gpu: fc.constantFrom("virtio" as const, "none" as const),
    vtpm: bool,
  });
  fc.assert(
    fc.property(ask, ask, (given, asked) => {
      const policy = policyOf({
        limits: { cpus: given.vcpus, mem_mib: given.memoryMiB },
        devices: { input: given.input, gpu: given.gpu, vtpm: given.vtpm },
      });
      const { guest } = effective(policy, record(asked));
      if (guest === null) return true;
      return guest.vcpus <= Math.min(given.vcpus, asked.vcpus) &&
        guest.memoryMiB <= Math.min(given.memoryMiB, asked.memoryMiB) &&
        (!guest.input || given.input && asked.input) &&
        (guest.gpu === "none" || given.gpu === "virtio" && asked.gpu === "virtio") &&
        (!guest.vtpm || given.vtpm && asked.vtpm);
    }),
    { numRuns: 1000 },
  );
});

Deno.test("effectiveGuests warns of a profile that no record names, and of no other", () => {
  const policy = policyOf({}, {
    profiles: {
      kiosk: { kind: "linux", enabled: true },
      lab: { kind: "linux", enabled: true },
      off: { kind: "linux", enabled: false },
    },
  });
  const lab = record({ vmId: "lab-1" as VmId, profile: "lab", slot: 1 as Slot, disks: [] });
  const registry = { version: 0 as const, guests: new Map([[lab.vmId, lab]]) };
  const { warnings } = effectiveGuests(policy, registry);
  assert.deepEqual(
    warnings.map((one) => [one.rule, one.path, one.severity]),
    [["meaning.profile_unused", "profiles.kiosk", "warning"]],
  );
});
