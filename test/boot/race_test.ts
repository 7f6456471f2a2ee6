/**
 * Files that are swapped while a guest is started: links, hard links, directories and whole folders in
 * their place, by a process with the guest's uid and by root, as fast as they can. No start may reach a
 * foreign file; the twin whose checks are taken away must.
 *
 * The starts are real ones in the outer machine: only there are a cgroup v2 and a /dev/kvm that the whole
 * launcher can be run with, and an emulated launch lasts a second or two, so that about ten swaps fall
 * between its check and its read-back. The machine has one CPU: each VM that KVM makes and ends patches
 * the scheduler's code (`preempt_notifier_key`), and QEMU 7.2 with two threads of TCG may translate such
 * code just before it is patched and keep the old translation; the CPU that runs it takes one breakpoint
 * exception after the other for ever. A machine of two hung so once in 20 to 150 starts.
 */
import assert from "node:assert/strict";
import { type Slot, uidOf } from "../../src/id.ts";
import { permissionFlags } from "../../src/permissions.ts";
import type { DiskFiles } from "../../tools/boot_data.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { run as toolRun } from "../../tools/build_host.ts";
import { ALONE } from "../../tools/build_program.ts";
import { dataDisk, fullTest, Home, repeats, startMachine } from "./machine.ts";
import {
  FOREIGN_MODE,
  FOREIGN_UID,
  GUARDED,
  GUEST_FILES,
  RACE,
  SECRET,
  TRIED,
  TWIN,
} from "./race_places.ts";
import type { LateResult, RaceResult } from "./race_result.ts";

const HERE = import.meta.dirname ?? ".";
const LAUNCHER = `${HERE}/../../initramfs/skeleton/usr/lib/rayos/jail`;
const INITTAB = "::once:/usr/lib/race/begin\n";
/** Starts that get past the check; each takes a second or two in an emulated machine. */
const LAUNCHES = repeats(1000);
const LIMIT_MS = 600_000 + 6_000 * LAUNCHES;

const SECTOR = 512;

/**
 * The least that QEMU takes for a Linux kernel (Linux, Documentation/arch/x86/boot.rst); it halts, as a
 * guest that runs costs the attacker time.
 */
function kernelFile(): Uint8Array {
  const bytes = new Uint8Array(8 * SECTOR);
  const view = new DataView(bytes.buffer);
  view.setUint8(0x1f1, 1); // setup_sects
  view.setUint16(0x1fe, 0xaa55, true); // boot_flag
  bytes.set([0xeb, 0x66], 0x200); // jmp 0x268
  bytes.set(new TextEncoder().encode("HdrS"), 0x202);
  view.setUint16(0x206, 0x020c, true); // version
  view.setUint8(0x211, 1); // loadflags: LOADED_HIGH
  view.setUint32(0x22c, 0x37ffffff, true); // initrd_addr_max
  bytes.set([0xfa, 0xf4, 0xeb, 0xfc], 0x268); // cli; hlt; jmp 0x268
  return bytes;
}

/** The guest that is attacked, the twin, another guest whose files are foreign, and a host's secret. */
function filesOnDisk(): DiskFiles {
  const files: Record<string, DiskFiles[string]> = { "boot/secret.img": new Uint8Array(4096) };
  for (const vm of [GUARDED[0], TWIN[0], "other"]) {
    for (const name of GUEST_FILES) {
      files[`vm/linux/${vm}/${name}`] = name === "vmlinuz" ? kernelFile() : new Uint8Array(4096);
    }
  }
  return files;
}

/** The launcher without its own look at the files. */
function blindLauncher(text: string): string {
  let blind = text;
  for (const code of ["link", "type", "swapped", "hardlink", "owner", "mount"]) {
    const changed = blind.replaceAll(`|| fault jail.${code} "$path"`, "|| :")
      .replaceAll(`*) fault jail.${code} "$path" ;;`, "*) ;;");
    assert.notEqual(changed, blind, `the launcher has no jail.${code}`);
    blind = changed;
  }
  return blind;
}

/** A script of the test as one file without imports, as the program is made. */
function bundled(name: string): string {
  return toolRun(Deno.execPath(), ["bundle", "--quiet", "--platform=deno", `${HERE}/${name}`]);
}

