import assert from "node:assert/strict";
import type { Outcome } from "../../src/control/protocol.ts";
import { readBackup, wholeBackups } from "../../src/disk/backup.ts";
import { contentOf } from "../../src/disk/copy.ts";
import type { VmId } from "../../src/id.ts";
import type { Runtime } from "../../src/runtime.ts";
import type { Guest } from "../../src/supervisor/guest.ts";
import type { FakeHost } from "../fake_host.ts";
import { Cut, CutHost } from "../saved/cut_host.ts";
import { diskRuntime, FOLDER, RECORD, REGISTRY, seedGuest, VM } from "./disk_world.ts";

const COPY = "copy" as VmId;
const OF = { kind: "linux", vm: VM } as const;
const DISKS = ["rootfs.ext4", "data.img"] as const;

const ask = (runtime: Runtime, op: string, args: Record<string, unknown> = {}) =>
  runtime.handle("console", op, { vm: VM, ...args });
const rule = (outcome: Outcome) => outcome.ok ? "ok" : outcome.rule;
const text = (host: CutHost, path: string) =>
  new TextDecoder().decode(host.contentOf(path) ?? new TextEncoder().encode("nothing"));
const disksOf = (host: CutHost, folder = FOLDER) =>
  DISKS.map((name) => text(host, `${folder}/${name}`));
const memoryOf = (host: CutHost, vm = "demo"): number | null =>
  JSON.parse(text(host, REGISTRY)).vms[vm]?.devices.memory_mib ?? null;

function write(host: CutHost, what: string, memoryMiB: number): void {
  for (const name of DISKS) host.seed(`${FOLDER}/${name}`, `${what} ${name}`.padEnd(512));
  const devices = { ...RECORD.devices, memory_mib: memoryMiB };
  host.seed(REGISTRY, JSON.stringify({ version: 0, vms: { demo: { ...RECORD, devices } } }));
}

const OLD = DISKS.map((name) => `old ${name}`.padEnd(512));
const NEW = DISKS.map((name) => `new ${name}`.padEnd(512));

/** A guest with one backup, whose disks and record have changed since. */
async function backedUp(): Promise<{ host: CutHost; runtime: Runtime }> {
  const host = new CutHost();
  seedGuest(host);
  write(host, "old", 256);
  assert.equal(rule(await ask(await diskRuntime(host), "vm.backup")), "ok");
  write(host, "new", 128);
  return { host, runtime: await diskRuntime(host) };
}

Deno.test("vm.restore puts disks and record back, and keeps what was there", async () => {
  const { host, runtime } = await backedUp();
  const outcome = await ask(runtime, "vm.restore", { backup: 1 });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  const { aside, restored } = outcome.result as { aside: string; restored: string[] };
  assert.deepEqual(disksOf(host), OLD);
  assert.equal(memoryOf(host), 256);
  assert.deepEqual(restored.length, 2);
  const kept = ["disk-root", "disk-data"].map((name) => text(host, `/var/rayos/${aside}/${name}`));
  assert.deepEqual(kept, NEW);
  assert.equal(runtime.plans[0]?.memoryMiB, 256);
});

Deno.test("vm.backup takes a TPM's state along, without swtpm's lock, and vm.restore puts it back", async () => {
  const host = new CutHost();
  seedGuest(host);
  const devices = { ...RECORD.devices, vtpm: true };
  host.seed(REGISTRY, JSON.stringify({ version: 0, vms: { demo: { ...RECORD, devices } } }));
  const state = `${FOLDER}/tpm/tpm2-00.permall`;
  host.directories.add(`${FOLDER}/tpm`);
  host.seed(state, "old keys");
  for (const other of [".lock", "planted"]) host.seed(`${FOLDER}/tpm/${other}`, "");
  const runtime = await diskRuntime(host);
  const made = await ask(runtime, "vm.backup");
  assert.ok(made.ok, JSON.stringify(made));
  assert.deepEqual((made.result as { files: string[] }).files, [
    "disk-root",
    "disk-data",
    "tpm-tpm2-00.permall",
  ]);
  host.seed(state, "new keys");
  const back = await ask(runtime, "vm.restore", { backup: 1 });
  assert.ok(back.ok, JSON.stringify(back));
  assert.equal(text(host, state), "old keys");
});

