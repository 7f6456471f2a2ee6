/**
 * What the tests of decisions draw from: policies, states, callers and requests that meet often
 * enough for a yes. Never part of the program.
 */
import fc from "fast-check";
import type { VmId } from "../../src/id.ts";
import { MACHINE_STATES } from "../../src/machine_state.ts";
import type { GuestView, HostState, Request } from "../../src/policy/authorize.ts";
import { CALLERS, OPS } from "../../src/policy/ops.ts";
import type { Policy } from "../../src/policy/policy.ts";
import { resolvePolicy } from "../../src/policy/resolve.ts";
import { policySchema } from "../../src/policy/schema.ts";

export const DESK = "desk" as VmId;
const LAB = "lab-1" as VmId;
export const OFFICE = "office" as VmId;
export const HOST_MEMORY = 8192;

const often = <T>(value: T, other: T) =>
  fc.oneof({ weight: 3, arbitrary: fc.constant(value) }, {
    weight: 1,
    arbitrary: fc.constant(other),
  });

const profile = fc.record({
  enabled: often(true, false),
  autoboot: fc.boolean(),
  present_on_boot: fc.boolean(),
  networking: fc.constantFrom("off", "on", "provisioning_only"),
  devices: fc.record({
    input: fc.boolean(),
    gpu: fc.constantFrom("virtio", "none"),
    vtpm: fc.boolean(),
  }),
  storage: fc.record({
    shares: fc.subarray([
      { tag: "docs", path: "vm/linux/{vm_id}/docs", read_only: true },
      { tag: "work", path: "vm/linux/{vm_id}/work", read_only: false },
    ]),
  }),
});

/** A policy document as parsed TOML would be. */
export const anyDocument = fc.record({
  limits: fc.record({
    vms: fc.integer({ min: 1, max: 4 }),
    mem_mib: fc.option(fc.integer({ min: 64, max: 12288 }), { nil: undefined }),
  }),
  defaults: fc.record({ autoboot_vms: often(true, false) }),
  security: fc.record({
    virtualization: fc.constantFrom("required", "emulated_ok"),
    measure: fc.constantFrom("if_available", "required", "off"),
    guest_agent: fc.boolean(),
  }),
  presentation: fc.record({ allow: fc.subarray(["console", "socket"]) }),
  linux: profile.map((one) => ({ ...one, vm_id: DESK })),
  windows: profile.map((one) => ({ ...one, vm_id: OFFICE })),
  profiles: fc.record({ lab: profile.map((one) => ({ ...one, kind: "linux" })) }),
});

export function policyOf(document: object): Policy {
  return resolvePolicy(policySchema.parse({ version: 0, ...document }));
}

export const anyPolicy: fc.Arbitrary<Policy> = anyDocument.map(policyOf);

const guest = (name: string): fc.Arbitrary<GuestView> =>
  fc.record({
    kind: fc.constant(name === "windows" ? "windows" as const : "linux" as const),
    profile: fc.oneof(
      { weight: 6, arbitrary: fc.constant(name) },
      { weight: 1, arbitrary: fc.constantFrom("linux", "windows", "lab", "none") },
    ),
    state: fc.oneof(
      { weight: 2, arbitrary: fc.constantFrom(...MACHINE_STATES) },
      { weight: 1, arbitrary: fc.constant("running" as const) },
    ),
    memoryMiB: fc.nat({ max: 4096 }),
    violations: fc.oneof(
      { weight: 5, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.constant(["path.escape"]) },
    ),
    presented: fc.boolean(),
    busy: often(false, true),
    provisioned: fc.boolean(),
  });

export const anyState: fc.Arbitrary<HostState> = fc.record({
  mode: fc.oneof(
    { weight: 4, arbitrary: fc.constant("normal" as const) },
    { weight: 1, arbitrary: fc.constantFrom("safe" as const, "recovery" as const) },
  ),
  virtualization: often<"kvm" | "none">("kvm", "none"),
  measured: often(true, false),
  memoryMiB: fc.constant(HOST_MEMORY),
  guests: fc.tuple(guest("linux"), guest("lab"), guest("windows")).map(([one, two, three]) =>
    new Map([[DESK, one], [LAB, two], [OFFICE, three]])
  ),
  recoveryOpen: fc.boolean(),
  developer: fc.boolean(),
});

export const anyCaller = fc.constantFrom(...CALLERS);

export const anyRequest: fc.Arbitrary<Request> = fc.record({
  op: fc.constantFrom(...OPS),
  vm: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(DESK, LAB, OFFICE) },
    { weight: 1, arbitrary: fc.constantFrom("gone" as VmId, undefined) },
  ),
  device: fc.constantFrom("input", "gpu", "vtpm", "agent", "usb", "__proto__", undefined),
  share: fc.constantFrom("docs", "work", "other", undefined),
  writable: fc.constantFrom(true, false, undefined),
  dryRun: fc.constantFrom(true, false, undefined),
}).map((drawn) =>
  // A key that is not there, not one that is undefined.
  Object.fromEntries(
    Object.entries(drawn).filter(([, value]) => value !== undefined),
  ) as unknown as Request
);
