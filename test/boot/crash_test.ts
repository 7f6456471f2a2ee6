/**
 * What ends that should not: the program by a signal, a program that hangs, the kernel by a panic, a machine
 * whose watchdog nobody feeds. Each leaves a report, and the next start or boot says so. The machine has a
 * place where a kernel keeps its last words (ACPI ERST) and a watchdog (i6300esb).
 */
import assert from "node:assert/strict";
import { readReport } from "../../src/audit/crash.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { run as toolRun } from "../../tools/build_host.ts";
import { askInside, fileInside, insideOverlay } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
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

const WATCHDOG = ["-device", "i6300esb", "-action", "watchdog=reset"];

async function quickWatchdog(): Promise<Record<string, OverlayFile>> {
  const overlay = await insideOverlay();
  const inittab = String(overlay["/etc/inittab"]);
  const usual = "/dev/watchdog 60 5";
  assert.ok(inittab.includes(usual));
  // A program that is alive beats every ten seconds.
  return { ...overlay, "/etc/inittab": inittab.replace(usual, "/dev/watchdog 24 3") };
}

/** The machine ends by itself within so many milliseconds. */
async function ended(run: BootRun, ms: number): Promise<void> {
  const end = performance.now() + ms;
  while (run.endedAt === null && performance.now() < end) {
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  assert.notEqual(run.endedAt, null, "the machine restarts");
}

const markerValue = (event: string) => event.slice(event.indexOf(":") + 1);

/** A file of a data disk whose machine has ended. */
function onDisk(disk: string, path: string): string {
  return toolRun("debugfs", ["-R", `cat /${path}`, disk]);
}

Deno.test("a program that is killed or hangs and a kernel that panics are reported", async () => {
  await using home = await Home.make();
  const disk = dataDisk(home, await signedPolicy("version = 0\nserial = 1\n"));
  const erst = `${home.path}/erst`;
  await Deno.writeFile(erst, new Uint8Array());
  const extra = [
    "-object",
    `memory-backend-file,id=erst,mem-path=${erst},size=64k,share=on`,
    "-device",
    "acpi-erst,memdev=erst",
    ...WATCHDOG,
  ];
  const overlay = await quickWatchdog();
  let boot = "", policy = "";
  {
    await using run = await startMachine({ disks: [{ path: disk }], overlay, extra });
    await showingLines(run, async () => {
      boot = (await run.waitFor("RAYOS_INIT_START")).fields["boot"] ?? "";
      policy = markerValue((await run.waitFor(/RAYOS_POLICY_OK:/u)).event);
      await run.waitFor("RAYOS_READY mode=normal");
      // As V8 does where memory is at an end; a SIGSEGV from outside only makes the runtime ignore the first one.
      let from = run.lines.length;
      await askInside(run, "do kill -6 $(program)", /inside done/u);
      await run.waitFor(`RAYOS_CRASH:${boot} cause=died phase=serving`, 60_000, from);
      await run.waitFor("RAYOS_READY mode=normal", 60_000, from);
      const died = readReport(
        new TextDecoder().decode(await fileInside(run, `/var/rayos/crash/${boot}/report.json`)),
      );
      assert.match(died?.last_lines.join("\n") ?? "", /RAYOS_READY mode=normal/);
      from = run.lines.length;
      await askInside(run, "do kill -19 $(program)", /inside done/u);
      await run.waitFor(`RAYOS_CRASH:${boot} cause=hang phase=serving`, 120_000, from);
      await run.waitFor("RAYOS_READY mode=normal", 60_000, from);
      // SysRq is nobody's at the keyboard; root can still have the kernel panic.
      await run.typeSerial("do echo c > /proc/sysrq-trigger\r");
      await ended(run, 120_000);
    });
  }
  await using run = await startMachine({ disks: [{ path: disk }], overlay, extra });
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_CRASH:${boot} cause=panic`);
    const after = await finish(run, "RAYOS_READY mode=normal");
    assertEndedInOrder(after);
    const said = after.lines.map((line) => line.event).filter((one) =>
      one.startsWith("RAYOS_CRASH")
    );
    assert.deepEqual(
      said,
      [`RAYOS_CRASH:${boot}`, `RAYOS_CRASH:${boot}`],
      "earlier, and the panic",
    );
  });
  assertClean(disk);
  const causes = ["report.json", "report-2.json", "report-3.json"].map((name) =>
    readReport(onDisk(disk, `crash/${boot}/${name}`))
  );
  assert.deepEqual(causes.map((one) => one?.cause), ["died", "hang", "panic"]);
  for (const report of causes) {
    assert.equal(report?.policy, policy, `${report?.cause}: the policy that was in force`);
    assert.equal(report?.phase, "serving");
    assert.equal(report?.mode, "normal");
    assert.deepEqual(report?.guests, []);
  }
  assert.deepEqual(causes.map((one) => one?.program.start), [1, 2, 3]);
  assert.notEqual(causes[2]?.kernel, "unknown");
  const panic = causes[2]?.last_lines.join("\n") ?? "";
  assert.match(panic, /sysrq: Trigger a crash/u);
  assert.match(causes[2]?.message ?? "", /Kernel panic - not syncing: sysrq triggered crash/u);
});

fullTest("a machine whose watchdog nobody feeds is restarted by it", async () => {
  await using home = await Home.make();
  const disk = dataDisk(home, await signedPolicy("version = 0\nserial = 1\n"));
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
    extra: WATCHDOG,
  });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal");
    // Fed for longer than it waits, it does nothing.
    await new Promise((resolve) => setTimeout(resolve, 90_000));
    assert.equal(run.endedAt, null);
    await askInside(run, "do $bb killall -19 watchdog", /inside done/u);
    await ended(run, 300_000);
  });
});

fullTest(
  "a boot that is not ready in time starts no guest, says in which phase it was, and is reported",
  async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, {
      ...await signedPolicy(await defaultPolicy()),
      ...guestFiles(GUEST, home),
    }, 256);
    const fsck = new URL("../../initramfs/skeleton/usr/lib/rayos/fsck", import.meta.url);
    await using run = await startMachine({
      disks: [{ path: disk }],
      append: "rayos.ready_timeout=30",
      overlay: {
        "/usr/lib/rayos/fsck.real": { data: await Deno.readTextFile(fsck), mode: 0o755 },
        "/usr/lib/rayos/fsck": {
          data: '#!/bin/busybox sh\n/bin/busybox sleep 40\nexec /usr/lib/rayos/fsck.real "$@"\n',
          mode: 0o755,
        },
      },
    });
    await showingLines(run, async () => {
      const boot = (await run.waitFor("RAYOS_INIT_START")).fields["boot"] ?? "";
      const late = await run.waitFor("fault code=boot.not_ready");
      assert.match(late.fields["message"] ?? "", /still in phase data/u);
      const ended = await finish(run, "RAYOS_READY mode=safe");
      assertEndedInOrder(ended);
      assert.equal(guestProcessesEver(ended.lines), 0);
      const said = fieldsOf(ended.lines, `RAYOS_CRASH:${boot}`);
      assert.deepEqual([said["cause"], said["phase"]], ["not_ready", "data"]);
      assertClean(disk);
      const report = readReport(onDisk(disk, `crash/${boot}/report.json`));
      assert.deepEqual([report?.cause, report?.phase], ["not_ready", "data"]);
    });
  },
);
