/**
 * A host with one guest at rest and a launcher `disk` that copies bytes, for tests of what is done to
 * disks. Never part of the program.
 */

import { LogSinks } from "../../src/audit/sinks.ts";
import { composeOperations } from "../../src/init.ts";
import type { LauncherResult } from "../../src/host/port.ts";
import type { Slot, VmId } from "../../src/id.ts";
import { syncGuests } from "../../src/phase/launch.ts";
import { samplePlan } from "../../src/plan/sample_plan.ts";
import { parseRegistry } from "../../src/registry/registry.ts";
import { Runtime } from "../../src/runtime.ts";
import type { FakeHost } from "../fake_host.ts";

export const VM = "demo" as VmId;
export const FOLDER = "/var/rayos/vm/linux/demo";
export const UNFINISHED = `${FOLDER}/state/disk.tmp`;

export const RECORD = {
  vm_id: "demo",
  name: "demo",
  kind: "linux",
  profile: "linux",
  uuid: "5d0a3c6e-0000-4000-8000-000000000001",
  slot: 0,
  state: "stopped",
  storage: {
    disks: { root: { path: "vm/linux/demo/rootfs.ext4", format: "raw", bus: "virtio" } },
  },
  devices: { vcpus: 1, memory_mib: 256, input: false, gpu: "none", vtpm: false },
  boot: null,
  provisioned_at: null,
  saved_state: null,
};

const ok: LauncherResult = { code: 0, words: ["ok"] };

/** What the launcher does, without a format: a copy is a copy, a growth adds zeroes. */
export function fakeDiskLauncher(host: FakeHost, words: readonly string[]): LauncherResult {
  const [verb, , kind, vm] = words;
  const made = `/var/rayos/vm/${kind}/${vm}/state/disk.tmp`;
  const source = `/var/rayos/${words[4]}`;
  switch (verb) {
    case "create":
      host.seed(made, new Uint8Array(Number(words[5])));
      return ok;
    case "convert":
      host.seed(made, host.open(source) === null ? "" : host.read(source, 2 ** 30) ?? "");
      return ok;
    case "resize": {
      const grown = new Uint8Array(Number(words[6]));
      grown.set(host.read(source, 2 ** 30) ?? new Uint8Array());
      host.seed(source, grown);
      return ok;
    }
    default:
      return ok;
  }
}

/** The runtime after its boot, with that guest stopped. */
export function diskRuntime(host: FakeHost): Runtime {
  host.directories.add(FOLDER);
  host.launcher = (name, args) => {
    if (name !== "disk") throw new Error(`no test expects ${name}`);
    return fakeDiskLauncher(host, args);
  };
  const image = {
    version: "0",
    buildId: "b",
    profile: "release",
    form: "compiled",
    runtime: "official",
    built: new Date(0),
  } as const;
  const starts = { start: 1 } as ConstructorParameters<typeof Runtime>[4];
  const runtime = new Runtime(host, new LogSinks(host), image, "boot", starts);
  const text = JSON.stringify({ version: 0, vms: { demo: RECORD } });
  host.seed("/var/rayos/vm/registry.json", text);
  runtime.registry = parseRegistry(text).registry;
  runtime.plans = [samplePlan({ slot: 0 as Slot })];
  syncGuests(runtime);
  composeOperations(runtime);
  return runtime;
}
