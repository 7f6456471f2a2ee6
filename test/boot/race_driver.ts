/**
 * Starts one guest again and again on the machine under test, with the program's own code and its own
 * permissions, while the attacker swaps the guest's files. Looks by itself at what QEMU was given in
 * each start that the read-back let pass, and prints one line of JSON. It is no part of the program.
 */
import type { DataPath } from "../../src/data_path.ts";
import type { HostEvent } from "../../src/event.ts";
import { linuxHost } from "../../src/host/linux_host.ts";
import type { Connection, FileFacts, Host } from "../../src/host/port.ts";
import { type Slot, uidOf, type VmId } from "../../src/id.ts";
import { guestCgroup, PATHS } from "../../src/permissions.ts";
import type { LaunchPlan } from "../../src/plan/launch_plan.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { type Allowed, authorize, type GuestView } from "../../src/policy/authorize.ts";
import { resolvePolicy } from "../../src/policy/resolve.ts";
import { policySchema } from "../../src/policy/schema.ts";
import { killGuest } from "../../src/supervisor/ending.ts";
import { Guest } from "../../src/supervisor/guest.ts";
import type { LateResult, PhaseResult, RaceResult } from "./race_result.ts";
import {
  AIMED,
  ALTERED,
  DATA,
  DOING,
  GUARDED,
  ORDER,
  SECRET,
  SWAPS,
  TRIED,
  TWIN,
} from "./race_places.ts";
import { QUIET as NOBODY } from "../quiet_surroundings.ts";

const FILES = { disk0: "rootfs.ext4", kernel: "vmlinuz", initrd: "initrd.img" } as const;
const MIB = 1024 * 1024;
const real = linuxHost();

function planOf([vm, slot]: readonly [string, string]): LaunchPlan {
  const at = (name: keyof typeof FILES) => `vm/linux/${vm}/${FILES[name]}` as DataPath;
  return samplePlan({
    vm: vm as VmId,
    slot: Number(slot) as Slot,
    uid: uidOf("qemu", Number(slot) as Slot),
    memoryMiB: 32,
    kernelCmdline: "quiet",
    files: [
      { access: "rw", path: at("disk0"), name: "disk0" },
      { access: "ro", path: at("kernel"), name: "kernel" },
      { access: "ro", path: at("initrd"), name: "initrd" },
    ],
    devices: [
      { device: "serial-bus" },
      { device: "console" },
      { device: "disk", file: "disk0", format: "raw" },
    ],
    limits: {
      cpuMaxUs: 125_000,
      memoryMaxBytes: 224 * MIB,
      pidsMax: 64,
      ioMaxBytesS: null,
      consoleKibS: 64,
    },
  });
}

function permitFor(plan: LaunchPlan): Allowed<"vm.start"> {
  const profile = { kind: "linux", enabled: true, autoboot: true };
  const policy = resolvePolicy(
    policySchema.parse({ version: 0, profiles: { [plan.vm]: profile } }),
  );
  const view: GuestView = {
    kind: "linux",
    profile: plan.vm,
    state: "stopped",
    memoryMiB: plan.memoryMiB,
    violations: [],
  };
  const decision = authorize(
    policy,
    {
      mode: "normal",
      virtualization: "kvm",
      memoryMiB: 2048,
      guests: new Map([[plan.vm, view]]),
    },
    "policy",
    { op: "vm.start", vm: plan.vm },
  );
  if (!decision.allow) throw new Error(`start of ${plan.vm}: ${decision.rule} ${decision.detail}`);
  return decision.permit;
}

type Own = Readonly<Record<string, FileFacts>>;

/** The guest's own files, seen while nobody swaps them. */
function ownFiles(plan: LaunchPlan): Own {
  return Object.fromEntries(plan.files.map((file) => {
    const facts = real.lstat(`${DATA}/${file.path}`);
    if (facts === null) throw new Error(`${file.path}: missing at rest`);
    return [file.name, facts];
  }));
}

const same = (one: { device: number; inode: number }, other: FileFacts | null | undefined) =>
  other != null && one.device === other.device && one.inode === other.inode;

/** What is in the jail under the plan's names, and open in QEMU, that is not the guest's own. */
function foreignIn(plan: LaunchPlan, own: Own): string[] {
  const [pid = 0] = real.processesOf(plan.slot);
  const foreign = plan.files.filter((file) => {
    const seen = real.lstat(`${PATHS.proc}/${pid}/root/g/${file.name}`);
    return seen === null || !same(seen, own[file.name]);
  }).map((file) => `given:${file.name}`);
  const device = own["disk0"]?.device;
  const open = (real.processFacts(pid)?.files ?? []).filter((file) => file.device === device);
  for (const file of open) if (!same(file, own["disk0"])) foreign.push("open");
  if (open.length === 0) foreign.push("open:none");
  return foreign;
}

