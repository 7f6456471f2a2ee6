/**
 * What a guest keeps from start to start beside its disks: its UEFI variables and its TPM's state. Both
 * are made at the first start and copied into the guest's backup folder before each later one. What is
 * missing or damaged afterwards is refused with what a person can do: nothing here ever makes such a thing
 * a second time, and nothing takes a copy back.
 */

import type { Host } from "../host/port.ts";
import { guestFolder } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { NVRAM, TPM_STATE } from "../plan/device.ts";
import { type CheckedFiles, checkFiles } from "../plan/file_check.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { nvramIssue, wrongSize } from "../plan/nvram.ts";

/** So many copies of each are kept; one that equals the newest is not made. */
export const COPIES = 5;
/** The variables of a guest that has none yet: with Microsoft's keys, or without any. */
function templateOf(plan: LaunchPlan): string {
  const firmware = plan.devices.find((one) => one.device === "firmware");
  const keys = firmware?.device === "firmware" && firmware.secureBoot ? ".ms" : "";
  return `${PATHS.imageFacts}/firmware/OVMF_VARS_4M${keys}.fd`;
}
const MOST_NVRAM_BYTES = 1024 * 1024;
/** The launcher lets no file of the TPM's grow beyond this. */
const MOST_TPM_BYTES = 1024 * 1024;
const NVRAM_COPY = "ovmf_vars.fd";

/** Looks at everything that a start needs on RayOS Data; makes what a new guest has not yet. */
export function readyFiles(host: Host, plan: LaunchPlan): CheckedFiles {
  const lasting = [...readyNvram(host, plan), ...readyTpm(host, plan)];
  const checked = checkFiles(host, plan);
  return { ...checked, issues: [...lasting, ...checked.issues] };
}

/** Keeps a first copy of a TPM that has just been made: from now on it is missed when it is gone. */
export function keepNewTpm(host: Host, plan: LaunchPlan): void {
  if (plan.tpm === null || copiesOf(host, plan, TPM_STATE).length > 0) return;
  const bytes = host.read(`${PATHS.dataRoot}/${plan.tpm.stateDir}/${TPM_STATE}`, MOST_TPM_BYTES);
  if (bytes !== null) keepCopy(host, plan, TPM_STATE, bytes);
}

function readyNvram(host: Host, plan: LaunchPlan): Issue[] {
  const file = plan.files.find((one) => one.name === NVRAM);
  if (file === undefined) return [];
  const path = `${PATHS.dataRoot}/${file.path}`;
  const from = templateOf(plan);
  const template = host.read(from, MOST_NVRAM_BYTES);
  if (template === null) {
    return [missing("image.firmware", from, "the image's UEFI variables", "build the image")];
  }
  if (host.lstat(path) === null) {
    if (copiesOf(host, plan, NVRAM_COPY).length > 0) {
      return [missing("vm.nvram_missing", file.path, "the guest's UEFI variables", RESTORE)];
    }
    host.replace(path, template);
  }
  // Anything but a plain file is the next check's to name.
  const facts = host.lstat(path);
  if (facts?.type !== "file") return [];
  const bytes = facts.size === template.length ? host.read(path, template.length) : null;
  const wrong = bytes === null
    ? wrongSize(template.length, facts.size)
    : nvramIssue(bytes, template.length);
  if (wrong !== null) return [{ ...wrong, path: file.path }];
  if (bytes !== null) keepCopy(host, plan, NVRAM_COPY, bytes);
  return [];
}

const RESTORE = "put back a copy from the guest's backup folder (docs/WINDOWS.md)";

function readyTpm(host: Host, plan: LaunchPlan): Issue[] {
  if (plan.tpm === null) return [];
  const { stateDir } = plan.tpm;
  const folder = `${PATHS.dataRoot}/${stateDir}`;
  const path = `${folder}/${TPM_STATE}`;
  const facts = host.lstat(folder) === null ? null : host.lstat(path);
  if (facts === null) {
    if (copiesOf(host, plan, TPM_STATE).length > 0) {
      return [missing("vm.tpm_missing", `${stateDir}/${TPM_STATE}`, "the guest's TPM", RESTORE)];
    }
    if (host.lstat(folder) === null) host.makeDirectory(folder);
    return [];
  }
  if (facts.type !== "file" || facts.size === 0 || facts.size > MOST_TPM_BYTES) {
    const found = facts.type === "file" ? `${facts.size} bytes` : `a ${facts.type}`;
    return [issue("vm.tpm_damaged", {
      path: `${stateDir}/${TPM_STATE}`,
      expected: `a file of 1 to ${MOST_TPM_BYTES} bytes`,
      found,
      hint: RESTORE,
    })];
  }
  const bytes = host.read(path, MOST_TPM_BYTES);
  if (bytes !== null) keepCopy(host, plan, TPM_STATE, bytes);
  return [];
}

function missing(rule: string, path: string, expected: string, hint: string): Issue {
  return issue(rule, { path, expected, found: "nothing", hint });
}

function backupFolder(plan: LaunchPlan): string {
  return `${PATHS.dataRoot}/${guestFolder(plan.kind, plan.vm)}/backup`;
}

/** The numbers of the copies that there are, oldest first; a higher number is a later copy. */
function copiesOf(host: Host, plan: LaunchPlan, name: string): number[] {
  const folder = backupFolder(plan);
  if (host.lstat(folder) === null) return [];
  return host.list(folder).flatMap((entry) => {
    const number = entry.startsWith(`${name}.`) ? entry.slice(name.length + 1) : "";
    return /^[1-9]\d{0,8}$/.test(number) ? [Number(number)] : [];
  }).sort((one, other) => one - other);
}

/** Restarts that change nothing push no older copy out. */
function keepCopy(host: Host, plan: LaunchPlan, name: string, bytes: Uint8Array): void {
  const folder = backupFolder(plan);
  const there = copiesOf(host, plan, name);
  const newest = there.at(-1);
  if (newest !== undefined) {
    const last = host.read(`${folder}/${name}.${newest}`, Math.max(bytes.length, MOST_TPM_BYTES));
    if (last !== null && sameBytes(last, bytes)) return;
  }
  host.makeDirectory(`${PATHS.dataRoot}/${guestFolder(plan.kind, plan.vm)}`);
  host.makeDirectory(folder);
  host.replace(`${folder}/${name}.${(newest ?? 0) + 1}`, bytes);
  for (const old of there.slice(0, Math.max(0, there.length + 1 - COPIES))) {
    host.remove(`${folder}/${name}.${old}`);
  }
}

function sameBytes(one: Uint8Array, other: Uint8Array): boolean {
  return one.length === other.length && one.every((byte, at) => byte === other[at]);
}
