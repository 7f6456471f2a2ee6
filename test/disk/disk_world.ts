/**
 * A host with one guest at rest and a launcher `disk` that copies bytes, for tests of what is done to
 * disks. Never part of the program.
 */

import { composeOperations } from "../../src/init.ts";
import type { LauncherResult } from "../../src/host/port.ts";
import type { VmId } from "../../src/id.ts";
import { tidyDisks } from "../../src/phase/disk_tidy.ts";
import { phaseRegistry } from "../../src/phase/registry.ts";
import { replan } from "../../src/phase/registry_change.ts";
import { resolvePolicy } from "../../src/policy/resolve.ts";
import { policySchema } from "../../src/policy/schema.ts";
import type { PolicyInForce, Runtime } from "../../src/runtime.ts";
import type { FakeHost } from "../fake_host.ts";
import { fakeRuntime } from "../fake_runtime.ts";

export const VM = "demo" as VmId;
export const FOLDER = "/var/rayos/vm/linux/demo";
export const UNFINISHED = `${FOLDER}/state/disk.tmp`;
export const REGISTRY = "/var/rayos/vm/registry.json";

const disk = (name: string) => ({ path: `vm/linux/demo/${name}`, format: "raw", bus: "virtio" });

/** A guest of two disks. */
export const RECORD = {
  vm_id: "demo",
  name: "demo",
  kind: "linux",
  profile: "kiosk",
  uuid: "5d0a3c6e-0000-4000-8000-000000000001",
  slot: 0,
  state: "stopped",
  storage: { disks: { root: disk("rootfs.ext4"), data: disk("data.img") } },
  devices: { vcpus: 1, memory_mib: 256, input: false, gpu: "none", vtpm: false },
  boot: null,
  provisioned_at: null,
  saved_state: null,
};

const POLICY = {
  version: 0,
  serial: 1,
  profiles: {
    kiosk: {
      kind: "linux",
      enabled: true,
      limits: { cpus: 2, mem_mib: 512 },
      devices: { vtpm: true },
      boot: { kernel: "vm/linux/{vm_id}/vmlinuz" },
    },
  },
};

const ok: LauncherResult = { code: 0, words: ["ok"] };

/** What the launcher does, without a format: a copy is a copy, a growth adds zeroes. */
function fakeDiskLauncher(host: FakeHost, words: readonly string[]): LauncherResult {
  const [verb, , kind, vm] = words;
  const made = `/var/rayos/vm/${kind}/${vm}/state/disk.tmp`;
  const source = `/var/rayos/${words[4]}`;
  switch (verb) {
    case "create":
      host.seed(made, new Uint8Array(Number(words[5])));
      return ok;
    case "convert":
      host.seed(made, host.read(source, 2 ** 30) ?? "");
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

/** Everything that the guest needs, on RayOS Data. */
export function seedGuest(host: FakeHost): void {
  for (const one of ["/var/rayos/vm", "/var/rayos/vm/linux", "/var/rayos/vm/windows", FOLDER]) {
    host.directories.add(one);
  }
  host.directories.add("/var/rayos/policy");
  host.seed(REGISTRY, JSON.stringify({ version: 0, vms: { demo: RECORD } }));
  host.seed(`${FOLDER}/rootfs.ext4`, new Uint8Array(4096));
  host.seed(`${FOLDER}/data.img`, new Uint8Array(1024).fill(1));
  host.seed(`${FOLDER}/vmlinuz`, "kernel");
}

/** A start of the program as far as disks are concerned, with the guest at rest. */
export async function diskRuntime(host: FakeHost): Promise<Runtime> {
  host.launcher = (name, args) => {
    if (name !== "disk") throw new Error(`no test expects ${name}`);
    return fakeDiskLauncher(host, args);
  };
  const runtime = fakeRuntime(host);
  runtime.audit.open({
    folder: "/audit",
    keyFile: "/audit.key",
    hadHistory: false,
    expected: null,
  });
  runtime.facts = { kvm: true, cpus: 2, memoryMiB: 4096 };
  runtime.inForce = {
    policy: resolvePolicy(policySchema.parse(POLICY)),
    sha256: "a".repeat(64),
    keyId: null,
  } as unknown as PolicyInForce;
  phaseRegistry(runtime);
  await tidyDisks(runtime);
  replan(runtime);
  composeOperations(runtime);
  return runtime;
}
