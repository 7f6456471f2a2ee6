/**
 * `tools/rayos bench vm`: starting, stopping and saving a guest beside the same QEMU started by hand, in
 * turns on one booted host; what the host takes in memory for none, one and many guests beside systemd
 * with a unit each; and `virsh start` beside the same bare command in a Debian machine of its own.
 */
import { parseArgs } from "node:util";
import { Home } from "../../test/boot/machine.ts";
import { builtImage } from "../boot_prepare.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";
import { type DebianRuns, debianRuns } from "./parts/vm_debian.ts";
import { benchGuests, guestsDisk } from "./parts/vm_guests.ts";
import { type HostRuns, hostRuns } from "./parts/vm_runs.ts";

const HELP = `usage: tools/rayos bench vm [--guests N] [--runs N] [--without-debian] [--json FILE]

Boots the host once, with N guests at most (default 16), and a Debian with systemd and libvirt once, and
shows medians of N runs (default 5). --json - writes to standard output.`;

/** The most that a start may take of the bare QEMU's. */
const GOAL = 1.10;

const say = (text: string) => console.error(text);
const seconds = (values: readonly number[]) => median(values) / 1000;
const alone = { peer: null, peerValue: null, goal: null } as const;

function hostFigures(runs: HostRuns, count: number): Figure[] {
  const of = (key: "ready" | "stop") => ({
    value: seconds(runs.host.map((one) => one[key])),
    unit: "s",
    peer: "bare QEMU",
    peerValue: seconds(runs.bare.map((one) => one[key])),
  });
  const [nobody, one, all] = runs.memory;
  return [
    { ...of("ready"), name: "vm start to ready", goal: GOAL },
    {
      ...alone,
      name: "request to QEMU's process",
      value: median(runs.host.map((life) => life.process)),
      unit: "ms",
    },
    { ...of("stop"), name: "vm stop", goal: null },
    { ...alone, name: "suspend, a 100 MiB", value: seconds(runs.suspend), unit: "s" },
    { ...alone, name: "resume, a 100 MiB", value: seconds(runs.resume), unit: "s" },
    {
      name: "pause or resume while another floods",
      value: median(runs.flooded),
      unit: "ms",
      peer: "while it is quiet",
      peerValue: median(runs.quiet),
      goal: null,
    },
    {
      ...alone,
      name: `taking ${count} guests up after a kill`,
      value: runs.adoption / 1000,
      unit: "s",
    },
    { ...alone, name: "PSS, no guest", value: nobody, unit: "MiB" },
    { ...alone, name: "PSS, 1 guest", value: one, unit: "MiB" },
    { ...alone, name: `PSS, ${count} guests`, value: all, unit: "MiB" },
  ];
}

function withDebian(figures: readonly Figure[], host: HostRuns, debian: DebianRuns): Figure[] {
  const memory = debian.memory.values();
  const beside = figures.map((figure) =>
    figure.name.startsWith("PSS")
      ? { ...figure, peer: "systemd", peerValue: memory.next().value ?? NaN }
      : figure
  );
  const ready = (lives: readonly { readonly ready: number }[]) =>
    median(lives.map((one) => one.ready));
  return [
    ...beside,
    {
      name: "virsh start to ready (Debian)",
      value: seconds(debian.virsh),
      unit: "s",
      peer: "bare QEMU there",
      peerValue: ready(debian.bare) / 1000,
      goal: null,
    },
    {
      name: "vm start, as a multiple of bare",
      value: ready(host.host) / ready(host.bare),
      unit: "",
      peer: "virsh start, of bare",
      peerValue: median(debian.virsh) / ready(debian.bare),
      goal: 1,
    },
    { ...alone, name: "PSS of libvirt's own, no guest", value: debian.libvirt, unit: "MiB" },
  ];
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    args: Deno.args,
    options: {
      guests: { type: "string", default: "16" },
      runs: { type: "string", default: "5" },
      "without-debian": { type: "boolean", default: false },
      json: { type: "string" },
      help: { type: "boolean", default: false },
    },
  });
  const count = Number(values.guests);
  const fits = /^[1-9]\d?$/u.test(values.guests) && count >= 2 && count <= 32;
  if (values.help || !fits || !/^[1-9]\d?$/u.test(values.runs)) {
    console.log(HELP);
    return values.help ? 0 : 2;
  }
  const runs = Number(values.runs);
  await using home = await Home.make();
  const image = await builtImage("compiled", say);
  const guests = await benchGuests(count, home);
  const host = await hostRuns(
    image,
    guestsDisk(`${home.path}/host.img`, guests),
    guests,
    runs,
    say,
  );
  let figures = hostFigures(host, count);
  if (!values["without-debian"]) {
    figures = withDebian(figures, host, await debianRuns(image, guests, home.path, runs, say));
  }
  say(figuresTable(figures));
  if (values.json === "-") console.log(figuresJson(figures).trimEnd());
  else if (values.json !== undefined) await Deno.writeTextFile(values.json, figuresJson(figures));
  return figures.some((figure) => holds(figure) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(await main());
