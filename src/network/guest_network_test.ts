import assert from "node:assert/strict";
import type { FakeHost } from "../../test/fake_host.ts";
import { FakeConnection } from "../guest/fake_connection.ts";
import { desk, LEASE, NAMESPACE, ON, PLAN, SPENT, untilLogged } from "../../test/fake_network.ts";
import { until } from "../../test/turns.ts";

Deno.test("GuestNetwork writes a lease down before anything is given, and says on when it is given", async () => {
  const { host, log, qmp, network } = desk(LEASE);
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on provisioning");
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
  await untilLogged(log, "told off lease_expired");
  assert.ok(log.indexOf("net take 0") < log.indexOf("told off lease_expired"));
});

Deno.test("GuestNetwork kills a guest whose card does not go, and says off only then", async () => {
  const { log, events, qmp, network } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on policy");
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

Deno.test("GuestNetwork gives no card to a guest whose passt is elsewhere than its namespace", async () => {
  const { log, events, qmp, network } = desk(LEASE, { weak: true });
  network().begin(qmp);
  await untilLogged(log, "net take 0");
  assert.ok(!log.includes("device_add"));
  assert.ok(!log.some((one) => one.startsWith("told")));
  const found = events.flatMap((event) => event.type === "violation" ? [event.issue.path] : []);
  assert.deepEqual(found, ["passt.namespace"]);
});

Deno.test("GuestNetwork keeps a network over a death of the program, and ends a lease that it finds", async () => {
  const on = desk(ON);
  on.network().begin(on.qmp);
  await untilLogged(on.log, "told on policy");
  const before = on.log.length;
  const again = on.network();
  await again.adopt(on.qmp);
  assert.equal(again.state, "on");
  assert.deepEqual(on.log.slice(before), []);
  const lease = desk(LEASE);
  lease.network().begin(lease.qmp);
  await untilLogged(lease.log, "told on provisioning");
  const next = lease.network();
  await next.adopt(lease.qmp);
  assert.equal(next.state, "off");
  assert.equal(lease.log.at(-1), "told off lease_expired");
});

Deno.test("GuestNetwork takes a network that the policy gives no more, and takes one that it finds half given", async () => {
  const off = desk(ON);
  off.network().begin(off.qmp);
  await untilLogged(off.log, "told on policy");
  off.state.grant = { ...ON, networking: "off" };
  await untilLogged(off.log, "told off policy");
  const half = desk(ON);
  half.host.seed("/run/rayos/net/00.json", "half a reco");
  half.host.seed(NAMESPACE, "");
  await half.network().adopt(half.qmp);
  assert.deepEqual(half.log.slice(0, 2), ["net take 0", "netdev_del"]);
});

Deno.test("GuestNetwork says off of a guest that ended while no program ran", async () => {
  const { log, qmp, network } = desk(ON);
  network().begin(qmp);
  await untilLogged(log, "told on policy");
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
  await untilLogged(log, "told on provisioning");
  state.grant = LEASE;
  await untilLogged(log, "told off policy");
  const more = log.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(log.length, more, "the lease was this serial's");
});

Deno.test("GuestNetwork gives nothing that a person took away, neither adopted nor begun again, until it is enabled", async () => {
  const { log, qmp, network } = desk(ON);
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on policy");
  assert.equal(await own.disable(), true);
  const more = log.length;
  own.begin(qmp);
  const next = network();
  await next.adopt(qmp);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(log.slice(more), []);
  next.enable(qmp);
  await untilLogged(log, "told on policy", 2);
  await next.disable();
  // Its next start begins with what the policy says.
  await next.gone();
  next.begin(qmp);
  await untilLogged(log, "told on policy", 3);
});

Deno.test("GuestNetwork ends a passt that is stopped, and gives another one", async () => {
  const { host, log, events, qmp, network } = desk(ON);
  network().begin(qmp);
  await untilLogged(log, "told on policy");
  const status = `/run/rayos/proc/${host.passt?.pid}/status`;
  host.seed(status, "Name:\tpasst\nState:\tT (stopped)\n");
  await untilLogged(log, "net take 0");
  host.seed(status, "Name:\tpasst\nState:\tS (sleeping)\n");
  await untilLogged(log, "told on policy", 2);
  const codes = events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["network.passt_stopped"]);
});

Deno.test("GuestNetwork ends a lease by the policy while the guest's agent owes an answer", async () => {
  const { host, log, qmp, network, state } = desk(LEASE);
  let connected = 0;
  host.socket = () => (connected++, new FakeConnection());
  state.answered = true;
  network().begin(qmp);
  await untilLogged(log, "told on provisioning");
  await until(() => connected > 0);
  assert.equal(connected, 1);
  const began = performance.now();
  state.grant = { ...LEASE, networking: "off" };
  await untilLogged(log, "told off policy");
  assert.ok(performance.now() - began < 1_500, "its limit is longer than that");
});
