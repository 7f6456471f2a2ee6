/**
 * A share's device, asked out of its QEMU. QEMU's own tree says whether it is gone; what the guest says
 * counts for nothing, and nothing here is forced: what is behind the device can be taken without it.
 *
 * Sources: QEMU 7.2, qapi/qdev.json (device_del), docs/pcie.txt.
 */

import { hotId } from "../guest/hotplug.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Clock } from "../host/port.ts";

/**
 * Milliseconds. A guest that helps takes a tenth of a second; an emulated one on a busy machine some seconds,
 * which are waited for where a save would fail for it.
 */
const HELP_MS = 5_000;
const HELP_FOR_SAVE_MS = 20_000;
const POLL_MS = 100;
const QMP_MS = 5_000;

/** Whether it is in QEMU's tree. */
export async function hasShare(qmp: QmpClient, share: number): Promise<boolean> {
  const found = await qmp.command("qom-list", QMP_MS);
  return found.some((one) => one.name === hotId({ kind: "share", share }));
}

/**
 * Asks for it and waits.
 *
 * @param held whether the vCPUs are held: such a guest cannot help
 * @param keep whether it must: one that is held is let go for that long
 * @returns whether the device is gone
 * @throws where QEMU does not answer
 */
export async function unplugShare(
  qmp: QmpClient,
  clock: Clock,
  share: number,
  { held, keep }: { readonly held: boolean; readonly keep: boolean },
): Promise<boolean> {
  if (!await hasShare(qmp, share)) return true;
  // A guest that has been asked before is refused a second time; it is waited for all the same.
  await qmp.command("device_del", QMP_MS, { kind: "share", share }).catch(() => {});
  if (held && !keep) return false;
  if (held) await qmp.command("cont", QMP_MS);
  const end = clock.monoMs() + (keep ? HELP_FOR_SAVE_MS : HELP_MS);
  let there = true;
  while (there && clock.monoMs() < end) {
    await clock.sleep(POLL_MS);
    there = await hasShare(qmp, share);
  }
  if (held) await qmp.command("stop", QMP_MS);
  return !there;
}
