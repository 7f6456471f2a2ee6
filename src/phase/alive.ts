/**
 * That the program is alive, for those who look from outside: the phase it is in, a beat for the loop that
 * feeds the machine's watchdog (`initramfs/skeleton/usr/lib/rayos/watchdog`), and the time by which the
 * host must be ready.
 */

import { HEALTHY_MS, renderStarts } from "../boot/session.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";
import { recordBoot } from "./boot_record.ts";
import { reportNotReady } from "./crash.ts";
import { noteKnown } from "./last_known.ts";
import { STARTS_FILE } from "./session.ts";

/** Changes as long as the program is alive. */
export const BEAT_FILE = `${PATHS.run}/alive`;
/** Milliseconds between two beats; the loop that looks at them waits for several. */
const BEAT_MS = 10_000;

/** The phase after the last one of the boot. */
export const SERVING = "serving";

/** Says where the boot is. */
export function enterPhase(runtime: Runtime, phase: string): void {
  runtime.phase = phase;
  noteKnown(runtime, phase === SERVING);
}

/**
 * Beats until the program ends. A beat says that the event loop goes round and that the program can write;
 * after the boot also that its control socket is there.
 */
export async function beat(runtime: Runtime): Promise<void> {
  const { host, emit } = runtime;
  // Not before the loop has gone round: a program that hangs at its first line has said nothing.
  await host.clock.sleep(0);
  // Counted: two beats are never the same, whatever the clock does.
  for (let n = 0; true; n++) {
    if (!runtime.ready || runtime.ending || runtime.control !== null) {
      try {
        host.put(BEAT_FILE, `${Math.round(host.clock.monoMs())}.${n}\n`);
      } catch (error) {
        const message = `${BEAT_FILE}: ${reasonOf(error)}; the watchdog will end the program`;
        emit({ type: "fault", stage: "session", code: "watchdog.beat", message });
      }
    }
    noteKnown(runtime);
    await host.clock.sleep(BEAT_MS);
  }
}

/**
 * Waits for the boot's time to be over: not ready by then is a failed boot, and no guest is started any
 * more. Resolves only then.
 */
export async function lateForReady(runtime: Runtime): Promise<void> {
  const { host, emit } = runtime;
  const seconds = runtime.cmdline.readyTimeoutS;
  await host.clock.sleep(seconds * 1000);
  if (runtime.ready || runtime.ending) return await new Promise(() => {});
  runtime.failedIn = runtime.phase;
  const text = `the host was not ready ${seconds} s after its program began: ` +
    `the boot is still in phase ${runtime.phase}`;
  const hint = "see what that phase waits for; rayos.ready_timeout gives it more time";
  const message = `boot: ${text}; ${hint}`;
  emit({ type: "fault", stage: "session", code: "boot.not_ready", message });
  runtime.troubles.push({ code: "boot.not_ready", text, hint });
  runtime.enterSafeMode("boot.not_ready");
  reportNotReady(runtime, text);
  recordBoot(runtime, null);
}

/** Once the host was ready for long enough, starts that died before are forgotten. */
export async function watchHealth(runtime: Runtime): Promise<void> {
  const { host, bootId, starts } = runtime;
  await host.clock.sleep(HEALTHY_MS);
  if (runtime.ending) return;
  host.replace(STARTS_FILE, renderStarts(bootId, { ...starts, diedBeforeReady: 0 }, true));
}
