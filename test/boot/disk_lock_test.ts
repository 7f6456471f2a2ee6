/**
 * Two jails on one disk: the launcher of a second guest is changed so that it gets the first one's disk.
 * QEMU's lock must hold across the two jails. The twin's QEMU is told to take no lock and comes as far
 * as the read-back; so the lock is what stops the other.
 */

import assert from "node:assert/strict";
import type { DiskFiles } from "../../tools/boot_data.ts";
import { changedLaunchers, type Changes, record, TINY_POLICY } from "./launchers.ts";
import {
  dataDisk,
  finish,
  fullTest,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const OWNER = "disk-owner";
const SECOND = "disk-second";
const TWIN = "disk-twin";

/** Gives the jail the owner's disk, once the owner's QEMU has locked it (proc(5), /proc/locks). */
const TAKES_THE_DISK: Changes = [
  [
    "--bind $root/$path /g/$name_in_jail",
    `--bind $root/vm/linux/${OWNER}/rootfs.ext4 /g/$name_in_jail`,
  ],
  [
    "  ulimit -c 0\n",
    "  until $bb grep -q OFDLCK /proc/locks; do $bb sleep 0.1; done\n  ulimit -c 0\n",
  ],
  ["  ulimit -c 0\n", `  $bb chmod 0666 $root/vm/linux/${OWNER}/rootfs.ext4\n  ulimit -c 0\n`],
];

const CASES: readonly { readonly field: string; readonly changes: Changes }[] = [
  { field: "the lock", changes: TAKES_THE_DISK },
  {
    field: "no lock",
    changes: [...TAKES_THE_DISK, [
      '      set -- "$@" "$value"\n',
      `      value=$(echo "$value" | $bb sed 's/"locking":"on"/"locking":"off"/')\n` +
      '      set -- "$@" "$value"\n',
    ]],
  },
];

fullTest("a disk that a guest runs on is refused to a second QEMU in another jail", async () => {
  await using home = await Home.make();
  const vms: Record<string, unknown> = {};
  const files: Record<string, DiskFiles[string]> = { ...await signedPolicy(TINY_POLICY) };
  [OWNER, SECOND, TWIN].forEach((vm, slot) => {
    vms[vm] = record(vm, slot, "tiny");
    files[`vm/linux/${vm}/rootfs.ext4`] = new Uint8Array(1024 * 1024);
  });
  files["vm/registry.json"] = JSON.stringify({ version: 0, vms });
  await using run = await startMachine({
    disks: [{ path: dataDisk(home, files) }],
    overlay: await changedLaunchers(CASES),
  });
  const { lines } = await finish(run, "RAYOS_READY mode=normal");
  await showingLines(run, async () => {
    await Promise.resolve();
    const ran = lines.filter((line) => line.event === "RAYOS_VM_STATE:starting:running");
    assert.deepEqual(ran.map((line) => line.fields["vm"]), [OWNER]);
    const locked = lines.filter((line) => /another process using the image/u.test(line.text));
    assert.equal(locked.length, 1);
    const failed = lines.filter((line) => line.event === "RAYOS_VM_STATE:starting:failed");
    assert.deepEqual(
      failed.map((line) => `${line.fields["vm"]} ${line.fields["reason"]}`).sort(),
      [`${SECOND} qmp.closed`, `${TWIN} vm.confinement`],
    );
  });
});
