import assert from "node:assert/strict";
import { DEVICES } from "../plan/device.ts";
import { FakeConnection } from "./fake_connection.ts";
import { NETWORK_PORT, plugArguments, unplugArguments } from "./hotplug.ts";
import { QmpClient } from "./qmp.ts";

Deno.test("plugArguments makes a card in the port that the plan leaves free, with no code of its own", () => {
  assert.deepEqual(plugArguments({ kind: "network", mac: "52:54:00:01:02:03" }), {
    id: "nic0",
    driver: "virtio-net-pci",
    netdev: "n0",
    bus: NETWORK_PORT,
    mac: "52:54:00:01:02:03",
    romfile: "",
  });
  assert.deepEqual(unplugArguments({ kind: "network" }), { id: "nic0" });
  const [[, port = ""] = []] = DEVICES["network-port"].options({ device: "network-port" });
  assert.equal(JSON.parse(port).id, NETWORK_PORT);
});

Deno.test("QmpClient sends a network's commands with words of its own: one socket, and never a link up", async () => {
  const connection = new FakeConnection();
  connection.feed('{"QMP":{"version":{},"capabilities":[]}}\n');
  connection.onWrite = (text) => connection.feed(`{"return":{},"id":${JSON.parse(text).id}}\n`);
  const qmp = await QmpClient.open(connection, () => {});
  for (const name of ["netdev_add", "set_link", "netdev_del", "device_del"] as const) {
    const sent = name === "device_del"
      ? qmp.command(name, 50, { kind: "network" })
      : qmp.command(name, 50);
    await sent.catch(() => {});
  }
  const words = connection.written.slice(1).map((line) => JSON.parse(line));
  assert.deepEqual(words.map((one) => [one.execute, one.arguments]), [
    ["netdev_add", {
      type: "stream",
      id: "n0",
      server: false,
      addr: { type: "unix", path: "/n/passt.sock" },
    }],
    ["set_link", { name: "nic0", up: false }],
    ["netdev_del", { id: "n0" }],
    ["device_del", { id: "nic0" }],
  ]);
  qmp.close();
});