/** The host without the comparison of files: each file of the jail is said to be the guest's own. */
function blindHost(own: Own): Host {
  const disk = own["disk0"];
  return {
    ...real,
    lstat(path) {
      const name = /^\/run\/rayos\/proc\/\d+\/root\/g\/(\w+)$/.exec(path)?.[1];
      return name === undefined ? real.lstat(path) : own[name] ?? null;
    },
    processFacts(pid) {
      const facts = real.processFacts(pid);
      if (facts === null || disk === undefined) return facts;
      const files = facts.files.map((file) =>
        file.device === disk.device ? { ...file, inode: disk.inode } : file
      );
      return { ...facts, files };
    },
  };
}

const countIn = (path: string) => Number(real.readText(path, 64) ?? "0");

const PATIENCE_MS = 60_000;
/** Milliseconds that a launch is first believed to take, and is at most. */
const FIRST_WIDTH_MS = 1500;
const WIDEST_MS = 4000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const end = real.clock.monoMs() + PATIENCE_MS;
  while (!holds()) {
    if (real.clock.monoMs() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await real.clock.sleep(2);
  }
}

/** Whether the kernel still counts something in the slot's cgroup (cgroup-v2.rst, cgroup.events). */
function isPopulated(slot: Slot): boolean {
  return /^populated 1$/mu.test(real.readText(`${guestCgroup(slot)}/cgroup.events`, 4096) ?? "");
}

/** Kills the guest and waits for its end. */
async function end(guest: Guest): Promise<void> {
  const { slot } = guest.plan;
  await killGuest(real, slot, PATIENCE_MS);
  if (isPopulated(slot)) throw new Error(`slot ${slot}: its cgroup outlived the guest's end`);
  await until("the guest's end was noticed", () => guest.state !== "running");
}

/** Nobody reads what a guest says, and whoever was killed is not begun again. */
const ALONE = {
  ...NOBODY,
  takeConsole: (_: LaunchPlan, connection: Connection) => connection.close(),
};

/** Waits until the attacker is at it; within a phase it need not. */
async function order(text: string): Promise<void> {
  real.replace(ORDER, text);
  const [who] = text.split(" ");
  await until(`the attacker is at ${who}`, () => real.readText(DOING, 64) === who);
}

/** What one start did, told by its events; the window is open from the check to the read-back. */
class StartWatch {
  #opened: number | null = null;
  #closed: number | null = null;
  /** What was reached that is not the guest's own, where the read-back let it pass. */
  found: string[] | null = null;
  /** The first rule or fault that ended it otherwise. */
  why = "fault:none";

  constructor(readonly plan: LaunchPlan, readonly own: Own) {}

