/**
 * The decision table of the reference: every operation, every caller, every state of a guest, in six
 * situations, asked of the rules themselves. It only asks and writes down.
 */
import type { VmId } from "../src/id.ts";
import { MACHINE_STATES, type MachineState } from "../src/machine_state.ts";
import { type Denied, type HostState, judge, type Request } from "../src/policy/authorize.ts";
import { type Caller, CALLERS, isLive, type Op, OP_TABLE, OPS } from "../src/policy/ops.ts";
import type { Policy } from "../src/policy/policy.ts";
import { resolvePolicy } from "../src/policy/resolve.ts";
import { policySchema } from "../src/policy/schema.ts";

/** A policy and a host under which all the table's questions are asked. */
export interface Situation {
  readonly name: string;
  readonly policy: Policy | null;
  readonly mode: HostState["mode"];
  /** The recovery shell's passphrase was not given. */
  readonly locked?: true;
}

const DESK = "desk" as VmId;

/** The policy that gives its one guest everything. */
const GENEROUS = {
  version: 0,
  linux: {
    enabled: true,
    vm_id: DESK,
    autoboot: true,
    present_on_boot: true,
    networking: "on",
    devices: { input: true, gpu: "virtio", vtpm: true },
    storage: { shares: [{ tag: "docs", path: "vm/linux/desk/docs" }] },
  },
};

const policyOf = (document: unknown): Policy => resolvePolicy(policySchema.parse(document));

/** The situations of the reference. */
export const SITUATIONS: readonly Situation[] = [
  {
    name: "Normal mode, a policy that gives the guest everything",
    policy: policyOf(GENEROUS),
    mode: "normal",
  },
  {
    name: "Normal mode, the least enabled profile",
    policy: policyOf({ version: 0, linux: { enabled: true, vm_id: DESK } }),
    mode: "normal",
  },
  { name: "Normal mode, the empty policy", policy: policyOf({ version: 0 }), mode: "normal" },
  {
    name: "Safe mode, the policy that gives everything",
    policy: policyOf(GENEROUS),
    mode: "safe",
  },
  { name: "Safe mode, no policy in force", policy: null, mode: "safe" },
  {
    name: "Recovery mode, no policy in force, the shell is not unlocked",
    policy: null,
    mode: "recovery",
    locked: true,
  },
];

/** The host of a situation, with its guest in that state, presented and set up. */
export function hostOf(situation: Situation, state: MachineState): HostState {
  return {
    mode: situation.mode,
    virtualization: "kvm",
    memoryMiB: 8192,
    recoveryOpen: situation.locked !== true,
    guests: new Map([[DESK, {
      kind: "linux",
      profile: "linux",
      state,
      memoryMiB: 512,
      violations: [],
      presented: true,
      provisioned: true,
    }]]),
  };
}

/** The question that a row asks; `vm.define` is about a guest that is not there yet. */
export function requestOf(op: Op): Request {
  const vm = op === "vm.define" ? "new-guest" as VmId : DESK;
  return OP_TABLE[op].needs.some((need) => need === "named")
    ? { op, vm, device: "input", share: "docs" }
    : { op };
}

/** What is said to that caller's request in each state of the guest. */
export function answersOf(situation: Situation, op: Op, caller: Caller): (Denied | null)[] {
  return MACHINE_STATES.map((state) =>
    judge(situation.policy, hostOf(situation, state), caller, requestOf(op))
  );
}

/** The page. */
export function renderDecisions(): string {
  return [
    "# Decisions",
    "",
    "Made by `tools/reference.ts` from the rules themselves; a test holds it to them. Each cell says " +
    "in which states of the guest the request is allowed, or the rule that denies it. The guest is " +
    "presented and set up, is alone on the host, and its record breaks no rule; what else can deny " +
    "(`vm.violation`, `vm.no_virtualization`, the limits) stands in [rules.md](rules.md).",
    "",
    "An operation without ✓ is specified and decided on here, but this version does not carry it out: " +
    "it is denied by `op.not_yet` whatever this table says.",
    ...SITUATIONS.flatMap(renderSituation),
    "",
  ].join("\n");
}

function renderSituation(situation: Situation): string[] {
  return [
    "",
    `## ${situation.name}`,
    "",
    `| operation | ${CALLERS.join(" | ")} |`,
    `|---|${CALLERS.map(() => "---|").join("")}`,
    ...OPS.map((op) => {
      const cells = CALLERS.map((caller) => cellOf(answersOf(situation, op, caller)));
      return `| \`${op}\`${isLive(op) ? " ✓" : ""} | ${cells.join(" | ")} |`;
    }),
  ];
}

function cellOf(answers: readonly (Denied | null)[]): string {
  const yes = MACHINE_STATES.filter((_, index) => answers[index] === null);
  const rules = [...new Set(answers.flatMap((one) => one === null ? [] : [`\`${one.rule}\``]))];
  if (yes.length === MACHINE_STATES.length) return "**yes**";
  const said = rules.join(", ");
  return yes.length === 0 ? said : `**${yes.join(", ")}**, else ${said}`;
}
