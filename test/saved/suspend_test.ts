import assert from "node:assert/strict";
import { Fault } from "../../src/fault.ts";
import { MOST_ASIDE, setAside } from "../../src/saved/aside.ts";
import { hostKey } from "../../src/saved/host_key.ts";
import { correctClock } from "../../src/saved/load.ts";
import { Guest } from "../../src/supervisor/guest.ts";
import { guestSocket, startJail } from "../fake_guests.ts";
import { DATA_DEVICE } from "../fake_jail.ts";
import { QUIET } from "../quiet_surroundings.ts";
import { cutHost, FakeQemu, UNFINISHED } from "./fake_qemu.ts";
import { CPU, LIMITS, load, plan, suspend, verdict } from "./saving.ts";

Deno.test("suspendGuest leaves a good state and no QEMU, and loadSaved gives it to another, once", async () => {
  const host = cutHost();
  const { result, qemu } = await suspend(host);
  assert.equal(result.ok, true);
  assert.ok(!qemu.alive);
  assert.equal(await verdict(host), "good");
  const loaded = await load(host);
  assert.equal(loaded.result.ok, true);
  assert.equal(loaded.qemu.memory, "memory");
  assert.equal(loaded.qemu.status, "paused");
  assert.equal(await verdict(host), "none");
});

Deno.test("loadSaved leaves the state as it was where its guest may not run any more", async () => {
  const host = cutHost();
  await suspend(host);
  const { result } = await load(host, {}, plan, () => false);
  assert.equal(result.ok, false);
  assert.equal(await verdict(host), "good");
});

Deno.test("a guest that is being loaded when the host leaves normal mode is ended, and its state is kept", async () => {
  const host = cutHost();
  await suspend(host);
  let mode = "normal";
  host.launcher = () => {
    startJail(host, plan.slot);
    return { code: 0, words: ["ok"] };
  };
  host.socket = (file) =>
    guestSocket(host, file, (command) => {
      if (command === "query-version") mode = "safe";
      return undefined;
    });
  host.head = (path, length) => host.contentOf(path)?.subarray(0, length) ?? null;
  const lstat = host.lstat.bind(host);
  host.lstat = (path) => {
    const given = plan.files.find((file) => path.endsWith(`/root/g/${file.name}`));
    return lstat(given === undefined ? path : `/var/rayos/${given.path}`);
  };
  host.seed("/run/rayos/proc/1/mountinfo", `1 0 ${DATA_DEVICE} / /var/rayos rw - ext4 x rw\n`);
  const states: string[] = [];
  const guest = new Guest(plan, {
    ...QUIET,
    host,
    onCrash: () => assert.fail("a rule stands against it"),
    onMove: (_, __, to) => void states.push(to),
    mayRun: () => mode === "normal",
    keeping: { key: () => hostKey(host), cpu: () => CPU, wall: () => null },
  });
  await guest.start({ op: "vm.start", vm: plan.vm, caller: "policy" } as never);
  assert.deepEqual([states, guest.refusal?.rule], [
    ["suspended", "resuming", "failed"],
    "vm.safe_mode",
  ]);
  assert.deepEqual(host.processesOf(plan.slot), []);
  assert.equal(await verdict(host), "good");
});

Deno.test("suspendGuest refuses to save where too many states lie aside, and removes none of them", async () => {
  const host = cutHost();
  const folders: string[] = [];
  for (let n = 0; n < MOST_ASIDE; n++) {
    const { result } = await suspend(host);
    assert.ok(result.ok, `${n}`);
    folders.push(setAside(host, plan, []) ?? "");
  }
  const { qemu, result } = await suspend(host);
  assert.equal(result.ok, false);
  if (result.ok) return;
  assert.equal(result.fault.code, "saved.asides");
  assert.match(result.fault.message, /8 saved states .* remove those in .*\/state\/aside/u);
  // Nobody has held it: it goes on, or is shut down.
  assert.deepEqual([result.guest, qemu.status], ["paused", "running"]);
  assert.ok(folders.every((folder) => host.contentOf(`${folder}/saved`) !== null));
  assert.equal(await verdict(host), "none");
  // A folder that has no state any more is none; one that is gone makes room for one.
  host.remove(`${folders[3]}/saved`);
  assert.ok((await suspend(host)).result.ok);
  assert.equal(await verdict(host), "good");
  // What is there can always be set aside: a bad one never keeps the guest from its start.
  assert.notEqual(setAside(host, plan, []), null);
});

