/**
 * The launcher of shares, asked as a mistaken or captured program would, with folders as a hostile hand
 * would leave them: what does not hold is refused before anything is mounted or anybody is started. Here
 * `mount` does nothing, so a request in which all holds ends where the mount is looked at.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import { ignore, type Root, withRoot } from "./launcher_root.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import type { DataPath } from "../../src/data_path.ts";
import { VIRTIOFSD_FILTER } from "../../src/seccomp/virtiofsd.ts";
import { renderShare } from "../../src/share/values.ts";

const SHARE = {
  tag: "docs",
  path: "vm/linux/demo/docs" as DataPath,
  readOnly: true,
  quotaMib: 1,
};
const GOOD = renderShare(samplePlan(), SHARE);
const ALL_HOLDS = "fault share.swapped vm/linux/demo/docs";

/** Asks it for that plan, after something was done to the data root. */
async function asked(
  plan: string,
  prepare: (docs: string, root: Root) => void = () => {},
  afterwards: (docs: string, root: Root) => void = () => {},
): Promise<string> {
  let said = "";
  await withRoot((root) => {
    const { dir, data } = root;
    fs.writeFileSync(`${dir}/usr/lib/rayos/seccomp/virtiofsd.bpf`, VIRTIOFSD_FILTER);
    fs.mkdirSync(`${dir}/run/rayos/v/00/0`, { recursive: true });
    fs.chownSync(`${dir}/run/rayos/v/00/0`, 63000, 61000);
    fs.mkdirSync(`${dir}/run/rayos/share`);
    fs.mkdirSync(`${dir}/run/rayos/err/00`);
    const docs = `${data}/vm/linux/demo/docs`;
    fs.mkdirSync(`${docs}/below`, { recursive: true });
    fs.writeFileSync(`${docs}/below/file`, "words");
    prepare(docs, root);
    fs.writeFileSync(`${dir}/run/rayos/plan/00.share0`, plan, { mode: 0o600 });
    said = root.run("share", "give", "0", "0");
    afterwards(docs, root);
  });
  return said;
}

const test = (name: string, fn: () => Promise<void>) => Deno.test({ name, ignore, fn });

test("the launcher of shares takes a plan in which all holds as far as its mount", async () => {
  assert.equal(await asked(GOOD), ALL_HOLDS);
});

const WRONG: readonly [name: string, from: string | RegExp, to: string, code: string][] = [
  ["another version", "rayos-share 0", "rayos-share 1", "share.version"],
  ["a key of its own making", "vm demo", "vm demo\noption --sandbox=none", "share.key"],
  ["a key that is shell", "vm demo", "$(touch /pwned) demo", "share.key"],
  ["a key twice", "vm demo", "vm demo\nvm other", "share.twice"],
  ["a missing value", /seccomp .*\n/, "", "share.missing"],
  ["no newline at the end", /\n$/, "", "share.truncated"],
  ["another filter", /seccomp .{8}/, "seccomp 00000000", "share.seccomp"],
  ["access of another kind", "access ro", "access rwx", "share.access"],
  ["an endless quota", "quota 1", "quota 99999999", "share.quota"],
  ["an absolute path", "path vm", "path /vm", "share.path"],
  ["a path with ..", "path vm/linux/demo/docs", "path vm/linux/demo/../other", "share.path"],
  ["a path with spaces", "demo/docs", "demo/docs -o dev", "share.path"],
  ["another guest's folder", "demo/docs", "other", "share.foreign"],
  ["the policy's folder", "vm/linux/demo/docs", "policy", "share.foreign"],
  ["the guest's own state", "demo/docs", "demo/state", "share.foreign"],
  ["what is below its state", "demo/docs", "demo/state/x", "share.foreign"],
  ["its folder as a whole", "demo/docs", "demo", "share.foreign"],
];
for (const [name, from, to, code] of WRONG) {
  test(`the launcher of shares refuses ${name}`, async () => {
    const plan = GOOD.replace(from, to);
    assert.notEqual(plan, GOOD);
    assert.equal((await asked(plan)).split(" ")[1], code);
  });
}

const LEFT: readonly [name: string, prepare: (docs: string, root: Root) => void, code: string][] = [
  ["a link for the folder", (docs) => {
    fs.renameSync(docs, `${docs}.real`);
    fs.symlinkSync("docs.real", docs);
  }, "share.link"],
  ["a link above it", (docs, { data }) => {
    fs.renameSync(docs, `${data}/vm/linux/other/docs`);
    fs.rmSync(`${data}/vm/linux/demo`, { recursive: true });
    fs.symlinkSync("other", `${data}/vm/linux/demo`);
  }, "share.link"],
  ["a file for the folder", (docs) => {
    fs.rmSync(docs, { recursive: true });
    fs.writeFileSync(docs, "x");
  }, "share.type"],
  [
    "a second name of another guest's file",
    (docs, { data }) => fs.linkSync(`${data}/vm/linux/other/disk`, `${docs}/below/disk`),
    "share.hardlink",
  ],
  ["a file of another guest's QEMU", (docs) => {
    fs.chownSync(`${docs}/below/file`, 61001, 61001);
  }, "share.owner"],
  [
    "a link of somebody else's",
    (docs) => {
      fs.symlinkSync("/etc", `${docs}/link`);
      fs.lchownSync(`${docs}/link`, 63001, 63001);
    },
    "share.owner",
  ],
];
for (const [name, prepare, code] of LEFT) {
  test(`the launcher of shares refuses ${name}`, async () => {
    assert.equal((await asked(GOOD, prepare)).split(" ")[1], code);
  });
}

