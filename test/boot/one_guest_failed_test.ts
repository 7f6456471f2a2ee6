/**
 * Faults of one record or of its files: that guest fails with its rule, the other one starts, the mode
 * stays normal. All of them in one registry and one boot, so that none hinders another either.
 */
import assert from "node:assert/strict";
import type { DiskFile, DiskFiles } from "../../tools/boot_data.ts";
import {
  assertClean,
  assertEndedInOrder,
  assertUnchanged,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
  treeOf,
} from "./machine.ts";

interface BadGuest {
  readonly id: string;
  readonly rule: string;
  /** What differs from a good record. */
  readonly record?: Readonly<Record<string, unknown>>;
  readonly disk?: { readonly path: string; readonly format?: string };
  /** What lies on the disk for it; a good disk file where absent. */
  readonly files?: DiskFiles;
}

const folder = (id: string) => `vm/linux/${id}`;
const diskOf = (id: string) => `${folder(id)}/rootfs.ext4`;
const EMPTY_DISK: DiskFile = new Uint8Array(64 * 1024);

/** A qcow2 header that names a backing file (QEMU, docs/interop/qcow2.txt). */
function qcow2WithBackingFile(): Uint8Array {
  const name = new TextEncoder().encode(`../${GUEST}/rootfs.ext4`);
  const bytes = new Uint8Array(64 * 1024);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x514649fb);
  view.setUint32(4, 2);
  view.setBigUint64(8, 72n);
  view.setUint32(16, name.length);
  view.setUint32(20, 16);
  view.setBigUint64(24, 1n << 20n);
  bytes.set(name, 72);
  return bytes;
}

const BAD: readonly BadGuest[] = [
  { id: "bad-id", rule: "registry.id_differs", record: { vm_id: "another-id" } },
  {
    id: "bad-memory",
    rule: "registry.memory_above_policy",
    record: { devices: { vcpus: 1, memory_mib: 128 } },
  },
  { id: "bad-escape", rule: "path.escape", disk: { path: "../../etc/shadow" } },
  { id: "bad-absolute", rule: "path.absolute", disk: { path: "/etc/shadow" } },
  {
    id: "bad-link",
    rule: "path.link",
    files: { [diskOf("bad-link")]: { link: `../${GUEST}/rootfs.ext4` } },
  },
  {
    id: "bad-hard-link",
    rule: "path.hard_link",
    files: {
      [`${folder("bad-hard-link")}/first`]: EMPTY_DISK,
      [diskOf("bad-hard-link")]: { same: `${folder("bad-hard-link")}/first` },
    },
  },
  { id: "bad-foreign", rule: "path.foreign", disk: { path: diskOf(GUEST) } },
  { id: "bad-policy", rule: "path.foreign", disk: { path: "policy/rayos-policy.toml" } },
  { id: "bad-missing", rule: "path.missing", files: {} },
  {
    id: "bad-backing",
    rule: "path.disk_format",
    disk: { path: diskOf("bad-backing"), format: "qcow2" },
    files: { [diskOf("bad-backing")]: qcow2WithBackingFile() },
  },
];

const PROFILE = `
[profiles.small]
kind = "linux"
enabled = true
autoboot = true

[profiles.small.limits]
cpus = 1
mem_mib = 64
`;

function uuidOf(slot: number): string {
  return `5d3e4a9e-5c6b-4a57-9c07-3f0f5bb0a0${String(slot).padStart(2, "0")}`;
}

function registryText(): string {
  const good = {
    vm_id: GUEST,
    kind: "linux",
    profile: "linux",
    uuid: uuidOf(0),
    slot: 0,
    storage: { disks: { root: { path: diskOf(GUEST) } } },
    devices: { vcpus: 1, memory_mib: 256 },
  };
  const bad = BAD.map((one, n) => [one.id, {
    ...good,
    vm_id: one.id,
    profile: "small",
    uuid: uuidOf(n + 1),
    slot: n + 1,
    storage: { disks: { root: one.disk ?? { path: diskOf(one.id) } } },
    devices: { vcpus: 1, memory_mib: 64 },
    ...one.record,
  }]);
  return JSON.stringify({ version: 0, vms: { [GUEST]: good, ...Object.fromEntries(bad) } });
}

Deno.test("boot fails each guest with a fault of its own and starts the good one", async (t) => {
  await using home = await Home.make();
  const files: Record<string, DiskFile> = {
    ...guestFiles(GUEST, home),
    ...await signedPolicy(`${await defaultPolicy()}${PROFILE}`),
    "vm/registry.json": registryText(),
  };
  for (const one of BAD) Object.assign(files, one.files ?? { [diskOf(one.id)]: EMPTY_DISK });
  const disk = dataDisk(home, files);
  // The good guest writes to its disk, and the host keeps what it learnt of policy and registry.
  const without = ["logs", "boot", "crash", "lost+found", folder(GUEST), "policy/state.json"];
  const before = await treeOf(home, disk, without);
  await using run = await startMachine({ disks: [{ path: disk }] });
  await showingLines(run, async () => {
    const boot = await finish(run, "RAYOS_READY mode=normal", `RAYOS_LINUX_VM_READY vm=${GUEST}`);
    const violations = eventsNamed(boot.lines, "RAYOS_POLICY_VIOLATION");
    for (const { id, rule } of BAD) {
      await t.step(`${id} fails by ${rule}`, () => {
        const own = boot.lines.filter((line) =>
          line.event.startsWith("RAYOS_POLICY_VIOLATION:") &&
          (line.fields["vm"] === id || line.event.includes(id))
        );
        assert.deepEqual([...new Set(own.map((line) => line.event.split(":")[1]))], [rule]);
      });
    }
    assert.equal(violations.length, BAD.length, violations.join("\n"));
    assert.deepEqual(eventsNamed(boot.lines, "RAYOS_SAFE_MODE"), []);
    const confined = boot.lines.filter((line) => line.event === "RAYOS_VM_CONFINED");
    assert.deepEqual(confined.map((line) => line.fields["vm"]), [GUEST]);
    assertEndedInOrder(boot);
    assertUnchanged(before, await treeOf(home, disk, without));
    assertClean(disk);
  });
});
