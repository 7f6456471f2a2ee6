/**
 * Runs one case of `safe_mode_cases.ts`: the machine must name the rule, be ready in safe mode, never
 * have run a guest by the kernel's own account, and leave every file outside its folders as it was.
 */
import assert from "node:assert/strict";
import type { DiskFile } from "../../tools/boot_data.ts";
import {
  assertClean,
  assertEndedInOrder,
  assertUnchanged,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  FULL,
  GUEST,
  guestFiles,
  guestProcessesEver,
  Home,
  HOST_FOLDERS,
  showingLines,
  signedPolicy,
  startMachine,
  treeOf,
} from "./machine.ts";
import type { SafeModeCase } from "./safe_mode_cases.ts";

/** Registers the case as a test. */
export function safeModeTest(one: SafeModeCase): void {
  Deno.test({
    name: `boot with ${one.name} is safe mode by ${one.rule}`,
    ignore: one.full === true && !FULL,
    fn: () => assertSafeMode(one),
  });
}

async function assertSafeMode(one: SafeModeCase): Promise<void> {
  await using home = await Home.make();
  const good = { ...guestFiles(GUEST, home), ...await signedPolicy(await defaultPolicy()) };
  const replaced: Readonly<Record<string, DiskFile | null>> = await one.files?.() ?? {};
  const files: Record<string, DiskFile> = {};
  for (const [path, file] of Object.entries({ ...good, ...replaced })) {
    if (file !== null) files[path] = file;
  }
  const disk = dataDisk(home, files);
  const before = await treeOf(home, disk, HOST_FOLDERS);
  await using run = await startMachine({ disks: [{ path: disk }], append: one.append ?? "" });
  await showingLines(run, async () => {
    const boot = await finish(run, "RAYOS_READY");

    const rules = eventsNamed(boot.lines, "RAYOS_POLICY_VIOLATION").map((event) =>
      event.split(":")[1]
    );
    assert.deepEqual([...new Set(rules)], [one.rule]);
    assert.equal(eventsNamed(boot.lines, "RAYOS_SAFE_MODE").length, 1);
    assert.ok(
      boot.lines.some((line) => line.event === "RAYOS_READY" && line.fields["mode"] === "safe"),
    );
    assert.equal(guestProcessesEver(boot.lines), 0);
    assert.match(boot.console, /safe mode/u, "a person at the console sees why");
    assert.ok(boot.console.includes(one.rule), "and by which rule");
    assertEndedInOrder(boot);
    assertUnchanged(before, await treeOf(home, disk, HOST_FOLDERS));
    assertClean(disk);
  });
}