Deno.test("vm.restore gives no file a place that is not the guest's by its record, and changes nothing", async () => {
  const { host, runtime } = await backedUp();
  const path = `${FOLDER}/backup/1/manifest.json`;
  // A folder that guests of one kind share: another guest's disk may lie there.
  const other = "/var/rayos/linux-guest/other.img";
  host.directories.add("/var/rayos/linux-guest");
  host.seed(other, "another guest's");
  const manifest = JSON.parse(text(host, path));
  manifest.files[0].path = "linux-guest/other.img";
  host.seed(path, JSON.stringify(manifest));
  assert.equal(rule(await ask(runtime, "vm.restore", { backup: 1 })), "path.foreign");
  assert.equal(text(host, other), "another guest's");
  assert.deepEqual(disksOf(host), NEW);
});

/** What is wrong with a backup, and the rule that says so; nothing is touched. */
const DAMAGED: readonly [what: string, damage: (host: CutHost) => void, rule: string][] = [
  ["has no manifest", (host) => host.remove(`${FOLDER}/backup/1/manifest.json`), "backup.unknown"],
  ["has half a manifest", (host) => half(host, "manifest.json"), "backup.damaged"],
  ["lacks a disk", (host) => host.remove(`${FOLDER}/backup/1/disk-data`), "backup.damaged"],
  ["has half a disk", (host) => half(host, "disk-data"), "backup.damaged"],
  [
    "has another disk",
    (host) => host.seed(`${FOLDER}/backup/1/disk-data`, "other".padEnd(512)),
    "backup.damaged",
  ],
  [
    "is another guest's",
    (host) => change(host, '"vm_id": "demo"', '"vm_id": "demu"'),
    "backup.damaged",
  ],
  [
    "names a file of another guest's",
    (host) => change(host, '"path": "vm/linux/demo/data.img"', '"path": "vm/linux/other/data.img"'),
    "backup.damaged",
  ],
  [
    "names the policy",
    (host) => change(host, '"path": "vm/linux/demo/data.img"', '"path": "policy/state.json"'),
    "backup.damaged",
  ],
  [
    "names one place twice",
    (host) =>
      change(host, '"path": "vm/linux/demo/data.img"', '"path": "vm/linux/demo/rootfs.ext4"'),
    "backup.damaged",
  ],
  [
    "names a file outside its folder",
    (host) => change(host, '"name": "disk-data"', '"name": "../disk-data"'),
    "backup.damaged",
  ],
  [
    "asks for more than the policy gives",
    (host) => change(host, '"memory_mib": 256', '"memory_mib": 4096'),
    "registry.memory_above_policy",
  ],
];

function half(host: CutHost, name: string): void {
  const bytes = host.contentOf(`${FOLDER}/backup/1/${name}`) ?? new Uint8Array();
  host.seed(`${FOLDER}/backup/1/${name}`, bytes.slice(0, bytes.length / 2));
}

function change(host: CutHost, from: string, to: string): void {
  const manifest = text(host, `${FOLDER}/backup/1/manifest.json`);
  assert.ok(manifest.includes(from), from);
  host.seed(`${FOLDER}/backup/1/manifest.json`, manifest.replace(from, to));
}

for (const [what, damage, expected] of DAMAGED) {
  Deno.test(`vm.restore refuses a backup that ${what}, and touches nothing`, async () => {
    const { host, runtime } = await backedUp();
    damage(host);
    const registry = text(host, REGISTRY);
    assert.equal(rule(await ask(runtime, "vm.restore", { backup: 1 })), expected);
    assert.deepEqual(disksOf(host), NEW);
    assert.equal(text(host, REGISTRY), registry);
    assert.deepEqual(host.list(`${FOLDER}/state/pending`), []);
  });
}

