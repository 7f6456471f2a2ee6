/**
 * What `tools/rayos bench devices` measures of disks, on one booted host: an import and a backup, in turns
 * with qemu-img convert and cp of the same image on the same file system, by hand and until they are on the
 * disk.
 */
import { randomBytes } from "node:crypto";
import { insideOverlay, onHost, rayInside, seenOnHost } from "../../../test/boot/inside.ts";
import type { Home } from "../../../test/boot/machine.ts";
import { severalGuests, tinyNames } from "../../../test/boot/several.ts";
import { makeDataDisk } from "../../boot_data.ts";
import { bootMachine, type BootRun } from "../../boot_machine.ts";
import type { Image } from "../../boot_prepare.ts";

const [VM = ""] = tinyNames(1);
const FOLDER = `/var/rayos/vm/linux/${VM}`;
const MIB = 1024 * 1024;
/** MiB of the image, none of it empty. */
export const IMAGE_MIB = 64;
const QEMU_IMG = "$bb chroot /usr/lib/rayos/root/disk /usr/bin/qemu-img";

/** Milliseconds for so many bytes. */
interface Work {
  readonly ms: number;
  readonly bytes: number;
}
export interface DiskRuns {
  readonly imported: readonly Work[];
  readonly converted: readonly Work[];
  readonly backedUp: readonly Work[];
  readonly copied: readonly Work[];
}

async function byRay(run: BootRun, words: string): Promise<Work> {
  const from = run.lines.length;
  const { code, output } = await rayInside(run, words);
  if (code !== 0) throw new Error(`bench devices: ray ${words}: ${output}`);
  const { fields } = await run.waitFor((line) => line.event === "disk_done", 10_000, from);
  return { ms: Number(fields["ms"]), bytes: Number(fields["bytes"]) };
}

/** A command of the machine's shell, by the machine's own clock in steps of 10 ms. */
async function byHand(run: BootRun, command: string, bytes: number): Promise<Work> {
  const text = await seenOnHost(
    run,
    `read -r a rest < /proc/uptime; ${command} && $bb sync && read -r b rest < /proc/uptime && echo "took $a $b"`,
  );
  const [, began, ended] = /^took ([\d.]+) ([\d.]+)$/mu.exec(text) ?? [];
  if (ended === undefined) throw new Error(`bench devices: ${command}: ${text}`);
  return { ms: (Number(ended) - Number(began)) * 1000, bytes };
}

/** Boots the host once and measures everything on it. */
export async function diskRuns(
  image: Image,
  home: Home,
  runs: number,
  say: (text: string) => void,
): Promise<DiskRuns> {
  const disk = `${home.path}/disks.img`;
  const noise = randomBytes(IMAGE_MIB * MIB);
  makeDataDisk(disk, {
    ...await severalGuests([VM], home, { autoboot: false }),
    [`vm/linux/${VM}/inbox/noise.img`]: noise,
  }, { sizeMiB: 6 * IMAGE_MIB + 256 });
  await using run = await bootMachine({
    ...image,
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
    memoryMiB: 2560,
  });
  await run.waitFor("RAYOS_READY mode=normal", 240_000);
  // The guest's own disk is the same noise, so that a backup is as much as an import.
  await onHost(
    run,
    `$bb cp ${FOLDER}/inbox/noise.img ${FOLDER}/rootfs.ext4 && $bb mkdir -p ${FOLDER}/peer`,
  );
  const bind = `$bb mount --bind ${FOLDER} /usr/lib/rayos/root/disk/g`;
  const imported: Work[] = [], converted: Work[] = [], backedUp: Work[] = [], copied: Work[] = [];
  for (let n = 1; n <= runs; n += 1) {
    imported.push(await byRay(run, `disk import ${VM} noise.img --as own.qcow2`));
    await onHost(run, bind);
    const convert = `${QEMU_IMG} convert -f raw -O qcow2 /g/inbox/noise.img /g/peer/copy`;
    converted.push(await byHand(run, convert, noise.length));
    await onHost(run, "$bb umount /usr/lib/rayos/root/disk/g");
    await onHost(run, `$bb rm -f ${FOLDER}/own.qcow2 ${FOLDER}/peer/copy; $bb sync`);
    backedUp.push(await byRay(run, `vm backup ${VM}`));
    copied.push(
      await byHand(run, `$bb cp ${FOLDER}/rootfs.ext4 ${FOLDER}/peer/copy`, noise.length),
    );
    await onHost(run, `$bb rm -rf ${FOLDER}/backup/[0-9]* ${FOLDER}/peer/copy; $bb sync`);
    const [own, peer, backup, copy] = [imported, converted, backedUp, copied].map((all) =>
      all.at(-1)?.ms.toFixed(0)
    );
    say(`  disk ${n}: import ${own} ms, convert ${peer} ms; backup ${backup} ms, cp ${copy} ms`);
  }
  return { imported, converted, backedUp, copied };
}
