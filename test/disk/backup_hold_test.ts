/**
 * A backup of a guest that runs and cannot be suspended, with agents that help, are silent, lie and flood:
 * what they say is in the manifest, and changes nothing else.
 */
import assert from "node:assert/strict";
import type { Outcome } from "../../src/control/protocol.ts";
import { readBackup, wholeBackups } from "../../src/disk/backup.ts";
import { FakeConnection } from "../../src/guest/fake_connection.ts";
import { AGENT_LIMITS, holdGuest, thawGuest, thawTakenUp } from "../../src/phase/backup_hold.ts";
import type { GuestWork } from "../../src/phase/guest_work.ts";
import type { Allowed } from "../../src/policy/authorize.ts";
import type { Runtime } from "../../src/runtime.ts";
import type { Guest } from "../../src/supervisor/guest.ts";
import { CutHost } from "../saved/cut_host.ts";
import { diskRuntime, FOLDER, RECORD, REGISTRY, seedGuest, VM } from "./disk_world.ts";

const OF = { kind: "linux", vm: VM } as const;
const FAST = { connectMs: 50, answerMs: 50, freezeMs: 50, thawMs: 50 };
const BEFORE = "before";

/** What an agent says to a command; null: nothing. */
type Agent = (command: string, id: number) => string | null;

const GOOD: Agent = (command, id) =>
  command === "guest-sync" ? `{"return":${id}}\n` : '{"return":3}\n';
const afterSync = (answer: string | null): Agent => (command, id) =>
  command === "guest-sync" ? `{"return":${id}}\n` : answer;

interface World {
  readonly host: CutHost;
  readonly runtime: Runtime;
  /** What was done to the guest, in order. */
  readonly done: string[];
  readonly guest: { state: string; resumes: number; pause: () => Promise<void> };
  readonly work: GuestWork;
}

/** A guest with a TPM that runs; its disk changes as soon as it is let go on. */
async function running(agent: Agent, network = "off", vtpm = true): Promise<World> {
  const host = new CutHost();
  seedGuest(host);
  const devices = { ...RECORD.devices, vtpm };
  host.seed(REGISTRY, JSON.stringify({ version: 0, vms: { demo: { ...RECORD, devices } } }));
  host.seed(`${FOLDER}/rootfs.ext4`, BEFORE);
  const runtime = await diskRuntime(host);
  const done: string[] = [];
  host.socket = () => {
    const connection = new FakeConnection();
    connection.onWrite = (text) => {
      const { execute, arguments: { id = 0 } = {} } = JSON.parse(text.replace(/^\u00ff/u, ""));
      if (execute !== "guest-sync") done.push(execute);
      const answer = agent(execute, id);
      if (answer !== null) connection.feed(answer);
    };
    return connection;
  };
  const [plan] = runtime.plans;
  assert.ok(plan !== undefined);
  const guest = {
    plan,
    state: "running",
    beginning: false,
    agentReady: true,
    violations: [],
    refusal: null,
    resumes: 0,
    given: { network: { state: network } },
    replan: () => false,
    pause: () => {
      done.push("pause");
      guest.state = "paused";
      return Promise.resolve();
    },
    resume: () => {
      done.push("resume");
      guest.state = "running";
      host.seed(`${FOLDER}/rootfs.ext4`, "later!");
      return Promise.resolve();
    },
  };
  runtime.guests.set(VM, guest as unknown as Guest);
  const record = runtime.registry?.guests.get(VM);
  assert.ok(record !== undefined);
  const permit = { op: "vm.backup", vm: VM, caller: "console" } as unknown as Allowed;
  const work = { runtime, permit, record, owner: { vm: VM, kind: record.kind, slot: record.slot } };
  return { host, runtime, done, guest, work };
}

const backUp = ({ runtime }: World): Promise<Outcome> =>
  runtime.handle("console", "vm.backup", { vm: VM });

function manifest({ host }: World) {
  const read = readBackup(host, OF, 1);
  assert.ok("manifest" in read, JSON.stringify(read));
  return read.manifest;
}

const copied = ({ host }: World) =>
  new TextDecoder().decode(host.contentOf(`${FOLDER}/backup/1/disk-root`) ?? undefined);

const FROZEN = ["guest-fsfreeze-freeze", "pause", "resume", "guest-fsfreeze-thaw"];

Deno.test("vm.backup of a guest with a TPM freezes, holds, copies, lets go and thaws, in that order", async () => {
  const world = await running(GOOD);
  const outcome = await backUp(world);
  assert.ok(outcome.ok, JSON.stringify(outcome));
  assert.deepEqual(world.done, FROZEN);
  assert.equal(copied(world), BEFORE);
  assert.equal(manifest(world).consistent, "frozen+paused");
  assert.equal(manifest(world).state, "running");
  assert.equal((outcome.result as { consistent: string }).consistent, "frozen+paused");
});

Deno.test("vm.backup holds a guest that has a network, which a save would take away", async () => {
  const world = await running(GOOD, "on", false);
  assert.ok((await backUp(world)).ok);
  assert.deepEqual(world.done, FROZEN);
});

Deno.test("vm.backup holds a guest that may have shares, which a save would take from under it", async () => {
  const world = await running(GOOD, "off", false);
  const share = { tag: "work", path: `vm/linux/${VM}/share`, readOnly: true, quotaMib: 64 };
  Object.assign(world.guest, { plan: { ...world.runtime.plans[0], shares: [share] } });
  assert.ok((await backUp(world)).ok);
  assert.deepEqual(world.done, FROZEN);
});