Deno.test("vm.restore and vm.clone refuse a guest with saved memory, a backup and a clone without room", async () => {
  const { host, runtime } = await backedUp();
  host.free = 1024;
  assert.equal(rule(await ask(runtime, "vm.backup")), "disk.no_room");
  assert.equal(rule(await ask(runtime, "vm.restore", { backup: 1 })), "disk.no_room");
  assert.equal(rule(await ask(runtime, "vm.clone", { to: COPY })), "disk.no_room");
  host.free = 2 ** 40;
  host.seed(`${FOLDER}/state/saved`, "memory");
  assert.equal(rule(await ask(runtime, "vm.restore", { backup: 1 })), "disk.saved_state");
  assert.equal(rule(await ask(runtime, "vm.clone", { to: COPY })), "disk.saved_state");
  assert.deepEqual(disksOf(host), NEW);
});

Deno.test("vm.clone makes a guest of its own: new UUID and slot, own copies, the same content", async () => {
  const { host, runtime } = await backedUp();
  const outcome = await ask(runtime, "vm.clone", { to: COPY });
  assert.ok(outcome.ok, JSON.stringify(outcome));
  const folder = "/var/rayos/vm/linux/copy";
  assert.deepEqual(disksOf(host, folder), NEW);
  assert.equal(text(host, `${folder}/vmlinuz`), "kernel");
  const { uuid, slot, vm_id, profile } = JSON.parse(text(host, REGISTRY)).vms.copy;
  assert.deepEqual([slot, vm_id, profile], [1, "copy", "kiosk"]);
  assert.notEqual(uuid, RECORD.uuid);
  assert.equal(runtime.guests.get(COPY)?.plan.uuid, uuid);
  assert.deepEqual(disksOf(host), NEW);
});

Deno.test("vm.clone refuses a name that is taken, none, or whose files are there already", async () => {
  const { host, runtime } = await backedUp();
  assert.equal(rule(await ask(runtime, "vm.clone", { to: VM })), "vm.exists");
  assert.equal(rule(await ask(runtime, "vm.clone", { to: "../x" })), "control.form");
  host.seed("/var/rayos/vm/linux/copy/rootfs.ext4", "somebody's");
  assert.equal(rule(await ask(runtime, "vm.clone", { to: COPY })), "disk.exists");
  assert.equal(text(host, "/var/rayos/vm/linux/copy/rootfs.ext4"), "somebody's");
});

/** A second guest at rest, like the first one. */
async function two(): Promise<{ host: CutHost; runtime: Runtime }> {
  const host = new CutHost();
  seedGuest(host);
  const folder = FOLDER.replace("demo", "other");
  host.directories.add(folder);
  for (const [at, what] of [[FOLDER, "new"], [folder, "other"]] as const) {
    for (const name of DISKS) host.seed(`${at}/${name}`, `${what} ${name}`.padEnd(512));
  }
  host.seed(`${folder}/vmlinuz`, "kernel");
  const other = JSON.parse(
    JSON.stringify({ ...RECORD, slot: 1 }).replaceAll("demo", "other").replace("0001", "0002"),
  );
  host.seed(REGISTRY, JSON.stringify({ version: 0, vms: { demo: RECORD, other } }));
  return { host, runtime: await diskRuntime(host) };
}

Deno.test("vm.clone refuses a name that another clone is becoming, and leaves that one whole", async () => {
  const { host, runtime } = await two();
  const outcomes = await Promise.all([
    ask(runtime, "vm.clone", { to: COPY }),
    ask(runtime, "vm.clone", { vm: "other", to: COPY }),
  ]);
  assert.deepEqual(outcomes.map(rule), ["ok", "vm.busy"]);
  assert.deepEqual(disksOf(host, FOLDER.replace("demo", COPY)), NEW);
  assert.deepEqual([...runtime.busy], []);
});

Deno.test("vm.clone leaves nobody marked as worked on where it fails at its beginning", async () => {
  const { host, runtime } = await two();
  const folder = FOLDER.replace("demo", COPY);
  host.seed(folder, "a file in the folder's place");
  host.makeDirectory = (path) => {
    if (path === folder) throw new Error("not a directory");
  };
  assert.equal((await ask(runtime, "vm.clone", { to: COPY })).ok, false);
  assert.deepEqual([...runtime.busy], []);
});

