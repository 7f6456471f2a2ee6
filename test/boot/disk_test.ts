/**
 * Disks of a guest on a real machine, worked on by the real qemu-img in its jail: what comes in goes out
 * with the same bytes, a grown disk is taken by its guest, and images that are damaged or refer to other
 * files are refused with nothing left behind and nothing replaced. A guest that runs is backed up and goes
 * on, is restored later, and has a clone that begins where it had ended.
 */
import assert from "node:assert/strict";
import { randomBytes } from "node:crypto";
import { type DiskFiles, makeDataDisk } from "../../tools/boot_data.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { sha256 } from "../../tools/build_host.ts";
import { listDataDisk, readDataDisk } from "../../tools/data_disk.ts";
import { qcow2Of } from "../../tools/qcow2.ts";
import { insideOverlay, linesInside, rayInside, vmCommand } from "./inside.ts";
import { denied } from "./request.ts";
import {
  assertClean,
  assertEndedInOrder,
  finish,
  Home,
  showingLines,
  startMachine,
} from "./machine.ts";
import { assertCountedOn, countsIn, severalGuests, startsIn, tinyNames } from "./several.ts";

const [VM = "", CLONE = ""] = tinyNames(2);
const FOLDER = `vm/linux/${VM}`;
const MIB = 1024 * 1024;

/** Three pieces of noise and nothing between them. */
function sparseImage(): Uint8Array {
  const image = new Uint8Array(6 * MIB);
  for (const at of [0, 2 * MIB + 4096, 6 * MIB - 512]) image.set(randomBytes(512), at);
  return image;
}

/** Images that a person would be wrong to bring, each with the rule that refuses it. */
function badImages(good: Uint8Array): Readonly<Record<string, [DiskFiles[string], string]>> {
  const whole = qcow2Of(good);
  const changed = (change: (view: DataView) => void): Uint8Array => {
    const copy = whole.slice();
    change(new DataView(copy.buffer));
    return copy;
  };
  return {
    // Its L1 table names a cluster far beyond the file.
    "damaged.qcow2": [changed((view) => view.setBigUint64(3 * 65536, 1n << 40n)), "disk.damaged"],
    "backing.qcow2": [changed((view) => view.setBigUint64(8, 512n)), "path.disk_format"],
    "link.img": [{ link: "good.img" }, "path.link"],
  };
}

async function ray(run: BootRun, words: string, wanted: RegExp): Promise<void> {
  const { code, output } = await rayInside(run, words);
  assert.equal(code, 0, `${words}: ${output}`);
  assert.match(output, wanted, words);
}

async function refused(run: BootRun, words: string, rule: string): Promise<void> {
  const { code, output } = await rayInside(run, words);
  assert.equal(code, 1, `${words}: ${output}`);
  assert.ok(output.includes(`denied by ${rule}:`), `${words}: ${output}`);
}

