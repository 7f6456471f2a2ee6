/**
 * The launcher `disk`, called as a captured program would call it: whatever it is given, it works on a file
 * of that one guest, makes no file but `state/disk.tmp`, and leaves owners and modes as they were. A call
 * that is not refused reaches for bubblewrap, which is not there, and says `disk.failed`.
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { qcow2Of } from "../../tools/qcow2.ts";
import { ignore, type Root, withRoot } from "./launcher_root.ts";

const DISK = "vm/linux/demo/rootfs.ext4";
const CHECK = ["check", "0", "linux", "demo", DISK, "raw"];
const CONVERT = ["convert", "0", "linux", "demo", DISK, "raw", "qcow2", "1048576"];
const CREATE = ["create", "0", "linux", "demo", "qcow2", "1048576"];
const RESIZE = ["resize", "0", "linux", "demo", DISK, "raw", "1048576"];

/** The same call with another word in that place. */
const put = (call: readonly string[], at: number, word: string) =>
  call.map((one, n) => n === at ? word : one);

const at = (path: string) => put(CHECK, 4, path);

const REFUSED: readonly [what: string, call: readonly string[], refusal: string][] = [
  ["no verb", [], "usage"],
  ["a verb that is none", put(CHECK, 0, "rebase"), "usage"],
  ["a word too many", [...CHECK, "-o"], "usage"],
  ["a word too few", CHECK.slice(0, -1), "usage"],
  ["a slot beyond the last", put(CHECK, 1, "64"), "disk.slot"],
  ["a slot that is an option", put(CHECK, 1, "-1"), "disk.slot"],
  ["another kind", put(CHECK, 2, "../linux"), "disk.kind"],
  ["a guest's name with a path", put(CHECK, 3, "../demo"), "disk.vm"],
  ["a guest's name that is an option", put(CHECK, 3, "-demo"), "disk.vm"],
  ["a command in a value", put(CHECK, 3, "$(touch /pwned)"), "disk.vm"],
  ["a format that probes", put(CHECK, 5, "auto"), "disk.format"],
  ["a format that is a protocol", put(CHECK, 5, "nbd"), "disk.format"],
  ["a format with options", put(CONVERT, 6, "qcow2,backing_file=/etc/shadow"), "disk.format"],
  ["an absolute path", at("/etc/shadow"), "disk.path"],
  ["a path that climbs", at("vm/linux/demo/../../../etc/shadow"), "disk.path"],
  ["a path with a wildcard", at("vm/linux/demo/root*"), "disk.path"],
  ["a protocol as a path", at("json:{}"), "disk.path"],
  ["another guest's disk", at("vm/linux/other/disk"), "disk.foreign"],
  ["the policy", at("policy/rayos-policy.toml"), "disk.foreign"],
  ["the host's part of the folder", at("vm/linux/demo/state/saved"), "disk.foreign"],
  ["a backup", at("vm/linux/demo/backup/1/disk"), "disk.foreign"],
  ["what was given away", at("vm/linux/demo/outbox/x"), "disk.foreign"],
  ["a change of the inbox", put(RESIZE, 4, "vm/linux/demo/inbox/image"), "disk.foreign"],
  ["a file that is not there", at("vm/linux/demo/missing"), "disk.type"],
  ["a directory", at("vm/linux/demo/sub"), "disk.type"],
  ["a FIFO", at("vm/linux/demo/fifo"), "disk.type"],
  ["a symbolic link", at("vm/linux/demo/link"), "disk.link"],
  ["a link in the path", at("vm/linux/demo/away/disk"), "disk.link"],
  ["a second name", at("vm/linux/demo/hard"), "disk.hardlink"],
  ["a file of another slot", at("vm/linux/demo/theirs"), "disk.owner"],
  ["no header where one is said", put(CHECK, 5, "qcow2"), "disk.header"],
  ["a backing file", put(at("vm/linux/demo/backing"), 5, "qcow2"), "disk.header"],
  ["an external data file", put(at("vm/linux/demo/external"), 5, "qcow2"), "disk.header"],
  ["a size that is no number", put(CREATE, 5, "1G"), "disk.number"],
  ["half a sector", put(CREATE, 5, "700"), "disk.number"],
  ["octal", put(CREATE, 5, "01024"), "disk.number"],
  ["a size beyond any disk", put(CREATE, 5, "17592186044928"), "disk.limit"],
  ["a size that overflows", put(CREATE, 5, "9".repeat(40)), "disk.limit"],
  ["a new disk where one is left", CREATE, "disk.leftover"],
];

