/**
 * A guest whose network is given and taken, without a kernel: a launcher and a QEMU that do what they
 * should, or not.
 */
import assert from "node:assert/strict";
import { FakeHost } from "./fake_host.ts";
import { jailAsPlanned } from "./fake_jail.ts";
import type { HostEvent } from "../src/event.ts";
import type { QmpClient } from "../src/guest/qmp.ts";
import type { ProcessFacts } from "../src/host/port.ts";
import { subjectOf } from "../src/plan/launch_plan.ts";
import { samplePlan } from "../src/plan/sample_plan.ts";
import { GuestNetwork } from "../src/network/guest_network.ts";
import type { NetworkGrant } from "../src/network/lease.ts";
import { PASST_LIMITS, passtSpec } from "../src/network/passt.ts";
import { until } from "./turns.ts";

export const PLAN = samplePlan({
  devices: [...samplePlan().devices, { device: "network-port" }],
});
export const SPENT = "/var/rayos/vm/linux/demo/state/network_lease";
export const CGROUP = "/run/rayos/cg/rayos/net/00";
export const NAMESPACE = "/run/rayos/netns/00";
const NAMESPACE_ID = 4_026_532_000;

export const LEASE: NetworkGrant = {
  networking: "provisioning_only",
  provisioningMinutes: 1,
  provisioned: false,
  serial: 7,
  resolver: null,
  allowPrivate: [],
};
export const ON: NetworkGrant = { ...LEASE, networking: "on" };

class Desk extends FakeHost {
  passt: ProcessFacts | null = null;
  override processFacts(pid: number): ProcessFacts | null {
    return this.passt?.pid === pid ? this.passt : super.processFacts(pid);
  }
}

/** A host on which the launcher does what it should, and a QEMU that does too; `log` has it in order. */
export function desk(grant: NetworkGrant, { deaf = false, weak = false } = {}) {
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
export async function untilLogged(log: readonly string[], word: string, times = 1): Promise<void> {
  const found = () => log.filter((one) => one === word).length;
  await until(() => found() >= times).catch(() =>
    assert.fail(`${word}: ${log.slice(0, 40).join(", ")}`)
  );
}
