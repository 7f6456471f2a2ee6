/**
 * What `tools/rayos bench vm` measures on the booted host: lives of one guest in turns with the same
 * QEMU started by hand, memory saved and loaded, many guests at once, a command while another guest
 * floods, and how long a new program takes to take all guests up.
 */
import type { LogLine } from "../../boot_log.ts";
import { monoOf } from "../../boot_log.ts";
import type { Image } from "../../boot_prepare.ts";
import { PROJECT } from "../../boot_prepare.ts";
import { type BenchGuests, benchOverlay } from "./vm_guests.ts";
import { BenchMachine, type Life, LIMIT_MS } from "./vm_machine.ts";

/** A guest writes and settles after it is up. */
export const SETTLE_MS = 4_000;
const MIB = 1024 * 1024;

export interface HostLife extends Life {
  /** From the request to the process that becomes QEMU. */
  readonly process: number;
}

export interface HostRuns {
  readonly host: readonly HostLife[];
  readonly bare: readonly Life[];
  /** Milliseconds for each 100 MiB of a saved state. */
  readonly suspend: readonly number[];
  readonly resume: readonly number[];
  /** PSS without guests' RAM in MiB: nobody, one, all. */
  readonly memory: readonly [number, number, number];
  /** Milliseconds from the new program's first line to its last guest's. */
  readonly adoption: number;
  /** Milliseconds of a pause or resume of one guest. */
  readonly quiet: readonly number[];
  readonly flooded: readonly number[];
}

const is = (event: RegExp, vm?: string) => (line: LogLine) =>
  event.test(line.event) && (vm === undefined || line.fields["vm"] === vm);

/** Milliseconds of the machine's own clock since its kernel started, for a line after the clock's. */
function monoAt(machine: BenchMachine, line: LogLine): number {
  const sync = machine.run.lines.find(is(/^RAYOS_TIME_SYNC$/u));
  const offset = Date.parse(sync?.ts ?? "") - Number(sync?.fields["mono_ms"]);
  return monoOf(line) ?? Date.parse(line.ts) - offset;
}

/** Asks `ray` for something and gives the host's line of the request and the one that answers it. */
async function request(
  machine: BenchMachine,
  verb: string,
  vm: string,
  done: (line: LogLine) => boolean,
): Promise<{ readonly ms: number; readonly asked: LogLine; readonly done: LogLine }> {
  const { run } = machine;
  const from = run.lines.length;
  const left = machine.ask(`ray vm ${verb} ${vm}`, /inside ray \d+/u);
  const asked = await run.waitFor(
    is(new RegExp(`^RAYOS_HOST_EVENT_V0:vm\\.${verb}:`, "u")),
    LIMIT_MS,
    from,
  );
  const line = await run.waitFor(done, LIMIT_MS, from);
  const code = await left;
  if (!code.endsWith("ray 0")) throw new Error(`bench vm: ray vm ${verb} ${vm}: ${code}`);
  return { ms: line.at - asked.at, asked, done: line };
}

const start = (machine: BenchMachine, vm: string) =>
  request(machine, "start", vm, is(/^RAYOS_LINUX_VM_READY$/u, vm));

async function hostLife(machine: BenchMachine, vm: string): Promise<HostLife> {
  const begun = await start(machine, vm);
  const text = await machine.ask("started 00", /inside started \d+ end/u);
  const process = Number(/\d+/u.exec(text)?.[0]) * 10 - monoAt(machine, begun.asked);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const ended = await request(machine, "stop", vm, is(/^RAYOS_VM_STATE:stopping:stopped$/u, vm));
  return { ready: begun.ms, process, stop: ended.ms };
}

/** Milliseconds a 100 MiB, of the line that says how many bytes took how long. */
function per100MiB({ fields }: LogLine, ms: number): number {
  return ms / (Number(fields["bytes"]) / MIB) * 100;
}

