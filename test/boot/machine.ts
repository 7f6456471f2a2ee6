/**
 * What the real boots share: the checkout's images, a data disk made for one test, a boot from start
 * to end, and the data disk looked at from outside. Machines have one CPU, so that two tests can boot
 * side by side on a machine of two.
 */
import assert from "node:assert/strict";
import { conduct } from "../../tools/boot_conduct.ts";
import { type DiskFiles, makeDataDisk, policyFiles, signWith } from "../../tools/boot_data.ts";
import { type Ending, type Expectation, pattern } from "../../tools/boot_judge.ts";
import type { LogLine } from "../../tools/boot_log.ts";
import { bootMachine, BootRun, type MachineOptions } from "../../tools/boot_machine.ts";
import type { Form } from "../../tools/boot_options.ts";
import {
  builtGuest,
  builtImage,
  DEFAULT_POLICY,
  DEVELOPER_KEY,
  GUEST_FILES,
  guestDiskFiles,
  type GuestFiles,
  type Image,
  imageFolder,
  imageIn,
} from "../../tools/boot_prepare.ts";
import { run as toolRun, sha256 } from "../../tools/build_host.ts";
import { BUILT_VARIABLE, COUNT_VARIABLE, FULL_VARIABLE } from "../../tools/test_steps.ts";
import { checkDataDisk } from "../../tools/data_disk.ts";

/** The guest of the default policy. */
export const GUEST = "linux-demo-001";

const quietly = () => {};

/** Whether the images are there and are not to be looked at again, as in a run of all tests. */
function isBuilt(): boolean {
  return Deno.env.get(BUILT_VARIABLE) === "1";
}

/** Whether the large counts are wanted, and what would hold up every other run. */
export const FULL = Deno.env.get(FULL_VARIABLE) === "1";

/** How often something is tried where that is much: the number that the environment names, or the test's own. */
export function repeats(own: number): number {
  return Number(Deno.env.get(COUNT_VARIABLE) ?? own);
}

/** A test that only `tools/rayos test full` runs: a whole run has to stay under 25 minutes. */
export function fullTest(name: string, fn: (t: Deno.TestContext) => Promise<void>): void {
  Deno.test({ name, ignore: !FULL, fn });
}

/** A directory that is removed with everything in it when the test ends. */
export class Home implements AsyncDisposable {
  private constructor(readonly path: string) {}

