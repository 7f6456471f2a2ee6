/**
 * `ray vm plan ID [--policy F --data DIR --host FACTS] [--json]`: exactly what a start would use, from
 * the same functions as the boot: QEMU's arguments, jail, cgroup and devices. It starts nothing, asks
 * no host, and looks at no disk.
 */
import { errorsOf, type Issue } from "../issue.ts";
import { type JailSpec, jailSpec, tpmSpec } from "../jail/spec.ts";
import { renderPlan } from "../jail/render.ts";
import { guestCgroup, GUESTS_CGROUP, shareCgroup } from "../permissions.ts";
import { DEVICES } from "../plan/device.ts";
import { parseFacts } from "../plan/host_facts.ts";
import { type HostFacts, type LaunchPlan, launchPlan, wholeLimits } from "../plan/launch_plan.ts";
import { judge } from "../policy/authorize.ts";
import { readOnDesk } from "../policy/parse.ts";
import type { Policy } from "../policy/policy.ts";
import { effectiveGuests } from "../registry/effective.ts";
import type { EffectiveGuest, Registry } from "../registry/guest.ts";
import { servingSpec, startedSpec } from "../share/virtiofsd.ts";
import { renderShare } from "../share/values.ts";
import { VIRTIOFSD_FILTER_SHA256 } from "../seccomp/virtiofsd.ts";
import { parseRegistry, registryFromPolicy } from "../registry/registry.ts";
import { renderIssue } from "./policy_check.ts";
import { type CommandResult, printable } from "./policy_result.ts";

/** What the plan is made from; each by its file's name and bytes. */
export interface PlanSources {
  readonly policy: { readonly name: string; readonly bytes: Uint8Array };
  /** Null: there is no registry yet, so the first boot would make it from the policy. */
  readonly registry: { readonly name: string; readonly bytes: Uint8Array } | null;
  readonly facts: { readonly name: string; readonly bytes: Uint8Array };
}

/** Prints the plan of one guest; exit code 1 where there is none, with every reason. */
export function vmPlan(id: string, sources: PlanSources, json: boolean): CommandResult {
  const decoder = new TextDecoder();
  const { policy: policyFile, registry: registryFile, facts: factsFile } = sources;
  const read = readOnDesk(policyFile.bytes);
  if (read.policy === null) return refuse(policyFile, errorsOf(read.issues), json);
  const facts = parseFacts(decoder.decode(factsFile.bytes));
  if (!facts.ok) return refuse(factsFile, [facts.issue], json);
  const { policy } = read;
  const made = registryFile === null;
  const parsed = made
    ? { registry: registryFromPolicy(policy, placeholders()), issues: [], broken: [] }
    : parseRegistry(registryFile.bytes);
  const registryName = registryFile ?? policyFile;
  if (parsed.registry === null) return refuse(registryName, parsed.issues, json);
  const { guests, broken } = effectiveGuests(policy, parsed.registry);
  const fault = [...parsed.broken, ...broken].find((one) => one.vmId === id);
  if (fault !== undefined) return refuse(registryName, fault.issues, json);
  const guest = [...guests.values()].find((one) => one.vmId === id);
  if (guest === undefined) return unknown(id, parsed.registry, json);
  const plan = launchPlan(policy, guest, facts.facts);
  const denied = whyNot(policy, guest, facts.facts);
  return show({ policy, facts: facts.facts, plan, denied, made }, json);
}

interface Shown {
  readonly policy: Policy;
  readonly facts: HostFacts;
  readonly plan: LaunchPlan;
  readonly denied: { readonly rule: string; readonly detail: string } | null;
  readonly made: boolean;
}