Deno.test("suspendGuest that fails leaves the guest paused, no file, and a guest that can be saved again", async () => {
  for (
    const [wrongs, code] of [
      [{ absent: true }, "saved.failed"],
      [{ open: true }, "saved.failed"],
      [{ migration: "failed" }, "saved.stream"],
      [{ silent: ["migrate"] }, "qmp.silent"],
      [{ stream: new Uint8Array(10), migration: "active" }, "saved.stream"],
    ] as const
  ) {
    const host = cutHost();
    const { qemu, result } = await suspend(host, wrongs);
    assert.equal(result.ok, false);
    if (result.ok) return;
    assert.equal(result.fault.code, code);
    assert.equal(result.guest, "paused");
    assert.ok(qemu.alive);
    assert.equal(host.contentOf(UNFINISHED), null);
    assert.equal(await verdict(host), "none");
    assert.equal((await suspend(host)).result.ok, true);
  }
});

Deno.test("suspendGuest that is given up leaves the guest paused and no file", async () => {
  const host = cutHost();
  const abort = new AbortController();
  setTimeout(() => abort.abort(), 5);
  const { result } = await suspend(host, { open: true }, {
    signal: abort.signal,
    limits: { ...LIMITS, stallMs: 10_000 },
  });
  assert.ok(!result.ok && result.fault.code === "saved.given_up" && result.guest === "paused");
  assert.equal(await verdict(host), "none");
});

Deno.test("suspendGuest gives up a stream that as a whole takes too long", async () => {
  const NEVER = 2 ** 31 - 1;
  const { result } = await suspend(cutHost(), { open: true }, {
    limits: { ...LIMITS, stallMs: NEVER, wholeMs: 40, leastBytesS: NEVER },
  });
  assert.ok(!result.ok && result.fault.code === "saved.failed" && result.guest === "paused");
});

Deno.test("suspendGuest begins no save for which there is no room, and one for which there is", async () => {
  const STAT = "/run/rayos/cg/rayos/guests/00/memory.stat";
  for (
    const [stat, free, ok] of [
      [null, 300, false],
      [null, 330, true],
      ["anon 10485760\nfile 999999999\nshmem 0\n", 9, false],
      ["anon 10485760\nfile 999999999\nshmem 0\n", 10, true],
      ["anon 0\nshmem 10485760\n", 9, false],
    ] as const
  ) {
    const host = cutHost();
    host.free = free * 1024 * 1024;
    if (stat !== null) host.files.set(STAT, new TextEncoder().encode(stat));
    const { qemu, result } = await suspend(host);
    assert.equal(result.ok, ok);
    if (result.ok) continue;
    assert.deepEqual([result.fault.code, result.guest], ["saved.no_room", "paused"]);
    assert.ok(!qemu.commands.includes("stop"), "it is not even held");
  }
});

Deno.test("suspendGuest says how far it is of what the guest ever touched, and never that it is done", async () => {
  const STAT = "/run/rayos/cg/rayos/guests/00/memory.stat";
  const { result: whole } = await suspend(cutHost());
  const written = whole.ok ? whole.bytes : 0;
  for (const [touched, percent] of [[written * 2, 50], [written, 99], [0, 99]] as const) {
    const host = cutHost();
    host.files.set(STAT, new TextEncoder().encode(`anon ${touched}\nshmem 0\n`));
    const said: number[] = [];
    const { result } = await suspend(host, {}, { onPercent: (one) => said.push(one) });
    assert.deepEqual([result.ok, said.at(-1)], [true, percent]);
  }
});

