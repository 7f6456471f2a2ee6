import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { HostEvent } from "../event.ts";
import { type UplinkTrouble, viewUplinks } from "../network/uplink.ts";
import type { Runtime, Trouble } from "../runtime.ts";
import { turns, until } from "../../test/turns.ts";
import { Fault } from "../fault.ts";
import { lookAfterUplinks, watchUplink } from "./uplink_watch.ts";

const CGROUP = "/run/rayos/cg/rayos/net/u0";
const PROCESS = "/run/rayos/proc/88";
const DEVICES = "Inter-|   Receive\n face |bytes\n    lo:       0\n    u0:    1000\n";

/** A host with one NIC whose client runs; `says`: the launcher's words. */
function desk(says: string[] = ["ok", "1"], networking = "on") {
  const host = new FakeHost();
  const asked: string[] = [];
  const told: string[] = [];
  host.seed("/run/rayos/uplink/u0/facts", "192.168.1.5/24 192.168.1.1 none\n");
  host.seed(`${CGROUP}/cgroup.procs`, "88\n");
  host.seed(`${CGROUP}/cgroup.kill`, "");
  host.seed(`${PROCESS}/status`, "Name:\tbusybox\nState:\tS (sleeping)\n");
  host.seed(`${PROCESS}/net/dev`, DEVICES);
  host.launcher = (name, args) => {
    asked.push(`${name} ${args.join(" ")}`);
    return { code: 0, words: says };
  };
  const emit = (event: HostEvent) => {
    if (event.type === "fault") told.push(event.code);
    else if (event.type === "uplink_back") told.push(`back ${event.nic}`);
  };
  const profiles = new Map([["one", { enabled: true, networking }]]);
  const inForce = { policy: { profiles } } as unknown as Runtime["inForce"];
  const around = { host, emit, inForce, troubles: [] as Trouble[] };
  const known = new Map<string, UplinkTrouble>();
  return { host, asked, told, around, look: () => lookAfterUplinks(around, known) };
}

Deno.test("watchUplink tells of a look that fails, and looks again", async () => {
  const { host, told, asked, around } = desk();
  const pauses: (() => void)[] = [];
  host.clock.sleep = () => new Promise((resolve) => pauses.push(resolve));
  const list = host.list.bind(host);
  host.list = () => {
    throw new Fault("network", "file.unreadable", "uplinks: EIO; look at the disk");
  };
  void watchUplink(around as unknown as Runtime);
  const goOn = () => pauses.shift()?.();
  goOn();
  await until(() => told.length === 1);
  assert.deepEqual(told, ["file.unreadable"]);
  host.list = list;
  host.seed(`${CGROUP}/cgroup.procs`, "");
  // After a look that did not help the next one is left out.
  goOn();
  await turns();
  goOn();
  await until(() => told.length === 2);
  assert.deepEqual([told, asked], [["file.unreadable", "network.dhcp_ended"], ["uplink begin"]]);
});

Deno.test("lookAfterUplinks asks for nothing while a client runs beside its NIC", async () => {
  const { asked, told, look } = desk();
  assert.equal(await look(), true);
  assert.deepEqual([asked, told], [[], []]);
});

Deno.test("lookAfterUplinks says once that a client has ended, begins it again, and says that it is back", async () => {
  const { host, asked, told, look } = desk();
  host.seed(`${CGROUP}/cgroup.procs`, "");
  assert.equal(await look(), false);
  assert.equal(await look(), false);
  assert.deepEqual(asked, ["uplink begin", "uplink begin"]);
  assert.deepEqual(told, ["network.dhcp_ended"]);
  host.seed(`${CGROUP}/cgroup.procs`, "88\n");
  assert.equal(await look(), true);
  assert.equal(await look(), true);
  assert.deepEqual(told, ["network.dhcp_ended", "back u0"]);
});

