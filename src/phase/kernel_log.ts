/**
 * What the kernel says after stage 0 goes to the host's log, as component `kernel`, and not to the console.
 * Each message once, over restarts of the program too. It is read as long as the host runs and decides
 * nothing; how many lines it may have is the log's matter.
 */

import { parseKernelMessage } from "../boot/kmsg.ts";
import { reasonOf } from "../fault.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";

/** Made by stage 0, readable by root alone. */
const DEVICE = `${PATHS.run}/kmsg`;
/** The number of the last message that was taken. */
const SEEN = `${PATHS.run}/kmsg.seen`;
/** Messages that came faster than they were read are gone; the read says so by an error. */
const AGAIN_MS = 1_000;
/** More in a row than any flood brings: the device is not what it should be. */
const MOST_FAULTS = 60;

/** Begins to read; where there is no such device, there is nothing to read. */
export function followKernel(runtime: Runtime): void {
  if (runtime.host.lstat(DEVICE) === null) return;
  void follow(runtime).catch((error) => {
    const message = `kernel's log: ${reasonOf(error)}; it is in the kernel's ring still`;
    runtime.emit({ type: "fault", stage: "session", code: "kernel.log", message });
  });
}

async function follow({ host, emit }: Runtime): Promise<void> {
  // What came before the end of stage 0 is on the console.
  const stage0 = host.readText(`${PATHS.run}/stage0`, 256)?.trim().split(" ")[1];
  const fromUs = Number(stage0 ?? 0) * 1_000_000;
  let seen = Number(host.readText(SEEN, 64) ?? "-1");
  const decoder = new TextDecoder();
  for (let faults = 0;;) {
    try {
      for await (const bytes of host.device(DEVICE)) {
        const message = parseKernelMessage(decoder.decode(bytes));
        if (message === null || message.seq <= seen) continue;
        // What was there before is read again each time that it is opened, and is no sign of health.
        faults = 0;
        seen = message.seq;
        if (message.us < fromUs) continue;
        host.put(SEEN, String(seen));
        const { priority, text, us } = message;
        emit({ type: "kernel", priority, text, ms: Math.round(us / 1000) });
      }
      return;
    } catch (error) {
      // EPIPE: older messages were written over. Opened again, it goes on with the oldest that is there.
      if (++faults > MOST_FAULTS) throw error;
      await host.clock.sleep(AGAIN_MS);
    }
  }
}
