/**
 * The loop that feeds the machine's watchdog, in a root and a process namespace of its own, with a program
 * of the right name that beats, stops beating, or is another one. The device is a plain file: each feeding
 * is a byte in it.
 */

import assert from "node:assert/strict";
import * as fs from "node:fs";
import { BUSYBOX, ignore, type Root, withRoot } from "./launcher_root.ts";

/** Runs a script as the first process of a namespace of its own, in the root; gives what it printed. */
async function asFirst(root: Root, script: string): Promise<string[]> {
  fs.copyFileSync(BUSYBOX, `${root.dir}/usr/lib/rayos/sh`);
  fs.writeFileSync(`${root.dir}/dev/feed`, "");
  fs.writeFileSync(`${root.dir}/first`, `bb=/bin/busybox\n${script}`);
  const inside = 'mount -t proc proc "$0/proc" && exec chroot "$0" /bin/busybox sh /first';
  const { stdout, stderr } = await new Deno.Command("unshare", {
    args: ["--mount", "--pid", "--fork", "--kill-child", "sh", "-c", inside, root.dir],
    clearEnv: true,
    env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
    stdin: "null",
  }).output();
  assert.equal(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim().split("\n");
}

const FED = "echo fed $($bb wc -c < /dev/feed)";
const WATCH = "/usr/lib/rayos/watchdog /dev/feed 2 1 &\n";
/** A program of the right name: it writes its id, beats so many times, and then only sits there. */
const program = (beats: number) =>
  `echo 'echo $$ > /run/rayos/init.pid; n=0; while [ $n -lt ${beats} ]; do n=$((n+1)); ` +
  `echo $$.$n > /run/rayos/alive; /bin/busybox sleep 0.5; done; ` +
  `while :; do /bin/busybox sleep 100; done' > /program\n`;
const START = "/usr/lib/rayos/sh /program init &\n";

/** Beside one another: each waits for seconds to go by, in a root of its own. */
const BESIDE = { sanitizeOps: false, sanitizeResources: false, sanitizeExit: false } as const;

Deno.test({
  name: "the loop that feeds the machine's watchdog",
  ignore,
  async fn(t) {
    await Promise.all([
      t.step({
        ...BESIDE,
        name:
          "a program that beats is fed for and left alone; one that stops beating is ended and said so",
        async fn() {
          await withRoot(async (root) => {
            const words = await asFirst(
              root,
              `${program(12)}${START}pid=$!\n${WATCH}$bb sleep 5\n` +
                `kill -0 $pid && echo alive\n[ -e /run/rayos/hang ] || echo no hang\n` +
                `n=0; while [ ! -e /run/rayos/hang ] && [ $n -lt 200 ]; do $bb sleep 0.1; n=$((n+1)); done\n` +
                `$bb cat /run/rayos/hang\n$bb sleep 0.2\n` +
                `[ -d /proc/$pid ] && $bb grep State /proc/$pid/status || echo gone\n${FED}\n`,
            );
            assert.deepEqual(words.slice(0, 2), ["alive", "no hang"]);
            assert.match(words[2] ?? "", /nothing new for 2 s \(state S in \w+, ran \d+\+\d+\);/);
            // The namespace's first process does not wait for it: it may still be there as a zombie.
            assert.match(words[3] ?? "", /gone|Z/);
            assert.ok(Number(words.at(-1)?.split(" ")[1]) >= 5, words.at(-1));
          });
        },
      }),
      t.step({
        ...BESIDE,
        name:
          "a process that took the program's id over is not ended, nor is one that is not PID 1's",
        async fn() {
          await withRoot(async (root) => {
            const words = await asFirst(
              root,
              // Another name; then the right name under another parent.
              `$bb sleep 100 &\nother=$!\necho $other > /run/rayos/init.pid\n${WATCH}$bb sleep 4\n` +
                `kill -0 $other && echo spared\n[ -e /run/rayos/hang ] || echo no hang\n` +
                `${
                  program(0)
                }( $bb sh -c '/usr/lib/rayos/sh /program init & wait' ) &\n$bb sleep 4\n` +
                `read -r pid < /run/rayos/init.pid\nkill -0 $pid && echo spared too\n`,
            );
            assert.deepEqual(words, ["spared", "no hang", "spared too"]);
          });
        },
      }),
      t.step({
        ...BESIDE,
        name:
          "nothing is fed any more once three ends in a row brought no new beat; a beat begins anew",
        async fn() {
          await withRoot(async (root) => {
            const words = await asFirst(
              root,
              `${WATCH}$bb sleep 8\n${FED}\n$bb sleep 3\n${FED}\n`,
            );
            const [early, late] = words.map((line) => Number(line.split(" ")[1]));
            assert.ok((early ?? 0) >= 4, "it was fed at first, although no program was there yet");
            assert.equal(early, late);
          });
        },
      }),
      t.step({
        ...BESIDE,
        name: "a program that hangs after its first word is no better for being started again",
        async fn() {
          await withRoot(async (root) => {
            // PID 1's part: whatever ended is started again, and says one word each time.
            const words = await asFirst(
              root,
              `${program(1)}${WATCH}n=0\nwhile [ $n -lt 4 ]; do\n` +
                `  /usr/lib/rayos/sh /program init &\n  { wait $!; } 2> /dev/null\n  n=$((n+1))\ndone\n` +
                `${FED}\n$bb sleep 3\n${FED}\n`,
            );
            const [early, late] = words.map((line) => Number(line.split(" ")[1]));
            assert.ok((early ?? 0) >= 4, "it was fed at first");
            assert.equal(early, late);
          });
        },
      }),
      t.step({
        ...BESIDE,
        name: "the watchdog's loop refuses words that are no numbers, and a limit below its pause",
        async fn() {
          await withRoot((root) => {
            for (
              const words of [[], ["/dev/feed"], ["/dev/feed", "2", "x"], ["/dev/feed", "1", "2"]]
            ) {
              assert.equal(root.run("watchdog", ...words), "", words.join(" "));
            }
          });
        },
      }),
    ]);
  },
});
