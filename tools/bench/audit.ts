/**
 * `tools/rayos bench audit`: what it costs that every decision is a record. Records a second, chained, sealed
 * and brought to the disk, beside pino (https://getpino.io) that writes the same content to a file, in turns;
 * and how fast a log is verified.
 */
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { parseArgs } from "node:util";
import pino from "pino";
import { AuditLog } from "../../src/audit/audit_log.ts";
import { beginChain, link } from "../../src/audit/chain.ts";
import { decodeKeyState } from "../../src/audit/key_state.ts";
import { partsIn } from "../../src/audit/reader.ts";
import type { Content } from "../../src/audit/record.ts";
import { verifyAll } from "../../src/audit/verify.ts";
import * as files from "../../src/host/linux_files.ts";
import type { Host } from "../../src/host/port.ts";
import { floodRuns, promptRuns } from "./parts/audit_flood.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";

const HELP = `usage: tools/rayos bench audit [--dir DIR] [--without-boots] [--json FILE]

Boots the host three times for what a flood of a guest's costs and how soon the recovery shell is there.
--dir is where the files lie meanwhile (the system's folder for temporary files): its disk is measured too.
--json - writes to standard output.`;

const ROUNDS = 5;
/** Records of one round where each is on the disk before the next, and where many go together. */
const SINGLE = 200;
const MANY = 20_000;
/** As many as what happens within 20 ms of a busy host. */
const GROUP = 64;
const alone = { peer: null, peerValue: null, goal: null } as const;

function contents(count: number): Content[] {
  return Array.from({ length: count }, (_, n) => ({
    event: "audit_allow",
    time: "2026-11-24T12:00:00.000Z",
    data: { caller: "socket", op: "vm.start", vm: `guest-${n % 64}`, reason: "asked", n },
  }));
}

/** The files of the real host, and nothing else. */
const host = {
  ...files,
  read: files.readFile,
  append: files.openAppend,
  remove: (file: string) => fs.rmSync(file, { force: true }),
} as unknown as Host;

const now = () => "2026-11-24T12:00:00.000Z";

function openLog(folder: string) {
  fs.mkdirSync(path.join(folder, "audit"));
  const keyFile = path.join(folder, "audit.key");
  const place = {
    folder: path.join(folder, "audit"),
    keyFile,
    hadHistory: false,
    expected: null,
  };
  const { log } = AuditLog.open(host, place, now);
  return { log, place, key: Uint8Array.from(log.unshown ?? []) };
}

