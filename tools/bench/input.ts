/**
 * `tools/rayos bench input`: what the way from the host's keyboard to a guest costs, each figure beside the
 * bare QMP command on the same QEMU in the same run, in turns: broker, gate and presenter as in the program,
 * a QEMU with the devices that a guest gets, and no guest in it. And what a guest's picture costs.
 */
import { parseArgs } from "node:util";
import { QmpClient } from "../../src/guest/qmp.ts";
import { inputArguments, type Key } from "../../src/guest/input.ts";
import { connect } from "../../src/host/linux_sockets.ts";
import type { Connection } from "../../src/host/port.ts";
import type { VmId } from "../../src/id.ts";
import { subjectOf } from "../../src/plan/launch_plan.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { InputBroker } from "../../src/presentation/broker.ts";
import type { GateOutcome } from "../../src/presentation/gate.ts";
import { type Presentable, Presenter } from "../../src/presentation/presenter.ts";
import { type Change, PICTURE, pictureCost } from "./parts/input_pictures.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";

const HELP = `usage: tools/rayos bench input [--keys N] [--seconds S] [--json FILE]

--keys: keys of each of the five rounds, 2000 unless told.  --seconds: of each picture, 20 unless told.
--json - writes to standard output.`;

/** The most that our way may add to the bare command's 99th percentile, in milliseconds. */
const GOAL_MS = 1;
const ROUNDS = 5;
/** As many as the gate's queue takes with room to spare. */
const AT_ONCE = 128;
const alone = { peer: null, peerValue: null, goal: null } as const;

