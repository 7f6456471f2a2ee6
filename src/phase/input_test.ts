import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { fakeRuntime } from "../../test/fake_runtime.ts";
import { EVENT_BYTES } from "../presentation/evdev.ts";
import { beginInput } from "./input.ts";
import { turns } from "../../test/turns.ts";

const NAME = btoa("A \u001b[2Jkeyboard\n");

/** A host with these devices, in the launcher's words; what is read of it is noted. */
function desk(list: string) {
  const host = new FakeHost();
  const read: string[] = [];
  const said = { list, accept: "ok 1" };
  host.launcher = (name, args) => {
    assert.equal(name, "keyboard");
    const words = args[0] === "list" ? said.list : said.accept;
    return { code: words.startsWith("ok") ? 0 : 1, words: words.split(" ") };
  };
  // deno-lint-ignore require-yield
  host.device = async function* (path: string) {
    read.push(path);
    await new Promise(() => {});
  };
  const runtime = fakeRuntime(host);
  runtime.ready = true;
  return { host, runtime, read, said };
}

Deno.test("beginInput reads what was accepted and is still the same, and nothing else", async () => {
  const { runtime, read } = desk(`ok event0,13:64,${NAME},0 event1,13:65,-,-`);
  await beginInput(runtime);
  assert.deepEqual(read, ["/run/rayos/input/0"]);
});

Deno.test("a launcher that fails leaves a host without keyboards, and a line", async () => {
  for (const list of ["fault input.failed x", "ok event0,what", ""]) {
    const { runtime, read, host } = desk(list);
    await beginInput(runtime);
    assert.deepEqual(read, []);
    assert.match(host.consoleText.join(""), /fault stage=input code=input\.\w+/, list);
  }
});

Deno.test("input.accept reads a later keyboard once it is asked for, by its own name as text", async () => {
  const { runtime, read, host, said } = desk("ok");
  await beginInput(runtime);
  said.list = `ok event5,13:69,${NAME},-`;
  const listed = await runtime.handle("console", "input.devices", {});
  const [device] = (listed.ok ? listed.result as { devices: { name: string }[] } : { devices: [] })
    .devices;
  assert.deepEqual(device, { event: "event5", name: "A \u001b[2Jkeyboard", accepted: false });
  assert.deepEqual(read, [], "looking at it reads nothing");
  const unknown = await runtime.handle("console", "input.accept", { event: "event6" });
  assert.ok(!unknown.ok && unknown.rule === "input.gone");
  assert.deepEqual(
    await runtime.handle("console", "input.accept", { event: "event5" }),
    { ok: true, result: { event: "event5", new: true } },
  );
  assert.deepEqual(host.launches.at(-1), `keyboard accept event5 13:69 ${NAME}`);
  assert.deepEqual(read, ["/run/rayos/input/1"]);
  assert.ok(!host.consoleText.join("").includes("\u001b"), "its name is escaped in the log");
});

Deno.test("input.accept that the launcher refuses reads nothing, and says the launcher's rule", async () => {
  const { runtime, read, said } = desk("ok");
  await beginInput(runtime);
  said.list = `ok event5,13:69,${NAME},-`;
  said.accept = "fault input.changed event5";
  const outcome = await runtime.handle("console", "input.accept", { event: "event5" });
  assert.ok(!outcome.ok && outcome.rule === "input.changed");
  assert.deepEqual(read, []);
});

Deno.test("input.accept reads nothing where a guest was presented while the host looked", async () => {
  const { runtime, read, host, said } = desk("ok");
  await beginInput(runtime);
  said.list = `ok event5,13:69,${NAME},-`;
  const launch = host.launcher;
  host.launcher = (name, args) => {
    Object.defineProperty(runtime.presenter, "shown", { value: "desk" });
    return launch(name, args);
  };
  const outcome = await runtime.handle("console", "input.accept", { event: "event5" });
  assert.ok(!outcome.ok && outcome.rule === "input.host_view");
  assert.deepEqual(read, []);
});

Deno.test("beginInput that is asked for twice reads each device once", async () => {
  const { runtime, read } = desk(`ok event0,13:64,${NAME},0`);
  await beginInput(runtime);
  await beginInput(runtime);
  assert.deepEqual(read, ["/run/rayos/input/0"]);
});

/** A key of the kernel's code that goes down, as a device says it. */
function keyDown(code: number): Uint8Array {
  const bytes = new Uint8Array(EVENT_BYTES);
  const view = new DataView(bytes.buffer);
  view.setUint16(16, 1, true);
  view.setUint16(18, code, true);
  view.setInt32(20, 1, true);
  return bytes;
}

for (const way of ["ends", "fails", "ends in the middle of an event"] as const) {
  Deno.test(`a keyboard whose stream ${way} with keys down has let go of them, and no other keyboard's`, async () => {
    const { runtime, host } = desk(`ok event0,13:64,${NAME},0 event1,13:65,${NAME},1`);
    const gone = Promise.withResolvers<void>();
    const removed: string[] = [];
    host.remove = (path) => void removed.push(path);
    host.device = async function* (path: string) {
      if (path !== "/run/rayos/input/0") {
        yield keyDown(48);
        return await new Promise<never>(() => {});
      }
      yield keyDown(42);
      yield keyDown(30);
      await gone.promise;
      if (way === "fails") throw new Error("No such device");
      if (way !== "ends") yield keyDown(31).subarray(0, 20);
    };
    const asked: string[] = [];
    runtime.presenter.ask = (turn) => {
      asked.push("key" in turn ? `${turn.type} ${turn.key}` : turn.type);
      return Promise.resolve("done");
    };
    await beginInput(runtime);
    await turns();
    assert.deepEqual(asked.toSorted(), ["press key:a", "press key:b", "press key:shift"]);
    gone.resolve();
    await turns();
    assert.deepEqual(asked.slice(3), ["release key:shift", "release key:a"]);
    assert.deepEqual(removed, ["/run/rayos/input/0", "/run/rayos/input/0.id"]);
    assert.equal(/fault stage=input/.test(host.consoleText.join("")), way === "fails");
  });
}
