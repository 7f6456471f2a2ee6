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
import { renderShare } from "./values.ts";
import { servingSpec } from "./virtiofsd.ts";

const SHARE = {
  tag: "docs",
  path: "vm/linux/demo/docs" as DataPath,
  readOnly: true,
  quotaMib: 64,
};
const PLAN = samplePlan({ shares: [SHARE] });

/** Its server as the kernel shows one that is as planned. */
const SERVING = {
  ...jailAsPlanned(servingSpec({ plan: PLAN, share: 0, planned: SHARE }), () => {
    throw new Error("it has no file of the guest's");
  }),
  pid: 77,
  mountinfo: `9 1 ${DATA_DEVICE} /${SHARE.path} / ` +
    "ro,nosuid,nodev,noexec,relatime,nosymfollow - ext4 /dev/vda rw",
};
const HOST_MOUNTS = `8 1 ${DATA_DEVICE} / /var/rayos rw - ext4 /dev/vda rw`;

const RECORD = "/run/rayos/share/00.json";

interface World {
  readonly events: HostEvent[];
  readonly launched: string[];
  readonly said: string[];
  readonly shares: GuestShares;
  readonly qmp: QmpClient;
}

/** A host on which a folder is there and the launcher says that; the guest lets a device go, or not. */
function world(
  {
    folder = "directory",
    launcher = ["ok"],
    helps = true,
    plugged = false,
    server = false,
    served = false,
    signal = "",
    stoppedAt = 2_000,
    record = "",
    gives = true,
  } = {},
): World {
  const events: HostEvent[] = [];
  const launched: string[] = [];
  const said: string[] = [];
  let now = 0;
  let there = plugged;
  const files = new Map<string, string>();
  if (record !== "") files.set(RECORD, record);
  if (served) files.set(`${PATHS.proc}/1/mountinfo`, HOST_MOUNTS);
  // It serves for a while, then it gets that signal.
  const state = () => signal === "STOP" && now >= stoppedAt ? "T (stopped)" : "S (sleeping)";
  const processes = () => server && !(signal === "KILL" && now >= stoppedAt) ? "77\n" : "";
  const facts = (type: string) => ({ type, uid: 0, links: 1, device: 1, inode: 2, size: 0 });
  const host = {
    clock: {
      monoMs: () => now,
      // Whoever watches over a share waits for a second, which passes here until the fourth one alone.
      sleep: (ms: number) => {
        now += ms;
        const never = ms === 1_000 && (signal === "" || now > 4_000);
        return never ? new Promise<void>(() => {}) : Promise.resolve();
      },
    },
    readText: (path: string) => {
      if (path.endsWith("/cgroup.procs")) return processes();
      if (path === `${PATHS.proc}/77/status`) return `Name:\tvirtiofsd\nState:\t${state()}\n`;
      return files.get(path) ?? null;
    },
    lstat: (path: string) => {
      if (path.endsWith("/docs")) return facts(folder);
      if (path.startsWith("/var/rayos")) return facts("directory");
      return files.has(path) ? facts("file") : null;
    },
    processFacts: (pid: number) => {
      if (!served) return null;
      return pid === 77 ? SERVING : { namespaces: {} };
    },
    list: () => [],
    put: () => {},
    makeDirectory: () => {},
    replace: (path: string, text: string) => void files.set(path, text),
    remove: (path: string) => void files.delete(path),
    launch: (name: string, args: string[]) => {
      launched.push([name, ...args].join(" "));
      const words = args[0] === "give" ? launcher : ["ok"];
      said.push(args[0] ?? "");
      if (args[0] === "take") server = false;
      return Promise.resolve({ code: words[0] === "ok" ? 0 : 1, words });
    },
  } as unknown as Host;
  const qmp = {
    command: (name: string) => {
      said.push(name);
      if (name === "device_add") there = true;
      if (name === "device_del" && helps) there = false;
      return Promise.resolve(name === "qom-list" ? (there ? [{ name: "share0" }] : []) : {});
    },
  } as unknown as QmpClient;
  const shares = new GuestShares({
    host,
    emit: (event) => events.push(event),
    subject: subjectOf(PLAN),
    plan: () => PLAN,
    held: () => false,
    gives: () => gives,
    permit: (tag) => record === "" ? null : ({ vm: "demo", share: tag }) as never,
  });
  return { events, launched, said, shares, qmp };
}

