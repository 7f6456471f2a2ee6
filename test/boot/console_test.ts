/**
 * A guest's console with the real `ray` on a real machine: seen as it is written and typed into, without
 * holding up the guest's log; who may be there; and how it ends.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import {
  askInside,
  fileInside,
  insideOverlay,
  linesInside,
  rayInside,
  vmCommand,
} from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  fullTest,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const LOG = `/var/rayos/vm/linux/${GUEST}/logs/console.log`;
/** Lines of a hundred bytes: more than what the host and a socket keep for one who does not read. */
const FLOOD = 3_200;

/** One session of `ray vm console` on the machine. */
class Attached {
  private constructor(readonly run: BootRun, readonly name: string) {}

  static async start(run: BootRun, name: string, words = ""): Promise<Attached> {
    await askInside(run, `attach ${name} ${GUEST} ${words}`, /inside done/u);
    return new Attached(run, name);
  }

  async type(line: string): Promise<void> {
    await askInside(this.run, `type ${this.name} ${line}`, /inside done/u);
  }

  async signal(name: string): Promise<void> {
    await askInside(this.run, `tell ${this.name} ${name}`, /inside done/u);
  }

  get out(): string {
    return `/run/attached.${this.name}.out`;
  }

  /** Everything it wrote, once that is there. */
  shows(wanted: RegExp): Promise<string> {
    return until(async () => text(await fileInside(this.run, this.out)), wanted);
  }

  /** Everything it said, once that is there. */
  says(wanted: RegExp): Promise<string> {
    return until(
      async () => text(await fileInside(this.run, `/run/attached.${this.name}.err`)),
      wanted,
    );
  }
}

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

async function until(look: () => Promise<string>, wanted: RegExp): Promise<string> {
  const from = Date.now();
  while (true) {
    const seen = await look();
    if (wanted.test(seen)) return seen;
    assert.ok(Date.now() - from < 240_000, `never ${wanted}; at last:\n${seen.slice(-2000)}`);
    await new Promise((resolve) => setTimeout(resolve, 1_000));
  }
}

/** Waits until a file of the machine has such a line. */
async function has(run: BootRun, path: string, pattern: string): Promise<void> {
  await until(async () => `${await linesInside(run, path, pattern)} lines`, /^[1-9]/u);
}

const counts = (seen: string) =>
  [...seen.matchAll(/^count (\d+)\r?$/gmu)].map(([, n]) => Number(n));

fullTest(
  "ray vm console shows a guest as it writes, types into it, and holds up nobody",
  async () => {
    await using home = await Home.make();
    const policy = (await defaultPolicy()).replace("mem_mib", "console_kib_s = 1024\nmem_mib");
    const files = { ...guestFiles(GUEST, home), ...await signedPolicy(policy) };
    const narrow = policy.replace("serial = 1", "serial = 2").replace("enabled = true", "");
    for (const [path, file] of Object.entries(await signedPolicy(narrow))) {
      files[path.replace("rayos-policy", "incoming")] = file;
    }
    const disk = dataDisk(home, files);
    await using run = await startMachine({
      disks: [{ path: disk }],
      overlay: await insideOverlay(),
    });
    await showingLines(run, async () => {
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);

      const writer = await Attached.start(run, "writer");
      const live = counts(await writer.shows(/count \d+[^]*count \d+\r?\n/u));
      assert.equal(await linesInside(run, LOG, `count ${live.at(-1)}`), 1);

      // What is typed reaches the guest; a second one may only look on.
      await writer.type("it is said back");
      await writer.shows(/heard it is said back/u);
      const second = await rayInside(run, `vm console ${GUEST}`);
      assert.equal(second.code, 1);
      assert.match(second.output, /denied by console\.writer/u);
      const reader = await Attached.start(run, "reader", "--read-only");
      await reader.shows(/count \d+/u);

      // One that stands still loses what it did not read; the log and the other have all the same.
      await reader.signal("STOP");
      await writer.type(`flood ${FLOOD}`);
      await has(run, LOG, "flood is over");
      assert.equal(await linesInside(run, LOG, "----------"), FLOOD);
      await has(run, writer.out, "flood is over");
      await reader.signal("CONT");
      await reader.says(/\d+ bytes were not read in time and are lost/u);
      await has(run, reader.out, "flood is over");
      assert.ok(await linesInside(run, reader.out, "----------") < FLOOD);

      // Who leaves takes nothing along.
      await writer.signal("TERM");
      await writer.says(/code 130/u);
      const { output } = await rayInside(run, `vm log ${GUEST} --lines 5`);
      const before = Math.max(...counts(output));
      const again = await Attached.start(run, "again");
      const goesOn = counts(await again.shows(/count \d+\r?\n/u));
      assert.ok(goesOn.every((n) => n >= before), `${goesOn} after ${before}`);

      // The guest's end is everybody's.
      await vmCommand(run, "kill", GUEST, "stopped");
      for (const one of [reader, again]) await one.says(/the guest ended\n[^]*code 0/u);
      const at = run.lines.length;
      await vmCommand(run, "start", GUEST, "running");
      await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`, 120_000, at);

      // And so is a policy that no longer gives it.
      const last = await Attached.start(run, "last");
      await last.shows(/count \d+/u);
      assert.equal((await rayInside(run, "policy install policy/incoming.toml")).code, 0);
      await last.says(/ended by vm\.disabled\n[^]*code 1/u);

      const ends = run.lines.filter((line) => line.event === "console_detached").map((line) =>
        line.fields["reason"]
      );
      assert.deepEqual(ends, ["detached", "guest_ended", "guest_ended", "vm.disabled"]);
      const asked = eventsNamed(run.lines, "RAYOS_HOST_ACK").filter((one) => /console/u.test(one));
      assert.deepEqual(asked.map((one) => one.split(":").slice(2).join(":")), [
        "ok:done",
        "err:console.writer",
        "ok:done",
        "ok:done",
        "ok:done",
      ]);
      assert.ok(!run.lines.some((line) => /said back|flood/u.test(JSON.stringify(line))));
      assertEndedInOrder(await finish(run));
      assertClean(disk);
    });
  },
);