/** Below RayOS Data; what is in memory is gone after a power cut anyway. */
const unsynced = (host: FakeHost) =>
  [...host.unsynced].filter((one) => one.startsWith("/var/rayos"));

Deno.test("vm.backup, vm.restore and vm.clone bring the name of each folder that they make to the disk", async () => {
  const { host, runtime } = await backedUp();
  assert.deepEqual(unsynced(host), []);
  assert.equal(rule(await ask(runtime, "vm.clone", { to: COPY })), "ok");
  assert.deepEqual(unsynced(host), []);
  assert.equal(rule(await ask(runtime, "vm.restore", { backup: 1 })), "ok");
  assert.deepEqual(unsynced(host), []);
});

/** Stands in the place of the guest: what it was asked for, and its disks when it was let go. */
function running(host: CutHost, runtime: Runtime, holds = true) {
  const calls: string[] = [];
  const guest = {
    plan: runtime.plans[0],
    state: "running",
    beginning: false,
    agentReady: true,
    violations: [],
    refusal: null,
    given: { network: { state: "off" } },
    replan: () => false,
    suspend: (permit: { op: string }) => {
      calls.push(permit.op);
      if (holds) guest.state = "suspended";
      return Promise.resolve();
    },
    start: (permit: { op: string }) => {
      calls.push(permit.op);
      guest.state = "running";
      // What it does from now on is in no backup.
      write(host, "later", 256);
      return Promise.resolve();
    },
  };
  runtime.guests.set(VM, guest as unknown as Guest);
  return { calls, guest };
}

Deno.test("vm.backup suspends a guest that runs, and lets it go on only after the last copy", async () => {
  const { host, runtime } = await backedUp();
  const { calls, guest } = running(host, runtime);
  const outcome = await ask(runtime, "vm.backup");
  assert.ok(outcome.ok, JSON.stringify(outcome));
  assert.deepEqual([calls, guest.state], [["vm.suspend", "vm.start"], "running"]);
  assert.equal(text(host, `${FOLDER}/backup/2/disk-data`), NEW[1]);
  assert.equal((outcome.result as { state: string }).state, "running");
});

Deno.test("vm.backup that fails lets its guest go on all the same, and leaves no copy", async () => {
  const { host, runtime } = await backedUp();
  const { calls } = running(host, runtime);
  const open = host.open.bind(host);
  host.open = (path) => path.endsWith("data.img") ? null : open(path);
  assert.equal(rule(await ask(runtime, "vm.backup")), "file.missing");
  assert.deepEqual(calls, ["vm.suspend", "vm.start"]);
  assert.deepEqual(wholeBackups(host, OF), [1]);
  assert.deepEqual(host.list(`${FOLDER}/backup/2`), []);
});

Deno.test("vm.backup of a guest that cannot be held copies nothing", async () => {
  const { host, runtime } = await backedUp();
  const { calls } = running(host, runtime, false);
  assert.equal(rule(await ask(runtime, "vm.backup")), "backup.not_held");
  assert.deepEqual(calls, ["vm.suspend"]);
  assert.deepEqual(host.list(`${FOLDER}/backup/2`), []);
});

/** Does it, cut at that step. @returns whether it was cut */
async function cut(host: CutHost, runtime: Runtime, at: number, op: string, args: object) {
  host.steps = 0;
  host.cutAt = at;
  let wasCut = false;
  try {
    wasCut = !(await runtime.handle("console", op, { vm: VM, ...args })).ok;
  } catch (error) {
    if (!(error instanceof Cut)) throw error;
    wasCut = true;
  }
  wasCut ||= host.steps >= at;
  host.cutAt = Infinity;
  return wasCut;
}