const attach = (vm = "demo", share = "docs") => ({ op: "share.attach", vm, share }) as never;
const detach = (vm = "demo", share = "docs") => ({ op: "share.detach", vm, share }) as never;
const codes = (events: readonly HostEvent[]) =>
  events.flatMap((event) => event.type === "fault" ? [event.code] : []);

Deno.test("GuestShares gives nothing by another guest's permit, nor a share that is not in the plan", async () => {
  const { shares, qmp, launched } = world();
  shares.begin(qmp);
  assert.equal(await shares.attach(attach("other")), false);
  assert.equal(await shares.attach(attach("demo", "work")), false);
  assert.equal(await shares.detach(detach("other")), false);
  assert.deepEqual(launched, []);
});

Deno.test("GuestShares refuses a folder that is a link, and asks no launcher for it", async () => {
  const { shares, qmp, launched, events } = world({ folder: "symlink" });
  shares.begin(qmp);
  assert.equal(await shares.attach(attach()), false);
  assert.deepEqual(launched, []);
  assert.deepEqual(codes(events), ["path.type"]);
  assert.ok(events.some((event) => event.type === "violation"));
});

Deno.test("GuestShares plugs nothing whose jail was not read back, and takes away what there is of it", async () => {
  const { shares, qmp, launched, events, said } = world({ server: true });
  shares.begin(qmp);
  assert.equal(await shares.attach(attach()), false);
  assert.ok(!said.includes("device_add"), said.join());
  assert.deepEqual(launched, ["share give 0 0", "share take 0 0"]);
  assert.ok(codes(events).includes("share.jail"));
  assert.deepEqual(events.filter((event) => event.type === "share"), []);
});

Deno.test("GuestShares passes a launcher's refusal on and leaves nothing", async () => {
  const { shares, qmp, events } = world({ launcher: ["fault", "share.hardlink", "docs/x"] });
  shares.begin(qmp);
  assert.equal(await shares.attach(attach()), false);
  assert.deepEqual(codes(events), ["share.hardlink"]);
  assert.deepEqual(shares.tags, []);
});

Deno.test("GuestShares ends who serves a share whose device the guest does not let go, and says that it is left", async () => {
  const { shares, qmp, launched, events } = world({ plugged: true, helps: false, server: true });
  shares.begin(qmp);
  assert.equal(await shares.detach(detach()), false);
  assert.deepEqual(launched, ["share take 0 0"]);
  assert.deepEqual(codes(events), ["share.left"]);
});

Deno.test("GuestShares leaves a share as it is where the guest's memory would be lost by it", async () => {
  const { shares, qmp, launched } = world({ plugged: true, helps: false, server: true });
  shares.begin(qmp);
  assert.equal(await shares.end("suspending", true), false);
  assert.deepEqual(launched, []);
});

/** What is launched for a guest that a dead program left with that record. */
async function adopted(record: string): Promise<string[]> {
  const { shares, qmp, launched } = world({ record, launcher: ["fault", "share.type", "x"] });
  await shares.adopt(qmp);
  for (let turns = 0; turns < 50; turns++) await Promise.resolve();
  return launched;
}
const recorded = (step: string) =>
  JSON.stringify({
    version: 0,
    uuid: PLAN.uuid,
    shares: [{ share: 0, tag: "docs", step, told: step === "on" }],
  });

Deno.test("GuestShares gives anew what a dead program was giving, and not what it was taking", async () => {
  const [take, give] = ["share take 0 0", "share give 0 0"];
  assert.deepEqual(await adopted(recorded("giving")), [take, give, take]);
  assert.deepEqual(await adopted(recorded("wanted")), [give, take]);
  assert.deepEqual(await adopted(recorded("taking")), [take]);
  assert.deepEqual(await adopted(recorded("on")), [take, give, take], "its jail is not there");
  const other = recorded("taking").replace(PLAN.uuid, "another");
  assert.deepEqual(await adopted(other), [give, take], "nobody has decided on this guest");
  assert.deepEqual(await adopted(recorded("off")), [], "a person took it away");
});

