/**
 * What `tools/rayos bench audit` measures of a booted host: how much of a CPU the program takes and how long
 * `ray status` takes while a guest floods its console, beside the same while it is quiet; and how long the
 * recovery shell is in coming.
 */
import { askInside, insideOverlay, linesInside, rayInside } from "../../../test/boot/inside.ts";
import {
  dataDisk,
  defaultPolicy,
  GUEST,
  guestFiles,
  Home,
  signedPolicy,
  startMachine,
} from "../../../test/boot/machine.ts";
import type { BootRun } from "../../boot_machine.ts";

export interface FloodRuns {
  /** Share of one CPU that the program takes, 0 to 1 and more. */
  readonly quietShare: number;
  readonly floodShare: number;
  /** Milliseconds of each `ray status` on the machine, its own start included. */
  readonly quiet: readonly number[];
  readonly flooded: readonly number[];
  /** Lines that the guest wrote a second while it was measured. */
  readonly linesPerSecond: number;
}

const LOOKS = 5;
const SHARE_S = 15;
/** More than what is written while it is measured. */
const LINES = 10_000_000;
/** Ticks a second of what the kernel counts CPU time in (proc(5), USER_HZ). */
const TICKS = 100;

/** Seconds that the program ran on a CPU, and the machine's own seconds. */
async function times(run: BootRun): Promise<{ cpu: number; up: number }> {
  const words = "read -r up rest < /proc/uptime; set -- $($bb cat /proc/$(program)/stat); " +
    "shift 13; echo inside times $(($1 + $2)) $up end";
  const said = await askInside(run, `do ${words}`, /inside times \d+ [\d.]+ end/u);
  const [, cpu, up] = /times (\d+) ([\d.]+)/u.exec(said) ?? [];
  return { cpu: Number(cpu) / TICKS, up: Number(up) };
}

async function shareOver(run: BootRun, seconds: number): Promise<number> {
  const before = await times(run);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const after = await times(run);
  return (after.cpu - before.cpu) / (after.up - before.up);
}

async function statuses(run: BootRun): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < LOOKS; n++) {
    const began = performance.now();
    const { code, output } = await rayInside(run, "status");
    if (code !== 0) throw new Error(`bench audit: ray status: ${output}`);
    took.push(performance.now() - began);
  }
  return took;
}

/** How many of its lines are in the guest's log. */
async function logged(run: BootRun): Promise<number> {
  return await linesInside(run, `/var/rayos/vm/linux/${GUEST}/logs/console.log`, "----------");
}

/** Boots the host with one guest that floods. */
export async function floodRuns(): Promise<FloodRuns> {
  await using home = await Home.make();
  const files = { ...guestFiles(GUEST, home), ...await signedPolicy(await defaultPolicy()) };
  await using run = await startMachine({
    disks: [{ path: dataDisk(home, files) }],
    overlay: await insideOverlay(),
  });
  await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);
  const quietShare = await shareOver(run, SHARE_S);
  const quiet = await statuses(run);
  await askInside(run, `attach flood ${GUEST}`, /inside done/u);
  await askInside(run, `type flood flood ${LINES}`, /inside done/u);
  await new Promise((resolve) => setTimeout(resolve, 5_000));
  const [before, began] = [await logged(run), performance.now()];
  const floodShare = await shareOver(run, SHARE_S);
  const linesPerSecond = (await logged(run) - before) / (performance.now() - began) * 1000;
  return { quietShare, floodShare, quiet, flooded: await statuses(run), linesPerSecond };
}

/** Milliseconds from the word that the host is ready to the recovery shell's prompt on the serial console. */
export async function promptRuns(count: number): Promise<number[]> {
  const took: number[] = [];
  for (let n = 0; n < count; n++) {
    await using home = await Home.make();
    const files = { ...guestFiles(GUEST, home), ...await signedPolicy(await defaultPolicy()) };
    await using run = await startMachine({
      disks: [{ path: dataDisk(home, files) }],
      append: "rayos.mode=recovery",
    });
    await run.waitFor("RAYOS_READY mode=recovery");
    const ready = performance.now();
    await run.waitForConsole(/^rayos> /mu);
    took.push(performance.now() - ready);
  }
  return took;
}
