/**
 * The launchers, called as a captured program would call them: in a root of their own that holds
 * busybox and the launchers alone, so that a refusal is the launcher's and nothing else's. A call that
 * is not refused would reach for bubblewrap, which is not there, and say `jail.exited`.
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { FILTER_HASH, ignore, withRoot } from "./launcher_root.ts";

const GOOD = `rayos-jail 0
vm demo
kind linux
cpu_max 125000
memory_max 469762048
pids_max 64
io_max max
kvm 0
network 0
seccomp ${FILTER_HASH}
rw vm/linux/demo/rootfs.ext4 disk0
ro vm/linux/demo/vmlinuz kernel
arg -display
arg none
`;

function change(from: string | RegExp, to: string): string {
  const text = GOOD.replace(from, to);
  assert.notEqual(text, GOOD);
  return text;
}

Deno.test({
  name:
    "launcher jail comes as far as bubblewrap with a good plan, so that a refusal means something",
  ignore,
  fn: () =>
    withRoot((root) => {
      root.plan(GOOD);
      assert.match(root.run("jail", "0"), /^fault jail\.exited /);
      const owner = (name: string) => fs.statSync(`${root.data}/vm/linux/demo/${name}`);
      assert.deepEqual([owner("rootfs.ext4").uid, owner("rootfs.ext4").mode & 0o777], [
        61000,
        0o600,
      ]);
      assert.deepEqual([owner("vmlinuz").uid, owner("vmlinuz").gid], [0, 61000]);
    }),
});

Deno.test({
  name: "launcher jail lets QEMU wait for saved state, and passes what the option before it took",
  ignore,
  fn: () =>
    withRoot((root) => {
      root.plan(`${GOOD}arg -incoming\narg defer\narg -append\narg not defer\n`);
      assert.match(root.run("jail", "0"), /^fault jail\.exited /);
    }),
});

Deno.test({
  name: "launcher jail gives each guest's QEMU a file system of its own for what it says",
  ignore,
  fn: () =>
    withRoot((root) => {
      root.plan(GOOD);
      // No file may be larger than its largest disk.
      fs.truncateSync(`${root.data}/vm/linux/demo/rootfs.ext4`, 4 * 1024 * 1024);
      // As bubblewrap it is who floods; its words are what QEMU's would be.
      const flood = "/bin/busybox yes | /bin/busybox head -c 2000000 >&2";
      const sizes =
        "/bin/busybox find /run/rayos/err/00 -type f -exec /bin/busybox stat -c %s {} ';'";
      const bwrap = `#!/bin/busybox sh\n${flood}\n${sizes} > /said\n`;
      fs.writeFileSync(`${root.dir}/usr/bin/bwrap`, bwrap, { mode: 0o755 });
      // The one of util-linux has one option more.
      const mount =
        '#!/bin/busybox sh\n[ "$1" = --bind ] || exec /bin/busybox mount "$1" "$2" "$3" ' +
        '"$(echo "$4" | /bin/busybox sed s/nosymfollow,//)" "$5" "$6"\n';
      fs.writeFileSync(`${root.dir}/usr/bin/mount`, mount, { mode: 0o755 });
      assert.match(root.run("jail", "0"), /^fault jail\.exited /);
      const bytes = Number(fs.readFileSync(`${root.dir}/said`, "utf8"));
      assert.equal(bytes, 64 * 1024);
    }),
});

/** The good plan of a guest with a TPM, whose state lies in that folder. */
const withTpm = (folder: string, filter = FILTER_HASH): string =>
  change("rw vm/", `tpm ${filter} ${folder}\nrw vm/`);

Deno.test({
  name: "launcher jail comes as far as bubblewrap with a TPM, whose folder is then swtpm's",
  ignore,
  fn: () =>
    withRoot((root) => {
      const folder = `${root.data}/vm/linux/demo/tpm`;
      fs.mkdirSync(folder);
      fs.writeFileSync(`${folder}/tpm2-00.permall`, "put back by root");
      root.plan(`${withTpm("vm/linux/demo/tpm")}arg -tpmdev\narg emulator,id=tpm0,chardev=tpm\n`);
      assert.match(root.run("jail", "0"), /^fault jail\.exited /);
      for (const one of [folder, `${folder}/tpm2-00.permall`]) {
        assert.deepEqual([fs.statSync(one).uid, fs.statSync(one).gid], [62000, 62000]);
      }
      assert.equal(fs.statSync(folder).mode & 0o777, 0o700);
    }),
});

