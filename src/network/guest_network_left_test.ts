/** Cards that a guest was not to be reset for, or was slow to let go of. */
import assert from "node:assert/strict";
import type { GuestNetwork } from "./guest_network.ts";
import type { NetworkGrant } from "./lease.ts";
import { CGROUP, desk, LEASE, ON, untilLogged } from "../../test/fake_network.ts";
import { turns } from "../../test/turns.ts";

Deno.test("GuestNetwork resets no guest whose card stayed, after a save that failed for it", async () => {
  const { log, qmp, network } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on policy");
  assert.equal(await own.end("stopped", true), false);
  own.begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 800));
  assert.ok(!log.includes("system_reset"), log.join(", "));
  await own.gone();
});

Deno.test("GuestNetwork resets no guest that is slow to let go of its card when passt has ended", async () => {
  const { host, log, qmp, network } = desk(ON, { deaf: true });
  network().begin(qmp);
  await untilLogged(log, "told on policy");
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await untilLogged(log, "device_del", 3);
  assert.ok(log.includes("netdev_del"), "it is cut off at once");
  assert.deepEqual(log.filter((one) => /system_reset|killed|told off/.test(one)), []);
});

Deno.test("GuestNetwork leaves a guest that is held alone when its passt has ended, until it goes on", async () => {
  const { host, log, qmp, network, state } = desk(ON);
  network().begin(qmp);
  await untilLogged(log, "told on policy");
  state.held = true;
  const before = log.length;
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(log.slice(before), []);
  state.held = false;
  await untilLogged(log, "told off stopped");
});

Deno.test("GuestNetwork takes a card that was left for later where the policy gives none any more, and says off", async () => {
  const { host, log, qmp, network, state } = desk(ON, { deaf: true });
  network().begin(qmp);
  await untilLogged(log, "told on policy");
  for (const file of [...host.files.keys()]) {
    if (file.startsWith(CGROUP)) host.remove(file);
  }
  await untilLogged(log, "device_del", 2);
  state.grant = { ...ON, networking: "off" };
  await untilLogged(log, "told off policy");
  assert.ok(log.includes("killed"), "it does not let it go even then");
});

Deno.test("GuestNetwork resets no leased guest whose card stayed after a save that was refused for it, and says off by that wish", async () => {
  const { log, qmp, network, state } = desk(LEASE, { deaf: true });
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on provisioning");
  assert.equal(await own.end("stopped", true), false);
  // It is paused, goes on, and another program finds it.
  own.begin(qmp);
  await untilLogged(log, "device_del", 2);
  own.end("stopped", true);
  const next = network();
  await next.adopt(qmp);
  await untilLogged(log, "device_del", 4);
  assert.deepEqual(log.filter((one) => /system_reset|killed|told off/.test(one)), []);
  state.deaf = false;
  await untilLogged(log, "told off stopped");
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
    await untilLogged(log, "told on provisioning");
    await own.end("stopped", true);
    own.begin(qmp);
    await untilLogged(log, "device_del", 2);
    end(own, state);
    await untilLogged(log, `told off ${reason}`);
    assert.ok(log.includes("system_reset"));
  }
});

Deno.test("GuestNetwork lets no guest that is held go on for a card that was left for later", async () => {
  const { log, qmp, network, state } = desk(ON, { deaf: true });
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on policy");
  await own.end("stopped", true);
  state.held = true;
  const before = log.length;
  own.begin(qmp);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(log.slice(before), []);
  state.held = false;
  state.deaf = false;
  await untilLogged(log, "told on policy", 2);
});

Deno.test("GuestNetwork ends for its first reason what a dead program was taking", async () => {
  const { host, log, qmp, network } = desk(LEASE);
  const own = network();
  own.begin(qmp);
  await untilLogged(log, "told on provisioning");
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

Deno.test("GuestNetwork.adopt begins nothing for a QEMU that ended while it was looked at", async () => {
  const { log, qmp, network } = desk(ON);
  const asked = Promise.withResolvers<void>();
  const slow = {
    command: (name: "qom-list") => asked.promise.then(() => qmp.command(name)),
  } as unknown as typeof qmp;
  const own = network();
  const adopting = own.adopt(slow);
  await turns();
  await own.gone();
  asked.resolve();
  await adopting;
  await turns(50);
  assert.deepEqual(log.filter((one) => one.startsWith("net give")), []);
  assert.equal(own.state, "off");
});