Deno.test("GuestShares gives a share that was detached to nobody who has not asked for it, until the guest begins anew", async () => {
  const { shares, qmp, launched } = world({ record: recorded("on") });
  shares.begin(qmp);
  assert.equal(await shares.detach(detach()), true);
  const before = launched.length;
  // A save that failed, or a guest that was paused and goes on.
  await shares.end("suspending", true);
  shares.begin(qmp);
  for (let turns = 0; turns < 50; turns++) await Promise.resolve();
  assert.deepEqual(launched.slice(before), []);
  await shares.gone();
  shares.begin(qmp);
  for (let turns = 0; turns < 50; turns++) await Promise.resolve();
  assert.equal(launched.slice(before)[0], "share give 0 0");
});

Deno.test("GuestShares gives nothing that the policy of now gives otherwise than the plan", async () => {
  const { shares, qmp, launched, events } = world({ gives: false });
  shares.begin(qmp);
  assert.equal(await shares.attach(attach()), false);
  assert.deepEqual(launched, []);
  assert.deepEqual(codes(events), ["share.policy"]);
});

Deno.test("GuestShares serves nothing to a guest that takes its time over what the policy takes", async () => {
  const options = { record: recorded("on"), server: true, plugged: true, helps: false };
  const { shares, qmp, launched, said } = world({ ...options, gives: false });
  let cut = 0;
  const command = qmp.command.bind(qmp);
  qmp.command = ((name: string) => {
    if (name === "device_del") cut = launched.length;
    return command(name as "stop");
  }) as typeof qmp.command;
  await shares.adopt(qmp);
  await shares.end("policy");
  assert.ok(said.includes("device_del"));
  assert.equal(launched[cut - 1], "share take 0 0", "it was cut off before the guest was asked");
});

/** A share that serves when the program is started, and whose server gets that signal a little later. */
async function lost(signal: "KILL" | "STOP", helps: boolean) {
  const served = { record: recorded("on"), server: true, served: true, plugged: true };
  const all = world({ ...served, signal, helps });
  await all.shares.adopt(all.qmp);
  assert.deepEqual(all.shares.tags, ["docs"]);
  for (let turns = 0; turns < 500; turns++) await Promise.resolve();
  return { ...all, order: all.said.filter((one) => ["take", "device_del"].includes(one)) };
}

Deno.test("GuestShares takes a share whose server has ended, or is stopped, and says which", async () => {
  for (const [signal, code] of [["KILL", "share.gone"], ["STOP", "share.stopped"]] as const) {
    const { shares, events } = await lost(signal, true);
    assert.deepEqual(codes(events), [code]);
    assert.deepEqual(events.flatMap((one) => one.type === "share" ? [one.reason] : []), ["died"]);
    assert.deepEqual(shares.tags, []);
  }
});

Deno.test("GuestShares ends a server that is stopped before the device is asked for, which waits for it", async () => {
  assert.deepEqual((await lost("STOP", true)).order, ["take", "device_del", "take"]);
  const { events, order } = await lost("STOP", false);
  assert.deepEqual(order, ["take", "device_del", "take"]);
  assert.deepEqual(codes(events).slice(0, 2), ["share.stopped", "share.left"]);
});

Deno.test("GuestShares leaves no server that is stopped to a guest that is to be saved and keeps its device", async () => {
  const orders = { 0: ["take", "device_del"], 10_000: ["device_del", "take"] };
  for (const [stoppedAt, asked] of Object.entries(orders)) {
    const served = {
      record: recorded("on"),
      server: true,
      served: true,
      plugged: true,
      helps: false,
    };
    const { shares, qmp, events, said } = world({
      ...served,
      signal: "STOP",
      stoppedAt: Number(stoppedAt),
    });
    await shares.adopt(qmp);
    assert.equal(await shares.end("suspending", true), false);
    assert.deepEqual(codes(events), ["share.stopped", "share.left"]);
    const order = said.filter((one) => ["take", "device_del"].includes(one));
    assert.deepEqual(order.slice(0, 2), asked);
    assert.deepEqual(shares.tags, []);
  }
});

Deno.test("renderShare gives the launcher values alone", () => {
  const lines = renderShare(PLAN, SHARE).trimEnd().split("\n");
  assert.deepEqual(lines.slice(0, -1), [
    "rayos-share 0",
    "vm demo",
    "kind linux",
    "access ro",
    "quota 64",
    "path vm/linux/demo/docs",
  ]);
  assert.match(lines.at(-1) ?? "", /^seccomp [0-9a-f]{64}$/);
});
