/** Shares of which one is being made, which takes as long as nobody takes it away. */
import assert from "node:assert/strict";
import { DATA_DEVICE, jailAsPlanned } from "../../test/fake_jail.ts";
import type { DataPath } from "../data_path.ts";
import type { HostEvent } from "../event.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { Host } from "../host/port.ts";
import { PATHS } from "../permissions.ts";
import { subjectOf } from "../plan/launch_plan.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { GuestShares } from "./guest_shares.ts";
import { servingSpec, startedSpec } from "./virtiofsd.ts";
import { turns } from "../../test/turns.ts";

const READ = {
  tag: "docs",
  path: "vm/linux/demo/docs" as DataPath,
  readOnly: true,
  quotaMib: 64,
};
const WRITTEN = {
  tag: "work",
  path: "vm/linux/demo/work.ext4" as DataPath,
  readOnly: false,
  quotaMib: 2 ** 20,
};
const WRITTEN_FILE = `${PATHS.dataRoot}/${WRITTEN.path}`;
const PLAN = samplePlan({ shares: [READ, WRITTEN] });
const RECORD = "/run/rayos/share/00.json";
const [SLOW_GIVE, SLOW_TAKE] = ["share give 0 1", "share take 0 1"];

/** What a dead program has left: how far it was with the one that is read, and with the other one. */
const recordOf = (docs: string, work: string) =>
  JSON.stringify({
    version: 0,
    uuid: PLAN.uuid,
    shares: [
      { share: 0, tag: "docs", step: docs, told: docs === "on" },
      { share: 1, tag: "work", step: work, told: false },
    ],
  });
const OF = { plan: PLAN, share: 0, planned: READ };
const noFile = () => {
  throw new Error("it has no file of the guest's");
};
const INERT = "ro,nosuid,nodev,noexec,relatime,nosymfollow - ext4 /dev/vda rw";
const serving = jailAsPlanned(servingSpec(OF), noFile);
const SERVING = {
  ...serving,
  pid: 77,
  tasks: serving.tasks.map(({ status }) => ({ tid: 77, status })),
  mountinfo: `9 1 ${DATA_DEVICE} /${READ.path} / ${INERT}`,
};
const begun = jailAsPlanned(startedSpec(OF), noFile);
const STARTED = {
  ...begun,
  pid: 77,
  mountinfo: begun.mountinfo.replace(/ \/share .*/, ` /share ${INERT}`)
    .replaceAll(/( \/proc.* - )any/g, "$1proc"),
  tasks: begun.tasks.map(({ status }) => ({
    tid: 77,
    status: status.replaceAll(/(Cap...:\t).*/g, "$10000000000040100"),
  })),
};

/** Lets everything go on that waits for nothing but its turn. */

/**
 * A guest with both.
 *
 * @param record how far a dead program was
 * @param says what the launcher says that was making the one that is written, when it is taken away
 * @param at called before QEMU takes that command
 */
