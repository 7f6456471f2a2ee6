/**
 * What a saved state must still agree with: the plan, the machine, and the files of the guest as the
 * kernel reports them now. The same few lines say it when a state is saved and when it is to be loaded,
 * so that the two can be compared field by field. It reads and changes nothing else.
 */

import type { QmpClient } from "../guest/qmp.ts";
import type { Host } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import { canonicalJson, type Json } from "../json.ts";
import { PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { MACHINE } from "../plan/qemu_argv.ts";
import { generationOf } from "./generation.ts";
import { planHash } from "./plan_hash.ts";
import type { SavedFile, SavedState } from "./trailer.ts";
import { sha256Hex } from "../sha256.ts";

/** What can be known before QEMU runs. */
export type Present =
  & Pick<
    SavedState,
    "vm" | "kind" | "slot" | "uuid" | "generation" | "plan" | "machine" | "files"
  >
  & { readonly cpu: Pick<SavedState["cpu"], "model" | "host"> };

/** What only QEMU itself can say. */
export interface QemuFacts {
  readonly qemu: string;
  /** SHA-256 of every property of the guest's CPU. */
  readonly cpu: string;
}

/** @param cpu what {@link hostCpu} gives */
export function presentOf(host: Host, plan: LaunchPlan, cpu: string): Present {
  return {
    vm: plan.vm,
    kind: plan.kind,
    slot: plan.slot,
    uuid: plan.uuid,
    generation: generationOf(host, plan) ?? "none",
    plan: planHash(plan),
    machine: MACHINE,
    cpu: { model: cpuOption(plan), host: cpu },
    files: filesOf(host, plan),
  };
}

/**
 * Each file of the plan as the kernel reports it. Inode and the time of change tell another file and a
 * write apart from the same file untouched: every write(2) and every change of owner or mode sets the
 * latter, and no call can set it back (inode(7)). The device number is no part of it: it may be another
 * at the next boot, and the file system is known by the host's key that lies on it.
 */
export function filesOf(host: Host, plan: LaunchPlan): SavedFile[] {
  return plan.files.map(({ name, path, access }) => {
    const facts = host.lstat(`${PATHS.dataRoot}/${path}`);
    return {
      name,
      path,
      access,
      inode: facts?.inode ?? 0,
      size: facts?.size ?? 0,
      modified_ms: Math.trunc(facts?.modifiedMs ?? 0),
      changed_ms: Math.trunc(facts?.changedMs ?? 0),
    };
  });
}

/** The fields of proc(5)'s cpuinfo that say which CPU it is; the rest is measured and changes. */
const CPU_FIELDS = ["vendor_id", "cpu family", "model", "model name", "stepping", "flags"];
const CPUINFO_LIMIT = 4 * 1024 * 1024;

/** SHA-256 of what the kernel says the machine's CPU is: state moves between equal ones alone. */
export function hostCpu(host: Host): string {
  const text = host.readText(`${PATHS.proc}/cpuinfo`, CPUINFO_LIMIT) ?? "";
  const [first = ""] = text.split("\n\n");
  const lines = first.split("\n").map((line) => line.split(/\s*:\s*/));
  const fields = CPU_FIELDS.map((name) => lines.find(([found]) => found === name)?.[1] ?? "");
  return sha256Hex(fields.join("\n"));
}

/** Asks a QEMU which one it is and what CPU it gives its guest. */
export async function qemuFacts(qmp: QmpClient, plan: LaunchPlan): Promise<QemuFacts> {
  const { qemu, package: from } = await qmp.command("query-version");
  const [name = "", ...switches] = cpuOption(plan).split(",");
  const props = Object.fromEntries(switches.map((one) => {
    const [feature = "", value] = one.split("=");
    return [feature, value === "on"];
  }));
  const expanded = await qmp.command("query-cpu-model-expansion", qmp.timeoutMs, {
    type: "full",
    model: { name, props },
  });
  return {
    qemu: `${qemu.major}.${qemu.minor}.${qemu.micro} ${from}`,
    cpu: sha256Hex(canonicalJson(expanded.model.props as Json)),
  };
}

function cpuOption({ argv }: LaunchPlan): string {
  return argv[argv.indexOf("-cpu") + 1] ?? "";
}

/** Which rule a field's difference breaks. */
const RULES: readonly (readonly [field: RegExp, rule: string])[] = [
  [/^generation$/, "vm.saved_used"],
  [/^files\./, "vm.saved_disk"],
  [/^(machine|qemu|cpu\.)/, "vm.saved_machine"],
  [/^plan$/, "vm.saved_plan"],
  [/^/, "vm.saved_guest"],
];

/** Every field in which a saved state differs from what there is now. */
export function differences(saved: SavedState, now: Present): Issue[] {
  const { qemu: _, stream: _stream, saved_at: _at, cpu: { guest: _guest, ...cpu }, ...rest } =
    saved;
  return compare(fieldsOf({ ...rest, cpu }), fieldsOf(now));
}

/** The same for what only QEMU can say. */
export function qemuDifferences(saved: SavedState, now: QemuFacts): Issue[] {
  return compare(
    new Map([["qemu", saved.qemu], ["cpu.guest", saved.cpu.guest]]),
    new Map([["qemu", now.qemu], ["cpu.guest", now.cpu]]),
  );
}

/** Every file that is not what it was. */
export function fileDifferences(saved: readonly SavedFile[], now: readonly SavedFile[]): Issue[] {
  return compare(fieldsOf({ files: saved }), fieldsOf({ files: now }));
}

function compare(saved: Map<string, string>, now: Map<string, string>): Issue[] {
  const fields = new Set([...saved.keys(), ...now.keys()]);
  return [...fields].flatMap((field) => {
    const [expected, found] = [saved.get(field) ?? "nothing", now.get(field) ?? "nothing"];
    if (expected === found) return [];
    const rule = RULES.find(([pattern]) => pattern.test(field))?.[1] ?? "vm.saved_guest";
    const hint = "the guest starts from its disks instead; the state lies under state/aside/";
    return [issue(rule, { path: field, expected, found, hint })];
  });
}

/** A document's leaves by their path; files by their name in the jail. */
function fieldsOf(value: unknown, path = "", into = new Map<string, string>()) {
  if (value === null || typeof value !== "object") return into.set(path, String(value));
  for (const [key, one] of Object.entries(value)) {
    const name = Array.isArray(value) ? String((one as { name?: unknown }).name) : key;
    fieldsOf(one, path === "" ? name : `${path}.${name}`, into);
  }
  return into;
}
