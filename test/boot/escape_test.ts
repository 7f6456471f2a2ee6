/**
 * A hostile program in QEMU's place, in the jail as the launcher builds it, beside a real guest and the
 * real program that supervises it: every row of test/hostile/escape_rows.ts must be stopped. Then the
 * same in jails without walls and with each wall alone: a row gets out exactly where none of its walls
 * stands, so that each wall is known to hold by itself, and each row to be able to fail.
 *
 * QEMU's own `-sandbox` filter is no part of it: QEMU installs it in itself.
 */
import assert from "node:assert/strict";
import type { DiskFiles } from "../../tools/boot_data.ts";
import type { LogLine } from "../../tools/boot_log.ts";
import { buildEscape } from "../hostile/escape_build.ts";
import { answerIn, type Jail, jails, rowsIn } from "../hostile/escape_rows.ts";
import { DISK_BYTES, escapeOverlay, HOSTILE, OTHER } from "./escape_driver.ts";
import {
  dataDisk,
  finish,
  FULL,
  guestFiles,
  Home,
  registryRecord,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const LIMIT_MS = 600_000;

const POLICY = `version = 0
serial = 1

[limits]
cpu_percent = 100

[profiles.runs]
kind = "linux"
enabled = true
autoboot = true
devices = { vtpm = true }

[profiles.runs.limits]
mem_mib = 128

[profiles.runs.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1"

[profiles.waits]
kind = "linux"
enabled = true

[profiles.waits.limits]
mem_mib = 32
`;

async function filesOnDisk(home: Home): Promise<DiskFiles> {
  const other = registryRecord(OTHER, 0, "runs", 128);
  const vms = {
    [OTHER]: { ...other, devices: { ...other.devices, vtpm: true } },
    [HOSTILE]: registryRecord(HOSTILE, 1, "waits", 32),
  };
  return {
    ...await signedPolicy(POLICY),
    ...guestFiles(OTHER, home),
    [`vm/linux/${HOSTILE}/rootfs.ext4`]: new Uint8Array(DISK_BYTES),
    [`vm/linux/${HOSTILE}/vmlinuz`]: new Uint8Array(4096),
    "vm/registry.json": new TextEncoder().encode(JSON.stringify({ version: 0, vms })),
  };
}

type Answers = ReadonlyMap<string, string>;

/** What each row got in each jail; the last word on a row counts, which is the host's. */
function answersOf(console: string, number: number): Answers {
  const lines = console.matchAll(new RegExp(`^escape ${number} (\\S+) (\\S+)\\r?$`, "gmu"));
  const answers = new Map<string, string>();
  for (const [, name = "", answer = ""] of lines) {
    // The call worked, and the host's own name is what it was.
    const own = name === "host_name" && answer === "same";
    if (!own) answers.set(name, answer);
    else if (answers.get(name) === "ok") answers.set(name, "own");
  }
  return answers;
}

/** The rows that got something else than they must. */
function differences(jail: Jail, answers: Answers): string[] {
  return rowsIn(jail).flatMap((row) => {
    const wanted = answerIn(row, jail.walls);
    const got = answers.get(row.name) ?? "no answer";
    return got === wanted ? [] : [`${jail.name}: ${row.name}: expected ${wanted}, got ${got}`];
  });
}

/** What the host said of guests since the attack began. */
const disturbed = (lines: readonly LogLine[]) =>
  lines.filter(({ level, event }) =>
    level === "ERROR" || /^RAYOS_(VM_STATE|POLICY_VIOLATION)/u.test(event)
  ).map(({ text }) => text);

Deno.test("a hostile program in QEMU's place gets out only where its walls are taken away", async (t) => {
  await using home = await Home.make();
  const program = await buildEscape(`${home.path}/escape`);
  // Where time is short: the whole jail, the one without walls, and one in six of those with a single one.
  const all = jails(FULL).filter(({ name }, n) => FULL || !name.startsWith("only ") || n % 6 === 0);
  await using run = await startMachine({
    disks: [{ path: dataDisk(home, await filesOnDisk(home)) }],
    overlay: await escapeOverlay(all, program),
  });
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${OTHER}`);
  const before = run.lines.length;
  await run.typeSerial("go\r");
  await run.waitForConsole(/escape-done/u, LIMIT_MS);
  const during = disturbed(run.lines.slice(before));
  const { console } = await finish(run, "RAYOS_READY");
  await showingLines(run, async () => {
    const failed = [...console.matchAll(/^escape-failed .*$/gmu)].map(([line]) => line);
    assert.deepEqual(failed, []);
    assert.deepEqual(during, [], "the supervisor and the other guest were disturbed");
    const wrong = all.map((jail, number) => differences(jail, answersOf(console, number)));
    const whole = all.filter(({ name }) => name === "whole");
    const tried = whole.flatMap(rowsIn).length;
    await t.step(`whole jail: ${tried} rows, 0 out`, () => {
      assert.deepEqual(wrong.filter((_, number) => all[number]?.name === "whole").flat(), []);
    });
    await t.step(`twins: ${all.length - whole.length} weakened jails`, () => {
      assert.deepEqual(wrong.flat(), []);
    });
  });
});
