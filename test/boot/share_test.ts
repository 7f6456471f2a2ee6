/**
 * Shared folders on a real machine: what a guest that has root can do with one, and what with what was put
 * into it to lead elsewhere; how one is taken and given again, and what becomes of the guest when the one
 * that serves it dies or is stopped, when the program does, and when its memory is saved.
 */
import assert from "node:assert/strict";
import { type DiskFiles, makeDataDisk } from "../../tools/boot_data.ts";
import type { BootRun } from "../../tools/boot_machine.ts";
import { inGuest } from "./internet.ts";
import {
  askInside,
  insideOverlay,
  killProgram,
  rayInside,
  seenOnHost,
  statesOf,
  vmCommand,
} from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  eventsNamed,
  finish,
  FULL,
  guestFiles,
  Home,
  registryRecord,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const GUEST = "share-0";
/** Another guest's folder, which is never reached. */
const OTHER = "share-1";
const MIB = 96;
/** One inode for each 16 KiB: 256 of them. */
const QUOTA_MIB = 4;
const READY_MS = 240_000;
const SECRET = "another-guests-secret";

const POLICY = `version = 0
serial = 3
limits.vms = 2
limits.cpu_percent = 100

[profiles.sharing]
kind = "linux"
enabled = true
autoboot = true
networking = "off"
limits = { cpus = 1, mem_mib = ${MIB} }
storage.shares = [
  { tag = "docs", path = "vm/linux/{vm_id}/docs" },
  { tag = "work", path = "vm/linux/{vm_id}/work.ext4", read_only = false, quota_mib = ${QUOTA_MIB} },
]

[profiles.sharing.boot]
kernel = "vm/linux/{vm_id}/vmlinuz"
initrd = "vm/linux/{vm_id}/initrd.img"
cmdline = "console=hvc0 quiet panic=-1 cryptomgr.notests nokaslr mitigations=off"
`;

async function sharingDisk(home: Home): Promise<string> {
  const files: DiskFiles = {
    ...guestFiles(GUEST, home),
    ...await signedPolicy(POLICY),
    [`vm/linux/${GUEST}/docs/read-me`]: "words of the host\n",
    [`vm/linux/${GUEST}/docs/below/more`]: "more words\n",
    [`vm/linux/${OTHER}/secret`]: SECRET,
    "vm/registry.json": JSON.stringify({
      version: 0,
      vms: { [GUEST]: registryRecord(GUEST, 0, "sharing", MIB) },
    }),
  };
  const disk = `${home.path}/data.img`;
  makeDataDisk(disk, files, { sizeMiB: 320 });
  return disk;
}

/** Each trick by its name, tried in the guest's shell: the names of those that worked. */
async function tried(
  run: BootRun,
  tricks: Readonly<Record<string, string>>,
  mark: string,
): Promise<string[]> {
  const rows = Object.entries(tricks).map(([name, trick]) =>
    `(${trick}) > /dev/null 2>&1 && echo row ${name} wor""ked`
  );
  const said = await inGuest(run, GUEST, rows.join("; "), mark);
  return [...said.matchAll(/^row (\S+) worked/gmu)].map((found) => found[1] ?? "");
}

/** What would change a share; each works where a share can be written. */
const WRITES: Readonly<Record<string, string>> = {
  new_file: "echo x > /m/new",
  overwrite: "echo x > /m/read-me",
  append: "echo x >> /m/read-me",
  truncate: "truncate -s 0 /m/read-me",
  folder: "mkdir /m/folder",
  below: "echo x > /m/below/new",
  symlink: "ln -s /etc /m/link",
  hard_link: "ln /m/read-me /m/second",
  rename: "mv /m/read-me /m/renamed && mv /m/renamed /m/read-me",
  mode: "chmod 4777 /m/read-me",
  time: "touch -d @0 /m/read-me",
  remove: "rm -f /m/below/more",
  remount: "mount -o remount,rw /m && echo x > /m/new",
};

/** What nobody may make, also where a share can be written. */
const REFUSED: Readonly<Record<string, string>> = {
  pipe: "mkfifo /w/pipe",
  device: "mknod /w/disk b 254 0",
  null_device: "mknod /w/null c 1 3",
  owner: "chown 1:1 /w/read-me",
};

