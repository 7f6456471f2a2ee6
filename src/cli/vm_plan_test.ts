import assert from "node:assert/strict";
import { renderPlan } from "../jail/render.ts";
import { renderFacts } from "../plan/host_facts.ts";
import { launchPlan } from "../plan/launch_plan.ts";
import { readOnDesk } from "../policy/parse.ts";
import { effectiveGuests } from "../registry/effective.ts";
import { parseRegistry, registryFromPolicy, renderRegistry } from "../registry/registry.ts";
import { vmPlan } from "./vm_plan.ts";

const bytes = (text: string) => new TextEncoder().encode(text);
const POLICY = bytes(`version = 0
serial = 1
[linux]
enabled = true
vm_id = "desk"
limits.cpus = 2
limits.mem_mib = 256
boot.kernel = "vm/linux/desk/vmlinuz"
boot.cmdline = "console=hvc0 quiet"
`);
const FACTS = { kvm: true, cpus: 4, memoryMiB: 4096 };
const facts = { name: "facts.json", bytes: bytes(renderFacts(FACTS)) };
const policy = { name: "p.toml", bytes: POLICY };

function policyOf(content: Uint8Array) {
  const read = readOnDesk(content);
  assert(read.policy !== null);
  return read.policy;
}
const registryText = renderRegistry(
  registryFromPolicy(policyOf(POLICY), () => "0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11"),
);
const registry = { name: "registry.json", bytes: bytes(registryText) };

Deno.test("vmPlan gives the bytes that the boot hands to the launcher", () => {
  const { exit, stdout } = vmPlan("desk", { policy, registry, facts }, true);
  assert.equal(exit, 0);
  const own = policyOf(POLICY);
  const parsed = parseRegistry(registry.bytes);
  assert(parsed.registry !== null);
  const [guest] = effectiveGuests(own, parsed.registry).guests.values();
  assert(guest !== undefined);
  const result = JSON.parse(stdout);
  assert.equal(result.plan_file, renderPlan(launchPlan(own, guest, FACTS)));
  assert.deepEqual(result.plan, JSON.parse(JSON.stringify(launchPlan(own, guest, FACTS))));
  assert.deepEqual([result.denied, result.registry_made], [null, false]);
});

Deno.test("vmPlan shows the jail of each share, read-only where the policy says no more", () => {
  const shared = `${new TextDecoder().decode(POLICY)}[[linux.storage.shares]]
tag = "docs"
path = "vm/linux/desk/docs"
[[linux.storage.shares]]
tag = "work"
path = "vm/linux/desk/work"
read_only = false
quota_mib = 64
`;
  const sources = { policy: { name: "p.toml", bytes: bytes(shared) }, registry: null, facts };
  const { stdout } = vmPlan("desk", sources, false);
  for (
    const line of [
      "jail of the share docs",
      "  ro /share = /vm/linux/desk/docs of data",
      "jail of the share work",
      "  rw /share = / of share",
      "  uid 63000, gid 63000, groups none",
      "  in /run/rayos/cg/rayos/guests/00/share1",
    ]
  ) assert(stdout.includes(`${line}\n`), line);
  const { shares } = JSON.parse(vmPlan("desk", sources, true).stdout);
  assert.deepEqual(
    shares.map((one: { share_file: string }) => one.share_file.match(/^access (..)$/m)?.[1]),
    ["ro", "rw"],
  );
});

Deno.test("vmPlan shows argv, jail, cgroup and devices to a person", () => {
  const { stdout } = vmPlan("desk", { policy, registry, facts }, false);
  for (
    const line of [
      "  desk (linux), slot 0, uid 61000, uuid 0b6b1c0e-9a3c-4a53-8f9c-0d8b6f0f3f11",
      "  the policy allows a start while no other guest runs",
      "  rw /g/disk0 = /vm/linux/desk/rootfs.ext4 of data",
      "  /run/rayos/cg/rayos/guests/00/pids.max = 64",
      "  -append console=hvc0 quiet",
      "  -accel kvm",
    ]
  ) assert(stdout.includes(`${line}\n`), line);
  assert.match(stdout, /agent: a serial port .*\(security\.guest_agent\)/);
});

Deno.test("vmPlan follows the facts of the host", () => {
  const none = { ...facts, bytes: bytes(renderFacts({ ...FACTS, kvm: false })) };
  const { exit, stdout } = vmPlan("desk", { policy, registry, facts: none }, false);
  assert.equal(exit, 0);
  assert.match(stdout, /a start is denied by vm\.no_virtualization/);
  assert.match(stdout, /-accel tcg/);
});

Deno.test("vmPlan without a registry plans what the first boot would make", () => {
  const { stdout } = vmPlan("desk", { policy, registry: null, facts }, false);
  assert.match(stdout, /no registry yet/);
  assert.match(stdout, /uuid 00000000-0000-4000-8000-000000000001/);
});

Deno.test("vmPlan says why there is no plan", () => {
  const say = (id: string, parts: Partial<Parameters<typeof vmPlan>[1]> = {}) => {
    const { exit, stdout, stderr } = vmPlan(id, { policy, registry, facts, ...parts }, false);
    assert.deepEqual([exit, stdout], [1, ""]);
    return stderr;
  };
  assert.equal(say("other"), "rayos: vm plan: no guest other; there is desk\n");
  assert.match(
    say("desk", { policy: { name: "p", bytes: bytes("version = 1") } }),
    /meaning\.version/,
  );
  assert.match(say("desk", { facts: { name: "f", bytes: bytes("{}") } }), /plan\.facts/);
  assert.match(say("desk", { registry: { name: "r", bytes: bytes("{") } }), /registry\.syntax/);
  const greedy = registryText.replace('"vcpus": 2', '"vcpus": 3');
  assert.notEqual(greedy, registryText);
  const above = say("desk", { registry: { name: "r", bytes: bytes(greedy) } });
  assert.match(above, /registry\.vcpus_above_policy/);
  const json = vmPlan(
    "desk",
    { policy, registry: { name: "r", bytes: bytes(greedy) }, facts },
    true,
  );
  assert.equal(JSON.parse(json.stdout).issues[0].rule, "registry.vcpus_above_policy");
});
