/**
 * The attacker of the race test, on the machine under test: swaps a guest's files for foreign ones, as
 * root or with the guest's own uid, as fast as it can and also aimed at the moment after the check. It
 * counts what it did, and puts everything back. It is no part of the program.
 */
import * as fs from "node:fs";
import {
  AIMED,
  ALTERED,
  DATA,
  DOING,
  FOREIGN_MODE,
  FOREIGN_UID,
  GUEST_FILES,
  ORDER,
  SECRET,
  SWAPS,
} from "./race_places.ts";

const pause = new Int32Array(new SharedArrayBuffer(4));
/** As many short times as long ones. */
const logRandom = (least: number, most: number) =>
  least * Math.exp(Math.random() * Math.log(most / least));

interface Order {
  readonly who: string;
  readonly vm: string;
  readonly slot: string;
  readonly start: string;
  /** Milliseconds that a launch takes. */
  readonly width: number;
}

function readOrder(): Order {
  const text = fs.existsSync(ORDER) ? fs.readFileSync(ORDER, "utf8") : "";
  const [who = "", vm = "", slot = "", start = "", width = ""] = text.split(" ");
  return { who, vm, slot, start, width: Number(width) };
}

/** Waits that long: spins where a sleep would be too coarse. */
function dwell(ms: number): void {
  const end = performance.now() + ms;
  if (ms > 1) Atomics.wait(pause, 0, 0, ms - 0.5);
  while (performance.now() < end);
}