const PLANS: readonly [what: string, plan: string, refusal: string][] = [
  ["an empty plan", "", "jail.version"],
  ["another version", change("rayos-jail 0", "rayos-jail 1"), "jail.version"],
  ["a plan cut in the middle of a line", GOOD.slice(0, -3), "jail.truncated"],
  ["a plan cut after a line", GOOD.slice(0, GOOD.indexOf("pids_max")), "jail.option"],
  ["an unknown key", change("kvm 0", "kvm 0\nbwrap --share-net"), "jail.key"],
  ["a uid", change("kvm 0", "kvm 0\nuid 0"), "jail.key"],
  ["an option that QEMU runs a program by", change("-display", "-runas"), "jail.option"],
  ["a weaker sandbox", change("-display", "-sandbox"), "jail.option"],
  ["a device from a configuration file", change("-display", "-readconfig"), "jail.option"],
  ["a migration source", change("-display", "-incoming"), "jail.option"],
  [
    "a program as migration source",
    change("arg -display\narg none", "arg -incoming\narg exec:sh"),
    "jail.option",
  ],
  [
    "a migration source that begins like the one that is let through",
    change("arg -display\narg none", "arg -incoming\narg defer:x"),
    "jail.option",
  ],
  ["a network", change("-display", "-netdev"), "jail.option"],
  ["a screen on the network", change("arg none", "arg vnc=:0"), "jail.option"],
  [
    "a screen on another socket",
    change("arg none", "arg vnc=unix:/g/vnc.sock"),
    "jail.option",
  ],
  [
    "a screen that connects by itself",
    change("arg none", "arg vnc=unix:/s/vnc.sock,reverse=on"),
    "jail.option",
  ],
  ["an option without a value", change("arg none\n", ""), "jail.option"],
  [
    "a path that climbs",
    change("vm/linux/demo/rootfs.ext4", "vm/linux/demo/../../../etc/shadow"),
    "jail.path",
  ],
  ["an absolute path", change("vm/linux/demo/rootfs.ext4", "/etc/shadow"), "jail.path"],
  [
    "a path with a blank",
    change("rw vm/linux/demo/rootfs.ext4", "rw vm/linux/demo/a b"),
    "jail.path",
  ],
  ["a path with a wildcard", change("demo/rootfs.ext4", "demo/root*"), "jail.path"],
  ["a path of 256 bytes", change("rootfs.ext4", "x".repeat(250)), "jail.path"],
  ["another guest's disk", change("demo/rootfs.ext4", "other/disk"), "jail.foreign"],
  ["the policy", change("vm/linux/demo/rootfs.ext4", "policy/rayos-policy.toml"), "jail.foreign"],
  ["the host's part of the folder", change("demo/rootfs.ext4", "demo/state/saved"), "jail.foreign"],
  ["another kind's folder", change("kind linux", "kind windows"), "jail.foreign"],
  ["a file that is not there", change("rootfs.ext4", "missing"), "jail.type"],
  ["a directory", change("demo/rootfs.ext4", "demo/sub"), "jail.type"],
  ["a symbolic link", change("demo/rootfs.ext4", "demo/link"), "jail.link"],
  [
    "a link in the path",
    change("vm/linux/demo/rootfs.ext4", "vm/linux/demo/away/disk"),
    "jail.link",
  ],
  ["a second name", change("demo/rootfs.ext4", "demo/hard"), "jail.hardlink"],
  ["a file of another slot", change("demo/rootfs.ext4", "demo/theirs"), "jail.owner"],
  ["a FIFO", change("demo/rootfs.ext4", "demo/fifo"), "jail.type"],
  ["one file twice", change("demo/vmlinuz", "demo/rootfs.ext4"), "jail.path"],
  ["one name twice", change("vmlinuz kernel", "vmlinuz disk0"), "jail.name"],
  ["a name that climbs", change("rootfs.ext4 disk0", "rootfs.ext4 ../../etc/x"), "jail.name"],
  ["a guest's name with a path", change("vm demo", "vm ../demo"), "jail.vm"],
  ["a guest's name that is an option", change("vm demo", "vm -demo"), "jail.vm"],
  ["two guests", change("vm demo", "vm demo\nvm other"), "jail.twice"],
  ["memory without limit", change("469762048", "max"), "jail.number"],
  ["memory beyond any machine", change("469762048", "999999999999999"), "jail.limit"],
  ["a number that overflows", change("469762048", "9".repeat(40)), "jail.limit"],
  ["CPU time below what runs", change("125000", "1"), "jail.limit"],
  ["octal", change("pids_max 64", "pids_max 0100"), "jail.number"],
  ["arithmetic", change("pids_max 64", "pids_max $((1+1))"), "jail.number"],
  ["no limit of processes", change("pids_max 64\n", ""), "jail.missing"],
  ["a command in a value", change("vm demo", "vm $(touch /pwned)"), "jail.vm"],
  ["no word about disks' speed", change("io_max max\n", ""), "jail.missing"],
  ["a disk's speed that stops it", change("io_max max", "io_max 1"), "jail.limit"],
  ["a disk's speed with another device", change("io_max max", "io_max max 8:0"), "jail.number"],
  ["a limit for a disk that is none", change("io_max max", "io_max 1048576"), "jail.io"],
  ["no filter of system calls", change(`seccomp ${FILTER_HASH}\n`, ""), "jail.missing"],
  ["a filter that is not the image's", change(FILTER_HASH, "0".repeat(64)), "jail.seccomp"],
  ["a filter by its path", change(FILTER_HASH, "/tmp/filter"), "jail.seccomp"],
  ["a filter's name cut short", change(FILTER_HASH, FILTER_HASH.slice(1)), "jail.seccomp"],
  ["a file after the arguments", `${GOOD}rw vm/linux/other/disk disk9\n`, "jail.order"],
  ["KVM by another word", change("kvm 0", "kvm yes"), "jail.kvm"],
  ["a TPM whose folder climbs", withTpm("vm/linux/demo/../other"), "jail.path"],
  ["another guest's TPM", withTpm("vm/linux/other"), "jail.foreign"],
  ["a guest's whole folder as its TPM's", withTpm("vm/linux/demo"), "jail.foreign"],
  ["the copies of TPM states as a TPM", withTpm("vm/linux/demo/backup"), "jail.foreign"],
  ["a TPM's folder that is a link", withTpm("vm/linux/demo/away"), "jail.link"],
  ["a TPM's folder that is a file", withTpm("vm/linux/demo/spare"), "jail.type"],
  ["a TPM's folder that is not there", withTpm("vm/linux/demo/none"), "jail.type"],
  ["a TPM's folder with a link in it", withTpm("vm/linux/demo/tpm-link"), "jail.type"],
  ["a TPM's folder with a second name in it", withTpm("vm/linux/demo/tpm-hard"), "jail.type"],
  ["a TPM's folder with a file of another slot", withTpm("vm/linux/demo/tpm-their"), "jail.owner"],
  ["a disk in the TPM's folder", withTpm("vm/linux/demo/rootfs.ext4"), "jail.path"],
  [
    "two TPMs",
    withTpm("vm/linux/demo/tpm").replace(/^tpm .*\n/m, (line) => line + line),
    "jail.twice",
  ],
  [
    "a TPM after the files",
    change("arg -display", `tpm ${FILTER_HASH} vm/linux/demo/t\narg -display`),
    "jail.order",
  ],
  [
    "a TPM's filter that is not the image's",
    withTpm("vm/linux/demo/sub", "0".repeat(64)),
    "jail.seccomp",
  ],
  ["a TPM without a filter", withTpm("vm/linux/demo/sub", "none"), "jail.seccomp"],
  ["a TPM device without a TPM", change("-display", "-tpmdev"), "jail.option"],
  [
    "the host's own TPM",
    `${withTpm("vm/linux/demo/sub")}arg -tpmdev\narg passthrough,id=tpm0,path=/dev/tpm0\n`,
    "jail.option",
  ],
  [
    "another property of a device",
    change("arg -display\narg none", "arg -global\narg virtio-blk-pci.drive=x"),
    "jail.option",
  ],
  ["a plan larger than the cap", GOOD + `arg ${"x".repeat(70_000)}\n`, "jail.plan_size"],
];