function prepare(root: Root): void {
  const demo = `${root.data}/vm/linux/demo`;
  fs.mkdirSync(`${demo}/sub`);
  fs.mkdirSync(`${demo}/inbox`);
  fs.writeFileSync(`${demo}/inbox/image`, "image");
  fs.symlinkSync("rootfs.ext4", `${demo}/link`);
  fs.symlinkSync("../other", `${demo}/away`);
  fs.linkSync(`${root.data}/vm/linux/other/disk`, `${demo}/hard`);
  fs.writeFileSync(`${demo}/theirs`, "");
  fs.chownSync(`${demo}/theirs`, 61001, 61001);
  new Deno.Command("mkfifo", { args: [`${demo}/fifo`] }).outputSync();
  const whole = qcow2Of(new Uint8Array(65536));
  for (const [name, place] of [["backing", 15], ["external", 79]] as const) {
    const changed = whole.slice();
    changed[place] = 4;
    fs.writeFileSync(`${demo}/${name}`, changed);
  }
  fs.writeFileSync(`${demo}/whole`, whole);
}

const UNFINISHED = "vm/linux/demo/state/disk.tmp";

for (const [what, call, refusal] of REFUSED) {
  Deno.test({
    name: `launcher disk refuses ${what}`,
    ignore,
    fn: () =>
      withRoot((root) => {
        prepare(root);
        if (refusal === "disk.leftover") fs.writeFileSync(`${root.data}/${UNFINISHED}`, "left");
        const said = root.run("disk", ...call);
        assert.equal(said.split(" ").slice(0, 2).join(" "), `fault ${refusal}`, said);
        assert.ok(!fs.existsSync(`${root.dir}/pwned`));
        const left = refusal === "disk.leftover" ? "left" : null;
        const found = fs.existsSync(`${root.data}/${UNFINISHED}`)
          ? fs.readFileSync(`${root.data}/${UNFINISHED}`, "utf8")
          : null;
        assert.equal(found, left);
        const disk = fs.statSync(`${root.data}/${DISK}`);
        assert.deepEqual([disk.uid, disk.gid], [0, 0]);
      }),
  });
}

const TAKEN: readonly (readonly string[])[] = [
  CHECK,
  CONVERT,
  CREATE,
  RESIZE,
  at("vm/linux/demo/inbox/image"),
  put(at("vm/linux/demo/whole"), 5, "qcow2"),
];

for (const call of TAKEN) {
  Deno.test({
    name: `launcher disk comes as far as bubblewrap with ${call[0]} ${call[4]}, and leaves nothing`,
    ignore,
    fn: () =>
      withRoot((root) => {
        prepare(root);
        const disk = `${root.data}/${DISK}`;
        fs.chownSync(disk, 61000, 61000);
        fs.chmodSync(disk, 0o600);
        assert.match(root.run("disk", ...call), /^fault disk\.(failed|damaged) /);
        const { uid, gid, mode } = fs.statSync(disk);
        assert.deepEqual([uid, gid, mode & 0o777], [61000, 61000, 0o600]);
        assert.ok(!fs.existsSync(`${root.data}/${UNFINISHED}`));
      }),
  });
}

Deno.test({
  name: "launcher disk gives an image that a dead one had lent to nobody but its owner",
  ignore,
  fn: () =>
    withRoot((root) => {
      prepare(root);
      const disk = `${root.data}/${DISK}`;
      fs.chownSync(disk, 61000, 60998);
      fs.chmodSync(disk, 0o660);
      assert.match(root.run("disk", ...RESIZE), /^fault disk\.failed /);
      const { uid, gid, mode } = fs.statSync(disk);
      assert.deepEqual([uid, gid, mode & 0o777], [61000, 61000, 0o600]);
    }),
});

Deno.test({
  name: "launcher disk refuses a second piece of work beside one that is under way",
  ignore,
  fn: () =>
    withRoot((root) => {
      const events = `${root.dir}/run/rayos/cg/rayos/disk/cgroup.events`;
      fs.writeFileSync(events, "populated 1\n");
      assert.match(root.run("disk", ...CREATE), /^fault disk\.running/);
      assert.ok(!fs.existsSync(`${root.data}/${UNFINISHED}`));
    }),
});

Deno.test({
  name: "launcher disk makes its new file in the guest's own folder, and through no link",
  ignore,
  fn: () =>
    withRoot((root) => {
      fs.rmSync(`${root.data}/vm/linux/demo/state`, { recursive: true });
      fs.symlinkSync("../other", `${root.data}/vm/linux/demo/state`);
      assert.match(root.run("disk", ...CREATE), /^fault disk\.link/);
      assert.deepEqual(fs.readdirSync(`${root.data}/vm/linux/other`), ["disk"]);
    }),
});
