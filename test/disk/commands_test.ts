import { listGuests } from "../../src/phase/host_view.ts";
import assert from "node:assert/strict";
import type { Outcome } from "../../src/control/protocol.ts";
import type { FileFacts } from "../../src/host/port.ts";
import { tidyDisks } from "../../src/phase/disk_tidy.ts";
import type { Runtime } from "../../src/runtime.ts";
import { qcow2Of } from "../../tools/qcow2.ts";
import { FakeHost } from "../fake_host.ts";
import { diskRuntime, FOLDER, seedGuest, UNFINISHED, VM } from "./disk_world.ts";

const MIB = 1024 * 1024;

async function world(): Promise<{ host: FakeHost; runtime: Runtime }> {
  const host = new FakeHost();
  seedGuest(host);
  host.seed(`${FOLDER}/inbox/image`, new Uint8Array(8192).fill(7));
  return { host, runtime: await diskRuntime(host) };
}

const ask = (runtime: Runtime, op: string, args: Record<string, unknown>): Promise<Outcome> =>
  runtime.handle("console", op, { vm: VM, ...args });

const rule = (outcome: Outcome) => outcome.ok ? "ok" : outcome.rule;

const IMPORT = { file: "image", disk: "new.img" };

/** What stands in the way, and the rule that says so. */
const REFUSED: readonly [
  what: string,
  op: string,
  args: Record<string, unknown>,
  rule: string,
  prepare?: (host: FakeHost, runtime: Runtime) => void,
][] = [
  ["no disk named", "disk.create", { bytes: 512 }, "control.form"],
  ["no size", "disk.create", { disk: "a" }, "control.form"],
  ["a size that is no number", "disk.create", { disk: "a", bytes: "8G" }, "control.form"],
  ["half a sector", "disk.create", { disk: "a", bytes: 700 }, "disk.size"],
  ["a name that climbs", "disk.create", { disk: "../a", bytes: 512 }, "path.escape"],
  ["an absolute name", "disk.create", { disk: "/etc/a", bytes: 512 }, "path.absolute"],
  [
    "another guest's folder",
    "disk.create",
    { disk: "vm/linux/other/a", bytes: 512 },
    "path.foreign",
  ],
  [
    "the host's own folder",
    "disk.create",
    { disk: "vm/linux/demo/state/a", bytes: 512 },
    "path.foreign",
  ],
  ["a name that is taken", "disk.create", { disk: "rootfs.ext4", bytes: 512 }, "disk.exists"],
  [
    "a folder that is not there",
    "disk.create",
    { disk: "vm/linux/demo/a/b", bytes: 512 },
    "path.missing",
  ],
  ["a disk larger than the room", "disk.create", { disk: "a", bytes: 512 * MIB }, "disk.no_room"],
  ["an image that is not there", "disk.import", { ...IMPORT, file: "none" }, "path.missing"],
  ["an image elsewhere", "disk.import", { ...IMPORT, file: "../rootfs.ext4" }, "path.form"],
  ["a format that is none", "disk.import", { ...IMPORT, from: "vmdk" }, "control.form"],
  [
    "a name that is taken by an import",
    "disk.import",
    { ...IMPORT, disk: "rootfs.ext4" },
    "disk.exists",
  ],
  ["a smaller disk", "disk.resize", { disk: "rootfs.ext4", bytes: 512 }, "disk.shrink"],
  ["a disk as large as it is", "disk.resize", { disk: "rootfs.ext4", bytes: 4096 }, "disk.shrink"],
  ["a disk that is not there", "disk.export", { disk: "none" }, "path.missing"],
  [
    "an image given away as another folder's",
    "disk.export",
    { disk: "rootfs.ext4", file: "a/b" },
    "path.form",
  ],
  ["the inbox as a disk", "disk.export", { disk: "vm/linux/demo/inbox/image" }, "path.foreign"],
  [
    "an encrypted image",
    "disk.import",
    { ...IMPORT, file: "sealed" },
    "disk.encrypted",
    (host) => {
      const image = qcow2Of(new Uint8Array(65536));
      image[35] = 1;
      host.seed(`${FOLDER}/inbox/sealed`, image);
    },
  ],
  [
    "saved memory that remembers the disks",
    "disk.resize",
    { disk: "rootfs.ext4", bytes: 8192 },
    "disk.saved_state",
    (host) => host.seed(`${FOLDER}/state/saved`, "memory"),
  ],
  [
    "work that is under way",
    "disk.resize",
    { disk: "rootfs.ext4", bytes: 8192 },
    "vm.busy",
    (_, runtime) => runtime.busy.set(VM, "disk.export"),
  ],
  [
    "a fault of the launcher",
    "disk.import",
    IMPORT,
    "disk.damaged",
    (host) => host.launcher = () => ({ code: 1, words: ["fault", "disk.damaged", "code=2"] }),
  ],
  [
    "a launcher that was killed",
    "disk.import",
    IMPORT,
    "disk.ended",
    (host) =>
      host.launcher = () => {
        host.seed(UNFINISHED, "half");
        return { code: 137, words: [] };
      },
  ],
];