function world(
  record: string,
  says: readonly string[] = [],
  at: (command: string, shares: GuestShares) => void = () => {},
) {
  const events: HostEvent[] = [];
  const launched: string[] = [];
  const said: string[] = [];
  const sleeping: (() => void)[] = [];
  const forbidden = new Set<string>();
  const files = new Map([
    [RECORD, record],
    [`${PATHS.proc}/1/mountinfo`, `8 1 ${DATA_DEVICE} / /var/rayos rw - ext4 /dev/vda rw`],
  ]);
  let serves = record.includes('"on"');
  let plugged = serves;
  let started = false;
  const taking = new Set<string>();
  let taken = () => {};
  const facts = (type: string) => ({ type, uid: 0, links: 1, device: 1, inode: 2, size: 0 });
  const host = {
    clock: {
      monoMs: () => 0,
      sleep: (ms: number) =>
        ms < 1_000 ? turns() : new Promise<void>((resolve) => sleeping.push(resolve)),
    },
    readText: (path: string) => {
      if (path.endsWith("/share0/cgroup.procs")) return serves ? "77\n" : "";
      return files.get(path) ?? null;
    },
    lstat: (path: string) => {
      if (path.endsWith("/docs") || path.endsWith("/root/share")) return facts("directory");
      if (path === WRITTEN_FILE) return null;
      if (path.startsWith(PATHS.dataRoot)) return facts("directory");
      return files.has(path) ? facts("file") : null;
    },
    processFacts: (pid: number) => pid === 77 ? (started ? STARTED : SERVING) : { namespaces: {} },
    list: () => [],
    put: () => {},
    makeDirectory: () => {},
    replace: (path: string, text: string) => void files.set(path, text),
    remove: (path: string) => void files.delete(path),
    launch: async (name: string, args: string[]) => {
      const line = [name, ...args].join(" ");
      launched.push(line);
      if (line === SLOW_GIVE) {
        await new Promise<void>((resolve) => taken = resolve);
        return { code: says[0] === "ok" ? 0 : 137, words: says };
      }
      if (args[0] === "give") serves = started = true;
      if (args[0] === "take") {
        assert.ok(!taking.has(line), `${line} twice at once`);
        taking.add(line);
        if (line === SLOW_TAKE) taken();
        else serves = false;
        await turns(3);
        taking.delete(line);
      }
      return { code: 0, words: ["ok"] };
    },
  } as unknown as Host;
  const qmp = {
    command: (name: string, _ms: unknown, device?: { share: number }) => {
      said.push(`${name} ${device?.share ?? ""}`.trim());
      at(name, shares);
      if (name === "chardev-add") started = false;
      if (name === "device_add") plugged = true;
      if (name === "device_del" && device?.share === 0) plugged = false;
      return Promise.resolve(name === "qom-list" ? (plugged ? [{ name: "share0" }] : []) : {});
    },
  } as unknown as QmpClient;
  const shares = new GuestShares({
    host,
    emit: (event) => events.push(event),
    subject: subjectOf(PLAN),
    plan: () => PLAN,
    held: () => false,
    gives: ({ tag }) => !forbidden.has(tag),
    permit: (share) => ({ vm: "demo", share }) as never,
  });
  const issues = () => events.filter(({ type }) => type === "fault" || type === "violation");
  /** The second passes for which whoever watches waits. */
  const second = async () => {
    for (const wake of sleeping.splice(0)) wake();
    await turns(10);
  };
  const written = () => files.get(RECORD) ?? null;
  return { events, issues, launched, said, shares, qmp, forbidden, second, written };
}

/** The same, when that one is being made. */
async function making(says?: readonly string[]) {
  const all = world(recordOf("on", "wanted"), says);
  await all.shares.adopt(all.qmp);
  await turns();
  assert.deepEqual(all.launched, [SLOW_GIVE]);
  return all;
}

/** What it comes to; "waits" where it does not come to an end by itself. */
async function outcome<T>(work: Promise<T>): Promise<T | "waits"> {
  const late = (async () => {
    await turns(50);
    return "waits" as const;
  })();
  return await Promise.race([work, late]);
}

const asked = (op: string, share: string) => ({ op, vm: "demo", share }) as never;

Deno.test("GuestShares.end ends the give under way of a share, and has no fault of it", async () => {
  const { shares, launched, issues } = await making();
  const ended = shares.end("suspending", true);
  assert.equal(launched.at(-1), SLOW_TAKE, "before the guest is asked for the others");
  assert.equal(await outcome(ended), true);
  assert.deepEqual(launched.filter((line) => line === SLOW_GIVE), [SLOW_GIVE]);
  assert.deepEqual(issues(), []);
});

