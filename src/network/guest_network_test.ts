import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import { jailAsPlanned } from "../../test/fake_jail.ts";
import type { HostEvent } from "../event.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import type { QmpClient } from "../guest/qmp.ts";
import type { ProcessFacts } from "../host/port.ts";
import { samplePlan } from "../plan/sample_plan.ts";
import { subjectOf } from "../plan/launch_plan.ts";
import { GuestNetwork } from "./guest_network.ts";
import type { NetworkGrant } from "./lease.ts";
import { PASST_LIMITS, passtSpec } from "./passt.ts";

const PLAN = samplePlan({
  devices: [...samplePlan().devices, { device: "network-port" }],
});
const SPENT = "/var/rayos/vm/linux/demo/state/network_lease";
const CGROUP = "/run/rayos/cg/rayos/net/00";
const NAMESPACE = "/run/rayos/netns/00";
const NAMESPACE_ID = 4_026_532_000;

const LEASE: NetworkGrant = {
  networking: "provisioning_only",
  provisioningMinutes: 1,
  provisioned: false,
  serial: 7,
  resolver: null,
  allowPrivate: [],
};
const ON: NetworkGrant = { ...LEASE, networking: "on" };

class Desk extends FakeHost {
  passt: ProcessFacts | null = null;
  override processFacts(pid: number): ProcessFacts | null {
    return this.passt?.pid === pid ? this.passt : super.processFacts(pid);
  }
}

/** A host on which the launcher does what it should, and a QEMU that does too; `log` has it in order. */
function desk(grant: NetworkGrant, { deaf = false, weak = false } = {}) {
  const host = new Desk();
  const log: string[] = [];
  const events: HostEvent[] = [];
  let card = false;
  host.directories.add("/var/rayos/vm/linux/demo");
  host.seed("/run/rayos/uplink/u0/facts", "192.168.1.5/24 192.168.1.1 192.168.1.1\n");
  const spec = passtSpec(PLAN);
  host.launcher = (name, args) => {
    log.push(`${name} ${args.join(" ")}`);
    if (args[0] === "give") {
      log.push(`spent ${host.files.has(SPENT)}`);
      const facts = jailAsPlanned(spec, () => ({ device: 0, inode: 0 }));
      const namespaces = { ...facts.namespaces, net: `net:[${weak ? 2 : NAMESPACE_ID}]` };
      host.passt = { ...facts, namespaces };
      host.seed(`${CGROUP}/cgroup.procs`, `${facts.pid}\n`);
      host.seed(`${CGROUP}/cpu.max`, `${PASST_LIMITS.cpuMaxUs} 100000\n`);
      host.seed(`${CGROUP}/memory.max`, `${PASST_LIMITS.memoryMaxBytes}\n`);
      host.seed(`${CGROUP}/memory.oom.group`, "1\n");
      host.seed(`${CGROUP}/pids.max`, `${PASST_LIMITS.pidsMax}\n`);
      host.seed(`${CGROUP}/io.max`, "\n");
      host.seed(NAMESPACE, "");
      host.facts.set(NAMESPACE, { inode: NAMESPACE_ID });
    } else {
      for (const file of [...host.files.keys()]) {
        if (file.startsWith(CGROUP) || file === NAMESPACE) host.remove(file);
      }
      host.passt = null;
    }
    return { code: 0, words: ["ok"] };
  };
  const command = (name: string): Promise<unknown> => {
    if (name === "qom-list") return Promise.resolve(card ? [{ name: "nic0" }] : []);
    log.push(name);
    if (name === "device_add") card = true;
    if (name === "device_del" && !state.deaf) card = false;
    return Promise.resolve({});
  };
  const qmp = { command } as unknown as QmpClient;
  const state = {
    grant: grant as NetworkGrant | null,
    provisioned: 0,
    held: false,
    answered: false,
    deaf,
  };
  const network = () =>
    new GuestNetwork({
      host,
      emit: (event) => {
        events.push(event);
        if (event.type === "network") log.push(`told ${event.on ? "on" : "off"} ${event.reason}`);
      },
      subject: subjectOf(PLAN),
      plan: () => PLAN,
      grant: () => state.grant,
      permit: () => ({}) as never,
      onProvisioned: () => state.provisioned++,
      key: () => new Uint8Array(32),
      held: () => state.held,
      answered: () => state.answered,
      kill: () => Promise.resolve(void log.push("killed")),
    });
  return { host, log, events, qmp, network, state };
}

