/**
 * `tools/rayos bench boot`: how long the host takes to bring its guest up, beside a hand-written shell
 * script in the same image and that script with one bare Deno before it; what it takes in memory and
 * on disk; and how long the whole harness run takes. One run gives both sides of every ratio.
 */
import { parseArgs } from "node:util";
import { makeDataDisk, policyFiles, signWith } from "../boot_data.ts";
import {
  builtGuest,
  builtImage,
  DEFAULT_POLICY,
  DEVELOPER_KEY,
  guestDiskFiles,
  type Image,
  PROJECT,
} from "../boot_prepare.ts";
import { phaseTable } from "../boot_report.ts";
import { baselineOverlay } from "./parts/baseline.ts";
import { baselineRun, type BootTimes, hostRun, type HostTimes } from "./parts/boot_runs.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";

const HELP = `usage: tools/rayos bench boot [--runs N] [--json FILE]

Boots host, baseline, and baseline with a bare Deno in turns, N times each (default 3), and shows
the medians. --json - writes to standard output.`;

const GUEST = "linux-demo-001";
const HELLO = "/etc/baseline/hello.js";
/** Goals of the first landing; a later one may only lower them. */
const GOAL = { ratio: 1.6, imageMB: 90, memoryMiB: 80, wholeRunS: 60 } as const;

const say = (text: string) => console.error(text);

async function makeDisk(directory: string): Promise<string> {
  const disk = `${directory}/data.img`;
  const root = `${directory}/guest-root.img`;
  makeDataDisk(root, {}, { sizeMiB: 16, label: "GUEST" });
  const policy = await Deno.readFile(DEFAULT_POLICY);
  makeDataDisk(disk, {
    ...guestDiskFiles(GUEST, builtGuest(say), root),
    ...policyFiles(policy, await signWith(DEVELOPER_KEY, policy)),
  });
  return disk;
}

interface Measured {
  readonly host: readonly HostTimes[];
  readonly baseline: readonly BootTimes[];
  readonly hello: readonly BootTimes[];
}

/** The three kinds of boot in turns, so that a slow minute of this machine hits all of them. */
async function measure(compiled: Image, bundled: Image, runs: number): Promise<Measured> {
  const directory = await Deno.makeTempDir({ prefix: "rayos-bench-" });
  const all = { host: [], baseline: [], hello: [] } as {
    host: HostTimes[];
    baseline: BootTimes[];
    hello: BootTimes[];
  };
  try {
    const disk = await makeDisk(directory);
    const shell = await baselineOverlay();
    const withDeno = {
      ...await baselineOverlay(`/usr/lib/rayos/deno run --no-config --quiet ${HELLO} < /dev/null`),
      [HELLO]: 'console.log("hello");\n',
    };
    const shown = (name: string, { exec, ready }: BootTimes) =>
      say(
        `  ${name.padEnd(10)} exec ${(exec / 1000).toFixed(2)} s, ready ${
          (ready / 1000).toFixed(2)
        } s`,
      );
    for (let n = 1; n <= runs; n += 1) {
      say(`run ${n} of ${runs}`);
      const host = await hostRun(compiled, disk);
      shown("host", host);
      const baseline = await baselineRun(compiled, disk, shell);
      shown("baseline", baseline);
      const hello = await baselineRun(bundled, disk, withDeno);
      shown("with Deno", hello);
      all.host.push(host);
      all.baseline.push(baseline);
      all.hello.push(hello);
    }
    return all;
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}

/** Seconds of a whole `tools/rayos boot` with nothing left to build. */
async function wholeRun(): Promise<number> {
  say("a whole tools/rayos boot");
  const began = performance.now();
  const { success, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-P=tools", "--quiet", `${PROJECT}/tools/boot.ts`],
    cwd: PROJECT,
    stdin: "null",
  }).output();
  if (!success) {
    const said = [stdout, stderr].map((bytes) => new TextDecoder().decode(bytes)).join("");
    throw new Error(`tools/rayos boot: it failed; its last words:\n${said.slice(-2000)}`);
  }
  return (performance.now() - began) / 1000;
}

function timeFigures({ host, baseline, hello }: Measured): Figure[] {
  return (["exec", "ready"] as const).flatMap((end): Figure[] => {
    const of = (runs: readonly BootTimes[]) => median(runs.map((run) => run[end])) / 1000;
    const what = end === "exec"
      ? "kernel start to the guest's QEMU"
      : "kernel start to guest ready";
    const base = { unit: "s", peer: "shell script", peerValue: of(baseline) };
    return [
      { ...base, name: what, value: of(host), goal: GOAL.ratio },
      { ...base, name: `${what}, script with a bare Deno`, value: of(hello), goal: null },
      {
        name: `${what}, against script with a bare Deno`,
        value: of(host),
        unit: "s",
        peer: "shell script + Deno",
        peerValue: of(hello),
        goal: null,
      },
    ];
  });
}

const alone = { peer: null, peerValue: null } as const;

function memoryOf(run: HostTimes): number {
  return [...run.memory.values()].reduce((sum, mib) => sum + mib, 0);
}

function middleRun(runs: readonly HostTimes[]): HostTimes {
  const sorted = runs.toSorted((a, b) => a.exec - b.exec);
  const middle = sorted[Math.floor((sorted.length - 1) / 2)];
  if (middle === undefined) throw new RangeError("runs: none; give --runs 1 or more");
  return middle;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      runs: { type: "string", default: "3" },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  if (values.help || !/^[1-9]\d?$/u.test(values.runs)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const compiled = await builtImage("compiled", say);
  const measured = await measure(compiled, await builtImage("bundled", say), Number(values.runs));
  const { size } = await Deno.stat(compiled.initramfs);
  const figures: Figure[] = [
    ...timeFigures(measured),
    {
      ...alone,
      name: "PSS at rest without guest RAM",
      value: median(measured.host.map(memoryOf)),
      unit: "MiB",
      goal: GOAL.memoryMiB,
    },
    { ...alone, name: "initramfs", value: size / 1e6, unit: "MB", goal: GOAL.imageMB },
    {
      ...alone,
      name: "whole tools/rayos boot, second time",
      value: await wholeRun(),
      unit: "s",
      goal: GOAL.wholeRunS,
    },
  ];
  const middle = middleRun(measured.host);
  say(`\nwhere the host's time goes (the run in the middle)\n${phaseTable(middle.phases)}`);
  const memory = [...middle.memory].toSorted(([, a], [, b]) => b - a)
    .map(([name, mib]) => `  ${name.padEnd(20)}${mib.toFixed(1).padStart(8)} MiB`).join("\n");
  say(`\nwhere its memory is\n${memory}\n`);
  say(figuresTable(figures));
  if (values.json === "-") console.log(figuresJson(figures).trimEnd());
  else if (values.json !== undefined) await Deno.writeTextFile(values.json, figuresJson(figures));
  return figures.some((figure) => holds(figure) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
