import assert from "node:assert/strict";
import { FakeHost } from "../../test/fake_host.ts";
import type { HostEvent } from "../event.ts";
import { allSlots } from "../id.ts";
import type { Runtime, Trouble } from "../runtime.ts";
import { phaseNetwork, takeLeft } from "./network.ts";

const PROCESSES = "/run/rayos/cg/rayos/net/03/cgroup.procs";
const RECORD = "/run/rayos/net/03.json";

/** A host where one slot's network is left, and nobody runs. */
function left(take: (host: FakeHost) => { code: number; words: string[] }) {
  const host = new FakeHost();
  const asked: string[] = [];
  const events: HostEvent[] = [];
  host.directories.add("/run/rayos/cg/rayos/net/03");
  host.seed(PROCESSES, "77\n");
  host.seed(RECORD, "{}\n");
  host.launcher = (name, args) => {
    asked.push(`${name} ${args.join(" ")}`);
    return take(host);
  };
  return { host, asked, events, emit: (event: HostEvent) => void events.push(event) };
}

Deno.test("takeLeft takes away what is left of a network in a slot where nobody runs, and its record", async () => {
  const desk = left((host) => {
    host.remove(PROCESSES);
    host.directories.delete("/run/rayos/cg/rayos/net/03");
    return { code: 0, words: ["ok"] };
  });
  await takeLeft(desk, allSlots());
  assert.deepEqual(desk.asked, ["net take 3"]);
  assert.ok(!desk.host.files.has(RECORD));
  assert.deepEqual(desk.events, []);
});

Deno.test("takeLeft says what the launcher could not take away, and keeps the record of it", async () => {
  const desk = left(() => ({
    code: 1,
    words: ["fault", "net.process", "passt", "does", "not", "end"],
  }));
  await takeLeft(desk, allSlots());
  assert.ok(desk.host.files.has(RECORD));
  const codes = desk.events.flatMap((event) => event.type === "fault" ? [event.code] : []);
  assert.deepEqual(codes, ["net.process"]);
});

Deno.test("phaseNetwork says of a NIC that stage 0 could not put away, and of what its launcher says then", async () => {
  const host = new FakeHost();
  const told: string[] = [];
  host.seed("/run/rayos/proc/1/net/dev", " face |bytes\n    lo: 0\n  eth0: 0\n");
  host.launcher = (name, args) => {
    assert.deepEqual([name, ...args], ["uplink", "park"]);
    return { code: 1, words: ["fault", "net.nic", "eth0"] };
  };
  const emit = (event: HostEvent) => {
    if (event.type === "fault") told.push(`${event.code} ${event.message}`);
  };
  const troubles: Trouble[] = [];
  await phaseNetwork({ host, emit, troubles, inForce: null } as unknown as Runtime);
  assert.deepEqual(told, [
    "network.nic_outside eth0: it stands in the host's own namespace; it is put away from there",
    "net.nic uplink: eth0; see the kernel's log",
  ]);
  assert.deepEqual(troubles.map((one) => one.code), ["net.nic"]);
});