Deno.test("vm.backup of a guest whose agent was never heard holds it and asks it nothing", async () => {
  const world = await running(() => assert.fail("it was asked"));
  Object.assign(world.guest, { agentReady: false });
  assert.ok((await backUp(world)).ok);
  assert.deepEqual(world.done, ["pause", "resume"]);
  assert.equal(copied(world), BEFORE);
  assert.equal(manifest(world).consistent, "paused");
});

const FLOOD = "x\n".repeat(5_000);
const THAWS = Array<string>(3).fill("guest-fsfreeze-thaw");

/** Each is held and copied all the same; how often it is asked is bounded. */
const HOSTILE: readonly [what: string, agent: Agent, done: readonly string[]][] = [
  ["never answers", () => null, ["pause", "resume"]],
  ["answers the first question alone", afterSync(null), [
    "guest-fsfreeze-freeze",
    "pause",
    "resume",
    ...THAWS,
  ]],
  ["floods", () => FLOOD, ["pause", "resume"]],
  ["floods when it is to freeze", afterSync(FLOOD), [
    "guest-fsfreeze-freeze",
    "pause",
    "resume",
    ...THAWS,
  ]],
  ["says a line without an end", afterSync("x".repeat(200_000)), [
    "guest-fsfreeze-freeze",
    "pause",
    "resume",
    ...THAWS,
  ]],
  ["froze nothing", afterSync('{"return":0}\n'), FROZEN],
  ["says that it froze half a file system", afterSync('{"return":0.5}\n'), [
    "guest-fsfreeze-freeze",
    "pause",
    "resume",
    ...THAWS,
  ]],
  ["refuses", afterSync('{"error":{"class":"CommandNotFound","desc":"no"}}\n'), [
    "guest-fsfreeze-freeze",
    "pause",
    "resume",
    ...THAWS,
  ]],
];

for (const [what, agent, done] of HOSTILE) {
  Deno.test(`holdGuest holds a guest whose agent ${what}, and says that it was held alone`, async () => {
    const world = await running(agent);
    const held = await holdGuest(world.work, FAST);
    assert.equal(held.consistent, "paused");
    assert.equal(world.guest.state, "paused");
    held.check();
    await held.letGo();
    assert.equal(world.guest.state, "running");
    assert.deepEqual(world.done, done);
  });
}

Deno.test("vm.backup of a guest that went on while it was copied is none, and it is thawed", async () => {
  const world = await running(GOOD);
  const { host } = world;
  const open = host.open.bind(host);
  host.open = (path) => {
    // A stop of the guest, or the end of the host, let it go.
    world.guest.resumes++;
    return open(path);
  };
  const outcome = await backUp(world);
  assert.deepEqual(outcome.ok ? "ok" : outcome.rule, "backup.not_held");
  assert.deepEqual(wholeBackups(host, OF), []);
  assert.deepEqual(host.list(`${FOLDER}/backup/1`), []);
  assert.deepEqual(world.done, FROZEN);
});

Deno.test("vm.backup that cannot copy, and one of a guest that is not held, thaw and let go", async () => {
  const world = await running(GOOD);
  const open = world.host.open.bind(world.host);
  world.host.open = (path) => path.endsWith("rootfs.ext4") ? null : open(path);
  assert.equal((await backUp(world)).ok, false);
  assert.deepEqual(world.done, FROZEN);

  const loose = await running(GOOD);
  loose.guest.pause = () => Promise.resolve();
  const outcome = await backUp(loose);
  assert.equal(outcome.ok ? "ok" : outcome.rule, "backup.not_held");
  assert.deepEqual(loose.done, ["guest-fsfreeze-freeze", "guest-fsfreeze-thaw"]);
  assert.deepEqual(wholeBackups(loose.host, OF), []);
});

Deno.test("vm.resume waits for a backup, and thaws what a program that died in one has left", async () => {
  const world = await running(GOOD);
  world.guest.state = "paused";
  world.runtime.busy.set(VM, "vm.backup");
  const early = await world.runtime.handle("console", "vm.resume", { vm: VM });
  assert.equal(early.ok ? "ok" : early.rule, "vm.busy");
  world.runtime.busy.delete(VM);
  assert.ok((await world.runtime.handle("console", "vm.resume", { vm: VM })).ok);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(world.done, ["resume", "guest-fsfreeze-thaw"]);
});

Deno.test("thawTakenUp thaws a guest that a program left frozen, and asks none that was never ready", async () => {
  const world = await running(GOOD);
  thawTakenUp(world.runtime);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(world.done, ["guest-fsfreeze-thaw"]);
  Object.assign(world.guest, { agentReady: false });
  thawTakenUp(world.runtime);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(world.done, ["guest-fsfreeze-thaw"]);
});

Deno.test("thawGuest asks nobody where the guest has no agent", async () => {
  const world = await running(GOOD);
  const [plan] = world.runtime.plans;
  assert.ok(plan !== undefined);
  await thawGuest(world.host, { ...plan, devices: [] });
  assert.deepEqual(world.done, []);
  assert.ok(Object.values(AGENT_LIMITS).every((ms) => ms <= 15_000));
});