function show(shown: Shown, json: boolean): CommandResult {
  const { policy, facts, plan, denied, made } = shown;
  const jail = jailSpec(plan);
  const tpm = tpmSpec(plan);
  const shares = plan.shares.map((planned, share) => ({
    tag: planned.tag,
    cgroup: shareCgroup(plan.slot, share),
    jail: startedSpec({ plan, share, planned }),
    serving: servingSpec({ plan, share, planned }),
    share_file: renderShare(plan, planned),
  }));
  const file = renderPlan(plan);
  const whole = wholeLimits(policy, facts);
  if (json) {
    const jails = { jail, tpm_jail: tpm, shares };
    const result = {
      ok: true,
      denied,
      registry_made: made,
      plan,
      ...jails,
      whole,
      plan_file: file,
    };
    return { exit: 0, stdout: `${JSON.stringify(result, null, 2)}\n`, stderr: "" };
  }
  const own = guestCgroup(plan.slot);
  const sections: [string, string[]][] = [
    ["guest", [
      `${plan.vm} (${plan.kind}), slot ${plan.slot}, uid ${plan.uid}, uuid ${plan.uuid}`,
      `${plan.vcpus} CPUs, ${plan.memoryMiB} MiB, ${plan.emulated ? "emulated" : "under KVM"}`,
      denied === null
        ? "the policy allows a start while no other guest runs"
        : `a start is denied by ${denied.rule}: ${denied.detail}`,
      ...made ? ["no registry yet: the first boot makes this record, with a uuid of its own"] : [],
    ]],
    [
      "devices",
      plan.devices.map((one) => {
        const row = DEVICES[one.device];
        const what = one.device === "disk" ? `disk ${one.file} (${one.format})` : one.device;
        return `${what}: ${row.exposes} (${row.policyKey ?? "every guest"})`;
      }),
    ],
    ["jail", jailLines(jail, plan.seccomp)],
    ...tpm === null || plan.tpm === null
      ? []
      : [["jail of its TPM", jailLines(tpm, plan.tpm.seccomp)] satisfies [string, string[]]],
    ...shares.map(({ tag, cgroup, jail, serving }): [string, string[]] => [
      `jail of the share ${tag}`,
      [
        ...jailLines(jail, VIRTIOFSD_FILTER_SHA256),
        ...serving.mounts.map((one) => `once QEMU has come, only ${one.access} ${one.place}`),
        `in ${cgroup}`,
      ],
    ]),
    ["cgroup", [
      `${own}/cpu.max = ${plan.limits.cpuMaxUs} 100000`,
      `${own}/memory.max = ${plan.limits.memoryMaxBytes}`,
      `${own}/memory.swap.max = 0`,
      `${own}/memory.oom.group = 1`,
      `${own}/pids.max = ${plan.limits.pidsMax}`,
      `${own}/io.max = ${
        plan.limits.ioMaxBytesS === null
          ? "no limit"
          : `${plan.limits.ioMaxBytesS} bytes a second read, and as many written`
      }`,
      `${GUESTS_CGROUP}/cpu.max = ${whole.cpuMaxUs} 100000`,
      `${GUESTS_CGROUP}/memory.max = ${whole.memoryMaxBytes}`,
      `${GUESTS_CGROUP}/pids.max = ${whole.pidsMax}`,
    ]],
    [
      "qemu-system-x86_64, after -no-user-config -nodefaults -S -sandbox on,…",
      pairs(plan.argv),
    ],
  ];
  const stdout = sections.map(([title, lines]) =>
    `${title}\n${lines.map((line) => `  ${printable(line)}\n`).join("")}`
  ).join("\n");
  return { exit: 0, stdout, stderr: "" };
}

function jailLines(jail: JailSpec, seccomp: string): string[] {
  return [
    `uid ${jail.uid}, gid ${jail.gid}, groups ${jail.groups.join(" ") || "none"}`,
    `system calls: ${jail.seccompFilters} filters, the image's with SHA-256 ${seccomp}`,
    ...jail.mounts.map((one) => `${one.access} ${one.place} = ${one.root ?? "any"} of ${one.of}`),
  ];
}

/** An option with its value on a line. */
function pairs(argv: readonly string[]): string[] {
  return argv.flatMap((word, index) => {
    if (index % 2 === 1) return [];
    const value = argv[index + 1];
    return [value === undefined ? word : `${word} ${value === "" ? '""' : value}`];
  });
}

/** What stands against a start by a person, were this guest alone on the host. */
function whyNot(policy: Policy, guest: EffectiveGuest, facts: HostFacts) {
  const denied = judge(
    policy,
    {
      mode: "normal",
      virtualization: facts.kvm ? "kvm" : "none",
      memoryMiB: facts.memoryMiB,
      guests: new Map([[guest.vmId, {
        kind: guest.kind,
        profile: guest.profile,
        state: "stopped",
        memoryMiB: guest.memoryMiB,
        violations: [],
      }]]),
    },
    "console",
    { op: "vm.start", vm: guest.vmId },
  );
  return denied === null ? null : { rule: denied.rule, detail: denied.detail };
}

/** UUIDs that say that they are none yet. */
function placeholders(): () => string {
  let next = 1;
  return () => `00000000-0000-4000-8000-${String(next++).padStart(12, "0")}`;
}

function refuse(
  file: { readonly name: string; readonly bytes: Uint8Array },
  issues: readonly Issue[],
  json: boolean,
): CommandResult {
  if (json) return { exit: 1, stdout: `${JSON.stringify({ ok: false, issues })}\n`, stderr: "" };
  const lines = new TextDecoder().decode(file.bytes).split("\n");
  const stderr = issues.map((one) => renderIssue(file.name, one, lines)).join("");
  return { exit: 1, stdout: "", stderr };
}

function unknown(id: string, registry: Registry, json: boolean): CommandResult {
  const names = [...registry.guests.keys()].join(", ");
  const message = `vm plan: no guest ${id}; ${
    names === "" ? "there is none" : `there is ${names}`
  }`;
  return {
    exit: 1,
    stdout: json ? `${JSON.stringify({ ok: false, error: message })}\n` : "",
    stderr: json ? "" : `rayos: ${printable(message)}\n`,
  };
}