for (const [what, op, args, expected, prepare] of REFUSED) {
  Deno.test(`${op} refuses ${what}, and changes nothing`, async () => {
    const { host, runtime } = await world();
    host.free = 256 * MIB;
    prepare?.(host, runtime);
    const busy = runtime.busy.size;
    const before = new Map(host.files);
    assert.equal(rule(await ask(runtime, op, args)), expected);
    const disks = (files: ReadonlyMap<string, Uint8Array>) =>
      [...files].filter(([path]) => path.startsWith("/var/rayos/vm/"));
    assert.deepEqual(disks(host.files), disks(before));
    assert.equal(runtime.busy.size, busy);
  });
}

const ODD: readonly [Partial<FileFacts>, string][] = [
  [{ type: "symlink" }, "path.link"],
  [{ type: "other" }, "path.type"],
  [{ links: 2 }, "path.hard_link"],
  [{ device: 2 }, "path.mount"],
  [{ uid: 61001 }, "path.owner"],
];

for (const [facts, expected] of ODD) {
  Deno.test(`disk.import refuses an image by ${expected}, and no launcher sees it`, async () => {
    const { host, runtime } = await world();
    host.facts.set(`${FOLDER}/inbox/image`, facts);
    assert.equal(rule(await ask(runtime, "disk.import", IMPORT)), expected);
    assert.deepEqual(host.launches, []);
  });
}

Deno.test("disk.import makes the disk in a file without a use, then gives it its name", async () => {
  const { host, runtime } = await world();
  const outcome = await ask(runtime, "disk.import", IMPORT);
  assert.ok(outcome.ok, JSON.stringify(outcome));
  const { path, format, virtual_bytes } = outcome.result as Record<string, unknown>;
  assert.deepEqual([path, format, virtual_bytes], ["vm/linux/demo/new.img", "raw", 8192]);
  assert.deepEqual(host.files.get(`${FOLDER}/new.img`), new Uint8Array(8192).fill(7));
  assert.equal(host.files.get(UNFINISHED), undefined);
  assert.match(
    host.launches[0] ?? "",
    /^disk convert 0 linux demo vm\/linux\/demo\/inbox\/image raw raw \d+$/,
  );
});

Deno.test("disk.import has a qcow2 checked before it is converted", async () => {
  const { host, runtime } = await world();
  host.seed(`${FOLDER}/inbox/image`, qcow2Of(new Uint8Array(MIB)));
  assert.equal(rule(await ask(runtime, "disk.import", IMPORT)), "ok");
  assert.deepEqual(host.launches.map((one) => one.split(" ")[1]), ["check", "convert"]);
});

Deno.test("a disk's format is the record's or its name's, whatever its guest wrote into it", async () => {
  const { host, runtime } = await world();
  host.seed(`${FOLDER}/rootfs.ext4`, qcow2Of(new Uint8Array(MIB)));
  assert.equal(rule(await ask(runtime, "disk.export", { disk: "rootfs.ext4" })), "ok");
  assert.match(host.launches[0] ?? "", / raw raw \d+$/);
});

Deno.test("no guest is started while the audit log cannot be written, and one can be stopped", async () => {
  const { runtime } = await world();
  assert.ok(runtime.decide("console", { op: "vm.start", vm: VM }).allow);
  runtime.audit.close();
  assert.equal(rule(await ask(runtime, "vm.start", {})), "audit.unwritable");
  assert.notEqual(rule(await ask(runtime, "vm.reset_state", {})), "audit.unwritable");
});

Deno.test("while a disk is worked on its guest does not start, and the list says how far it is", async () => {
  const { host, runtime } = await world();
  const during: unknown[] = [];
  const copy = host.launcher;
  host.launcher = (name, args) => {
    during.push(runtime.state().guests.get(VM)?.busy, listGuests(runtime)[0]?.["busy"]);
    return copy(name, args);
  };
  await ask(runtime, "disk.create", { disk: "a.qcow2", bytes: MIB });
  assert.deepEqual(during, [true, "disk.create"]);
  assert.equal(runtime.state().guests.get(VM)?.busy, false);
});

Deno.test("a start of the program ends what works on a disk and takes an unfinished one away", async () => {
  const { host, runtime } = await world();
  const kill = "/run/rayos/cg/rayos/disk/cgroup.kill";
  host.seed(kill, "");
  host.directories.add(`${FOLDER}/state`);
  host.seed(UNFINISHED, "half");
  await tidyDisks(runtime);
  assert.equal(new TextDecoder().decode(host.files.get(kill)), "1");
  assert.equal(host.files.get(UNFINISHED), undefined);
  assert.ok(host.files.has(`${FOLDER}/rootfs.ext4`));
});

Deno.test("little room on RayOS Data is said once, and again after there was enough", async () => {
  const { host, runtime } = await world();
  const lines = () => host.consoleText.join("").split("data_low").length - 1;
  const info = async () => await ask(runtime, "disk.info", {});
  const whole = 1000 * MIB;
  host.wholeBytes = () => whole;
  for (const [free, said] of [[40, 1], [30, 1], [900, 1], [20, 2]] as const) {
    host.free = free * MIB;
    const outcome = await info();
    assert.ok(outcome.ok);
    assert.equal((outcome.result as { low: boolean }).low, free < 50);
    assert.equal(lines(), said, String(free));
  }
});

Deno.test("disk.export brings the name of its folder to the disk, with the image in it", async () => {
  const { host, runtime } = await world();
  assert.equal(rule(await ask(runtime, "disk.export", { disk: "rootfs.ext4" })), "ok");
  assert.deepEqual([...host.unsynced].filter((one) => one.endsWith("/outbox")), []);
});