/** What leads out of the share, by what was put into it on the host. */
const WAYS_OUT: Readonly<Record<string, string>> = {
  absolute_link: `grep -q ${SECRET} /m/absolute`,
  relative_link: `grep -q ${SECRET} /m/relative`,
  folder_link: `grep -q ${SECRET} /m/folder-link/secret`,
  host_link: "grep -q version /m/host",
  dots: `grep -q ${SECRET} /m/../${OTHER}/secret`,
  dots_below: `grep -q ${SECRET} /m/below/../../${OTHER}/secret`,
};

const PLANTED = [
  `ln -s /var/rayos/vm/linux/${OTHER}/secret absolute`,
  `ln -s ../../${OTHER}/secret relative`,
  `ln -s ../../${OTHER} folder-link`,
  "ln -s /etc/rayos/build.json host",
].join("; /bin/busybox ");

const FOLDER = `/var/rayos/vm/linux/${GUEST}/docs`;
const CGROUP = "/run/rayos/cg/rayos/guests/00";
/** A guest finds a moment later what is plugged in. */
const MOUNT = "for n in 1 2 3 4 5 6 7 8 9; do mount -t virtiofs docs /m && break; sleep 1; done; " +
  "cat /m/read-me";

async function rayShare(run: BootRun, verb: string): Promise<[number, string]> {
  const { code, output } = await rayInside(run, `share ${verb} ${GUEST} docs`);
  return [code, output.trim()];
}

