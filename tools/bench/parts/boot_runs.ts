/**
 * Single boots of the boot benchmark, each measured once: the host, and the baseline with or without
 * something before it. Times are milliseconds from the kernel's start; a machine's own clock says when
 * that was. Every machine is ended before its run returns.
 */
import { bootMachine, type BootRun } from "../../boot_machine.ts";
import { monoOf } from "../../boot_log.ts";
import { linesOf } from "../../outer_qmp.ts";
import type { OverlayFile } from "../../boot_overlay.ts";
import { type Image, PROJECT } from "../../boot_prepare.ts";
import { type PhaseTime, phaseTimes } from "../../boot_report.ts";
import { AGENT_PORT } from "./baseline.ts";

/** What one boot took, in milliseconds from the kernel's start. */
export interface BootTimes {
  /** To the guest's QEMU. */
  readonly exec: number;
  /** To the answer of the guest's agent. */
  readonly ready: number;
}

export interface HostTimes extends BootTimes {
  readonly phases: readonly PhaseTime[];
  /** PSS of everything but the guest's RAM, at rest, in MiB; by name of process. */
  readonly memory: ReadonlyMap<string, number>;
}

const LIMIT_MS = 240_000;
/** Everything that the boot has begun has settled by then. */
const REST_MS = 8_000;
const ASK_PAUSE_MS = 100;
const GUEST_RAM_KIB = 256 * 1024;

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Boots a copy of the disk, which the run may write to, and takes the machine away afterwards. */
async function withRun<T>(
  image: Image,
  disk: string,
  overlay: Record<string, OverlayFile>,
  extra: readonly string[],
  measure: (run: BootRun) => Promise<T>,
): Promise<T> {
  const copy = `${disk}.run`;
  await Deno.copyFile(disk, copy);
  try {
    await using run = await bootMachine({ ...image, disks: [{ path: copy }], overlay, extra });
    return await measure(run);
  } finally {
    await Deno.remove(copy);
  }
}

async function askInside(run: BootRun, question: string, answer: RegExp): Promise<string> {
  const from = run.console.length;
  await run.typeSerial(`${question}\r`);
  return await run.waitForConsole(answer, LIMIT_MS, from);
}

async function memoryAtRest(run: BootRun): Promise<Map<string, number>> {
  await pause(REST_MS);
  const text = await askInside(run, `memory ${GUEST_RAM_KIB}`, /[\s\S]*inside memory done/u);
  const memory = new Map<string, number>();
  for (const [, kib, name = ""] of text.matchAll(/inside pss (\d+) (\S+)/gu)) {
    memory.set(name, (memory.get(name) ?? 0) + Number(kib) / 1024);
  }
  return memory;
}

/** Boots the host and measures it. */
export async function hostRun(image: Image, disk: string): Promise<HostTimes> {
  const skeleton = `${PROJECT}/initramfs/skeleton/etc/inittab`;
  const overlay = {
    "/etc/inittab": `${await Deno.readTextFile(skeleton)}::once:/usr/lib/inside\n`,
    "/usr/lib/inside": await Deno.readTextFile(new URL("inside.sh", import.meta.url)),
  };
  return await withRun(image, disk, overlay, [], async (run) => {
    const first = await run.waitFor("RAYOS_INIT_START", LIMIT_MS);
    const ready = await run.waitFor("RAYOS_LINUX_VM_READY", LIMIT_MS);
    const kernelStart = first.at - (monoOf(first) ?? NaN);
    const started = await askInside(run, "started", /inside started \d+\r?\n/u);
    const memory = await memoryAtRest(run);
    await run.powerButton();
    await run.ended;
    return {
      exec: Number(started.trim().split(" ").at(-1)) * 10,
      ready: ready.at - kernelStart,
      phases: phaseTimes(run.lines, { pressedAt: null, endedAt: null }),
      memory,
    };
  });
}

/** Asks an agent until it answers (QEMU guest agent protocol, guest-ping). */
async function untilAgentAnswers(connection: Deno.UnixConn): Promise<void> {
  let answered = false;
  const writer = connection.writable.getWriter();
  const asking = (async () => {
    while (!answered) {
      await writer.write(new TextEncoder().encode('{"execute":"guest-ping"}\n'));
      await pause(ASK_PAUSE_MS);
    }
  })();
  for await (const line of linesOf(connection.readable)) {
    if (line.includes('"return"')) break;
  }
  answered = true;
  await asking;
}

/** Boots the baseline and measures it; cuts its power afterwards, as it has no end in order. */
export async function baselineRun(
  image: Image,
  disk: string,
  overlay: Record<string, OverlayFile>,
): Promise<BootTimes> {
  const directory = await Deno.makeTempDir({ dir: "/tmp", prefix: "rayos-bench-" });
  const path = `${directory}/agent.sock`;
  try {
    using listener = Deno.listen({ transport: "unix", path });
    const extra = [
      ...["-chardev", `socket,id=bench,path=${path},server=off`],
      ...["-device", `virtserialport,chardev=bench,name=${AGENT_PORT}`],
    ];
    return await withRun(image, disk, overlay, extra, async (run) => {
      const connection = await listener.accept();
      const text = await run.waitForConsole(/BASELINE_EXEC [\d.]+\r?\n/u, LIMIT_MS);
      const seen = run.now();
      const exec = Number(text.trim().split(" ")[1]) * 1000;
      await untilAgentAnswers(connection);
      const ready = exec + run.now() - seen;
      await run.cutPower();
      return { exec, ready };
    });
  } finally {
    await Deno.remove(directory, { recursive: true });
  }
}
