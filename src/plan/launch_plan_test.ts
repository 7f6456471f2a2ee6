import assert from "node:assert/strict";
import { resolvePolicy } from "../policy/resolve.ts";
import { policySchema } from "../policy/schema.ts";
import { wholeLimits } from "./launch_plan.ts";

const MIB = 1024 * 1024;
const share = (tag: number) => ({ tag: `s${tag}`, path: `vm/linux/desk/s${tag}` });

/** The limit of all guests together, in MiB, for a policy whose one profile has so many shares. */
function wholeMiB(shares: number, kvm = true): number {
  const policy = resolvePolicy(policySchema.parse({
    version: 0,
    limits: { vms: 4, mem_mib: 1024 },
    linux: {
      enabled: true,
      vm_id: "desk",
      storage: { shares: Array.from({ length: shares }, (_, n) => share(n)) },
    },
  }));
  return wholeLimits(policy, { kvm, cpus: 4, memoryMiB: 8192 }).memoryMaxBytes / MIB;
}

Deno.test("wholeLimits has room for all that each guest's own limit lets it have beside its memory", () => {
  assert.equal(wholeMiB(16) - wholeMiB(0), 4 * 16 * 32, "what serves its shares");
  assert.equal(wholeMiB(0, false) - wholeMiB(0), 4 * 64, "what QEMU has translated");
  assert.ok(wholeMiB(0) - 1024 >= 4 * (192 + 32 + 128), "QEMU, TPM and screen");
});
