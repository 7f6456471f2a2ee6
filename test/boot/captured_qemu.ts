/**
 * A program in QEMU's place, in the jail as the launcher builds it: put there on a booted machine, and told what it
 * does next (test/hostile/qemu).
 */
import type { BootRun } from "../../tools/boot_machine.ts";
import type { OverlayFile } from "../../tools/boot_overlay.ts";
import { hostileQemu, MODE_FILE } from "../hostile/qemu_attacks.ts";
import { askInside } from "./inside.ts";
import type { Home } from "./machine.ts";

const JAIL = "/usr/lib/rayos/root/qemu";

/** The program as a file of the image. */
export async function capturedOverlay(home: Home): Promise<Record<string, OverlayFile>> {
  const data = await hostileQemu(`${home.path}/hostile-qemu`);
  return { "/usr/lib/hostile-qemu": { data, mode: 0o755 } };
}

/** From now on it is started where QEMU would be; the jail's own user starts it. */
export async function captureQemu(run: BootRun): Promise<void> {
  const place = `${JAIL}/usr/bin/qemu-system-x86_64`;
  const replaced = `$bb mv ${place} ${JAIL}/usr/bin/qemu; $bb cp /usr/lib/hostile-qemu ${place}`;
  await askInside(run, `do ${replaced}; $bb chmod 0755 ${place}`, /inside done/u);
}

/** Has it do that from now on. */
export async function attackWith(run: BootRun, mode: string): Promise<void> {
  const file = `${JAIL}${MODE_FILE}`;
  await askInside(run, `do echo ${mode} > ${file}; $bb chmod 0644 ${file}`, /inside done/u);
}
