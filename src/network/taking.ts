/**
 * A guest's network card, taken out of its QEMU: asked for and cut at once, then forced, each with a limit
 * of its own. QEMU's own tree says whether it is gone; what the guest says counts for nothing.
 *
 * Sources: QEMU 7.2, qapi/qdev.json (device_del), docs/pcie.txt.
 */

import { HOT_DEVICES } from "../guest/hotplug.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Clock } from "../host/port.ts";

/** Milliseconds. A guest that helps takes a tenth of a second; without KVM it is some thirty times as slow. */
const HELP_MS = 3_000;
const RESET_MS = 15_000;
const EMULATED = 10;

const POLL_MS = 100;
const QMP_MS = 5_000;

/** Whether the network card is in QEMU's tree. */
export async function hasCard(qmp: QmpClient): Promise<boolean> {
  const found = await qmp.command("qom-list", QMP_MS);
  return found.some((one) => one.name === HOT_DEVICES.network.id);
}

async function isGone(qmp: QmpClient, clock: Clock, timeoutMs: number): Promise<boolean> {
  const end = clock.monoMs() + timeoutMs;
  while (await hasCard(qmp)) {
    if (clock.monoMs() >= end) return false;
    await clock.sleep(POLL_MS);
  }
  return true;
}

/**
 * Unplugs the card and deletes the netdev behind it; `force` resets a machine whose guest does not help,
 * which ends what was asked of it.
 *
 * @param held whether the vCPUs are held: such a guest is let go for that long where it is not to be reset
 * @param emulated whether its CPU is emulated: it has ten times as long then
 * @returns whether the card is gone
 * @throws where QEMU does not answer
 */
export async function takeCard(
  qmp: QmpClient,
  clock: Clock,
  { force, held, emulated }: {
    readonly force: boolean;
    readonly held: boolean;
    readonly emulated: boolean;
  },
): Promise<boolean> {
  const patience = emulated ? EMULATED : 1;
  const quietly = (error: unknown) => void error;
  if (!await hasCard(qmp)) {
    await qmp.command("netdev_del", QMP_MS).catch(quietly);
    return true;
  }
  await qmp.command("device_del", QMP_MS, { kind: "network" }).catch(quietly);
  // At once, whatever the guest does: no frame passes from here on.
  await qmp.command("set_link", QMP_MS).catch(quietly);
  await qmp.command("netdev_del", QMP_MS).catch(quietly);
  if (held && !force) await qmp.command("cont", QMP_MS);
  // One that is held cannot help, and is not waited for.
  const gone = held && force ? false : await isGone(qmp, clock, HELP_MS * patience);
  if (held && !force) await qmp.command("stop", QMP_MS);
  if (gone || !force) return gone;
  // What was asked of a deaf guest is done when its machine begins anew.
  await qmp.command("system_reset", QMP_MS);
  return await isGone(qmp, clock, RESET_MS * patience);
}
