/**
 * The hostile program against the program's own clients, without a machine around them: what the real boot
 * (test/boot/hostile_qemu_test.ts) asks once in a full run is asked here in every one.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs";
import type { Fault } from "../../src/fault.ts";
import { QmpClient } from "../../src/guest/qmp.ts";
import { connect } from "../../src/host/linux_sockets.ts";
import type { Slot, VmId } from "../../src/id.ts";
import { fontOf } from "../../src/presentation/font.ts";
import { psf1 } from "../../src/presentation/sample_font.ts";
import { Screen } from "../../src/presentation/screen.ts";
import { hostileQemu, MODE_FILE, PICTURES } from "./qemu_attacks.ts";

const BWRAP = "/usr/bin/bwrap";
const ignore = !fs.existsSync(BWRAP) || !fs.existsSync("/usr/bin/gcc");
const UUID = "5d0a3c6e-0000-4000-8000-000000000001";
const LAYOUT = { width: 1024, height: 300, stride: 4096 };

/** The program in a root of its own, with what it has in a jail. */
class Hostile implements AsyncDisposable {
  private constructor(readonly dir: string, readonly child: Deno.ChildProcess) {}

  static async start(program: string): Promise<Hostile> {
    const dir = await Deno.makeTempDir({ prefix: "rayos-qemu-" });
    for (const name of ["mode", "disk0"]) await Deno.writeTextFile(`${dir}/${name}`, "none\n");
    await Deno.mkdir(`${dir}/s`);
    const socket = (id: string) => `socket,id=${id},path=/s/${id}.sock,server=on,wait=off`;
    const child = new Deno.Command(BWRAP, {
      args: [
        ...["--die-with-parent", "--ro-bind", program, "/qemu", "--bind", `${dir}/s`, "/s"],
        ...["--bind", `${dir}/disk0`, "/g/disk0", "--ro-bind", `${dir}/mode`, MODE_FILE],
        ...["/qemu", "-name", "hostile", "-uuid", UUID, "-display", "vnc=unix:/s/vnc.sock"],
        ...["-chardev", socket("qmp"), "-chardev", socket("console")],
      ],
      stdin: "null",
    }).spawn();
    const hostile = new Hostile(dir, child);
    const end = Date.now() + 10_000;
    while (!fs.existsSync(`${dir}/s/qmp.sock`) && Date.now() < end) await pause(20);
    return hostile;
  }

  say(mode: string): void {
    Deno.writeTextFileSync(`${this.dir}/mode`, `${mode}\n`);
  }

  connect(name: "qmp" | "vnc") {
    return connect(`${this.dir}/s/${name}.sock`, 5_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill("SIGKILL");
    await this.child.status;
    await Deno.remove(this.dir, { recursive: true });
  }
}

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

/** The program compiled once for all tests of this file. */
const PROGRAM = `${Deno.makeTempDirSync({ prefix: "rayos-hostile-" })}/qemu`;
globalThis.addEventListener(
  "unload",
  () => Deno.removeSync(PROGRAM.slice(0, -5), { recursive: true }),
);
if (!ignore) await hostileQemu(PROGRAM);

/** Presents it with that attack; gives the codes of what was reported before it was hidden. */
async function present(hostile: Hostile, mode: string): Promise<string[]> {
  hostile.say(mode);
  const faults: Fault[] = [];
  const hidden = Promise.withResolvers<void>();
  const screen: Screen = new Screen({
    frame: { write: () => {}, close: () => {} },
    layout: LAYOUT,
    font: fontOf(Uint8Array.from(psf1(16))),
    clock: { monoMs: () => performance.now(), sleep: (ms) => pause(ms) },
    connect: () => hostile.connect("vnc"),
    hide: () => {
      screen.show(null);
      hidden.resolve();
    },
    report: (fault) => faults.push(fault),
    status: () => "",
  });
  screen.show({ vm: "hostile" as VmId, kind: "linux", slot: 1 as Slot, input: () => true });
  const ended = screen.run();
  await hidden.promise;
  screen.around.frame.write = () => {
    throw new Error("the screen is given up, so that nothing of it goes on");
  };
  await ended;
  return faults.map(({ code }) => code).filter((code) => code !== "screen.failed");
}

const isLate = ([, code]: typeof PICTURES[number]) => code === "rfb.late";

Deno.test({
  name: "Screen ends each lie of a hostile QEMU's picture in its own fault",
  ignore,
  fn: async () => {
    await using hostile = await Hostile.start(PROGRAM);
    for (const [mode, code] of PICTURES.filter((one) => !isLate(one))) {
      assert.deepEqual(await present(hostile, mode), [code], mode);
    }
  },
});

Deno.test({
  name: "Screen waits ten seconds for a hostile QEMU that trickles, stops or says nothing",
  ignore,
  fn: async () => {
    await Promise.all(
      PICTURES.filter(isLate).map(async ([mode, code]) => {
        await using hostile = await Hostile.start(PROGRAM);
        const began = performance.now();
        assert.deepEqual(await present(hostile, mode), [code], mode);
        const ms = performance.now() - began;
        assert.ok(ms > 9_000 && ms < 20_000, `${mode}: ${ms} ms`);
      }),
    );
  },
});

Deno.test({
  name:
    "QmpClient gives up a hostile QEMU that floods, never ends a line, or says nothing, and hears one that is another guest's",
  ignore,
  fn: async () => {
    for (const mode of ["qmp-flood", "qmp-long"]) {
      await using hostile = await Hostile.start(PROGRAM);
      hostile.say(mode);
      const client = await QmpClient.open(await hostile.connect("qmp"), () => {});
      assert.equal((await client.command("query-uuid")).UUID, UUID);
      await client.command("cont");
      await client.closed;
      await assert.rejects(client.command("query-status"), { code: "qmp.closed" }, mode);
    }
    await using hostile = await Hostile.start(PROGRAM);
    hostile.say("qmp-other-uuid");
    const other = await QmpClient.open(await hostile.connect("qmp"), () => {});
    assert.notEqual((await other.command("query-uuid")).UUID, UUID);
    other.close();
    hostile.say("qmp-silent");
    const client = await QmpClient.open(await hostile.connect("qmp"), () => {});
    await client.command("cont");
    await assert.rejects(client.command("query-status", 500), { code: "qmp.silent" });
    client.close();
    hostile.say("qmp-mute");
    const mute = QmpClient.open(await hostile.connect("qmp"), () => {}, 500);
    await assert.rejects(mute, { code: "qmp.no_greeting" });
  },
});
