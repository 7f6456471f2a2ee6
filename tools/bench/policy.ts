/**
 * `tools/rayos bench policy`: what a policy costs. Verify, parse and check of a typical and of the
 * largest policy; decisions a second beside Cedar on the same ten questions, in turns; explain of a
 * full policy; and, from the report of a boot, the share of its policy phase.
 */
import { parseArgs } from "node:util";
import { randomBytes } from "node:crypto";
import type { VmId } from "../../src/id.ts";
import { type GuestView, type HostState, judge, type Request } from "../../src/policy/authorize.ts";
import { explain } from "../../src/policy/explain.ts";
import { makeKeyring } from "../../src/policy/keyring.ts";
import type { Caller } from "../../src/policy/ops.ts";
import { parsePolicy, readOnDesk } from "../../src/policy/parse.ts";
import { generateKeyPair, signDetached } from "../../src/policy/secret_key.ts";
import { MAX_POLICY_BYTES, verify } from "../../src/policy/signature.ts";
import { asks, question, teach } from "../../test/policy/cedar.ts";
import { type Figure, figuresJson, figuresTable, holds, median } from "./parts/figures.ts";

const HELP = `usage: tools/rayos bench policy [--boot REPORT] [--json FILE]

--boot takes what \`tools/rayos boot --json\` wrote, for the share of the policy phase.
--json - writes to standard output.`;

/** Cedar is asked so many microseconds' worth for one of ours, at the most. */
const GOAL = { decision: 0.1, bootShare: 0.05 } as const;
const ROUNDS = 15;
const alone = { peer: null, peerValue: null } as const;
const bytes = (text: string) => new TextEncoder().encode(text);

/** About 2 KiB: two guests, shares, comments. */
const TYPICAL = `# The policy of one desk.
version = 0
serial = 12
hosts = ["desk-1.example.org", "desk-2.example.org"]

[defaults]
networking = "off"
autoboot_vms = true

[limits]
cpu_percent = 80
mem_mib = 12288
vms = 4

[logging]
level = "info"

[security]
virtualization = "required"

[linux]
enabled = true
vm_id = "desk"
autoboot = true
networking = "on"
on_shutdown = "suspend"
[linux.limits]
cpus = 4
mem_mib = 4096
io_mib_s = 200
[linux.storage]
root_disk = "vm/linux/desk/rootfs.ext4"
[[linux.storage.shares]]
tag = "docs"
path = "vm/linux/desk/docs"
[[linux.storage.shares]]
tag = "work"
path = "vm/linux/desk/work"
read_only = false
quota_mib = 512
[linux.boot]
kernel = "vm/linux/desk/vmlinuz"
initrd = "vm/linux/desk/initrd"
cmdline = "console=hvc0 root=/dev/vda ro quiet"
[linux.devices]
input = true
gpu = "virtio"

# Set up by the provisioning service, then closed.
[windows]
enabled = true
vm_id = "office"
networking = "provisioning_only"
provisioning_minutes = 60
[windows.limits]
cpus = 4
mem_mib = 8192
[windows.storage]
disk = "vm/windows/office/disk"
[windows.devices]
input = true
gpu = "virtio"
vtpm = true
${
  ["kiosk", "lab"].map((name) =>
    `\n[profiles.${name}]\nkind = "linux"\nenabled = true\nstorage.root_disk = "vm/linux/{vm_id}/root.img"\n`
  ).join("")
}${"# The rest of the two KiB is comment, as in a policy that people keep.\n".repeat(10)}`;

/** As large as the bound on bytes lets it be, with every profile that the schema takes. */
function largest(): string {
  const profiles = Array.from(
    { length: 64 },
    (_, n) =>
      `[profiles.p${n}]\nkind = "linux"\nenabled = true\ndevices = { input = true }\n${
        Array.from(
          { length: 12 },
          (_, s) =>
            `[[profiles.p${n}.storage.shares]]\ntag = "t${s}"\npath = "vm/linux/{vm_id}/s${s}"\n`,
        ).join(
          "",
        )
      }`,
  ).join("");
  const head = `version = 0\nserial = 1\n${profiles}`;
  return head + `# ${"x".repeat(126)}\n`.repeat((MAX_POLICY_BYTES - head.length) / 129);
}

/** Median microseconds of one call; each round is as many calls as take some time. */
function microseconds(calls: number, work: () => void): number {
  for (let n = 0; n < calls; n++) work();
  return median(Array.from({ length: ROUNDS }, () => {
    const began = performance.now();
    for (let n = 0; n < calls; n++) work();
    return (performance.now() - began) * 1000 / calls;
  }));
}

