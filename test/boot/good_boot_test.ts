/**
 * The main job, in both forms of the program: a signed policy, a mounted disk, one guest in a jail
 * that was read back and that answered, and an end in order.
 */
import assert from "node:assert/strict";
import { goodBoot, judge } from "../../tools/boot_judge.ts";
import { conduct } from "../../tools/boot_conduct.ts";
import { phaseTimes } from "../../tools/boot_report.ts";
import { PHASES } from "../../src/sequence.ts";
import {
  assertClean,
  assertEndedInOrder,
  assertUnchanged,
  BOOT_LIMIT_S,
  dataDisk,
  defaultPolicy,
  fieldsOf,
  fullTest,
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

/** What a good boot writes besides the host's own folders. */
const WRITTEN = [
  ...HOST_FOLDERS,
  "policy/state.json",
  "vm/registry.json",
  `vm/linux/${GUEST}/rootfs.ext4`,
  `vm/linux/${GUEST}/logs`,
];

/** The launcher lets the guest's own uid read its kernel, so that file's mode may change. */
function withoutModes(tree: ReadonlyMap<string, string>): Map<string, string> {
  return new Map([...tree].map(([path, entry]) => [path, entry.replace(/^file \d+/u, "file")]));
}

for (const form of ["compiled", "bundled"] as const) {
  const test = form === "compiled" ? Deno.test : fullTest;
  test(`boot of the ${form} form starts the guest and ends in order`, async () => {
    await using home = await Home.make();
    const disk = dataDisk(home, {
      ...guestFiles(GUEST, home),
      ...await signedPolicy(await defaultPolicy()),
    });
    const before = await treeOf(home, disk, WRITTEN);
    await using run = await startMachine({ form, disks: [{ path: disk }] });
    await showingLines(run, async () => {
      const expectation = goodBoot([{ id: GUEST, kind: "linux" }]);
      const ending = await conduct(run, { expectation, timeout: BOOT_LIMIT_S });
      const verdict = judge(run.lines, expectation, ending);
      assert.ok(verdict.ok, verdict.summary);
      const { lines, console } = run;
      assertEndedInOrder({ lines, console, ending });
      assert.equal(fieldsOf(lines, "RAYOS_INIT_START")["form"], form);
      assert.equal(run.ignored.malformed, 0, "every line follows the grammar");
      assert.equal(run.ignored.foreign, 0, "nothing else writes to the harness port");
      const names = phaseTimes(lines, run).map(({ name }) => name);
      for (const phase of PHASES) assert.ok(names.includes(phase.name), phase.name);
      assert.equal(lines.filter((line) => line.event === "RAYOS_VM_CONFINED").length, 1);
      assert.ok(guestProcessesEver(lines) >= 1, "the kernel counted the guest's process");
      assert.match(lines.at(-1)?.event ?? "", /^RAYOS_SHUTDOWN:poweroff:power_button$/u);
      const after = await treeOf(home, disk, WRITTEN);
      assertUnchanged(withoutModes(before), withoutModes(after));
      assertClean(disk);
    });
  });
}