/** Instead of the program: the data root as the program mounts it, both attackers, and the driver. */
async function overlay(): Promise<Record<string, OverlayFile>> {
  const deno = `/usr/lib/rayos/deno run ${ALONE.join(" ")}`;
  const clean = "/bin/busybox env -i PATH=/usr/bin:/bin TMPDIR=/tmp LANG=C.UTF-8 NO_COLOR=1";
  const launcher = await Deno.readTextFile(LAUNCHER);
  const other = SECRET.replace(/boot\/.*/u, "vm/linux/other");
  const guestUid = uidOf("qemu", Number(GUARDED[1]) as Slot);
  const flags = permissionFlags(true).join(" ");
  return {
    "/etc/inittab": INITTAB,
    "/usr/lib/race/driver.js": bundled("race_driver.ts"),
    "/usr/lib/race/attacker.js": bundled("race_attacker.ts"),
    "/usr/lib/race/begin": `#!/bin/busybox sh
umask 077
bb=/bin/busybox
/usr/lib/rayos/mount data /dev/vda
$bb chmod -R go= /var/rayos
$bb chmod ${FOREIGN_MODE.toString(8)} ${SECRET} ${other}/*
$bb chown -R ${FOREIGN_UID}:${FOREIGN_UID} ${other}/*
$bb mkdir ${RACE}
$bb mkdir -m 0777 /run/race
(cd /; exec /usr/bin/setpriv --reuid ${guestUid} --regid ${guestUid} --clear-groups ${clean} \\
  DENO_DIR=/run/race ${deno} -A /usr/lib/race/attacker.js guest ${GUARDED.join(" ")}) \\
  > ${TRIED} 2>&1 &
guest=$!
(${clean} DENO_DIR=/run/deno-attacker ${deno} -A /usr/lib/race/attacker.js root $guest ||
  echo "race-failed the attacker ended with $?") &
${clean} DENO_DIR=/run/deno ${deno} ${flags} /usr/lib/race/driver.js ${LAUNCHES} ||
  echo "race-failed the driver ended with $?"
`,
    "/usr/lib/rayos/jail": `#!/bin/busybox sh
case $1 in ${Number(TWIN[1])}) exec /usr/lib/rayos/jail.blind "$@" ;; esac
exec /usr/lib/rayos/jail.whole "$@"
`,
    "/usr/lib/rayos/jail.whole": { data: launcher, mode: 0o755 },
    "/usr/lib/rayos/jail.blind": { data: blindLauncher(launcher), mode: 0o755 },
  };
}

async function race(): Promise<RaceResult> {
  await using home = await Home.make();
  await using run = await startMachine({
    form: "bundled",
    disks: [{ path: dataDisk(home, filesOnDisk()) }],
    overlay: await overlay(),
  });
  const said = await run.waitForConsole(/race-(result \{.*\}|failed [^\r\n]+)\r?\n/u, LIMIT_MS);
  assert.match(said, /^race-result/u, run.console.slice(-2000));
  return JSON.parse(said.slice("race-result ".length));
}

/** Whether a guest without any check reached the swapped file. */
const isLost = ({ reached }: LateResult) => reached.length > 0;

// Each step's name is what was counted: that is all of a test's output that a run of all tests shows.
fullTest(
  "no start reaches a foreign file while its files are swapped, and without the checks one does",
  async (t) => {
    const { quiet, tried, guarded, twin, late, blind } = await race();
    const attempts = Object.values(tried);
    const sum = (one: (step: typeof attempts[number]) => number) =>
      attempts.reduce((all, step) => all + one(step), 0);
    await t.step(
      `guest's uid: ${sum((one) => one.tried)} attempts, ${
        sum((one) => one.forbidden)
      } forbidden, ` +
        `${quiet.own} of ${quiet.starts} starts with their own files`,
      () => {
        assert.equal(quiet.own, quiet.starts);
        for (const [step, { tried: count, forbidden }] of Object.entries(tried)) {
          assert.ok(count >= 20, `${step}: tried ${count} times`);
          assert.equal(forbidden, count, step);
        }
      },
    );
    await t.step(
      `root: ${guarded.starts} starts, ${guarded.launched} launches, ${guarded.swapsInWindow} swaps ` +
        `in the window of ${guarded.windowsWithSwap}, ${guarded.foreign.length} foreign, ` +
        `${guarded.altered} altered, ${guarded.own} with their own files`,
      () => {
        assert.equal(guarded.launched, LAUNCHES);
        assert.deepEqual(guarded.foreign, []);
        assert.equal(guarded.altered, 0, "a foreign file was given another owner or mode");
        assert.ok(guarded.own > 0, "no start at all got through");
        assert.ok(guarded.swapsInWindow >= 100, `${guarded.swapsInWindow} swaps inside the window`);
      },
    );
    const why = JSON.stringify(guarded.refused);
    await t.step(
      `refused: ${why}`,
      () => {
        const refused = Object.values(guarded.refused).reduce((all, count) => all + count, 0);
        assert.equal(refused + guarded.own, guarded.starts);
        // A guest has ended only when its cgroup is empty: the next start finds nothing there.
        assert.equal(guarded.refused["jail.running"], undefined);
      },
    );
    await t.step(
      `launcher that looks at nothing: ${late.disk0.named} and ${late.initrd.named} named`,
      () =>
        assert.deepEqual(late, {
          disk0: { named: ["open_files", "file.disk0", "given.disk0"], reached: [] },
          initrd: { named: ["given.initrd"], reached: [] },
        }),
    );
    await t.step(
      `twin without any check: ${Object.values(blind).filter(isLost).length} of 2 lost`,
      () =>
        assert.deepEqual(blind, {
          disk0: { named: [], reached: ["given:disk0", "open"] },
          initrd: { named: [], reached: ["given:initrd"] },
        }),
    );
    if (twin === null) return;
    await t.step(
      `twin by chance: ${twin.launched} launches, ${twin.swapsInWindow} swaps in the window, lost: ` +
        `${twin.foreign.join() || "never"}`,
      () => assert.ok(twin.foreign.length > 0, "the twin won every race"),
    );
  },
);