for (const [what, plan, refusal] of PLANS) {
  Deno.test({
    name: `launcher jail refuses ${what}`,
    ignore,
    fn: () =>
      withRoot((root) => {
        const demo = `${root.data}/vm/linux/demo`;
        fs.mkdirSync(`${demo}/sub`);
        fs.symlinkSync("../other/disk", `${demo}/link`);
        fs.symlinkSync("../other", `${demo}/away`);
        fs.linkSync(`${root.data}/vm/linux/other/disk`, `${demo}/hard`);
        fs.writeFileSync(`${demo}/theirs`, "");
        fs.chownSync(`${demo}/theirs`, 61001, 61001);
        new Deno.Command("mkfifo", { args: [`${demo}/fifo`] }).outputSync();
        fs.writeFileSync(`${demo}/spare`, "");
        for (const one of ["link", "hard", "their"]) fs.mkdirSync(`${demo}/tpm-${one}`);
        fs.symlinkSync("/etc/shadow", `${demo}/tpm-link/tpm2-00.permall`);
        fs.linkSync(`${demo}/spare`, `${demo}/tpm-hard/tpm2-00.permall`);
        fs.writeFileSync(`${demo}/tpm-their/tpm2-00.permall`, "");
        fs.chownSync(`${demo}/tpm-their/tpm2-00.permall`, 62001, 62001);
        root.plan(plan);
        const said = root.run("jail", "0");
        assert.equal(said.split(" ").slice(0, 2).join(" "), `fault ${refusal}`, said);
        assert.ok(!fs.existsSync(`${root.dir}/pwned`));
        assert.equal(fs.statSync(`${root.data}/vm/linux/other/disk`).uid, 0);
      }),
  });
}