Deno.test("lookAfterUplinks ends a client that is stopped, and no other", async () => {
  const { host, told, look } = desk();
  const kill = () => new TextDecoder().decode(host.files.get(`${CGROUP}/cgroup.kill`));
  await look();
  assert.equal(kill(), "");
  host.seed(`${PROCESS}/status`, "Name:\tbusybox\nState:\tT (stopped)\n");
  assert.equal(await look(), false);
  assert.equal(kill(), "1");
  assert.deepEqual(told, ["network.dhcp_stopped"]);
});

Deno.test("lookAfterUplinks says that a NIC is gone, by its client's namespace or by the launcher's word", async () => {
  const seen = desk();
  seen.host.seed(`${PROCESS}/net/dev`, DEVICES.replace("u0", "u1"));
  assert.equal(await seen.look(), false);
  seen.host.seed(`${CGROUP}/cgroup.procs`, "");
  assert.equal(await seen.look(), false);
  assert.deepEqual(seen.told, ["network.no_nic"], "one fault, not two");

  const heard = desk(["ok", "0", "u0", "u7"]);
  heard.host.seed(`${CGROUP}/cgroup.procs`, "");
  assert.equal(await heard.look(), false);
  assert.equal(await heard.look(), false);
  assert.deepEqual(heard.told, ["network.dhcp_ended", "network.no_nic"]);
});

Deno.test("lookAfterUplinks says once that a NIC stands in the host's own namespace and has it put away until it is, whatever the policy says", async () => {
  for (const [networking, verb] of [["on", "begin"], ["off", "park"]] as const) {
    const { host, asked, told, look } = desk(["ok", "1"], networking);
    if (networking === "off") host.seed(`${CGROUP}/cgroup.procs`, "");
    const ways = "/run/rayos/proc/1/net/dev";
    host.seed(ways, DEVICES.replace("u0", "eth1"));
    assert.equal(await look(), false);
    assert.equal(await look(), false);
    assert.deepEqual(asked, [`uplink ${verb}`, `uplink ${verb}`]);
    assert.deepEqual(told, ["network.nic_outside"]);
    host.seed(ways, DEVICES.replace(/^.*u0.*\n/mu, ""));
    assert.equal(await look(), true);
    assert.equal(asked.length, 2);
    host.seed(ways, DEVICES.replace("u0", "eth1"));
    assert.equal(await look(), false);
    assert.deepEqual(told, ["network.nic_outside", "network.nic_outside"], "another one later");
  }
});

Deno.test("lookAfterUplinks ends the clients that no policy wants any more, and asks no more then", async () => {
  const { host, asked, told, look } = desk(["ok", "1"], "off");
  assert.equal(await look(), true);
  assert.deepEqual(asked, ["uplink park"]);
  host.seed(`${CGROUP}/cgroup.procs`, "");
  assert.equal(await look(), true);
  assert.deepEqual([asked.length, told], [1, []]);
});

Deno.test("lookAfterUplinks says once that there are more NICs than are used, and takes none of them for one that is gone", async () => {
  const { host, told, look } = desk(["ok", "8", "u0", "+1"]);
  host.seed(`${CGROUP}/cgroup.procs`, "");
  await look();
  await look();
  assert.deepEqual(told, ["network.dhcp_ended", "network.nics", "network.no_nic"]);
});

Deno.test("viewUplinks says whether a NIC has an address, what is wrong with it, and ends by no look that fails", () => {
  const { host } = desk();
  const state = () => viewUplinks(host).map((one) => `${one.nic} ${one.state}`);
  assert.deepEqual(state(), ["u0 up"]);
  host.seed("/run/rayos/uplink/u0/other", "");
  host.remove("/run/rayos/uplink/u0/facts");
  assert.deepEqual(state(), ["u0 no_address"]);
  host.readText = () => {
    throw new Error("os error 22");
  };
  assert.deepEqual(state(), ["u0 unknown"]);
  const { host: other } = desk();
  other.seed(`${CGROUP}/cgroup.procs`, "");
  assert.deepEqual(viewUplinks(other), [{ nic: "u0", state: "network.dhcp_ended" }]);
  assert.deepEqual(viewUplinks(new FakeHost()), []);
});