Deno.test("disks come in, go out and grow, and a guest is backed up, restored and cloned", async () => {
  await using home = await Home.make();
  const good = sparseImage();
  const bad = badImages(good);
  const disk = `${home.path}/data.img`;
  const files: DiskFiles = {
    ...await severalGuests([VM], home, { autoboot: false }),
    [`${FOLDER}/inbox/good.img`]: good,
    [`${FOLDER}/inbox/good.qcow2`]: qcow2Of(good),
    ...Object.fromEntries(
      Object.entries(bad).map(([name, [file]]) => [`${FOLDER}/inbox/${name}`, file]),
    ),
  };
  makeDataDisk(disk, files, { sizeMiB: 512 });
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
    memoryMiB: 3072,
  });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal", 120_000);
    await ray(run, `disk import ${VM} good.img --as copy.qcow2`, /copy\.qcow2: qcow2, 6 MiB/);
    await ray(run, `disk export ${VM} copy.qcow2 --as back.img`, /back\.img: raw, 6 MiB/);
    await ray(run, `disk import ${VM} good.qcow2 --as second.img`, /second\.img: raw, 6 MiB/);
    for (const [name, [, rule]] of Object.entries(bad)) {
      await denied(run, "disk.import", { vm: VM, file: name, disk: "bad.img" }, rule);
    }
    // Nothing is replaced, and a person is told so.
    await refused(run, `disk import ${VM} good.img --as copy.qcow2`, "disk.exists");
    await ray(run, `disk resize ${VM} rootfs.ext4 --size 24M`, /rootfs\.ext4: raw, 24 MiB/);
    // Its guest takes the grown disk, and while it runs nobody works on it.
    await vmCommand(run, "start", VM, "running");
    await run.waitFor(`RAYOS_LINUX_VM_READY vm=${VM}`, 240_000);
    const larger = { vm: VM, disk: "rootfs.ext4", bytes: 32 * MIB };
    await denied(run, "disk.resize", larger, "vm.state");
    const counted = () => linesInside(run, `/var/rayos/${FOLDER}/logs/console.log`, "count");
    const countTo = async (number: number) => {
      const end = Date.now() + 240_000;
      while (await counted() < number) {
        assert.ok(Date.now() < end, `it did not count to ${number}`);
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    };
    await countTo(3);
    // It is suspended for its backup, goes on, and counts further than the backup knows.
    await ray(run, `vm backup ${VM}`, /backup 1 in .*; the guest is running/);
    await countTo(await counted() + 3);
    await vmCommand(run, "stop", VM, "stopped");
    await ray(run, `vm clone ${VM} ${CLONE}`, /cloned into slot 1/);
    await ray(run, `vm restore ${VM} 1`, /backup 1 is back.*\n.*backup\/aside\/1/);
    const from = run.lines.length;
    for (const vm of [VM, CLONE]) await vmCommand(run, "start", vm, "running");
    for (const vm of [VM, CLONE]) {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${vm}`, 240_000, from);
    }
    // An agent may answer before its guest has begun to count.
    await countTo(await counted() + 2);
    assertEndedInOrder(await finish(run));
  });
  assertClean(disk);
  const equal = (one: Uint8Array | null, other: Uint8Array) =>
    one !== null && sha256(one) === sha256(other);
  const read = (name: string) => readDataDisk(disk, `${FOLDER}/${name}`);
  for (const name of ["outbox/back.img", "second.img", "inbox/good.img"]) {
    assert.ok(equal(read(name), good), name);
  }
  const left = listDataDisk(disk, FOLDER).filter((one) => one.kind === "file")
    .map((one) => one.path.slice(FOLDER.length + 2)).filter((name) => !name.startsWith("inbox/"));
  assert.ok(!left.some((name) => /disk\.tmp|bad\.img|pending/.test(name)), left.join(" "));

  // The clone began with what the guest had when it was stopped, the guest with what its backup has.
  const counts = (path: string) => countsIn(readDataDisk(disk, path) ?? new Uint8Array(), home);
  const saved = counts(`${FOLDER}/backup/1/disk-root`);
  const stopped = counts(`${FOLDER}/backup/aside/1/disk-root`);
  const begins = (whole: number[], start: number[]) =>
    assert.deepEqual(whole.slice(0, start.length), start);
  assert.ok(saved.length > 0 && stopped.length > saved.length, `${saved} and ${stopped}`);
  assertCountedOn(stopped, VM);
  begins(stopped, saved);
  begins(counts(`vm/linux/${CLONE}/rootfs.ext4`), stopped);
  const starts = startsIn(read("rootfs.ext4") ?? new Uint8Array(), home);
  assert.equal(starts.length, 2, "begun once before its backup, and once anew");
  const [before = []] = starts;
  assert.ok(before.length >= saved.length && before.length < stopped.length, `${before}`);
  begins(stopped, before);
  const { vms } = JSON.parse(
    new TextDecoder().decode(readDataDisk(disk, "vm/registry.json") ?? undefined),
  );
  assert.notEqual(vms[VM].uuid, vms[CLONE].uuid);
});
