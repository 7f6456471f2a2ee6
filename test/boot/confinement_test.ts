/**
 * Real jails that are weaker than planned: for each thing that a launcher can leave out one guest whose
 * launcher is changed in that one way, all in one boot beside a healthy guest. Each must be seen and killed before
 * it ran an instruction; the healthy one must start.
 */

import assert from "node:assert/strict";
import { type Slot, slotName } from "../../src/id.ts";
import type { DiskFiles } from "../../tools/boot_data.ts";
import { changedLaunchers, type Changes, record, TINY_POLICY } from "./launchers.ts";
import {
  dataDisk,
  finish,
  FULL,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const HEALTHY = "healthy";
const START_LIMIT_MS = 600_000;

/** What is changed in the launcher's text, and the field that must be named. */
interface Weakening {
  readonly field: string;
  readonly changes: Changes;
}

// No bubblewrap at all: a bare chroot, without the no_new_privs that bubblewrap, setpriv and QEMU's own
// sandbox would each set.
const BARE_CHROOT: Changes = [
  // Outside the cgroup, whose memory is the guest's.
  ["\n(\n", "\njr=/jr$slot; $bb cp -a $jailroot $jr\n(\n"],
  [
    /exec \/usr\/bin\/bwrap[^]*?\/usr\/bin\/setpriv/,
    "$bb mount --bind /dev $jr/dev\n" +
    '  $bb mount --bind "$sockets" $jr/s; $bb touch $jr/g/disk0\n' +
    '  $bb mount --bind "$root/$path" $jr/g/disk0; exec $bb chroot $jr /usr/bin/setpriv',
  ],
  ["--no-new-privs ", ""],
  [/-sandbox on,\S+/, "-sandbox off"],
  // Here the launcher's own child is QEMU.
  ["  kill -9 $monitor\n  wait $monitor\n", ""],
];

const WEAKENINGS: readonly Weakening[] = [
  { field: "gid", changes: [["--regid $uid", "--regid 0"]] },
  { field: "groups", changes: [["--groups 36", "--groups 36,0"]] },
  {
    field: "uid",
    changes: [
      ["--reuid $uid", "--reuid $((uid + 900))"],
      ["wanted=$uid:$uid:600", "wanted=$uid:$uid:666"],
      ['socket_folder "$sockets" $uid:$uid 0700', 'socket_folder "$sockets" $uid:$uid 0777'],
    ],
  },
  { field: "capabilities.bnd", changes: [["--bounding-set=-all -- \\", "-- \\"]] },
  {
    field: "capabilities.amb",
    changes: [[
      "--inh-caps=-all --bounding-set=-all",
      "--inh-caps=-all,+setpcap --ambient-caps=+setpcap",
    ]],
  },
  {
    field: "capabilities.eff",
    changes: [[
      "--inh-caps=-all --bounding-set=-all",
      "--inh-caps=-all,+setpcap --ambient-caps=+setpcap",
    ]],
  },
  { field: "no_new_privs", changes: BARE_CHROOT },
  { field: "namespace.mnt", changes: BARE_CHROOT },
  { field: "seccomp", changes: BARE_CHROOT },
  { field: "seccomp_filters", changes: [[/-sandbox on,\S+/, "-sandbox off"]] },
  {
    field: "seccomp_filters",
    changes: [["--add-seccomp-fd 9 ", ""], ['  exec 9< "$filter" || exit 125\n', ""]],
  },
  { field: "namespace.net", changes: [["--unshare-net ", ""]] },
  { field: "namespace.ipc", changes: [["--unshare-ipc ", ""]] },
  { field: "namespace.uts", changes: [["--unshare-uts ", ""]] },
  { field: "namespace.cgroup", changes: [["--unshare-cgroup ", ""]] },
  { field: "namespace.pid", changes: [["--unshare-pid ", ""], ["--as-pid-1 ", ""]] },
  { field: "mount./", changes: [["--ro-bind $jailroot /", "--bind $jailroot /"]] },
  { field: "mount./g", changes: [["--remount-ro /g", ""]] },
  {
    field: "mount./tmp/etc",
    changes: [["--chdir /", "--ro-bind /etc /tmp/etc --chdir /"]],
  },
  {
    field: "mount./g/disk0",
    changes: [[
      "--bind $root/$path /g/$name_in_jail",
      `--bind $root/vm/linux/${HEALTHY}/spare /g/$name_in_jail`,
    ], ["  ulimit -c 0\n", `  $bb chmod 0666 $root/vm/linux/${HEALTHY}/spare\n  ulimit -c 0\n`]],
  },
  { field: "open_files", changes: [["  ulimit -c 0", "  exec 5< /etc/inittab\n  ulimit -c 0"]] },
  { field: "limit.core", changes: [["  ulimit -c 0\n", ""]] },
  { field: "limit.fsize", changes: [[/ {2}\[ "\$grows" = 1 \] \|\| ulimit -f [^\n]+\n/, ""]] },
  { field: "cgroup.cpu.max", changes: [['echo "$cpu_max 100000"', "echo max 100000"]] },
  { field: "cgroup.memory.max", changes: [['echo "$memory_max" >', "echo max >"]] },
  { field: "cgroup.memory.oom.group", changes: [["echo 1 >", "echo 0 >"]] },
  { field: "cgroup.pids.max", changes: [['echo "$pids_max" >', "echo max >"]] },
  {
    field: "cgroup.io.max",
    changes: [['echo "$disk rbps=$io_max wbps=$io_max"', 'echo "$disk rbps=max wbps=$io_max"']],
  },
  {
    field: "processes",
    changes: [[
      'await "$sockets/qmp.sock"',
      '( echo 0 > "$cgroup/cgroup.procs"; exec $bb sleep 1000 ) > /dev/null &\n' +
      'await "$sockets/qmp.sock"',
    ]],
  },
];

/** All of them take three minutes here: where time is short, one in six, and unit tests hold the others. */
const TRIED = FULL ? WEAKENINGS : WEAKENINGS.filter((_, n) => n % 6 === 0);

/** The guest of the n-th weakening; slot 0 is the healthy one's. */
const nameOf = (index: number) => `weak-${index + 1}`;

const HOW_MANY = `${TRIED.length} of ${WEAKENINGS.length} ways`;

Deno.test(`a jail weaker than planned in one field is named, and its guest never runs (${HOW_MANY})`, async () => {
  await using home = await Home.make();
  const tiny = new Uint8Array(512);
  const files: Record<string, DiskFiles[string]> = {
    ...await signedPolicy(TINY_POLICY),
    ...await guestFiles(HEALTHY, home),
    [`vm/linux/${HEALTHY}/spare`]: tiny,
  };
  const vms: Record<string, unknown> = { [HEALTHY]: record(HEALTHY, 0, "whole") };
  for (const [index] of TRIED.entries()) {
    const vm = nameOf(index);
    vms[vm] = record(vm, index + 1, "tiny");
    files[`vm/linux/${vm}/rootfs.ext4`] = tiny;
  }
  files["vm/registry.json"] = new TextEncoder().encode(JSON.stringify({ version: 0, vms }));
  const disk = await dataDisk(home, files);
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await changedLaunchers(TRIED),
    memoryMiB: 3072,
    // Some thirty starts, one of which after the other is refused.
    append: `rayos.ready_timeout=${START_LIMIT_MS / 1000}`,
  });
  await run.waitFor("RAYOS_READY mode=normal", START_LIMIT_MS);
  const { lines } = await finish(run, "RAYOS_READY mode=normal", "RAYOS_LINUX_VM_READY");
  await showingLines(run, async () => {
    await Promise.resolve();
    const ran = lines.filter((line) => line.event === "RAYOS_VM_STATE:starting:running")
      .map((line) => line.fields["vm"]);
    assert.deepEqual(ran, [HEALTHY]);
    const missed = TRIED.flatMap(({ field }, index) => {
      const vm = nameOf(index);
      const own = lines.filter((line) =>
        line.fields["vm"] === vm ||
        line.fields["message"]?.includes(`/${slotName((index + 1) as Slot)}/`)
      );
      const named = own.some((line) =>
        line.event === `RAYOS_POLICY_VIOLATION:vm.confinement:${field}`
      );
      return named ? [] : [`${field}:\n${own.map((line) => line.text).join("\n")}`];
    });
    assert.deepEqual(missed, []);
  });
});
