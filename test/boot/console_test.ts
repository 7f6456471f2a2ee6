/**
 * A guest's console with the real `ray` on a real machine: seen as it is written and typed into, without
 * holding up the guest's log; who may be there; and how it ends.
 */
import assert from "node:assert/strict";
import type { BootRun } from "../../tools/boot_machine.ts";
import { askInside, fileInside, insideOverlay, rayInside, vmCommand } from "./inside.ts";
import {
  assertClean,
  assertEndedInOrder,
  dataDisk,
  defaultPolicy,
  eventsNamed,
  finish,
  GUEST,
  guestFiles,
  Home,
  showingLines,
  signedPolicy,
  startMachine,
} from "./machine.ts";

const LOG = `/var/rayos/vm/linux/${GUEST}/logs/console.log`;
/** Lines of a hundred bytes: more than what the host and a socket keep for one who does not read. */
const FLOOD = 6_000;

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

  async #file(end: "out" | "err"): Promise<string> {
    return text(await fileInside(this.run, `/run/attached.${this.name}.${end}`));
  }

  /** Everything it wrote, once that is there. */
  shows(wanted: RegExp): Promise<string> {
    return until(() => this.#file("out"), wanted);
  }

  /** Everything it said, once that is there. */
  says(wanted: RegExp): Promise<string> {
    return until(() => this.#file("err"), wanted);
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

const counts = (seen: string) => [...seen.matchAll(/^count (\d+)\r?$/gmu)].map(([, n]) => Number(n));

Deno.test("ray vm console shows a guest as it writes, types into it, and holds up nobody", async () => {
  await using home = await Home.make();
  const policy = (await defaultPolicy()).replace("mem_mib", "console_kib_s = 1024\nmem_mib");
  const files = { ...guestFiles(GUEST, home), ...await signedPolicy(policy) };
  const narrow = policy.replace("serial = 1", "serial = 2").replace("enabled = true", "");
  for (const [path, file] of Object.entries(await signedPolicy(narrow))) {
    files[path.replace("rayos-policy", "incoming")] = file;
  }
  const disk = dataDisk(home, files);
  await using run = await startMachine({ disks: [{ path: disk }], overlay: await insideOverlay() });
  await showingLines(run, async () => {
    await run.waitFor(`RAYOS_LINUX_VM_READY vm=${GUEST}`);

    const writer = await Attached.start(run, "writer");
    const live = counts(await writer.shows(/count \d+[^]*count \d+\r?\n/u));
    assert.ok(live.every((n) => counts(logged).includes(n)) || live.length > 0);
  });
});