Deno.test({
  name: "launcher jail refuses a foreign file whose second name is taken away once it was opened",
  ignore,
  fn: () =>
    withRoot((root) => {
      const { data } = root;
      fs.renameSync(`${data}/vm/linux/demo/rootfs.ext4`, `${data}/vm/linux/demo/own`);
      fs.linkSync(`${data}/vm/linux/other/disk`, `${data}/vm/linux/demo/rootfs.ext4`);
      const jail = `${root.dir}/usr/lib/rayos/jail`;
      const text = fs.readFileSync(jail, "utf8");
      // What an attacker does in that moment, by the launcher itself.
      const swapped = text.replace(
        "    {\n      read -r opened\n",
        (match) => `    $bb mv "$root/vm/linux/demo/own" "$root/$path"\n${match}`,
      );
      assert.notEqual(swapped, text);
      fs.writeFileSync(jail, swapped);
      root.plan(GOOD);
      assert.match(root.run("jail", "0"), /^fault jail\.swapped /);
      assert.equal(fs.statSync(`${data}/vm/linux/other/disk`).uid, 0);
    }),
});

const CALLS: readonly [launcher: string, args: string[], refusal: RegExp][] = [
  ["jail", [], /^fault usage/],
  ["jail", ["64"], /^fault jail\.slot/],
  ["jail", ["-1"], /^fault jail\.slot/],
  ["jail", ["../plan/00"], /^fault jail\.slot/],
  ["jail", ["0", "--share-net"], /^fault usage/],
  ["jail", ["1"], /^fault jail\.no_plan/],
  ["mount", [], /^fault usage/],
  ["mount", ["data", "/dev/vda", "-o", "suid"], /^fault usage/],
  ["mount", ["data", "/dev/../etc"], /^fault data\.bad_spec/],
  ["mount", ["data", "/dev/nothing"], /^fault data\.not_found/],
  ["mount", ["data", "tmpfs"], /^fault data\.bad_spec/],
  ["mount", ["find", "LABEL=a b"], /^fault data\.bad_spec/],
  ["mount", ["find", 'LABEL=x" TYPE="ext4'], /^fault data\.bad_spec/],
  ["mount", ["find", "LABEL="], /^fault data\.bad_spec/],
  ["mount", ["find", "PATH=/etc"], /^fault data\.bad_spec/],
  ["mount", ["tmpfs", "/"], /^fault usage/],
  ["mount", ["--bind", "/etc"], /^fault usage/],
  ["fsck", [], /^fault usage/],
  ["fsck", ["/dev/vda", "-y"], /^fault usage/],
  ["fsck", ["-y"], /^fault data\.bad_spec/],
  ["fsck", ["/dev/disk/by-label"], /^fault data\.bad_spec/],
  ["fsck", ["/dev/nothing"], /^fault data\.not_found/],
  ["fsck", ["/dev/nothing", "repair"], /^fault data\.not_found/],
  ["fsck", ["/dev/vda", "repair", "-c"], /^fault usage/],
  ["shell", [], /^fault shell\.release/],
  ["shell", ["-c", "id"], /^fault usage/],
  ["power", [], /^fault usage/],
  ["power", ["kexec"], /^fault usage/],
  ["power", ["off", "-d"], /^fault usage/],
];