Deno.test("GuestShares.detach ends the give under way, and those that were asked for before it", async () => {
  const { shares, launched, issues, second } = await making();
  const before = shares.attach(asked("share.attach", "work"));
  assert.equal(await outcome(shares.detach(asked("share.detach", "work"))), true);
  assert.equal(await before, false);
  await second();
  assert.deepEqual(launched.filter((line) => line === SLOW_GIVE), [SLOW_GIVE]);
  assert.deepEqual(issues(), []);
  // One that is asked for afterwards is begun.
  void shares.attach(asked("share.attach", "work"));
  await turns();
  assert.equal(launched.at(-1), SLOW_GIVE);
});

Deno.test("GuestShares takes one share away while another one is being made", async () => {
  const { shares, launched } = await making();
  assert.equal(await outcome(shares.detach(asked("share.detach", "docs"))), true);
  assert.ok(!launched.includes(SLOW_TAKE));
});

Deno.test("GuestShares takes what the policy takes while another share is being made", async () => {
  const { shares, launched, forbidden, second, events } = await making();
  assert.deepEqual(shares.tags, ["docs"]);
  forbidden.add("docs");
  await second();
  assert.ok(launched.includes("share take 0 0"));
  assert.ok(!launched.includes(SLOW_TAKE));
  const ends = events.flatMap((one) => one.type === "share" ? [[one.tag, one.on, one.reason]] : []);
  assert.deepEqual(ends, [["docs", false, "policy"]]);
});

Deno.test("GuestShares ends the give under way of a share that the policy takes", async () => {
  const { shares, launched, forbidden, second, issues } = await making();
  forbidden.add("work");
  await second();
  assert.ok(launched.includes(SLOW_TAKE));
  assert.ok(!launched.includes("share take 0 0"));
  assert.deepEqual(issues(), []);
  assert.deepEqual(shares.tags, ["docs"]);
});

Deno.test("GuestShares goes on with no share that was taken away, though its launcher says that it is given", async () => {
  const { shares, said, issues } = await making(["ok"]);
  assert.equal(await outcome(shares.end("suspending", true)), true);
  assert.deepEqual(said.filter((line) => /^(chardev-add|device_add)/.test(line)), []);
  assert.deepEqual(issues(), []);
});

Deno.test("GuestShares gives no share that is taken away between two steps of its give", async () => {
  const full = world(recordOf("wanted", "off"));
  await full.shares.adopt(full.qmp);
  await full.second();
  assert.deepEqual([full.shares.tags, full.issues()], [["docs"], []]);
  // When it is taken: before QEMU takes that command for the n-th time. The first one is the adoption's.
  const steps: readonly [command: string, nth: number, given: readonly string[]][] = [
    ["qom-list", 1, []],
    ["qom-list", 2, []],
    ["chardev-add", 1, ["share give 0 0"]],
    ["device_add", 1, ["share give 0 0"]],
  ];
  for (const [step, nth, given] of steps) {
    let gone: Promise<boolean> | null = null;
    let seen = 0;
    const { shares, qmp, launched, issues, events, second } = world(
      recordOf("wanted", "off"),
      [],
      (command, of) => {
        if (command !== step || ++seen !== nth) return;
        gone = of.detach(asked("share.detach", "docs"));
      },
    );
    await shares.adopt(qmp);
    await second();
    assert.equal(await gone, true, step);
    assert.deepEqual(
      launched.filter((line) => line.startsWith("share give")),
      given,
      `${step} ${nth}`,
    );
    assert.deepEqual([issues(), events.filter(({ type }) => type === "share")], [[], []], step);
    assert.deepEqual(shares.tags, [], step);
  }
});

Deno.test("GuestShares.adopt begins nothing for a QEMU that ended while it was looked at", async () => {
  const { shares, launched, written } = world(recordOf("on", "wanted"));
  const asked = Promise.withResolvers<[]>();
  const slow = { command: () => asked.promise } as unknown as QmpClient;
  const adopting = shares.adopt(slow);
  await turns();
  await shares.gone();
  asked.resolve([]);
  await adopting;
  await turns(50);
  assert.deepEqual(launched.filter((line) => line.startsWith("share give")), []);
  assert.equal(written(), null, "nothing of it is written down anew");
});