test("the launcher of shares makes readable what lies in the folder, and nothing that a link names", async () => {
  const look = (path: string) => {
    const { gid, mode } = fs.lstatSync(path);
    return [gid, mode & 0o7777];
  };
  let secret: number[] = [];
  const said = await asked(
    GOOD,
    (docs, { data }) => {
      fs.symlinkSync("../other/disk", `${docs}/link`);
      fs.symlinkSync("../other", `${docs}/folder`);
      fs.chmodSync(`${docs}/below/file`, 0o600);
      secret = look(`${data}/vm/linux/other/disk`);
    },
    (docs, { data }) => {
      assert.deepEqual(look(`${docs}/below/file`), [63000, 0o640]);
      assert.deepEqual(look(`${data}/vm/linux/other/disk`), secret);
      assert.equal(look(`${data}/vm/linux/other`)[0], 0);
    },
  );
  assert.equal(said, ALL_HOLDS);
});

const WRITTEN = { ...SHARE, path: "vm/linux/demo/work.ext4" as DataPath, readOnly: false };
const FILE = "vm/linux/demo/work.ext4";

/** A root in which that share may be given, with bubblewrap as that script. */
function written(
  quotaMib: number,
  bwrap: string,
  work: (root: Root, give: () => string) => void,
): Promise<void> {
  return withRoot((root) => {
    const { dir } = root;
    fs.writeFileSync(`${dir}/usr/lib/rayos/seccomp/virtiofsd.bpf`, VIRTIOFSD_FILTER);
    fs.mkdirSync(`${dir}/run/rayos/v/00/0`, { recursive: true });
    fs.chownSync(`${dir}/run/rayos/v/00/0`, 63000, 61000);
    fs.mkdirSync(`${dir}/run/rayos/share`);
    fs.mkdirSync(`${dir}/run/rayos/err/00`);
    fs.writeFileSync(`${dir}/usr/bin/bwrap`, `#!/bin/busybox sh\n${bwrap}\n`, { mode: 0o755 });
    const give = () => {
      const plan = renderShare(samplePlan(), { ...WRITTEN, quotaMib });
      fs.writeFileSync(`${dir}/run/rayos/plan/00.share0`, plan, { mode: 0o600 });
      // The kernel lets a cgroup go with the files in it.
      fs.rmSync(`${dir}/run/rayos/cg/rayos/guests/00/share0`, { recursive: true, force: true });
      return root.run("share", "give", "0", "0");
    };
    work(root, give);
  });
}

test("the launcher of shares makes no file that takes what RayOS Data keeps for everybody", () =>
  written(8, "exit 7", ({ runWithin, dir }, give) => {
    give();
    const cgroup = `${dir}/run/rayos/cg/rayos/guests/00/share0`;
    const within = (mib: number) => {
      fs.rmSync(cgroup, { recursive: true, force: true });
      return runWithin(mib, "share", "give", "0", "0").split("\n");
    };
    const small = within(23);
    assert.equal(small[0], `fault share.no_room ${FILE}`);
    assert.deepEqual(small.filter((line) => line.startsWith(FILE)), []);
    assert.equal(within(25)[0], "fault share.failed mke2fs=7");
  }));

test("the launcher of shares leaves no unfinished file where it is killed, as soon as the share is taken", () =>
  written(8, "kill -9 $PPID", (root, give) => {
    const { dir, data } = root;
    const unfinished = `${data}/${FILE}.new`;
    assert.equal(give(), "");
    assert.ok(fs.existsSync(unfinished));
    fs.rmSync(`${dir}/run/rayos/cg/rayos/guests/00/share0`, { recursive: true });
    assert.equal(root.run("share", "take", "0", "0"), "ok");
    assert.ok(!fs.existsSync(unfinished));
  }));

test("the launcher of shares takes away no file that is finished", () =>
  written(8, "exit 0", (root, give) => {
    const { dir, data } = root;
    give();
    fs.rmSync(`${dir}/run/rayos/cg/rayos/guests/00/share0`, { recursive: true });
    assert.equal(root.run("share", "take", "0", "0"), "ok");
    assert.equal(fs.statSync(`${data}/${FILE}`).size, 8 * 1024 * 1024);
    assert.deepEqual(fs.readdirSync(`${dir}/run/rayos/share`), []);
  }));

/** Files of another uid below the share's mount, too many for one chown. */
const MOVED = `case "$*" in *e2fsck*)
  for one in $(/bin/busybox seq 5000); do
    : > "/run/rayos/share/00.0/a-file-whose-name-is-long-so-that-one-chown-has-no-room-for-all-$one"
  done
esac`;

test("the launcher of shares makes a moved guest's files its own before the root that says that they are", () =>
  written(8, MOVED, ({ dir }, give) => {
    give();
    const place = `${dir}/run/rayos/share/00.0`;
    const changed = (path: string) => {
      const { uid, ctimeNs } = fs.lstatSync(path, { bigint: true });
      assert.equal(uid, 63000n);
      return ctimeNs;
    };
    const root = changed(place);
    const later = fs.readdirSync(place).filter((name) => changed(`${place}/${name}`) > root);
    assert.equal(later.length, 0);
  }));