Deno.test("a guest reads a shared folder and nothing beside it, and loses it provably", async (t) => {
  await using home = await Home.make();
  const disk = await sharingDisk(home);
  await using run = await startMachine({
    disks: [{ path: disk }],
    overlay: await insideOverlay(),
    memoryMiB: 2048,
  });
  await showingLines(run, async () => {
    await run.waitFor("RAYOS_READY mode=normal", READY_MS);
    for (const tag of ["docs", "work"]) {
      const on = await run.waitFor(`share_on vm=${GUEST} kind=linux tag=${tag}`, 60_000);
      assert.equal(on.fields["reason"], "policy");
    }
    for (const device of ["shared-memory", "share.docs", "share.work"]) {
      const lines = run.lines.filter((line) => line.event === `RAYOS_DEVICE:${device}`);
      assert.equal(lines.length, 1, device);
    }
    await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`, READY_MS);
    await askInside(run, `attach ${GUEST} ${GUEST}`, /inside done/u);

    await t.step("it reads, and every write is refused", async () => {
      // What the guest counts can stand between two lines.
      const said = await inGuest(run, GUEST, `mkdir /m; ${MOUNT}; cat /m/below/more`, "mounted");
      for (const words of [/^words of the host\r?$/mu, /^more words\r?$/mu]) {
        assert.match(said, words);
      }
      assert.deepEqual(await tried(run, WRITES, "written"), []);
      assert.equal(await seenOnHost(run, `/bin/busybox ls ${FOLDER}`), "below\nread-me");
    });

    await t.step("links that were put there lead nowhere", async () => {
      await seenOnHost(run, `cd ${FOLDER}; /bin/busybox ${PLANTED}`);
      assert.match(
        await seenOnHost(run, `/bin/busybox cat /var/rayos/vm/linux/${OTHER}/secret`),
        /secret/u,
      );
      assert.deepEqual(await tried(run, WAYS_OUT, "out"), []);
      // What serves it sees that one folder, and may follow no link in it.
      const mounts = await seenOnHost(
        run,
        `read -r p < ${CGROUP}/share0/cgroup.procs; /bin/busybox cat /proc/$p/mountinfo`,
      );
      assert.match(
        mounts,
        /^\S+ \S+ \S+ \/vm\/linux\/share-0\/docs \/ ro,nosuid,nodev,noexec,\S*nosymfollow [^\n]*$/u,
      );
    });

    await t.step("one that it may write holds no more than the policy says", async () => {
      assert.match(
        await inGuest(run, GUEST, "mkdir /w; mount -t virtiofs work /w && echo r''w", "work"),
        /^rw/mu,
      );
      await inGuest(
        run,
        GUEST,
        "mkdir /w/below; echo x > /w/read-me; echo x > /w/below/more",
        "made",
      );
      // The control of what is refused in the other one.
      const { remount: _, ...writes } = WRITES;
      const here = (tricks: Readonly<Record<string, string>>) =>
        Object.fromEntries(
          Object.entries(tricks).map(([name, trick]) => [name, trick.replaceAll("/m/", "/w/")]),
        );
      assert.deepEqual(await tried(run, here(writes), "work-written"), Object.keys(writes));
      assert.deepEqual(await tried(run, REFUSED, "work-refused"), []);
      const said = await inGuest(
        run,
        GUEST,
        "dd if=/dev/zero of=/w/large bs=64k count=80; echo bytes $(stat -c %s /w/large); rm /w/large; " +
          "mkdir /w/many; n=0; while [ $n -lt 300 ] && echo > /w/many/$n; do n=$((n + 1)); done; echo files $n",
        "filled",
      );
      const number = (name: string) =>
        Number(new RegExp(`^${name} (\\d+)`, "mu").exec(said)?.[1] ?? Number.NaN);
      const [bytes, files] = [number("bytes"), number("files")];
      assert.ok(bytes > 1024 * 1024 && bytes < QUOTA_MIB * 1024 * 1024, said);
      assert.ok(files > 100 && files < QUOTA_MIB * 64, said);
    });

    await t.step("what it put there harms nobody on the host", async () => {
      await inGuest(
        run,
        GUEST,
        // Room and inodes first.
        `rm -rf /w/many; ln -s /var/rayos/vm/linux/${OTHER}/secret /w/absolute; ` +
          "ln -s /var/rayos/vm /w/vm; cp /bin/busybox /w/busybox; chmod 6755 /w/busybox; ls -l /w/busybox",
        "put",
      );
      const at = "/run/rayos/share/00.1";
      const can = async (command: string) =>
        /^can$/mu.test(await seenOnHost(run, `${command} > /dev/null && echo can`));
      assert.deepEqual(
        {
          // Controls: the link leads there, and the program is one.
          link: await can(`/bin/busybox cat $(/bin/busybox readlink ${at}/absolute)`),
          copied: await can(
            `/bin/busybox mkdir /here; /bin/busybox cp ${at}/busybox /here/busybox; /here/busybox true`,
          ),
          followed: await can(`/bin/busybox cat ${at}/absolute`),
          below: await can(`/bin/busybox ls ${at}/vm/`),
          run: await can(`${at}/busybox true`),
        },
        { link: true, copied: true, followed: false, below: false, run: false },
      );
    });

    const adopted = async () => {
      const from = await killProgram(run);
      await run.waitFor(`vm_adopted vm=${GUEST}`, 120_000, from);
      await askInside(run, `attach ${GUEST} ${GUEST}`, /inside done/u);
      const { output } = await rayInside(run, "vm list --json");
      const listed = JSON.parse(output) as { shares: string[] }[];
      assert.deepEqual(listed.map((one) => one.shares), [["docs", "work"]]);
      assert.deepEqual(eventsNamed(run.lines.slice(from), "share_off"), []);
      assert.match(await inGuest(run, GUEST, "cat /m/read-me", "again"), /^words of the host/mu);
    };
    await t.step({
      name: "the program is killed and finds it as it was",
      ignore: !FULL,
      fn: adopted,
    });

    await t.step("one that is taken is gone before it is said so", async () => {
      const from = run.lines.length;
      assert.deepEqual(await rayShare(run, "detach"), [0, `${GUEST}: shares work`]);
      await run.waitFor(`share_off vm=${GUEST} kind=linux tag=docs reason=asked`, 10_000, from);
      assert.doesNotMatch(
        await seenOnHost(
          run,
          `/bin/busybox ls ${CGROUP} /run/rayos/share; /bin/busybox cat /proc/mounts`,
        ),
        /share0|00\.0/u,
      );
      assert.doesNotMatch(
        await inGuest(
          run,
          GUEST,
          "cat /m/read-me; umount /m; mount -t virtiofs docs /m && echo still there",
          "taken",
        ),
        /words of the host|^still there/mu,
      );
    });

    await t.step({
      name: "a second name for another guest's file keeps the share from being given",
      ignore: !FULL,
      fn: async () => {
        const name = `${FOLDER}/below/second`;
        await seenOnHost(run, `/bin/busybox ln /var/rayos/vm/linux/${OTHER}/secret ${name}`);
        const from = run.lines.length;
        const [code, output] = await rayShare(run, "attach");
        assert.equal(code, 1);
        assert.match(output, /share\.not_given/u);
        await run.waitFor("fault code=share.hardlink", 10_000, from);
        await seenOnHost(run, `/bin/busybox rm ${name}`);
        assert.deepEqual(await rayShare(run, "attach"), [0, `${GUEST}: shares work docs`]);
      },
    });

    const lost = async (signal: "KILL" | "STOP", code: string) => {
      // A step before it has given it already, where it was not left out.
      assert.deepEqual(await rayShare(run, "attach"), [0, `${GUEST}: shares work docs`]);
      assert.match(await inGuest(run, GUEST, MOUNT, `served${signal}`), /^words of the host/mu);
      const from = run.lines.length;
      await seenOnHost(run, `read -r p < ${CGROUP}/share0/cgroup.procs; kill -${signal} $p`);
      await run.waitFor(`fault code=${code}`, 30_000, from);
      await run.waitFor(`share_off vm=${GUEST} kind=linux tag=docs reason=died`, 30_000, from);
      assert.match(
        await inGuest(run, GUEST, "umount /m; echo goes on", `alone${signal}`),
        /^goes on/mu,
      );
      assert.deepEqual(statesOf(run, GUEST, from), []);
      assert.deepEqual(await rayShare(run, "attach"), [0, `${GUEST}: shares work docs`]);
    };
    await t.step({
      name: "its server dies: the guest goes on without it, and can have it again",
      ignore: !FULL,
      fn: () => lost("KILL", "share.gone"),
    });
    await t.step({
      name: "its server is stopped: it is ended, and the guest goes on as if it had died",
      ignore: !FULL,
      fn: () => lost("STOP", "share.stopped"),
    });

    const saved = async () => {
      assert.match(await inGuest(run, GUEST, MOUNT, "before"), /^words of the host/mu);
      const from = run.lines.length;
      await vmCommand(run, "suspend", GUEST, "suspended");
      await vmCommand(run, "start", GUEST, "running");
      await run.waitFor(`share_on vm=${GUEST} kind=linux tag=work`, 60_000, from);
      const order = run.lines.slice(from).map((line) => line.event)
        .filter((event) => /^(share_o|vm_saved|vm_loaded)/u.test(event));
      assert.deepEqual(order, [
        "share_off",
        "share_off",
        "vm_saved",
        "vm_loaded",
        "share_on",
        "share_on",
      ]);
      await askInside(run, `attach ${GUEST} ${GUEST}`, /inside done/u);
      const said = await inGuest(
        run,
        GUEST,
        `umount /m; umount /w; ${MOUNT}; mount -t virtiofs work /w; cat /w/new`,
        "after",
      );
      for (const words of [/^words of the host\r?$/mu, /^x\r?$/mu]) assert.match(said, words);
    };
    await t.step({
      name: "it is taken before a save, and given again after it",
      ignore: !FULL,
      fn: saved,
    });

    const savedStopped = async () => {
      const from = run.lines.length;
      await seenOnHost(run, `read -r p < ${CGROUP}/share0/cgroup.procs; kill -STOP $p`);
      await vmCommand(run, "suspend", GUEST, "suspended");
      await run.waitFor("fault code=share.stopped", 1_000, from);
      await vmCommand(run, "start", GUEST, "running");
      for (const tag of ["docs", "work"]) {
        await run.waitFor(`share_on vm=${GUEST} kind=linux tag=${tag}`, 60_000, from);
      }
    };
    await t.step({
      name: "it is saved also where its server is stopped, and the line says so",
      ignore: !FULL,
      fn: savedStopped,
    });

    assert.deepEqual(eventsNamed(run.lines, "RAYOS_POLICY_VIOLATION"), []);
    assertEndedInOrder(await finish(run));
  });
  assertClean(disk);
});
