/**
 * `tools/rayos bench devices`: what the host's own part costs of what a guest is given, each beside the bare
 * commands in the same run, in turns: a network behind the walls beside a bare passt, shared folders beside a
 * bare virtiofsd, disks beside qemu-img and cp, and the start of a guest of kind windows beside the bare QEMU and swtpm.
 */
import { parseArgs } from "node:util";
import { Home } from "../../test/boot/machine.ts";
import { builtGuest, builtImage, type Image } from "../boot_prepare.ts";
import { diskRuns, IMAGE_MIB } from "./parts/devices_disks.ts";
import { DOWN, networkRuns, UP } from "./parts/devices_network.ts";
import { READ_MIB, shareRuns, WRITE_MIB } from "./parts/devices_shares.ts";
import { windowsStart } from "./parts/devices_windows.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";

type Say = (text: string) => void;
const say: Say = (text) => console.error(text);

/** The most that anything may take of the bare commands' time. */
const GOAL = 1.10;
const MIB = 1024 * 1024;
const alone = { peer: null, peerValue: null, goal: null } as const;

/** A time and the rate that it means, each beside the peer's. */
function timed(name: string, peer: string, mib: number, own: number[], other: number[]): Figure[] {
  const [value, peerValue] = [median(own) / 1000, median(other) / 1000];
  return [
    { name, value, unit: "s", peer, peerValue, goal: GOAL },
    {
      ...alone,
      name: "  which is",
      value: mib / value,
      unit: "MiB/s",
      peer,
      peerValue: mib / peerValue,
    },
  ];
}

async function network(image: Image, home: Home, runs: number): Promise<Figure[]> {
  const { walled, bare, first, last, proved } = await networkRuns(image, home, runs, say);
  return [
    ...timed(
      `${DOWN / MIB} MiB to a guest behind the walls`,
      "bare passt",
      DOWN / MIB,
      walled.down,
      bare.down,
    ),
    ...timed(`${UP / MIB} MiB from it`, "bare passt", UP / MIB, walled.up, bare.up),
    {
      name: "a connection, to the first answer",
      value: median(walled.connect),
      unit: "ms",
      peer: "bare passt",
      peerValue: median(bare.connect),
      goal: GOAL,
    },
    { ...alone, name: "lease given to its first packet", value: median(first), unit: "ms" },
    { ...alone, name: "end asked for to its last packet", value: median(last), unit: "ms" },
    { ...alone, name: "end asked for to the proof of it", value: median(proved), unit: "ms" },
  ];
}

async function disks(image: Image, home: Home, runs: number): Promise<Figure[]> {
  const { imported, converted, backedUp, copied } = await diskRuns(image, home, runs, say);
  const ms = (all: readonly { ms: number }[]) => all.map((one) => one.ms);
  return [
    ...timed(
      `import of ${IMAGE_MIB} MiB`,
      "qemu-img convert",
      IMAGE_MIB,
      ms(imported),
      ms(converted),
    ),
    ...timed(`backup of ${IMAGE_MIB} MiB`, "cp", IMAGE_MIB, ms(backedUp), ms(copied)),
  ];
}

async function shares(image: Image, home: Home, runs: number): Promise<Figure[]> {
  const { walled, bare } = await shareRuns(image, home, runs, say);
  const peer = "bare virtiofsd";
  return [
    ...timed(`${READ_MIB} MiB read of a share`, peer, READ_MIB, walled.read, bare.read),
    ...timed(`${WRITE_MIB} MiB written to one`, peer, WRITE_MIB, walled.write, bare.write),
  ];
}

async function windows(image: Image, home: Home): Promise<Figure[]> {
  const { host, bare } = await windowsStart(image, home, say);
  return [{
    name: "windows kind, start to ready",
    value: host / 1000,
    unit: "s",
    peer: "bare QEMU and swtpm",
    peerValue: bare / 1000,
    goal: GOAL,
  }];
}

/**
 * What is measured, by the name that `--only` takes; each boots a machine of its own. What a guest is given
 * besides gets a row here.
 */
const PARTS: Readonly<
  Record<string, (image: Image, home: Home, runs: number) => Promise<Figure[]>>
> = {
  network,
  shares,
  disks,
  windows,
};

const HELP = `usage: tools/rayos bench devices [--only ${
  Object.keys(PARTS).join("|")
}] [--runs N] [--json FILE]

Shows medians of N runs (default 3); the start of the windows kind is done once, and takes half an hour
where it is emulated in an emulated machine. --only may be given more than once. --json - writes to standard
output.`;

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      only: { type: "string", multiple: true, default: Object.keys(PARTS) },
      runs: { type: "string", default: "3" },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const known = values.only.every((name) => name in PARTS);
  if (values.help || !known || !/^[1-9]\d?$/u.test(values.runs)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const image = await builtImage("compiled", say);
  builtGuest(say);
  const figures: Figure[] = [];
  for (const [name, measure] of Object.entries(PARTS)) {
    if (!values.only.includes(name)) continue;
    await using home = await Home.make();
    const found = await measure(image, home, Number(values.runs));
    say(figuresTable(found));
    figures.push(...found);
  }
  if (values.json === "-") console.log(figuresJson(figures).trimEnd());
  else if (values.json !== undefined) await Deno.writeTextFile(values.json, figuresJson(figures));
  return figures.some((figure) => holds(figure) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
