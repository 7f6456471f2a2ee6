/**
 * A guest's own TPM on a real machine: the guest reads it and keeps something in it, which is there after
 * its next start and nowhere else; what becomes of the guest when its TPM dies or is stopped, when the program
 * does, and when somebody asks for its memory to be saved, or for a backup, for which its own agent holds its disk.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { listDataDisk } from "../../tools/data_disk.ts";
import { makeDataDisk } from "../../tools/boot_data.ts";
import {
  fileInside,
  insideOverlay,
  killProgram,
  linesInside,
  rayInside,
  seenOnHost,
  statesOf,
  vmCommand,
} from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  eventsNamed,
  finish,
  fullTest,
  guestFiles,
  Home,
  registryRecord,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const FIRST = "trusted-a";
const SECOND = "trusted-b";
const MEMORY_MIB = 96;
const READY_MS = 300_000;

const POLICY = `version = 0
serial = 1

[limits]
cpu_percent = 100
vms = 2

[profiles.trusted]
kind = "linux"
enabled = true
autoboot = true
limits = { mem_mib = ${MEMORY_MIB} }
devices = { vtpm = true }

[profiles.trusted.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 pci=lastbus=0 cryptomgr.notests nokaslr mitigations=off ipv6.disable=1"
`;

async function twoGuests(home: Home): Promise<string> {
  const disk = `${home.path}/data.img`;
  const vms = Object.fromEntries([FIRST, SECOND].map((vm, slot) => {
    const record = registryRecord(vm, slot, "trusted", MEMORY_MIB);
    return [vm, { ...record, devices: { ...record.devices, vtpm: true } }];
  }));
  makeDataDisk(disk, {
    ...guestFiles(FIRST, home),
    ...guestFiles(SECOND, home),
    ...await signedPolicy(POLICY),
    "vm/registry.json": JSON.stringify({ version: 0, vms }),
  }, { sizeMiB: 224 });
  return disk;
}

/** What a guest says at its start of that number that its TPM keeps. */
async function kept(run: BootRun, vm: string, start: number): Promise<string> {
  const until = Date.now() + READY_MS;
  while (Date.now() < until) {
    const log = await fileInside(run, `/var/rayos/vm/linux/${vm}/logs/console.log`);
    const text = new TextDecoder().decode(log);
    const said = [...text.matchAll(/tpm keeps ([0-9a-f]{16} (?:made|found))/gu)][start - 1]?.[1];
    if (said !== undefined) return said;
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  throw new Error(`${vm} did not say what its TPM keeps at start ${start}`);
}

/** A guest that cannot be suspended is held for its backup, and goes on with its disk. */
async function backUp(run: BootRun): Promise<void> {
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${FIRST}`, READY_MS);
  const from = run.lines.length;
  const { code, output } = await rayInside(run, `vm backup ${FIRST} --json`);
  assert.equal(code, 0, output);
  const folder = `/var/rayos/vm/linux/${FIRST}`;
  const manifest = await fileInside(run, `${folder}/backup/1/manifest.json`);
  const { consistent, files } = JSON.parse(new TextDecoder().decode(manifest));
  assert.equal(consistent, "frozen+paused");
  assert.deepEqual(files.map((file: { name: string }) => file.name), [
    "disk-root",
    "tpm-tpm2-00.permall",
  ]);
  assert.deepEqual(statesOf(run, FIRST, from), ["running:paused", "paused:running"]);
  // It counts on its disk: one that is still held would wait there.
  const counts = () => linesInside(run, `${folder}/logs/console.log`, "^count");
  const before = await counts();
  const until = Date.now() + READY_MS;
  while (await counts() < before + 3) assert.ok(Date.now() < until, "it does not count any more");
}

fullTest(
  "a guest's TPM is its own, lasts from start to start, and its end is the guest's",
  async () => {
    await using home = await Home.make();
    const disk = await twoGuests(home);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
      memoryMiB: 2560,
    });
    await showingLines(run, async () => {
      await run.waitFor("RAYOS_READY mode=normal", READY_MS);
      for (const vm of [FIRST, SECOND]) {
        const device = run.lines.findIndex((line) =>
          line.event === "RAYOS_DEVICE:vtpm" && line.fields["vm"] === vm
        );
        const confined = run.lines.findIndex((line) =>
          line.event === "RAYOS_VM_CONFINED" && line.fields["vm"] === vm
        );
        assert.ok(device >= 0 && device < confined, `${vm}: ${device} ${confined}`);
      }
      const first = await kept(run, FIRST, 1);
      const second = await kept(run, SECOND, 1);
      assert.match(first, / made$/u);
      assert.match(second, / made$/u);
      assert.notEqual(first, second);

      // The other's socket and state are out of reach, also for one who is out of the jail, with its uid.
      const as = "/usr/bin/setpriv --reuid 61000 --regid 61000 --clear-groups --no-new-privs";
      for (const place of ["/run/rayos/t/01", `/var/rayos/vm/linux/${SECOND}/tpm`]) {
        assert.match(await seenOnHost(run, `${as} /bin/busybox ls ${place}`), /Permission denied/u);
        assert.notEqual(await seenOnHost(run, `/bin/busybox ls ${place}`), "", "root sees it");
      }

      const { code, output } = await rayInside(run, `vm suspend ${FIRST}`);
      assert.equal(code, 1);
      assert.match(output, /saved\.tpm/u);
      assert.equal(statesOf(run, FIRST).at(-1), "paused:running");

      await backUp(run);

      // The program dies: both jails of each guest are read back, and both guests are left alone.
      const adopted = await killProgram(run);
      for (const vm of [FIRST, SECOND]) {
        assert.deepEqual(statesOf(run, vm, adopted), ["defined:running"]);
      }
      // The TPM of one dies: it is ended by name, and has it again at the start that follows. Meanwhile the
      // other one is stopped, with which its TPM ends, and started.
      const from = run.lines.length;
      const processes = (slot: string) => `/run/rayos/cg/rayos/guests/${slot}/tpm/cgroup.procs`;
      await seenOnHost(run, `read -r one < ${processes("01")}; kill -9 $one`);
      await run.waitFor("fault code=tpm.gone", READY_MS, from);
      await vmCommand(run, "stop", FIRST, "stopped");
      assert.equal(await seenOnHost(run, `/bin/busybox cat ${processes("00")}`), "");
      await vmCommand(run, "start", FIRST, "running");
      assert.equal(await kept(run, FIRST, 2), first.replace("made", "found"));
      assert.equal(await kept(run, SECOND, 2), second.replace("made", "found"));
      assert.deepEqual(statesOf(run, SECOND, from), [
        "running:failed",
        "failed:starting",
        "starting:running",
      ]);
      assert.deepEqual(statesOf(run, FIRST, from), [
        "running:stopping",
        "stopping:stopped",
        "stopped:starting",
        "starting:running",
      ]);

      // One that is stopped is there and says nothing: its guest is ended in the same way.
      const stopped = run.lines.length;
      await seenOnHost(run, `read -r one < ${processes("01")}; kill -STOP $one`);
      await run.waitFor("fault code=tpm.stopped", READY_MS, stopped);
      assert.equal(await kept(run, SECOND, 3), second.replace("made", "found"));
      assert.deepEqual(statesOf(run, SECOND, stopped), [
        "running:failed",
        "failed:starting",
        "starting:running",
      ]);
      assert.deepEqual(statesOf(run, FIRST, stopped), []);

      const boot = await finish(run);
      assert.deepEqual(eventsNamed(boot.lines, "RAYOS_POLICY_VIOLATION"), []);
      assertEndedInOrder(boot);
    });
    assertClean(disk);
    const copies = listDataDisk(disk, `vm/linux/${FIRST}/backup`).map((entry) => entry.path);
    assert.ok(copies.some((path) => path.endsWith("tpm2-00.permall.1")), copies.join(" "));
  },
);