/** Work of so many lines in a folder of its own; gives lines a second. */
function perSecond(dir: string, lines: number, work: (folder: string) => () => void): number {
  const folder = fs.mkdtempSync(path.join(dir, "rayos-bench-"));
  try {
    const once = work(folder);
    const began = performance.now();
    once();
    return lines / (performance.now() - began) * 1000;
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

function audited(lines: number, group: number) {
  const all = contents(lines);
  return (folder: string) => {
    const { log } = openLog(folder);
    return () => {
      for (let at = 0; at < all.length; at += group) log.write(all.slice(at, at + group));
      log.close();
    };
  };
}

/** @param fsync each line on the disk before the next */
function peer(lines: number, fsync: boolean) {
  const all = contents(lines);
  return (folder: string) => {
    const dest = path.join(folder, "pino.log");
    const stream = pino.destination({ dest, sync: true, fsync });
    const logger = pino(stream);
    return () => {
      for (const { event, data } of all) logger.info(data, event);
      stream.flushSync();
    };
  };
}

function rates(dir: string): Figure[] {
  const rounds = Array.from({ length: ROUNDS }, () => [
    perSecond(dir, MANY, audited(MANY, GROUP)),
    perSecond(dir, MANY, peer(MANY, false)),
    perSecond(dir, SINGLE, audited(SINGLE, 1)),
    perSecond(dir, SINGLE, peer(SINGLE, true)),
  ]);
  const middle = (column: number) => median(rounds.map((one) => one[column] ?? NaN));
  const unit = "1/s";
  return [
    {
      name: `records, ${GROUP} at once, each group on the disk`,
      value: middle(0),
      unit,
      peer: "pino, left to the kernel",
      peerValue: middle(1),
      goal: null,
    },
    {
      name: "records, each on the disk before the next",
      value: middle(2),
      unit,
      peer: "pino, each fsynced",
      peerValue: middle(3),
      goal: null,
    },
  ];
}

/** Chain and seal alone, without a disk. */
function linking(): Figure {
  const all = contents(MANY);
  const value = median(Array.from({ length: ROUNDS }, () => {
    let chain = beginChain(new Uint8Array(32));
    const began = performance.now();
    for (const content of all) chain = link(chain, content).next;
    return (performance.now() - began) * 1000 / all.length;
  }));
  return { ...alone, name: "one record linked and sealed, no disk", value, unit: "µs" };
}

function verifying(dir: string): Figure[] {
  const folder = fs.mkdtempSync(path.join(dir, "rayos-bench-"));
  try {
    const { log, place, key } = openLog(folder);
    const all = contents(MANY);
    for (let at = 0; at < all.length; at += GROUP) log.write(all.slice(at, at + GROUP));
    log.close();
    const from = { list: files.list, read: files.readFile };
    const bytes = [...partsIn(from, place.folder)].reduce((sum, one) => sum + one.bytes.length, 0);
    const state = decodeKeyState(Uint8Array.from(fs.readFileSync(place.keyFile)));
    const rate = (withKey: boolean) =>
      median(Array.from({ length: ROUNDS }, () => {
        const began = performance.now();
        const anchors = { key: withKey ? key : null, head: null, state };
        const report = verifyAll(partsIn(from, place.folder), anchors);
        if (!report.ok) throw new Error(`verify: ${report.bad?.what}; correct the benchmark`);
        return bytes / 1e6 / (performance.now() - began) * 1000;
      }));
    const size = `${(bytes / 1e6).toFixed(1)} MB`;
    return [
      { ...alone, name: `verify with the key, ${size}`, value: rate(true), unit: "MB/s" },
      { ...alone, name: `verify hashes alone, ${size}`, value: rate(false), unit: "MB/s" },
    ];
  } finally {
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

/** What the lines that are kept for whoever asks for the last ones take. */
function ring(): Figure {
  const script = new URL("parts/audit_ring.ts", import.meta.url).pathname;
  const { stdout } = new Deno.Command(Deno.execPath(), {
    args: ["run", "--quiet", "--no-lock", "--v8-flags=--expose-gc", script],
  }).outputSync();
  const value = Number(new TextDecoder().decode(stdout)) / 1024;
  return { ...alone, name: `memory of the log's ring, full of lines of 120`, value, unit: "KiB" };
}

async function booted(): Promise<Figure[]> {
  const runs = await floodRuns();
  const percent = (share: number) => share * 100;
  return [
    {
      name: "the program's share of a CPU, a guest floods",
      value: percent(runs.floodShare),
      unit: "%",
      peer: "while it is quiet",
      peerValue: percent(runs.quietShare),
      goal: null,
    },
    {
      ...alone,
      name: "  lines of the guest's in its log",
      value: runs.linesPerSecond,
      unit: "1/s",
    },
    {
      name: "ray status, a guest floods",
      value: median(runs.flooded),
      unit: "ms",
      peer: "while it is quiet",
      peerValue: median(runs.quiet),
      goal: null,
    },
    {
      ...alone,
      name: "ready to the recovery shell's prompt",
      value: median(await promptRuns(3)),
      unit: "ms",
    },
  ];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      dir: { type: "string" },
      "without-boots": { type: "boolean" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const dir = values.dir ?? os.tmpdir();
  const figures = [linking(), ...rates(dir), ...verifying(dir), ring()];
  if (!values["without-boots"]) figures.push(...await booted());
  if (values.json === "-") console.log(figuresJson(figures));
  else {
    if (values.json !== undefined) Deno.writeTextFileSync(values.json, figuresJson(figures));
    console.log(figuresTable(figures));
  }
  return figures.some((one) => holds(one) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