for (const how of [0, 0.5, 1, "program"] as const) {
  const name = how === "program" ? "the program is killed" : `the power goes (${how} kept)`;

  Deno.test(`vm.restore leaves the old or the new guest where ${name} at each step`, async () => {
    const seen = new Set<string>();
    let at = 0;
    while (true) {
      const { host, runtime } = await backedUp();
      if (!await cut(host, runtime, ++at, "vm.restore", { backup: 1 })) break;
      if (how !== "program") host.powerCycle(how);
      const next = await diskRuntime(host);
      const restored = memoryOf(host) === 256;
      assert.deepEqual(disksOf(host), restored ? OLD : NEW, `cut at ${at}`);
      assert.equal(memoryOf(host), restored ? 256 : 128, `cut at ${at}`);
      assert.deepEqual(next.broken, []);
      seen.add(restored ? "restored" : "as before");
      if (restored) assert.equal(text(host, `${FOLDER}/backup/aside/1/disk-data`), NEW[1]);
      assert.deepEqual(host.list(`${FOLDER}/state/pending`), [], `cut at ${at}`);
      // And it can be done again.
      assert.equal(rule(await ask(next, "vm.restore", { backup: 1 })), "ok");
      assert.deepEqual(disksOf(host), OLD);
      assert.ok(at < 200);
    }
    assert.deepEqual([...seen].sort(), ["as before", "restored"]);
  });

  Deno.test(`vm.backup is whole or none where ${name} at each step`, async () => {
    for (let at = 1;; at++) {
      const { host, runtime } = await backedUp();
      if (!await cut(host, runtime, at, "vm.backup", {})) break;
      if (how !== "program") host.powerCycle(how);
      const next = await diskRuntime(host);
      for (const count of wholeBackups(host, OF)) {
        const backup = readBackup(host, OF, count);
        assert.ok("manifest" in backup, `cut at ${at}: ${JSON.stringify(backup)}`);
        for (const { name, bytes, sha256 } of backup.manifest.files) {
          const found = await contentOf(host, `${FOLDER}/backup/${count}/${name}`);
          assert.deepEqual(found, { bytes, sha256 }, `cut at ${at}`);
        }
      }
      assert.ok(wholeBackups(host, OF).includes(1));
      assert.deepEqual(disksOf(host), NEW);
      assert.equal(rule(await ask(next, "vm.backup")), "ok");
      assert.ok(at < 200);
    }
  });

  Deno.test(`vm.clone is there in whole or not at all where ${name} at each step`, async () => {
    const folder = "/var/rayos/vm/linux/copy";
    const seen = new Set<boolean>();
    for (let at = 1;; at++) {
      const { host, runtime } = await backedUp();
      if (!await cut(host, runtime, at, "vm.clone", { to: COPY })) break;
      if (how !== "program") host.powerCycle(how);
      const next = await diskRuntime(host);
      const there = memoryOf(host, "copy") !== null;
      seen.add(there);
      assert.deepEqual(disksOf(host, folder), there ? NEW : ["nothing", "nothing"], `cut at ${at}`);
      assert.deepEqual(host.list(`${folder}/state/pending`), [], `cut at ${at}`);
      assert.deepEqual(disksOf(host), NEW);
      if (!there) {
        assert.equal(rule(await ask(next, "vm.clone", { to: COPY })), "ok", `cut at ${at}`);
      }
      assert.ok(at < 200);
    }
    assert.deepEqual([...seen].sort(), [false, true]);
  });
}

Deno.test("a change that cannot be finished keeps its guest from starting, and stays", async () => {
  const { host, runtime } = await backedUp();
  // The last step but two: everything is decided, nothing has its place yet.
  let decided = false;
  for (let at = 1; !decided; at++) {
    host.powerCycle(1);
    write(host, "new", 128);
    await cut(host, await diskRuntime(host), at, "vm.restore", { backup: 1 });
    decided = host.lstat(`${FOLDER}/state/pending.json`) !== null;
  }
  host.seed(`${FOLDER}/state/pending.json`, "{}");
  const next = await diskRuntime(host);
  assert.deepEqual(next.broken.map((one) => [one.vm, one.issues[0]?.rule]), [[
    "demo",
    "disk.pending",
  ]]);
  assert.equal(rule(await ask(next, "vm.start")), "vm.violation");
  assert.notEqual(host.lstat(`${FOLDER}/state/pending.json`), null);
  assert.equal(runtime.broken.length, 0);
});