/** From bytes and signature to a policy, as in a boot. */
function wholeWay(name: string, text: string): Figure[] {
  const pair = generateKeyPair((count) => new Uint8Array(randomBytes(count)));
  const { keyring } = makeKeyring([{ name: "k", content: pair.publicText }]);
  const content = bytes(text);
  const signature = bytes(signDetached(content, pair.secretKey, { trustedComment: "bench" }));
  const facts = { hostName: "desk-1.example.org", minSerial: 0, remembered: null };
  const once = () => {
    const found = verify({ bytes: content, signature, keyring, revoked: new Set() });
    if (!found.ok) throw new Error(`verify: ${found.issue.rule}; correct the benchmark`);
    const { policy, issues } = parsePolicy(found.verified, facts);
    if (policy === null) throw new Error(`parse: ${issues[0]?.rule}; correct the benchmark`);
  };
  const size = `${(content.length / 1024).toFixed(1)} KiB`;
  const calls = content.length > 10_000 ? 1 : 20;
  return [{
    ...alone,
    name: `verify, parse and check ${name}, ${size}`,
    value: microseconds(calls, once) / 1000,
    unit: "ms",
    goal: null,
  }];
}

const DESK = "desk" as VmId;
const OFFICE = "office" as VmId;

/** Ten questions, half of them allowed. */
const QUESTIONS: readonly (readonly [Caller, Request])[] = [
  ["console", { op: "status" }],
  ["policy", { op: "vm.start", vm: OFFICE }],
  ["console", { op: "vm.start", vm: OFFICE }],
  ["agent", { op: "vm.stop", vm: DESK }],
  ["socket", { op: "vm.stop", vm: DESK }],
  ["console", { op: "input.key", vm: DESK }],
  ["recovery", { op: "present", vm: DESK }],
  ["socket", { op: "network.enable", vm: DESK }],
  ["console", { op: "share.attach", vm: DESK, share: "docs", writable: true }],
  ["console", { op: "data.repair" }],
];

/** Microseconds of one decision, here and in Cedar, in turns; Cedar's policy is parsed before. */
function decisions(): Figure[] {
  const read = readOnDesk(bytes(TYPICAL));
  if (read.policy === null) throw new Error("the typical policy is none; correct the benchmark");
  const { policy } = read;
  const guest = (profile: string, state: GuestView["state"]): GuestView => ({
    kind: profile === "windows" ? "windows" : "linux",
    profile,
    state,
    memoryMiB: 4096,
    violations: [],
    presented: profile === "linux",
    provisioned: false,
  });
  const state: HostState = {
    mode: "normal",
    virtualization: "kvm",
    memoryMiB: 16384,
    guests: new Map([[DESK, guest("linux", "running")], [OFFICE, guest("windows", "stopped")]]),
  };
  teach("bench", policy, state.memoryMiB);
  const asked = QUESTIONS.map(([caller, request]) => question("bench", state, caller, request));
  const ours = () => QUESTIONS.map(([caller, one]) => judge(policy, state, caller, one) === null);
  const theirs = () => asked.map(asks);
  if (JSON.stringify(ours()) !== JSON.stringify(theirs())) {
    throw new Error("decisions: the two disagree; correct the benchmark");
  }
  const both = Array.from({ length: 3 }, () => [
    microseconds(2000, ours) / QUESTIONS.length,
    microseconds(20, theirs) / QUESTIONS.length,
  ]);
  const value = median(both.map(([one]) => one ?? NaN));
  const peerValue = median(both.map(([, one]) => one ?? NaN));
  return [
    { name: "one decision", value, unit: "µs", peer: "Cedar", peerValue, goal: GOAL.decision },
    { ...alone, name: "decisions a second", value: 1e6 / value, unit: "1/s", goal: null },
    {
      ...alone,
      name: "Cedar's decisions a second",
      value: 1e6 / peerValue,
      unit: "1/s",
      goal: null,
    },
  ];
}

function explaining(): Figure {
  const read = readOnDesk(bytes(largest()));
  if (read.policy === null) throw new Error("the largest policy is none; correct the benchmark");
  const value = microseconds(1, () => void explain(read)) / 1000;
  const name = `explain a full policy, ${explain(read).length} sentences`;
  return { ...alone, name, value, unit: "ms", goal: null };
}

function bootShare(report: string): Figure {
  const phases: { name: string; ms: number }[] = JSON.parse(Deno.readTextFileSync(report)).phases;
  const all = phases.reduce((sum, one) => sum + one.ms, 0);
  const own = phases.find((one) => one.name === "policy");
  if (own === undefined) {
    throw new Error(`${report}: no phase policy; give a report of boot --json`);
  }
  return {
    name: "the boot's policy phase",
    value: own.ms,
    unit: "ms",
    peer: "the whole boot",
    peerValue: all,
    goal: GOAL.bootShare,
  };
}

function main(): number {
  const { values } = parseArgs({
    args: Deno.args,
    options: { boot: { type: "string" }, json: { type: "string" }, help: { type: "boolean" } },
  });
  if (values.help) {
    console.log(HELP);
    return 0;
  }
  const figures = [
    ...wholeWay("a typical policy", TYPICAL),
    ...wholeWay("the largest policy", largest()),
    ...decisions(),
    explaining(),
    ...values.boot === undefined ? [] : [bootShare(values.boot)],
  ];
  if (values.json === "-") console.log(figuresJson(figures));
  else {
    if (values.json !== undefined) Deno.writeTextFileSync(values.json, figuresJson(figures));
    console.log(figuresTable(figures));
  }
  return figures.some((one) => holds(one) === false) ? 1 : 0;
}

if (import.meta.main) Deno.exit(main());