  readonly emit = (event: HostEvent): void => {
    // The first thing said after the check of files.
    if (event.type === "device") this.#opened ??= countIn(SWAPS);
    if (event.type === "vm_confined") {
      this.#closed ??= countIn(SWAPS);
      this.found = foreignIn(this.plan, this.own);
    }
    if (event.type === "violation" || event.type === "fault") {
      if (this.#closed === null) this.why = nameOf(event);
      this.#closed ??= countIn(SWAPS);
    }
  };

  /** Swaps in the window; null where the check let nothing pass. */
  get swapsInWindow(): number | null {
    return this.#opened === null ? null : (this.#closed ?? countIn(SWAPS)) - this.#opened;
  }
}

function nameOf(event: HostEvent & { type: "violation" | "fault" }): string {
  if (event.type === "fault") return `fault:${event.code}`;
  const { rule, path } = event.issue;
  return rule === "vm.confinement" ? `${rule}:${path}` : rule;
}

interface PhaseOptions {
  readonly place: readonly [vm: string, slot: string];
  /** Whether root attacks. */
  readonly attacked: boolean;
  /** Starts past the check of files. */
  readonly launches: number;
  /** Without the read-back's comparison of files, and only until one start has lost. */
  readonly blind: boolean;
}

/** Starts until so many have passed the check, or a blind one has reached what it should not. */
async function phase({ place, attacked, launches, blind }: PhaseOptions): Promise<PhaseResult> {
  const plan = planOf(place);
  await order("rest");
  const own = ownFiles(plan);
  const host = blind ? blindHost(own) : real;
  const permit = permitFor(plan);
  const alteredBefore = countIn(ALTERED);
  const foreign: string[] = [];
  const refused: Record<string, number> = {};
  const counts = { starts: 0, launched: 0, own: 0, swapsInWindow: 0, windowsWithSwap: 0 };
  let width = FIRST_WIDTH_MS;
  while (counts.launched < launches && counts.starts < launches * 20) {
    counts.starts++;
    if (attacked) {
      // A blind start is always attacked at the worst moment (see the attacker), before QEMU runs.
      const number = blind ? counts.starts * AIMED + 1 : counts.starts;
      const span = Math.round(blind ? width * 0.3 : width);
      const text = `root ${place.join(" ")} ${number} ${span}`;
      if (counts.starts === 1) await order(text);
      else real.replace(ORDER, text);
    }
    const begin = performance.now();
    const watch = new StartWatch(plan, own);
    const guest = new Guest(plan, { ...ALONE, host, emit: watch.emit });
    await guest.start(permit);
    await end(guest);
    const { swapsInWindow, found, why } = watch;
    if (swapsInWindow === null) {
      // The attacker is at it for a while: an ordinary host would not ask again at once.
      await real.clock.sleep(100);
    } else {
      counts.launched++;
      counts.swapsInWindow += swapsInWindow;
      if (swapsInWindow > 0) counts.windowsWithSwap++;
      if (found !== null) width = Math.min(WIDEST_MS, performance.now() - begin);
    }
    const came = found === null ? why : found.join(" ") || "own";
    real.console(`race ${plan.vm} ${counts.starts}: ${came}, ${swapsInWindow ?? 0} swaps\n`);
    if (found === null) refused[why] = (refused[why] ?? 0) + 1;
    else if (found.length === 0) counts.own++;
    else foreign.push(`start ${counts.starts}: ${found.join(" ")}`);
    if (blind && foreign.length > 0) break;
  }
  await order("rest");
  return { ...counts, foreign, refused, altered: countIn(ALTERED) - alteredBefore };
}

/**
 * One start of the twin, whose launcher looks at nothing, with a foreign file put in the place of one of
 * its own at the worst moment, right after the check, and left there.
 *
 * @returns what the read-back named, and what was reached where it named nothing
 */
async function lateSwap(name: "disk0" | "initrd", blind: boolean): Promise<LateResult> {
  const plan = planOf(TWIN);
  const own = ownFiles(plan);
  const at = `${DATA}/vm/linux/${TWIN[0]}/${FILES[name]}`;
  const host: Host = {
    ...(blind ? blindHost(own) : real),
    launch(...call) {
      Deno.renameSync(at, `${at}.own`);
      Deno.linkSync(SECRET, at);
      return real.launch(...call);
    },
  };
  let reached: string[] = [];
  const emit = (event: HostEvent) => {
    if (event.type === "vm_confined") reached = foreignIn(plan, own);
  };
  const guest = new Guest(plan, { ...ALONE, host, emit });
  await guest.start(permitFor(plan));
  await end(guest);
  Deno.renameSync(`${at}.own`, at);
  return { named: guest.violations.map(({ path }) => path ?? ""), reached };
}

const launches = Number(Deno.args[0]);
const QUIET = 2;
const MANY = 200;
const TWIN_LAUNCHES = 100;
try {
  const quiet = await phase({ place: GUARDED, attacked: false, launches: QUIET, blind: false });
  const tried = real.readText(TRIED, 4 * MIB)?.trimEnd().split("\n").at(-1) ?? "{}";
  const guarded = await phase({ place: GUARDED, attacked: true, launches, blind: false });
  // By chance alone the twin may need many starts to lose; at the worst moment it needs one.
  const twin = launches < MANY
    ? null
    : await phase({ place: TWIN, attacked: true, launches: TWIN_LAUNCHES, blind: true });
  await order("rest");
  const late = { disk0: await lateSwap("disk0", false), initrd: await lateSwap("initrd", false) };
  const blind = { disk0: await lateSwap("disk0", true), initrd: await lateSwap("initrd", true) };
  await order("end");
  const result: RaceResult = { quiet, tried: JSON.parse(tried), guarded, twin, late, blind };
  real.console(`race-result ${JSON.stringify(result)}\n`);
} catch (error) {
  real.console(`race-failed ${error instanceof Error ? error.stack : error}\n`);
}