/** Lets what is under way go on until the log has that word so many times. */
async function until(log: readonly string[], word: string, times = 1): Promise<void> {
  const found = () => log.filter((one) => one === word).length;
  for (let turn = 0; turn < 2_000 && found() < times; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.ok(found() >= times, `${word}: ${log.slice(0, 40).join(", ")}`);
}

Deno.test("GuestNetwork writes a lease down before anything is given, and says on when it is given", async () => {
  const { host, log, qmp, network } = desk(LEASE);
  const own = network();
  own.begin(qmp);
  await until(log, "told on provisioning");
  assert.equal(own.state, "lease");
  assert.deepEqual(log, [
    "net give 0",
    "spent true",
    "netdev_add",
    "device_add",
    "told on provisioning",
  ]);
  assert.equal(
    new TextDecoder().decode(host.files.get(SPENT)),
    `{"version":0,"uuid":"${PLAN.uuid}","serial":7}\n`,
  );
  assert.equal(await own.endLease("provisioned"), true);
  assert.deepEqual(log.slice(5), [
    "net take 0",
    "device_del",
    "set_link",
    "netdev_del",
    "told off provisioned",
  ]);
  const more = log.length;
  network().begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(log.length, more, "there is no second one");
});

Deno.test("GuestNetwork gives no lease where what is written down of one is no text, too long or no file", async () => {
  const damages: readonly ((host: FakeHost) => void)[] = [
    (host) => host.seed(SPENT, new Uint8Array([0xff])),
    (host) => host.seed(SPENT, new Uint8Array()),
    (host) => host.seed(SPENT, "x".repeat(5_000)),
    (host) => host.seed(`${SPENT}/within`, ""),
  ];
  for (const damage of damages) {
    const { host, log, events, qmp, network } = desk(LEASE);
    damage(host);
    network().begin(qmp);
    await new Promise((resolve) => setTimeout(resolve, 20));
    assert.deepEqual([log, events], [[], []]);
  }
});

Deno.test("GuestNetwork ends a lease at its time", async () => {
  const { log, qmp, network } = desk(LEASE);
  network().begin(qmp);
  await until(log, "told off lease_expired");
  assert.ok(log.indexOf("net take 0") < log.indexOf("told off lease_expired"));
});

Deno.test("GuestNetwork kills a guest whose card does not go, and says off only then", async () => {
  const { log, events, qmp, network } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await until(log, "told on policy");
  await own.end("stopped");
  const after = log.slice(log.indexOf("told on policy") + 1);
  assert.deepEqual(after, [
    "net take 0",
    "device_del",
    "set_link",
    "netdev_del",
    "system_reset",
    "killed",
    "net take 0",
    "told off stopped",
  ]);
  const codes = events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["network.unproved"]);
});

Deno.test("GuestNetwork resets no guest whose card stayed, after a save that failed for it", async () => {
  const { log, qmp, network } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await until(log, "told on policy");
  assert.equal(await own.end("stopped", true), false);
  own.begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 800));
  assert.ok(!log.includes("system_reset"), log.join(", "));
  await own.gone();
});

Deno.test("GuestNetwork gives no card to a guest whose passt is elsewhere than its namespace", async () => {
  const { log, events, qmp, network } = desk(LEASE, { weak: true });
  network().begin(qmp);
  await until(log, "net take 0");
  assert.ok(!log.includes("device_add"));
  assert.ok(!log.some((one) => one.startsWith("told")));
  const found = events.flatMap((event) => event.type === "violation" ? [event.issue.path] : []);
  assert.deepEqual(found, ["passt.namespace"]);
});

