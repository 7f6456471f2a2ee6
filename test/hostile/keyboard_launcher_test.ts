/**
 * The launcher `keyboard` in a root of its own, with a sysfs that the test has made: it makes a node for what
 * is a keyboard or a pointer and was asked for as it is now, and for nothing else.
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { foundDevices } from "../../src/presentation/found.ts";
import { ignore, type Root, withRoot } from "./launcher_root.ts";

const KEYBOARD = "120013";
const SWITCH = "21";
const NAME = btoa("QEMU keyboard\n");

/** As the kernel shows a device: the entry of the class is a link to a folder of its own. */
function plug(
  root: Root,
  event: string,
  dev: string,
  kinds = KEYBOARD,
  name = "QEMU keyboard\n",
): void {
  const real = `${root.dir}/sys/devices/${event}-${Math.random()}`;
  fs.mkdirSync(`${real}/device/capabilities`, { recursive: true });
  fs.writeFileSync(`${real}/device/capabilities/ev`, `${kinds}\n`);
  fs.writeFileSync(`${real}/device/name`, name);
  fs.writeFileSync(`${real}/dev`, `${dev}\n`);
  fs.mkdirSync(`${root.dir}/sys/class/input`, { recursive: true });
  fs.symlinkSync(
    `../../${real.slice(`${root.dir}/sys/`.length)}`,
    `${root.dir}/sys/class/input/${event}`,
  );
}
const unplug = (root: Root, event: string) => fs.rmSync(`${root.dir}/sys/class/input/${event}`);
const nodes = (root: Root) => fs.readdirSync(`${root.dir}/run/rayos/input`).sort();

Deno.test(
  { name: "keyboard boot accepts what is there, and list says which", ignore },
  async () => {
    await withRoot((root) => {
      plug(root, "event0", "13:64");
      plug(root, "event1", "13:65", SWITCH);
      assert.equal(root.run("keyboard", "boot"), "");
      assert.deepEqual(nodes(root), ["0", "0.id"]);
      plug(root, "event2", "13:66", KEYBOARD, "");
      assert.equal(root.run("keyboard", "list"), `ok event0,13:64,${NAME},0 event2,13:66,-,-`);
    });
  },
);

Deno.test(
  { name: "keyboard accept makes one node, for the device that was listed", ignore },
  async () => {
    await withRoot((root) => {
      assert.equal(root.run("keyboard", "boot"), "");
      plug(root, "event3", "13:67");
      plug(root, "event4", "13:68", SWITCH);
      for (
        const [call, fault] of [
          [[], "usage"],
          [["event3", "13:67"], "usage"],
          [["event9", "13:67", NAME], "input.gone"],
          [["event4", "13:68", NAME], "input.gone"],
          [["event3", "13:99", NAME], "input.changed"],
          [["event3", "13:67", btoa("another")], "input.changed"],
          [["../../../tmp/x", "13:67", NAME], "input.device"],
          [["event3/../event3", "13:67", NAME], "input.device"],
          [["event$(reboot)", "13:67", NAME], "input.device"],
        ] as const
      ) {
        assert.match(
          root.run("keyboard", "accept", ...call),
          new RegExp(`^fault ${fault} `),
          call.join(),
        );
      }
      assert.deepEqual(nodes(root), []);
      assert.equal(root.run("keyboard", "accept", "event3", "13:67", NAME), "ok 0");
      assert.match(root.run("keyboard", "accept", "event3", "13:67", NAME), /^fault input\.there /);
      assert.equal(fs.statSync(`${root.dir}/run/rayos/input/0`).mode & 0o170777, 0o020600);
    });
  },
);

Deno.test(
  { name: "a device that takes over the number of an accepted one is a new one", ignore },
  async () => {
    await withRoot((root) => {
      plug(root, "event0", "13:64");
      assert.equal(root.run("keyboard", "boot"), "");
      unplug(root, "event0");
      // The same name, the same number, the same words: only the kernel's own object is another.
      plug(root, "event0", "13:64");
      assert.equal(root.run("keyboard", "list"), `ok event0,13:64,${NAME},-`);
      assert.deepEqual(nodes(root), [], "and the old node is gone");
    });
  },
);

Deno.test(
  {
    name:
      "keyboard list names what is read whatever else is plugged in, in what is read of a launcher",
    ignore,
  },
  async () => {
    await withRoot((root) => {
      // In the shell's order event10 comes before event5.
      plug(root, "event5", "13:69");
      assert.equal(root.run("keyboard", "boot"), "");
      const long = "\u{1f600}".repeat(63);
      for (let n = 10; n < 60; n++) plug(root, `event${n}`, `13:${64 + n}`, KEYBOARD, long);
      const words = root.run("keyboard", "list").split(" ");
      assert.equal(words[1], `event5,13:69,${NAME},0`);
      assert.equal(words.length, 2 + 24);
      assert.equal(foundDevices(words.slice(1))?.length, 25);
      assert.ok(words.join(" ").length < 4096);
    });
  },
);

Deno.test({ name: "keyboard makes eight nodes and no ninth", ignore }, async () => {
  await withRoot((root) => {
    for (let n = 0; n < 9; n++) plug(root, `event${n}`, `13:${64 + n}`);
    assert.match(root.run("keyboard", "boot"), /^fault input\.too_many event8$/);
    assert.equal(nodes(root).length, 16);
    assert.match(
      root.run("keyboard", "accept", "event8", "13:72", NAME),
      /^fault input\.too_many /,
    );
  });
});