/** A QEMU with the devices of a presented guest and nothing that runs in it but its firmware. */
async function startQemu(dir: string, name: string) {
  const [ours, bare] = [`${dir}/${name}.sock`, `${dir}/${name}-bare.sock`];
  const monitor = (id: string, path: string) => [
    ...["-chardev", `socket,id=${id},path=${path},server=on,wait=off`],
    ...["-mon", `chardev=${id},mode=control`],
  ];
  const child = new Deno.Command("qemu-system-x86_64", {
    args: [
      ...["-nodefaults", "-no-user-config", "-machine", "q35", "-accel", "tcg", "-m", "64"],
      ...["-display", "none", "-device", "virtio-gpu-pci"],
      ...["-device", "virtio-keyboard-pci", "-device", "virtio-tablet-pci"],
      ...monitor("ours", ours),
      ...monitor("bare", bare),
    ],
    stdin: "null",
  }).spawn();
  const reach = async (path: string): Promise<Connection> => {
    for (let tries = 0;; tries++) {
      try {
        return await connect(path, 1_000);
      } catch (error) {
        if (tries === 100) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  return {
    child,
    monitor: await QmpClient.open(await reach(ours), () => {}),
    bare: await reach(bare),
  };
}

/** The least that speaks QMP: a line out, and the next line in. */
async function bareClient(connection: Connection) {
  const encoder = new TextEncoder();
  const line = async () => {
    for (let last = 0; last !== 10;) last = (await connection.read())?.at(-1) ?? 10;
  };
  const send = async (text: string) => {
    await connection.write(encoder.encode(text));
    await line();
  };
  await line();
  await send('{"execute":"qmp_capabilities"}\n');
  return async (key: Key, down: boolean) => {
    const args = inputArguments({ down, keys: [key] });
    await send(`${JSON.stringify({ execute: "input-send-event", arguments: args })}\n`);
  };
}

const percentile = (values: readonly number[], share: number) =>
  values.toSorted((a, b) => a - b)[Math.ceil(values.length * share) - 1] ?? NaN;

async function inputFigures(keys: number): Promise<Figure[]> {
  const dir = await Deno.makeTempDir({ prefix: "rayos-input-" });
  const started = [await startQemu(dir, "one"), await startQemu(dir, "two")];
  try {
    return await measure(started, keys);
  } finally {
    for (const { child } of started) {
      child.kill("SIGKILL");
      await child.status;
    }
    await Deno.remove(dir, { recursive: true });
  }
}

type Started = Awaited<ReturnType<typeof startQemu>>;

async function measure(started: readonly Started[], keys: number): Promise<Figure[]> {
  const guests = new Map<VmId, Presentable>(started.map(({ monitor }, n) => {
    const sample = samplePlan();
    const plan = samplePlan({
      vm: `guest-${n}` as VmId,
      devices: [...sample.devices, { device: "gpu", model: "virtio" }, { device: "input" }],
    });
    const silent = () => Promise.reject(new Error("QEMU is silent; look at the machine"));
    return [
      plan.vm,
      { plan, subject: subjectOf(plan), state: "running", monitor, endSilent: silent },
    ];
  }));
  const [one, two] = [...guests.keys()];
  const [first] = started;
  if (one === undefined || two === undefined || first === undefined) throw new Error("two guests");
  const presenter = new Presenter({
    emit: () => {},
    guest: (vm) => guests.get(vm),
    show: () => true,
    input: () => true,
  });
  const present = async (vm: VmId) => expectDone(await presenter.ask({ type: "present", vm }));
  let dropped = 0;
  let last: Promise<GateOutcome> = Promise.resolve("done");
  const broker = new InputBroker({
    ask: (turn) => last = presenter.ask(turn),
    attention: () => "ctrl+alt+pause",
    // It is looked at when all is over, and not before.
    clock: {
      monoMs: () => performance.now(),
      sleep: () => new Promise((resolve) => setTimeout(resolve)),
    },
    onDropped: (count) => dropped += count,
  });
  const bare = await bareClient(first.bare);
  await present(one);
  const own = async (key: Key, down: boolean) => {
    broker.take(0, { type: down ? "press" : "release", key });
    expectDone(await last);
  };
  const bareMs: number[] = [];
  const ownMs: number[] = [];
  const bareRate: number[] = [];
  const ownRate: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    bareRate.push(await timeEach(keys, bare, bareMs));
    ownRate.push(await timeEach(keys, own, ownMs));
  }
  // As fast as the queue takes them: what a keyboard with many keys, or a fast mouse, can ask of it.
  const began = performance.now();
  for (let n = 0; n < keys; n++) {
    broker.take(0, { type: n % 2 === 0 ? "press" : "release", key: "key:a" });
    if (n % AT_ONCE === AT_ONCE - 1) await last;
  }
  await last;
  const flood = keys / (performance.now() - began) * 1000;
  if (dropped > 0) throw new Error(`${dropped} were dropped; the machine is too busy to measure`);
  const switches: number[] = [];
  for (let n = 0; n < 200; n++) {
    await own("key:shift", true);
    const from = performance.now();
    // A key is held, so that the old guest is told first that it is up.
    await present(n % 2 === 0 ? two : one);
    switches.push(performance.now() - from);
    broker.take(0, { type: "release", key: "key:shift" });
    await last;
  }
  const added = percentile(ownMs, 0.99) - percentile(bareMs, 0.99);
  return [
    ...([["median", 0.5], ["99th percentile", 0.99]] as const).map(([name, share]): Figure => ({
      name: `a key, to its acknowledgement: ${name}`,
      value: percentile(ownMs, share),
      unit: "ms",
      peer: "bare QMP",
      peerValue: percentile(bareMs, share),
      goal: null,
    })),
    { ...alone, name: "  added at the 99th percentile", value: added, unit: "ms", goal: GOAL_MS },
    {
      name: "keys a second, one after the other",
      value: median(ownRate),
      unit: "/s",
      peer: "bare QMP",
      peerValue: median(bareRate),
      goal: null,
    },
    { ...alone, name: `keys a second, ${AT_ONCE} waiting`, value: flood, unit: "/s" },
    { ...alone, name: "a switch with a key held: median", value: median(switches), unit: "ms" },
    {
      ...alone,
      name: "  99th percentile",
      value: percentile(switches, 0.99),
      unit: "ms",
    },
  ];
}

const CHANGES: readonly (readonly [Change, string])[] = [
  ["all", "all of it changes"],
  ["cursor", "a cursor changes"],
];

/** Pictures of a guest, and what they take of the host's CPU. */
async function pictureFigures(seconds: number): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const [change, words] of CHANGES) {
    const { rate, cpu, mib } = await pictureCost(change, seconds);
    const name = `pictures of ${PICTURE.width}x${PICTURE.height}, ${words}`;
    figures.push(
      { ...alone, name, value: rate, unit: "/s" },
      { ...alone, name: "  of one CPU, the host's program", value: cpu * 100, unit: "%" },
      { ...alone, name: "  each, in the program's time", value: cpu * 1000 / rate, unit: "ms" },
      { ...alone, name: "  from QEMU", value: mib, unit: "MiB/s" },
    );
  }
  return figures;
}

function expectDone(outcome: GateOutcome): void {
  if (outcome !== "done") throw new Error(`the gate says ${outcome}; correct the benchmark`);
}

/** @returns keys a second */
async function timeEach(
  keys: number,
  send: (key: Key, down: boolean) => Promise<void>,
  into: number[],
): Promise<number> {
  const began = performance.now();
  for (let n = 0; n < keys; n++) {
    const from = performance.now();
    await send("key:a", n % 2 === 0);
    into.push(performance.now() - from);
  }
  return keys / (performance.now() - began) * 1000;
}

if (import.meta.main) {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      keys: { type: "string" },
      seconds: { type: "string" },
      json: { type: "string" },
      help: { type: "boolean" },
    },
  });
  const keys = Number(values.keys ?? "2000");
  const seconds = Number(values.seconds ?? "20");
  if (values.help === true || !Number.isInteger(keys) || keys < 100 || !(seconds >= 1)) {
    console.log(HELP);
    Deno.exit(values.help === true ? 0 : 2);
  }
  const figures = [...await inputFigures(keys), ...await pictureFigures(seconds)];
  const json = values.json === undefined ? null : figuresJson(figures);
  if (json !== null && values.json !== "-") await Deno.writeTextFile(values.json ?? "", json);
  console.log(values.json === "-" ? json : figuresTable(figures));
  if (figures.some((figure) => holds(figure) === false)) Deno.exit(1);
}
