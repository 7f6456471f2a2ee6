import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import type { Runtime } from "../runtime.ts";
import { beat, BEAT_FILE, enterPhase, lateForReady, SERVING, watchHealth } from "./alive.ts";
import { IN_RUN, knownOfStart, noteKnown, ON_DISK } from "./last_known.ts";
import { STARTS_FILE } from "./session.ts";
import { turns } from "../../test/turns.ts";

/** A host whose pauses end when the test says so. */
function waiting(): { host: FakeHost; go: () => Promise<number> } {
  const host = new FakeHost();
  const pauses: { ms: number; end: () => void }[] = [];
  host.clock.sleep = (ms) => new Promise((resolve) => pauses.push({ ms, end: resolve }));
  const go = async () => {
    const pause = pauses.shift();
    assert.ok(pause, "nothing waits");
    pause.end();
    await turns();
    return pause.ms;
  };
  return { host, go };
}

function runtimeOn(host: FakeHost): Runtime {
  return fakeRuntime(host, { starts: { start: 3, diedBeforeReady: 2 } });
}

const NONE = { accept: () => Promise.resolve(null), close: () => {} };

Deno.test("beat writes something new each time, and nothing once the control socket is gone", async () => {
  const { host, go } = waiting();
  const runtime = runtimeOn(host);
  void beat(runtime);
  // One that never comes to its first turn has said nothing.
  assert.equal(host.readText(BEAT_FILE, 100), null);
  await go();
  const first = host.readText(BEAT_FILE, 100);
  assert.notEqual(first, null);
  await go();
  const second = host.readText(BEAT_FILE, 100);
  assert.notEqual(first, second);
  // A boot that is over without a socket is a host that nobody can ask.
  runtime.ready = true;
  await go();
  assert.equal(host.readText(BEAT_FILE, 100), second);
  runtime.control = NONE;
  await go();
  assert.notEqual(host.readText(BEAT_FILE, 100), second);
});

Deno.test("beat outlives a write that fails, and says so", async () => {
  const { host, go } = waiting();
  const put = host.put.bind(host);
  host.put = () => {
    throw new Error("no space left");
  };
  void beat(runtimeOn(host));
  await go();
  assert.match(host.consoleText.join(""), /code=watchdog\.beat .*no space left/);
  host.put = put;
  await go();
  assert.notEqual(host.readText(BEAT_FILE, 100), null);
});

Deno.test("a boot that is not ready in time is failed in the phase that it is in, and starts no guest", async () => {
  const { host, go } = waiting();
  const runtime = runtimeOn(host);
  runtime.dataDevice = "/dev/vda";
  enterPhase(runtime, "network");
  assert.equal(knownOfStart(host, "boot")?.phase, "network");
  let late = false;
  void lateForReady(runtime).then(() => late = true);
  assert.equal(await go(), 120_000);
  assert.ok(late);
  assert.equal(runtime.mode, "safe");
  assert.equal(runtime.troubles[0]?.code, "boot.not_ready");
  assert.match(host.consoleText.join(""), /code=boot\.not_ready .*still in phase network/);
  assert.match(host.consoleText.join(""), /RAYOS_CRASH:boot cause=not_ready phase=network/);
  const history = JSON.parse(host.readText("/var/rayos/boot/history/boot.json", 4096) ?? "{}");
  assert.equal(history.failed_in, "network");
  assert.equal(history.ready, false);
});

Deno.test("a boot that was ready in time is never late", async () => {
  const { host, go } = waiting();
  const runtime = runtimeOn(host);
  let late = false;
  void lateForReady(runtime).then(() => late = true);
  runtime.ready = true;
  await go();
  assert.ok(!late);
  assert.equal(runtime.mode, "normal");
});

Deno.test("ten minutes of health forget what died before", async () => {
  const { host, go } = waiting();
  void watchHealth(runtimeOn(host));
  assert.equal(await go(), 600_000);
  const starts = JSON.parse(host.readText(STARTS_FILE, 4096) ?? "{}");
  assert.deepEqual(starts, { boot: "boot", start: 3, ready: true, diedBeforeReady: 0 });
});

Deno.test("what is known is on the disk once the boot is over, and a beat makes up for a change that came too soon", async () => {
  const { host, go } = waiting();
  const runtime = runtimeOn(host);
  runtime.dataDevice = "/dev/vda";
  void beat(runtime);
  await go();
  const replaced: string[] = [];
  const replace = host.replace.bind(host);
  host.replace = (path, bytes) => {
    replaced.push(path);
    replace(path, bytes);
  };
  const onDisk = () => JSON.parse(host.readText(ON_DISK, 1 << 15) ?? "{}");
  enterPhase(runtime, SERVING);
  assert.equal(onDisk().phase, SERVING);
  replaced.length = 0;
  runtime.mode = "safe";
  for (let n = 0; n < 100; n++) noteKnown(runtime);
  assert.deepEqual(replaced, [IN_RUN], "once, and not to the disk so soon");
  host.clock.monoMs = () => 1_000_000;
  await go();
  assert.equal(onDisk().mode, "safe");
  replaced.length = 0;
  await go();
  assert.deepEqual(replaced, [], "nothing changed");
});

Deno.test("what is known is kept from memory that stands in, and from a disk that is let go at the end", () => {
  const host = new FakeHost();
  const runtime = runtimeOn(host);
  runtime.dataDevice = "tmpfs";
  noteKnown(runtime, true);
  assert.equal(host.lstat(ON_DISK), null);
  runtime.dataDevice = "/dev/vda";
  runtime.beginEnding();
  noteKnown(runtime, true);
  assert.equal(host.lstat(ON_DISK), null);
});

Deno.test("noteKnown says once that it cannot write, and stops nothing", () => {
  const host = new FakeHost();
  const runtime = runtimeOn(host);
  host.replace = () => {
    throw new Error("no space left");
  };
  noteKnown(runtime);
  noteKnown(runtime);
  assert.equal(host.consoleText.join("").match(/code=crash\.not_kept/gu)?.length, 1);
});