Deno.test("GuestNetwork keeps a network over a death of the program, and ends a lease that it finds", async () => {
  const on = desk(ON);
  on.network().begin(on.qmp);
  await until(on.log, "told on policy");
  const before = on.log.length;
  const again = on.network();
  await again.adopt(on.qmp);
  assert.equal(again.state, "on");
  assert.deepEqual(on.log.slice(before), []);
  const lease = desk(LEASE);
  lease.network().begin(lease.qmp);
  await until(lease.log, "told on provisioning");
  const next = lease.network();
  await next.adopt(lease.qmp);
  assert.equal(next.state, "off");
  assert.equal(lease.log.at(-1), "told off lease_expired");
});

Deno.test("GuestNetwork takes a network that the policy gives no more, and takes one that it finds half given", async () => {
  const off = desk(ON);
  off.network().begin(off.qmp);
  await until(off.log, "told on policy");
  off.state.grant = { ...ON, networking: "off" };
  await until(off.log, "told off policy");
  const half = desk(ON);
  half.host.seed("/run/rayos/net/00.json", "half a reco");
  half.host.seed(NAMESPACE, "");
  await half.network().adopt(half.qmp);
  assert.deepEqual(half.log.slice(0, 2), ["net take 0", "netdev_del"]);
});

Deno.test("GuestNetwork says off of a guest that ended while no program ran", async () => {
  const { log, qmp, network } = desk(ON);
  network().begin(qmp);
  await until(log, "told on policy");
  await network().gone();
  assert.deepEqual(log.slice(-2), ["net take 0", "told off stopped"]);
});

Deno.test("GuestNetwork gives nothing without an uplink, and nothing to a guest without a port", async () => {
  const { host, log, qmp, network, state } = desk(ON);
  host.remove("/run/rayos/uplink/u0/facts");
  network().begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(log, []);
  state.grant = null;
});

Deno.test("GuestNetwork ends a lease that leads further than a newer policy lets it", async () => {
  const { log, qmp, network, state } = desk({ ...LEASE, allowPrivate: ["10.1.0.0/16"] });
  network().begin(qmp);
  await until(log, "told on provisioning");
  state.grant = LEASE;
  await until(log, "told off policy");
  const more = log.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(log.length, more, "the lease was this serial's");
});

Deno.test("GuestNetwork gives nothing that a person took away, neither adopted nor begun again, until it is enabled", async () => {
  const { log, qmp, network } = desk(ON);
  const own = network();
  own.begin(qmp);
  await until(log, "told on policy");
  assert.equal(await own.disable(), true);
  const more = log.length;
  own.begin(qmp);
  const next = network();
  await next.adopt(qmp);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(log.slice(more), []);
  next.enable(qmp);
  await until(log, "told on policy", 2);
  await next.disable();
  // Its next start begins with what the policy says.
  await next.gone();
  next.begin(qmp);
  await until(log, "told on policy", 3);
});

Deno.test("GuestNetwork ends a passt that is stopped, and gives another one", async () => {
  const { host, log, events, qmp, network } = desk(ON);
  network().begin(qmp);
  await until(log, "told on policy");
  const status = `/run/rayos/proc/${host.passt?.pid}/status`;
  host.seed(status, "Name:\tpasst\nState:\tT (stopped)\n");
  await until(log, "net take 0");
  host.seed(status, "Name:\tpasst\nState:\tS (sleeping)\n");
  await until(log, "told on policy", 2);
  const codes = events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["network.passt_stopped"]);
});

Deno.test("GuestNetwork resets no guest that is slow to let go of its card when passt has ended", async () => {
  const { host, log, qmp, network } = desk(ON, { deaf: true });
  network().begin(qmp);
  await until(log, "told on policy");
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await until(log, "device_del", 3);
  assert.ok(log.includes("netdev_del"), "it is cut off at once");
  assert.deepEqual(log.filter((one) => /system_reset|killed|told off/.test(one)), []);
});

