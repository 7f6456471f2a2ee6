/**
 * The program on a running machine, in both forms: its permissions, what else runs beside it, and
 * what becomes of the guest when it is killed.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, insideOverlay, processesInside } from "./inside.ts";
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

async function assertPermissions(run: BootRun): Promise<void> {
  const answer = await askInside(run, "permissions", /inside permissions .*\}\s*\n/u);
  const { ok, probes } = JSON.parse(answer.slice(answer.indexOf("{")));
  const allowed = probes.filter((probe: { refused: boolean }) => !probe.refused);
  assert.deepEqual(allowed, []);
  assert.equal(ok, true);
  const kinds = new Set(probes.map((probe: { kind: string }) => probe.kind));
  for (const kind of ["read", "write", "run", "net", "env"]) assert.ok(kinds.has(kind), kind);
}

/** Kernel threads are children of 2. */
const KTHREADD = 2;
/** Beside the program: init, the power button's listener, the watchdog's loop, the guest, and the test's own script. */
const EXPECTED =
  /^(init|busybox|acpid|watchdog|inside|program|deno|bwrap|setpriv|qemu-system-x86.*)$/u;

async function assertNothingElseRuns(run: BootRun): Promise<void> {
  await askInside(run, "orphan", /inside orphan made/u);
  await new Promise((resolve) => setTimeout(resolve, 3000));
  const all = await processesInside(run);
  const own = all.filter((one) => one.pid !== KTHREADD && one.parent !== KTHREADD);
  assert.deepEqual(own.filter((one) => one.state === "Z"), [], "orphans are reaped");
  assert.deepEqual(own.filter((one) => !EXPECTED.test(one.name)), []);
  assert.ok(own.some((one) => one.pid === 1));
}

/** Kills the program and asserts that the next one takes up the guest that runs. */
async function assertAdopted(run: BootRun): Promise<void> {
  const from = run.lines.length;
  await askInside(run, "kill", /inside killed \d+/u);
  const start = await run.waitFor("RAYOS_INIT_START", 60_000, from);
  assert.equal(start.fields["start"], "2");
  const adopted = await run.waitFor(`vm_adopted vm=${GUEST}`, 60_000, from);
  assert.equal(adopted.fields["pid"], fieldsOf(run.lines, "RAYOS_VM_CONFINED")["pid"]);
  await run.waitFor("RAYOS_READY mode=normal", 60_000, from);
  const again = run.lines.slice(from).filter((line) => line.event === "RAYOS_LINUX_VM_READY");
  assert.deepEqual(again, [], "that it is up was told before");
}

for (const form of ["compiled", "bundled"] as const) {
  // The forms differ in how they are started; the one that is shipped is tried each time.
  const test = form === "compiled" ? Deno.test : fullTest;
  test(`the ${form} program is refused what its table does not name, and adopts its guest`, async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, {
      ...guestFiles(GUEST, home),
      ...await signedPolicy(await defaultPolicy()),
    });
    const overlay = await insideOverlay();
    await using run = await startMachine({ form, disks: [{ path: disk }], overlay });
    await showingLines(run, async () => {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);
      await assertPermissions(run);
      await assertNothingElseRuns(run);
      await assertAdopted(run);
      const boot = await finish(run);
      const starts = boot.lines.filter((line) =>
        line.event === "RAYOS_VM_STATE:defined:starting" || line.event === "RAYOS_VM_CONFINED"
      );
      assert.equal(starts.length, 2, "one start and one read-back, not two of either");
      assert.ok(guestProcessesEver(boot.lines) >= 1);
      assertEndedInOrder(boot);
      assertClean(disk);
    });
  });
}

Deno.test("Ctrl-Alt-Del and SysRq at the host's keyboard do nothing", async () => {
  await using home = await Home.make();
  const disk = dataDisk(home, await signedPolicy("version = 0\n"));
  await using run = await startMachine({ disks: [{ path: disk }] });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal");
    for (const keys of [["ctrl", "alt", "delete"], ["alt", "sysrq", "b"], ["alt", "sysrq", "o"]]) {
      await run.qmp("send-key", { keys: keys.map((data) => ({ type: "qcode", data })) });
    }
    await new Promise((resolve) => setTimeout(resolve, 4000));
    assert.equal(run.endedAt, null, "the machine still runs");
    const boot = await finish(run);
    assertEndedInOrder(boot);
    assert.equal(boot.lines.filter((line) => line.event === "RAYOS_INIT_START").length, 1);
  });
});
