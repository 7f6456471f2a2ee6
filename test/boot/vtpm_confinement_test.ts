/**
 * Real jails of TPMs that are weaker than planned: for each guest the launcher is changed in a few ways,
 * all in one boot beside a healthy guest. Each must be seen, named, and killed with its guest before that
 * ran an instruction; the healthy one must start.
 */

import assert from "node:assert/strict";
import type { DiskFiles } from "../../tools/boot_data.ts";
import { changedLaunchers, type Changes } from "./launchers.ts";
import {
  dataDisk,
  finish,
  fullTest,
  Home,
  registryRecord,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const HEALTHY = "healthy";

/** What is changed in the launcher's text, and the fields that must be named. */
interface Weakening {
  readonly fields: readonly string[];
  readonly changes: Changes;
}

const OWN_CAPABILITIES = "--inh-caps=-all --bounding-set=-all";

const WEAKENINGS: readonly Weakening[] = [
  {
    fields: ["tpm.uid"],
    changes: [
      ["--reuid $tpm_uid", "--reuid $((tpm_uid + 900))"],
      ['chmod 0700 "$root/$tpm"', 'chmod 0777 "$root/$tpm"'],
      ["$tpm_uid:$uid 2750", "$tpm_uid:$uid 2777"],
    ],
  },
  {
    fields: [
      "tpm.gid",
      "tpm.groups",
      "tpm.capabilities.bnd",
      "tpm.seccomp_filters",
      "tpm.limit.core",
      "tpm.limit.fsize",
    ],
    changes: [
      ["--regid $tpm_uid --clear-groups", "--regid 0 --groups 36"],
      [`${OWN_CAPABILITIES} -- \\`, "--inh-caps=-all -- \\"],
      ["--add-seccomp-fd 9 ", ""],
      ['  exec 9< "$tpm_filter" || exit 125\n', ""],
      ["  ulimit -c 0\n", ""],
      ["  ulimit -f 2048\n", ""],
    ],
  },
  {
    fields: ["tpm.capabilities.amb", "tpm.capabilities.eff"],
    changes: [[OWN_CAPABILITIES, "--inh-caps=-all,+setpcap --ambient-caps=+setpcap"]],
  },
  {
    fields: ["tpm.seccomp_filters"],
    changes: [["--terminate", "--terminate --seccomp action=none"]],
  },
  {
    fields: ["tpm.namespace.net", "tpm.namespace.ipc", "tpm.namespace.uts", "tpm.namespace.cgroup"],
    changes: [["--unshare-net --unshare-ipc --unshare-uts --unshare-cgroup ", ""]],
  },
  {
    fields: ["tpm.namespace.pid"],
    changes: [["--unshare-pid ", ""], ["--as-pid-1 ", ""]],
  },
  {
    fields: ["tpm.mount./", "tpm.mount./dev", "tpm.mount./t/etc", "tpm.open_files"],
    changes: [
      ["--ro-bind $tpm_root /", "--bind $tpm_root /"],
      ["--remount-ro /dev", ""],
      ["--chdir /", "--ro-bind /etc /t/etc --chdir /"],
      ["  ulimit -c 0", "  exec 5< /etc/inittab\n  ulimit -c 0"],
    ],
  },
  {
    // Another guest's TPM, and a socket folder that QEMU may write.
    fields: ["tpm.mount./state", "tpm.given.state", "mount./t"],
    changes: [
      [
        '--bind "$root/$tpm" /state',
        `--bind "$root/vm/linux/${HEALTHY}/other" /state`,
      ],
      [
        "  ulimit -c 0",
        `  $bb mkdir -m 0777 -p "$root/vm/linux/${HEALTHY}/other"\n  ulimit -c 0`,
      ],
      ['tpm_bind="--ro-bind', 'tpm_bind="--bind'],
    ],
  },
  {
    fields: ["tpm.processes"],
    changes: [[
      'await "$sockets/qmp.sock"',
      '( echo 0 > "$cgroup/tpm/cgroup.procs"; exec $bb sleep 1000 ) > /dev/null &\n' +
      'await "$sockets/qmp.sock"',
    ]],
  },
  {
    // No bubblewrap at all: a bare chroot, and no filter of swtpm's own.
    fields: ["tpm.no_new_privs", "tpm.namespace.mnt", "tpm.seccomp"],
    changes: [
      ["\n(\n", "\njr=/jt$slot; $bb cp -a $tpm_root $jr\n(\n"],
      [
        /exec \/usr\/bin\/bwrap[^]*?\/usr\/bin\/setpriv/,
        "$bb mount --bind /dev $jr/dev\n" +
        '  $bb mount --bind "$tpm_sockets" $jr/t; $bb mount --bind "$root/$tpm" $jr/state\n' +
        "  exec $bb chroot $jr /usr/bin/setpriv",
      ],
      ["--no-new-privs ", ""],
      ["--terminate", "--terminate --seccomp action=none"],
      // Here the launcher's own child is swtpm.
      ['await "$tpm_sockets/tpm.sock" "$errors/tpm"', "$bb sleep 2"],
    ],
  },
];

const POLICY = `version = 0
serial = 1

[limits]
vms = 64
cpu_percent = 100

[profiles.tiny]
kind = "linux"
enabled = true
autoboot = true
limits = { mem_mib = 32 }
devices = { vtpm = true }
`;

/** The guest of the n-th weakening; slot 0 is the healthy one's. */
const nameOf = (index: number) => `weak-${index + 1}`;

// A boot with a dozen guests.
fullTest(
  "a TPM's jail weaker than planned is named field by field, and its guest never runs",
  weakenedJails,
);

async function weakenedJails(): Promise<void> {
  await using home = await Home.make();
  const names = [HEALTHY, ...WEAKENINGS.map((_, index) => nameOf(index))];
  const files: Record<string, DiskFiles[string]> = { ...await signedPolicy(POLICY) };
  const vms: Record<string, unknown> = {};
  for (const [slot, vm] of names.entries()) {
    const own = registryRecord(vm, slot, "tiny", 32);
    vms[vm] = { ...own, devices: { ...own.devices, vtpm: true } };
    files[`vm/linux/${vm}/rootfs.ext4`] = new Uint8Array(512);
  }
  files["vm/registry.json"] = JSON.stringify({ version: 0, vms });
  const disk = dataDisk(home, files);
  const cases = WEAKENINGS.map(({ fields, changes }) => ({ field: fields.join(" "), changes }));
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await changedLaunchers(cases, "its part for a TPM"),
    memoryMiB: 3072,
  });
  const { lines } = await finish(run, "RAYOS_READY mode=normal");
  await showingLines(run, async () => {
    await Promise.resolve();
    const ran = lines.filter((line) => line.event === "RAYOS_VM_STATE:starting:running")
      .map((line) => line.fields["vm"]);
    assert.deepEqual(ran, [HEALTHY]);
    const missed = WEAKENINGS.flatMap(({ fields }, index) => {
      const own = lines.filter((line) => line.fields["vm"] === nameOf(index));
      return fields.flatMap((field) => {
        // A marker's field holds no more than letters, digits and a few signs.
        const event = `RAYOS_POLICY_VIOLATION:vm.confinement:${field}`;
        const named = own.some((line) => line.event === event);
        return named
          ? []
          : [`${nameOf(index)} ${field}:\n${own.map((one) => one.text).join("\n")}`];
      });
    });
    assert.deepEqual(missed, []);
  });
}