  static async make(): Promise<Home> {
    return new Home(await Deno.makeTempDir({ prefix: "rayos-test-" }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.path, { recursive: true });
  }
}

/** A record of the registry, for a guest with one raw disk and nothing that a profile does not say. */
export function registryRecord(vm: string, slot: number, profile: string, memoryMiB: number) {
  return {
    vm_id: vm,
    name: vm,
    kind: "linux",
    profile,
    uuid: `5d0a3c6e-0000-4000-8000-0000000000${String(slot).padStart(2, "0")}`,
    slot,
    state: "stopped",
    storage: {
      disks: { root: { path: `vm/linux/${vm}/rootfs.ext4`, format: "raw", bus: "virtio" } },
    },
    devices: { vcpus: 1, memory_mib: memoryMiB, input: false, gpu: "none", vtpm: false },
    boot: null,
    provisioned_at: null,
    saved_state: null,
  };
}

/** The text of the harness's own policy. */
export async function defaultPolicy(): Promise<string> {
  return await Deno.readTextFile(DEFAULT_POLICY);
}

/** A policy as files of the disk, signed with the checkout's developer key. */
export async function signedPolicy(policy: string | Uint8Array): Promise<DiskFiles> {
  const bytes = typeof policy === "string" ? new TextEncoder().encode(policy) : policy;
  return policyFiles(bytes, await signWith(DEVELOPER_KEY, bytes));
}

/** The small test guest as the runner built it; built now where a test is run by itself. */
export function testGuest(): GuestFiles {
  return isBuilt() ? GUEST_FILES : builtGuest(quietly);
}

/** Kernel, initrd and an empty root disk for a Linux guest of that name. */
export function guestFiles(id: string, home: Home, guest = testGuest()): DiskFiles {
  const root = `${home.path}/guest-root.img`;
  makeDataDisk(root, {}, { sizeMiB: 16, label: "GUEST" });
  return guestDiskFiles(id, guest, root);
}

/** The image of that form as the runner built it; built now where a test is run by itself. */
export async function imageOf(form: Form): Promise<Image> {
  return isBuilt() ? await imageIn(imageFolder(form)) : await builtImage(form, quietly);
}

export interface TestMachine extends Partial<MachineOptions> {
  readonly form?: Form;
}

/** Boots an image of this checkout; two machines of this size run side by side. */
export async function startMachine(options: TestMachine): Promise<BootRun> {
  const { form = "compiled", ...machine } = options;
  const image = await imageOf(form);
  const run = await bootMachine({ ...image, memoryMiB: 2048, ...machine });
  if (!FULL) endWhenLate(run);
  return run;
}

/** Seconds after which no usual test has use for its machine any more: the longest one takes half of it. */
const LATEST_S = 480;

/** A test that hangs fails, since its machine is gone, and says what the machine last said; the others are run. */
function endWhenLate(run: BootRun): void {
  const timer = setTimeout(() => {
    console.error(`the machine is ended after ${LATEST_S} s; its last lines:\n${run.tail(25)}`);
    void run.cutPower();
  }, LATEST_S * 1000);
  void run.ended.finally(() => clearTimeout(timer));
}

/** A data disk in the home with these files; gives its path. */
export function dataDisk(home: Home, files: DiskFiles, sizeMiB = 128): string {
  const disk = `${home.path}/data.img`;
  makeDataDisk(disk, files, { sizeMiB });
  return disk;
}

/** Runs assertions about a boot; where one fails, the host's last lines are shown with it. */
export async function showingLines(run: BootRun, body: () => Promise<void>): Promise<void> {
  try {
    await body();
  } catch (error) {
    console.error(`the host's last lines:\n${run.tail(40)}`);
    console.error(`its console's:\n${run.console.slice(-4000)}`);
    throw error;
  }
}

export interface FinishedBoot {
  readonly lines: readonly LogLine[];
  readonly console: string;
  readonly ending: Ending;
}

/** Seconds that one boot may take, with another one beside it. */
export const BOOT_LIMIT_S = 240;

/**
 * Waits for the patterns, presses the power button, and waits for the end; fails the test when the
 * machine does not end by itself, with the last lines.
 */
export async function finish(run: BootRun, ...wanted: string[]): Promise<FinishedBoot> {
  const expectation: Expectation = { expect: wanted.map(pattern), refuse: [] };
  // What a test did before this has its own limits.
  const timeout = BOOT_LIMIT_S + run.now() / 1000;
  const ending = await conduct(run, { expectation, timeout });
  const { lines, console } = run;
  assert.equal(ending.kind, "ended", `it hung; last lines:\n${run.tail(25)}`);
  return { lines, console, ending };
}

/** The EVENTs of the markers with that name, e.g. all violations. */
export function eventsNamed(lines: readonly LogLine[], name: string): string[] {
  return lines.map((line) => line.event).filter((event) => event.split(":")[0] === name);
}

/** The fields of the one line with that event; fails the test where there is not exactly one. */
export function fieldsOf(lines: readonly LogLine[], event: string): LogLine["fields"] {
  const found = lines.filter((line) => line.event === event);
  const [line] = found;
  assert.ok(line !== undefined && found.length === 1, `${found.length} lines ${event}`);
  return line.fields;
}

/** How many QEMU processes the kernel has counted in the guests' cgroup during the whole boot. */
export function guestProcessesEver(lines: readonly LogLine[]): number {
  return Number(fieldsOf(lines, "guests_account")["ever"]);
}

/** Asserts that the host said all it had to, and that its last line is its last. */
export function assertEndedInOrder(boot: FinishedBoot): void {
  assert.match(boot.lines.at(-1)?.event ?? "nothing", /^RAYOS_SHUTDOWN:/u);
}

/** One entry of a file system, in one line. */
async function entryText(path: string, info: Deno.FileInfo): Promise<string> {
  const mode = (info.mode ?? 0).toString(8);
  if (info.isSymlink) return `link ${await Deno.readLink(path)}`;
  if (info.isDirectory) return `directory ${mode}`;
  const time = info.mtime?.getTime() ?? 0;
  return `file ${mode} ${info.nlink} ${time} ${info.size} ${sha256(await Deno.readFile(path))}`;
}

/** Everything on a data disk outside the given folders, as path → kind, mode, time, size, hash. */
export async function treeOf(
  home: Home,
  image: string,
  without: readonly string[],
): Promise<Map<string, string>> {
  const root = `${home.path}/tree`;
  await Deno.mkdir(root);
  try {
    toolRun("debugfs", ["-R", `rdump / ${root}`, image]);
    const tree = new Map<string, string>();
    const walk = async (below: string): Promise<void> => {
      for await (const { name } of Deno.readDir(`${root}/${below}`)) {
        const path = below === "" ? name : `${below}/${name}`;
        if (without.includes(path)) continue;
        const info = await Deno.lstat(`${root}/${path}`);
        tree.set(path, await entryText(`${root}/${path}`, info));
        if (info.isDirectory) await walk(path);
      }
    };
    await walk("");
    return tree;
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Folders that the host may always write. */
export const HOST_FOLDERS = ["logs", "boot", "crash", "lost+found"];

/** Asserts that nothing that was there changed, and that nothing but empty folders came. */
export function assertUnchanged(
  before: ReadonlyMap<string, string>,
  after: ReadonlyMap<string, string>,
): void {
  const changed = [...before].filter(([path, entry]) => after.get(path) !== entry)
    .map(([path]) => path);
  const came = [...after].filter(([path, entry]) =>
    !before.has(path) && !entry.startsWith("directory")
  ).map(([path]) => path);
  assert.deepEqual({ changed, came }, { changed: [], came: [] });
}

/** Asserts that e2fsck(8) finds nothing to mend, and that the file system was unmounted. */
export function assertClean(image: string): void {
  const { clean, words } = checkDataDisk(image);
  assert.ok(clean, words);
  assert.doesNotMatch(words, /recovering journal/u);
}