for (const [launcher, args, refusal] of CALLS) {
  Deno.test({
    name: `launcher ${launcher} refuses ${JSON.stringify(args)}`,
    ignore,
    fn: () => withRoot((root) => assert.match(root.run(launcher, ...args), refusal)),
  });
}

Deno.test({
  name: "launcher jail refuses a plan that is a link, has a second name, or is not root's",
  ignore,
  fn: () =>
    withRoot((root) => {
      const plan = `${root.dir}/run/rayos/plan/00`;
      fs.writeFileSync(`${root.dir}/elsewhere`, GOOD);
      fs.symlinkSync("/elsewhere", plan);
      assert.match(root.run("jail", "0"), /^fault jail\.no_plan/);
      fs.rmSync(plan);
      fs.linkSync(`${root.dir}/elsewhere`, plan);
      assert.match(root.run("jail", "0"), /^fault jail\.plan_owner/);
      fs.rmSync(`${root.dir}/elsewhere`);
      fs.chownSync(plan, 61000, 61000);
      assert.match(root.run("jail", "0"), /^fault jail\.plan_owner/);
    }),
});

Deno.test({
  name: "launcher jail refuses a slot whose cgroup has a process",
  ignore,
  fn: () =>
    withRoot((root) => {
      root.plan(GOOD);
      const events = `${root.dir}/run/rayos/cg/rayos/guests/00/cgroup.events`;
      fs.writeFileSync(events, "populated 1\n");
      assert.match(root.run("jail", "0"), /^fault jail\.running/);
    }),
});

Deno.test({
  name:
    "shell starts only in a developer's image that was booted with rayos.dev=1, by its own look",
  ignore,
  fn: () =>
    withRoot(({ dir, run }) => {
      // The kernel's command line is this machine's own.
      const launcher = `${dir}/usr/lib/rayos/shell`;
      const text = fs.readFileSync(launcher, "utf8");
      assert.match(text, / < \/proc\/cmdline\n/);
      fs.writeFileSync(launcher, text.replace(" < /proc/cmdline", " < /run/cmdline"));
      const put = (profile: string, words: string) => {
        fs.mkdirSync(`${dir}/etc/rayos`, { recursive: true });
        fs.writeFileSync(
          `${dir}/etc/rayos/build.json`,
          `{"profile":"${profile}","x":"developer"}\n`,
        );
        fs.writeFileSync(`${dir}/run/cmdline`, `${words}\n`);
      };
      put("release", "console=ttyS0 rayos.dev=1");
      assert.match(run("shell"), /^fault shell\.release/);
      put("developer", "console=ttyS0");
      assert.match(run("shell"), /^fault shell\.mode/);
      put("developer", "console=ttyS0 x=rayos.dev=1 rayos.dev=10");
      assert.match(run("shell"), /^fault shell\.mode/);
      put("developer", "rayos.dev=1 console=ttyS0");
      assert.match(run("shell"), /^A root shell\. Its end leads back\.$/);
    }),
});