Deno.test("GuestNetwork leaves a guest that is held alone when its passt has ended, until it goes on", async () => {
  const { host, log, qmp, network, state } = desk(ON);
  network().begin(qmp);
  await until(log, "told on policy");
  state.held = true;
  const before = log.length;
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(log.slice(before), []);
  state.held = false;
  await until(log, "told off stopped");
});

Deno.test("GuestNetwork takes a card that was left for later where the policy gives none any more, and says off", async () => {
  const { host, log, qmp, network, state } = desk(ON, { deaf: true });
  network().begin(qmp);
  await until(log, "told on policy");
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await until(log, "device_del", 2);
  state.grant = { ...ON, networking: "off" };
  await until(log, "told off policy");
  assert.ok(log.includes("killed"), "it does not let it go even then");
});

Deno.test("GuestNetwork resets no leased guest whose card stayed after a save that was refused for it, and says off by that wish", async () => {
  const { log, qmp, network, state } = desk(LEASE, { deaf: true });
  const own = network();
  own.begin(qmp);
  await until(log, "told on provisioning");
  assert.equal(await own.end("stopped", true), false);
  // It is paused, goes on, and another program finds it.
  own.begin(qmp);
  await until(log, "device_del", 2);
  own.end("stopped", true);
  const next = network();
  await next.adopt(qmp);
  await until(log, "device_del", 4);
  assert.deepEqual(log.filter((one) => /system_reset|killed|told off/.test(one)), []);
  state.deaf = false;
  await until(log, "told off stopped");
  assert.equal(next.state, "off");
  const more = log.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(log.slice(more), [], "it was the only one");
});

Deno.test("GuestNetwork takes the card of a spent lease by force where the policy or a person ends it", async () => {
  const ends: readonly [
    (own: GuestNetwork, state: { grant: NetworkGrant | null }) => unknown,
    string,
  ][] = [
    [(_, state) => state.grant = { ...LEASE, networking: "off" }, "policy"],
    [(own) => own.endLease("provisioned"), "provisioned"],
  ];
  for (const [end, reason] of ends) {
    const { log, qmp, network, state } = desk(LEASE, { deaf: true });
    const own = network();
    own.begin(qmp);
    await until(log, "told on provisioning");
    await own.end("stopped", true);
    own.begin(qmp);
    await until(log, "device_del", 2);
    end(own, state);
    await until(log, `told off ${reason}`);
    assert.ok(log.includes("system_reset"));
  }
});

Deno.test("GuestNetwork lets no guest that is held go on for a card that was left for later", async () => {
  const { log, qmp, network, state } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await until(log, "told on policy");
  await own.end("stopped", true);
  state.held = true;
  const before = log.length;
  own.begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(log.slice(before), []);
  state.held = false;
  state.deaf = false;
  await until(log, "told on policy", 2);
});

Deno.test("GuestNetwork ends for its first reason what a dead program was taking", async () => {
  const { host, log, qmp, network } = desk(LEASE);
  const own = network();
  own.begin(qmp);
  await until(log, "told on provisioning");
  const launcher = host.launcher;
  // It dies as soon as it has written down what it does.
  host.launcher = () => {
    throw new Error("killed");
  };
  await assert.rejects(own.endLease("provisioned"), /killed/u);
  host.launcher = launcher;
  await network().adopt(qmp);
  assert.equal(log.at(-1), "told off provisioned");
});

Deno.test("GuestNetwork ends a lease by the policy while the guest's agent owes an answer", async () => {
  const { host, log, qmp, network, state } = desk(LEASE);
  let connected = 0;
  host.socket = () => (connected++, new FakeConnection());
  state.answered = true;
  network().begin(qmp);
  await until(log, "told on provisioning");
  for (let turn = 0; turn < 200 && connected === 0; turn++) {
    await new Promise((resolve) => setTimeout(resolve, 0));
  }
  assert.equal(connected, 1);
  const began = performance.now();
  state.grant = { ...LEASE, networking: "off" };
  await until(log, "told off policy");
  assert.ok(performance.now() - began < 1_500, "its limit is longer than that");
});
