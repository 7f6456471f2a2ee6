/**
 * Faults of the RayOS Data disk: each is named, means safe mode with a data root in memory, and leaves
 * the disk's bytes as they were.
 */
import assert from "node:assert/strict";
import { type DiskFiles, makeDataDisk } from "../../tools/boot_data.ts";
import type { OuterDisk } from "../../tools/outer_argv.ts";
import { run as toolRun, sha256 } from "../../tools/build_host.ts";
import {
  assertClean,
  assertEndedInOrder,
  defaultPolicy,
  fieldsOf,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  guestProcessesEver,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const SIZE_MIB = 64;

async function goodFiles(home: Home): Promise<DiskFiles> {
  return { ...guestFiles(GUEST, home), ...await signedPolicy(await defaultPolicy()) };
}

/** Bytes that root could still write on an image (dumpe2fs(8): reserved blocks are among the free). */
function freeBytes(image: string): number {
  const text = toolRun("dumpe2fs", ["-h", image]);
  const number = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)$`, "mu").exec(text)?.[1]);
  return number("Free blocks") * number("Block size");
}

/** A disk with about that much room left, filled by a file at the path. */
async function fullDisk(home: Home, path: string, room: number): Promise<string> {
  const image = `${home.path}/full.img`;
  const files = await goodFiles(home);
  makeDataDisk(image, files, { sizeMiB: SIZE_MIB });
  // mke2fs leaves holes where a file has zeros.
  const fill = new Uint8Array(freeBytes(image) - room).fill(1);
  makeDataDisk(image, { ...files, [path]: fill }, { sizeMiB: SIZE_MIB });
  return image;
}

async function hashesOf(disks: readonly OuterDisk[]): Promise<string[]> {
  return await Promise.all(disks.map(async ({ path }) => sha256(await Deno.readFile(path))));
}

async function assertDataFault(disks: readonly OuterDisk[], code: string): Promise<void> {
  await using run = await startMachine({ disks });
  await showingLines(run, async () => {
    const boot = await finish(run, "RAYOS_READY");
    const mounted = fieldsOf(boot.lines, "RAYOS_DATA_MOUNTED");
    assert.deepEqual([mounted["device"], mounted["why"]], ["tmpfs", code]);
    assert.equal(fieldsOf(boot.lines, `RAYOS_SAFE_MODE:${code}`)["mode"], undefined);
    assert.equal(fieldsOf(boot.lines, "RAYOS_READY")["mode"], "safe");
    assert.equal(guestProcessesEver(boot.lines), 0);
    assert.ok(boot.console.includes(code), "a person at the console sees why");
    assertEndedInOrder(boot);
  });
}

/** As `assertDataFault`, and no byte of any disk was written. */
async function assertUntouched(disks: readonly OuterDisk[], code: string): Promise<void> {
  const before = await hashesOf(disks);
  await assertDataFault(disks, code);
  assert.deepEqual(await hashesOf(disks), before);
}

Deno.test("boot without a data disk is safe mode by data.not_found", async () => {
  await assertDataFault([], "data.not_found");
});

fullTest("boot with two data disks of one label is safe mode by data.ambiguous", async () => {
  await using home = await Home.make();
  const disks = ["a", "b"].map((name) => ({ path: `${home.path}/${name}.img` }));
  const files = await goodFiles(home);
  for (const { path } of disks) makeDataDisk(path, files, { sizeMiB: SIZE_MIB });
  await assertUntouched(disks, "data.ambiguous");
});

/** A disk whose root inode is gone, which `e2fsck -p` leaves to a person. */
async function brokenDisk(home: Home): Promise<string> {
  const path = `${home.path}/broken.img`;
  makeDataDisk(path, await goodFiles(home), { sizeMiB: SIZE_MIB });
  toolRun("debugfs", ["-w", "-R", "clri <2>", path]);
  return path;
}

function assertNeverMounted(path: string): void {
  const mounts = /^Mount count:\s+(\d+)$/mu.exec(toolRun("dumpe2fs", ["-h", path]))?.[1];
  assert.equal(mounts, "0");
}

Deno.test("boot with a disk that cannot be repaired never mounts it", async () => {
  await using home = await Home.make();
  const path = await brokenDisk(home);
  // Not cleanly unmounted, so that the checker looks at all of it.
  toolRun("debugfs", ["-w", "-R", "set_super_value state 0", path]);
  await assertDataFault([{ path }], "data.unrepairable");
  assertNeverMounted(path);
});

fullTest("boot with a disk that says it is clean and cannot be mounted is safe mode", async () => {
  await using home = await Home.make();
  const path = await brokenDisk(home);
  await assertDataFault([{ path }], "data.mount_failed");
  assertNeverMounted(path);
});

fullTest("boot with a read-only disk is safe mode by data.read_only", async () => {
  await using home = await Home.make();
  const path = `${home.path}/read_only.img`;
  makeDataDisk(path, await goodFiles(home), { sizeMiB: SIZE_MIB });
  await assertUntouched([{ path, readonly: true }], "data.read_only");
});

fullTest("boot with a disk that is full of a guest's data is safe mode by data.full", async () => {
  await using home = await Home.make();
  const path = await fullDisk(home, `vm/linux/${GUEST}/backup.img`, 2 * 1024 * 1024);
  await assertDataFault([{ path }], "data.full");
  assertClean(path);
});

for (
  const [whose, log] of [
    ["old logs", "logs/boot/0ld.log"],
    ["a guest's old console", `vm/linux/${GUEST}/logs/console.log.1`],
  ] as const
) {
  fullTest(`boot with a disk that is full of ${whose} removes them and goes on`, async () => {
    await using home = await Home.make();
    const path = await fullDisk(home, log, 2 * 1024 * 1024);
    await using run = await startMachine({ disks: [{ path }] });
    await showingLines(run, async () => {
      const boot = await finish(run, `RAYOS_LINUX_VM_READY vm=${GUEST}`);
      assert.equal(fieldsOf(boot.lines, "retention")["removed"], "1");
      assert.equal(fieldsOf(boot.lines, "RAYOS_READY")["mode"], "normal");
      assertEndedInOrder(boot);
      assertClean(path);
    });
  });
}