async function saveAndLoad(machine: BenchMachine, vm: string): Promise<[number, number]> {
  const from = machine.run.lines.length;
  const saved = await request(
    machine,
    "suspend",
    vm,
    is(/^RAYOS_VM_STATE:suspending:suspended$/u, vm),
  );
  const size = await machine.run.waitFor(is(/^vm_saved$/u, vm), LIMIT_MS, from);
  const loaded = await request(machine, "start", vm, is(/^RAYOS_VM_STATE:resuming:running$/u, vm));
  return [per100MiB(size, saved.ms), per100MiB(size, loaded.ms)];
}

async function holdings(machine: BenchMachine, vm: string, runs: number): Promise<number[]> {
  const times: number[] = [];
  for (let n = 0; n < runs; n += 1) {
    times.push(
      (await request(machine, "pause", vm, is(/^RAYOS_VM_STATE:running:paused$/u, vm))).ms,
    );
    times.push(
      (await request(machine, "resume", vm, is(/^RAYOS_VM_STATE:paused:running$/u, vm))).ms,
    );
  }
  return times;
}

/** Boots the host once and measures everything on it. */
export async function hostRuns(
  image: Image,
  disk: string,
  guests: BenchGuests,
  runs: number,
  say: (text: string) => void,
): Promise<HostRuns> {
  const inittab = await Deno.readTextFile(`${PROJECT}/initramfs/skeleton/etc/inittab`);
  const overlay = {
    ...await benchOverlay(guests),
    "/etc/inittab": `${inittab}::once:/usr/lib/bench-inside\n`,
  };
  const memoryMiB = 1536 + guests.all.length * 224;
  await using machine = await BenchMachine.start({
    ...image,
    disks: [{ path: disk }],
    overlay,
    memoryMiB,
  });
  const { run } = machine;
  const { one } = guests;
  await run.waitFor("RAYOS_READY mode=normal", LIMIT_MS);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const nobody = await machine.memory();
  const host: HostLife[] = [];
  const bare: Life[] = [];
  for (let n = 1; n <= runs; n += 1) {
    host.push(await hostLife(machine, one));
    bare.push(await machine.bareLife(guests.bare, SETTLE_MS));
    const [ours, theirs] = [host.at(-1), bare.at(-1)];
    say(
      `  life ${n}: host ready ${ours?.ready.toFixed(0)} ms, bare ${theirs?.ready.toFixed(0)} ms`,
    );
  }
  await start(machine, one);
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const single = await machine.memory();
  const suspend: number[] = [];
  const resume: number[] = [];
  for (let n = 1; n <= runs; n += 1) {
    const [out, back] = await saveAndLoad(machine, one);
    suspend.push(out);
    resume.push(back);
    say(`  save ${n}: ${out.toFixed(0)} ms, load ${back.toFixed(0)} ms a 100 MiB`);
  }
  const quiet = await holdings(machine, one, runs);
  const [, other = ""] = guests.all;
  await start(machine, other);
  await machine.ask(`flood ${other}`, /inside flood begins/u);
  const flooded = await holdings(machine, one, runs);
  await request(machine, "kill", other, is(/^RAYOS_VM_STATE:stopping:stopped$/u, other));
  // Each is held once it is up: what is measured is the host's, and the later ones of so many would
  // have no share left of one emulated CPU.
  const hold = (vm: string) =>
    request(machine, "pause", vm, is(/^RAYOS_VM_STATE:running:paused$/u, vm));
  await hold(one);
  for (const vm of guests.all.slice(1)) {
    await start(machine, vm);
    await hold(vm);
    say(`  ${vm} is up`);
  }
  await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
  const all = await machine.memory();
  const from = run.lines.length;
  await machine.ask("kill", /inside killed/u);
  const first = await run.waitFor(is(/^RAYOS_INIT_START$/u), LIMIT_MS, from);
  const ready = await run.waitFor("RAYOS_READY mode=normal", LIMIT_MS, from);
  const adopted = run.lines.slice(from).filter(is(/^vm_adopted$/u)).length;
  if (adopted !== guests.all.length) throw new Error(`bench vm: ${adopted} guests were taken up`);
  return {
    host,
    bare,
    suspend,
    resume,
    memory: [nobody, single, all],
    adoption: ready.at - first.at,
    quiet,
    flooded,
  };
}