class Counter {
  #count = 0;
  readonly #fd: number;
  constructor(path: string) {
    this.#fd = fs.openSync(path, "w");
    this.add(0);
  }
  add(one = 1): void {
    this.#count += one;
    const text = new TextEncoder().encode(String(this.#count).padStart(10, "0"));
    fs.writeSync(this.#fd, text, 0, text.length, 0);
  }
}

interface Swap {
  /** Puts the foreign thing in the place of the own one. */
  in(): void;
  /** Puts the own one back. */
  out(): void;
}

function folder(vm: string): string {
  return `${DATA}/vm/linux/${vm}`;
}

/** A file of the guest, its hiding place, and what stands in its place meanwhile. */
function fileSwap(vm: string, name: string, make: (at: string) => void): Swap {
  const own = `${folder(vm)}/${name}`;
  const hidden = `${folder(vm)}/own-${name}`;
  const foreign = `${folder(vm)}/foreign-${name}`;
  return {
    in() {
      make(foreign);
      fs.renameSync(own, hidden);
      fs.renameSync(foreign, own);
    },
    out() {
      if (fs.lstatSync(own).isDirectory()) fs.renameSync(own, foreign);
      fs.renameSync(hidden, own);
      fs.rmSync(foreign, { force: true, recursive: true });
    },
  };
}

/** The whole folder: another guest's in its place, or a link to that. */
function folderSwap(vm: string, byLink: boolean): Swap {
  const own = folder(vm);
  const hidden = folder(`${vm}.hidden`);
  const other = folder("other");
  return {
    in() {
      fs.renameSync(own, hidden);
      if (byLink) fs.symlinkSync(other, own);
      else fs.renameSync(other, own);
    },
    out() {
      if (byLink) fs.unlinkSync(own);
      else fs.renameSync(own, other);
      fs.renameSync(hidden, own);
    },
  };
}

function swapsOf(vm: string): Swap[] {
  const kinds: ((at: string) => void)[] = [
    (at) => fs.symlinkSync(SECRET, at),
    (at) => fs.linkSync(SECRET, at),
    (at) => fs.mkdirSync(at),
  ];
  const [, hardLink = kinds[0]!] = kinds;
  return [
    ...["rootfs.ext4", "initrd.img"].flatMap((name) =>
      // Nothing but its second name tells a hard link, so that it is tried more often.
      [...kinds, hardLink, hardLink].map((make) => fileSwap(vm, name, make))
    ),
    folderSwap(vm, false),
    folderSwap(vm, true),
  ];
}

/** Every foreign file with the owner and mode that it must keep. */
const FOREIGN: readonly (readonly [path: string, uid: number])[] = [
  [SECRET, 0],
  ...GUEST_FILES.map((name) => [`${folder("other")}/${name}`, FOREIGN_UID] as const),
];

function putBackOwners(altered: Counter): void {
  for (const [path, uid] of FOREIGN) {
    const facts = fs.lstatSync(path);
    if (facts.uid === uid && facts.gid === uid && (facts.mode & 0o777) === FOREIGN_MODE) continue;
    altered.add();
    fs.chownSync(path, uid, uid);
    fs.chmodSync(path, FOREIGN_MODE);
  }
}

/** One swap there and back; `count` is called after each way. */
function attackOnce(swap: Swap, order: Order, count: () => void): void {
  const aimed = Number(order.start) % AIMED !== 0;
  let before = logRandom(0.1, order.width / 5);
  let inside = logRandom(0.1, order.width / 20);
  if (aimed) {
    const plan = `/run/rayos/plan/${order.slot}`;
    const written = () => fs.lstatSync(plan, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    const old = written();
    const end = performance.now() + order.width;
    while (written() === old && performance.now() < end) dwell(2);
    before = Math.random() ** 2 * order.width;
    // Or until the start is over.
    inside = Math.random() < 0.5 ? Infinity : Math.random() * (order.width - before);
  }
  dwell(before);
  swap.in();
  count();
  const end = performance.now() + inside;
  if (inside < 10) dwell(inside);
  else while (performance.now() < end && readOrder().start === order.start) dwell(2);
  swap.out();
  count();
}

function attackAsRoot(other: number): void {
  const swaps = new Counter(SWAPS);
  const altered = new Counter(ALTERED);
  let acknowledged = "";
  let alone = false;
  while (true) {
    const order = readOrder();
    if (order.who !== acknowledged) fs.writeFileSync(DOING, acknowledged = order.who);
    if (order.who === "end") return;
    if (order.who !== "root") {
      dwell(5);
      continue;
    }
    if (!alone) Deno.kill(other, "SIGKILL");
    alone = true;
    const kinds = swapsOf(order.vm);
    const swap = kinds[Math.floor(Math.random() * kinds.length)];
    if (swap !== undefined) attackOnce(swap, order, () => swaps.add());
    putBackOwners(altered);
  }
}

/** With the guest's own uid: the steps of the above, and more; says how often each was forbidden. */
function attackAsGuest(vm: string, slot: string): void {
  const own = folder(vm);
  const steps: Record<string, () => void> = {
    "rename of the file": () => fs.renameSync(`${own}/rootfs.ext4`, `${own}/own`),
    "link to a secret": () => fs.symlinkSync(SECRET, `${own}/link`),
    "hard link to a secret": () => fs.linkSync(SECRET, `${own}/hard`),
    "hard link out of the data root": () => fs.linkSync(SECRET, `/run/race/hard`),
    "directory": () => fs.mkdirSync(`${own}/directory`),
    "rename of the folder": () => fs.renameSync(own, `${own}.hidden`),
    "bytes of its own disk": () => fs.readFileSync(`${own}/rootfs.ext4`),
    "the plan": () => fs.writeFileSync(`/run/rayos/plan/${slot}`, ""),
    "a folder beside its sockets": () => fs.mkdirSync("/run/rayos/g/63"),
    "the host's root by way of proc": () => fs.readdirSync("/run/rayos/proc/1/root/"),
  };
  const tried: Record<string, { tried: number; forbidden: number }> = {};
  for (const name of Object.keys(steps)) tried[name] = { tried: 0, forbidden: 0 };
  let told = 0;
  while (true) {
    for (const [name, step] of Object.entries(steps)) {
      tried[name]!.tried++;
      try {
        step();
      } catch (error) {
        const { code = "" } = error as { code?: string };
        if (["EACCES", "EPERM"].includes(code)) tried[name]!.forbidden++;
      }
    }
    dwell(1);
    if (performance.now() - told < 200) continue;
    told = performance.now();
    Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(tried)}\n`));
  }
}

const [who = "root", vm = "", slot = ""] = Deno.args;
if (who === "guest") attackAsGuest(vm, slot);
else attackAsRoot(Number(vm));