Deno.test("suspendGuest reports a full disk, and the guest stays", async () => {
  const host = cutHost();
  const create = host.create.bind(host);
  host.create = (path) => ({
    ...create(path),
    append: () => Promise.reject(new Error("ENOSPC")),
  });
  const { result } = await suspend(host);
  assert.ok(!result.ok && result.guest === "paused");
  assert.equal(host.contentOf(UNFINISHED), null);
});

Deno.test("suspendGuest kills a QEMU that does not end, and trusts none that writes at its end", async () => {
  const host = cutHost();
  const stays = await suspend(host, { stays: true });
  assert.equal(stays.result.ok, true);
  assert.ok(!stays.qemu.alive);
  const writes = await suspend(cutHost(), { writesAtEnd: true });
  assert.ok(!writes.result.ok && writes.result.fault.code === "saved.disk");
  assert.ok(!writes.result.ok && writes.result.guest === "ended");
});

Deno.test("suspendGuest whose QEMU cannot be ended leaves no state that could be loaded", async () => {
  const host = cutHost();
  const { result } = await suspend(host, { stays: true }, { kill: () => Promise.resolve(false) });
  assert.ok(!result.ok && result.fault.code === "saved.still_there");
  assert.equal(await verdict(host), "none");
});

Deno.test("loadSaved sends nothing to another QEMU or another CPU", async () => {
  for (
    const [wrongs, field] of [[{ version: 23 }, "qemu"], [{ cpu: "two" }, "cpu.guest"]] as const
  ) {
    const host = cutHost();
    await suspend(host);
    const { result, qemu } = await load(host, wrongs);
    assert.ok(!result.ok);
    assert.deepEqual(result.issues.map((one) => [one.rule, one.path]), [[
      "vm.saved_machine",
      field,
    ]]);
    assert.ok(!qemu.commands.includes("migrate-incoming"));
    assert.equal(await verdict(host), "good");
  }
});

Deno.test("loadSaved refuses bytes that are others than those that were checked", async () => {
  const host = cutHost();
  await suspend(host);
  const open = host.open.bind(host);
  let opened = 0;
  host.open = (path) => {
    const file = open(path);
    if (++opened < 2 || file === null) return file;
    return { ...file, read: () => Promise.resolve(new TextEncoder().encode("stream:other.")) };
  };
  const { result } = await load(host);
  assert.ok(!result.ok && result.issues[0]?.rule === "vm.saved_damaged");
});

Deno.test("loadSaved reports a QEMU that dies, stalls or never comes to an end", async () => {
  for (const wrongs of [{ silent: ["migrate-incoming"] }, { silent: ["query-status"] }]) {
    const host = cutHost();
    await suspend(host);
    const { result } = await load(host, wrongs);
    assert.ok(!result.ok && result.issues[0]?.rule === "vm.saved_load");
    assert.equal(await verdict(host), "good", "not used yet");
  }
});

Deno.test("correctClock has QEMU forget the ticks that were missed, and the agent set the host's time where the host trusts it", async () => {
  const wall = new Date("2026-11-24T12:00:00Z");
  const set: Date[] = [];
  const agent = { setTime: (time: Date) => Promise.resolve(set.push(time) > 0) };
  const rows = [[agent, wall, [wall]], [agent, null, []], [null, wall, []]] as const;
  for (const [asked, now, expected] of rows) {
    const qemu = new FakeQemu(cutHost(), plan, "memory");
    await correctClock(await qemu.qmp(), asked, now);
    assert.ok(qemu.commands.includes("rtc-reset-reinjection"));
    assert.deepEqual(set.splice(0), expected);
  }
  const refusing = { setTime: () => Promise.resolve(false) };
  const qmp = await new FakeQemu(cutHost(), plan, "memory").qmp();
  await assert.rejects(
    correctClock(qmp, refusing, wall),
    (error) => error instanceof Fault && error.code === "guest.clock",
  );
});
