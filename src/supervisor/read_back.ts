/**
 * What the kernel says of a guest's running jails, QEMU's and its TPM's, held against the plan. It asks the
 * kernel alone and changes nothing.
 */

import { mountedAt } from "../boot/mount_table.ts";
import type { FileFacts, Host } from "../host/port.ts";
import { type Issue, issue } from "../issue.ts";
import { CGROUP_FILES, confinementOf, type Verdict } from "../jail/confinement.ts";
import { type JailSpec, jailSpec, TPM_FOLDER, tpmSpec } from "../jail/spec.ts";
import { guestCgroup, PATHS } from "../permissions.ts";
import type { LaunchPlan } from "../plan/launch_plan.ts";
import { tpmProcesses } from "./tpm.ts";

type Files = Readonly<Record<string, FileFacts>>;

/** Reads back every jail of the guest. */
export function readBack(host: Host, plan: LaunchPlan, files: Files): Verdict {
  const qemu = readJail(host, plan, jailSpec(plan), host.processesOf(plan.slot), files);
  const spec = tpmSpec(plan);
  if (spec === null) return qemu;
  const tpm = readJail(host, plan, spec, tpmProcesses(host, plan.slot), {});
  return { issues: [...qemu.issues, ...tpm.issues], checks: qemu.checks + tpm.checks };
}

function readJail(
  host: Host,
  plan: LaunchPlan,
  spec: JailSpec,
  pids: readonly number[],
  files: Files,
): Verdict {
  const processes = pids.flatMap((pid) => host.processFacts(pid) ?? []);
  const own = host.readText(`${PATHS.proc}/1/mountinfo`, 256 * 1024) ?? "";
  const cgroup = guestCgroup(plan.slot);
  const read = (file: string) => host.readText(`${cgroup}/${file}`, 4096)?.trimEnd() ?? null;
  const given = { ...files, ...folderFiles(host, spec), ...imageFiles(host, spec, pids) };
  const errors = `${PATHS.run}/err/${spec.slotName}/${spec.prefix === "" ? "qemu" : "tpm"}`;
  const verdict = confinementOf(spec, {
    processes,
    hostNamespaces: host.processFacts(1)?.namespaces ?? {},
    cgroup: Object.fromEntries(CGROUP_FILES.map((file) => [file, read(file)])),
    files: given,
    errors: host.lstat(errors),
    dataDevice: mountedAt(own, PATHS.dataRoot)?.device ?? "none",
    partitions: host.readText(`${PATHS.proc}/partitions`, 256 * 1024) ?? "",
  });
  const swapped = swappedFiles(host, pids, spec, given);
  return {
    issues: [...verdict.issues, ...swapped],
    checks: verdict.checks + spec.files.length,
  };
}

/**
 * The folder of a TPM's state and what lies in it, looked at after the process was: a file that it had
 * open, and renamed since, is still there.
 */
function folderFiles(host: Host, spec: JailSpec): Record<string, FileFacts> {
  const folder = spec.files.find((file) => file.name === TPM_FOLDER);
  if (folder === undefined || spec.prefix !== "tpm.") return {};
  const path = `${PATHS.dataRoot}/${folder.path}`;
  const entries = [TPM_FOLDER, ...host.list(path).map((name) => `${TPM_FOLDER}/${name}`)];
  return Object.fromEntries(entries.flatMap((entry) => {
    const facts = host.lstat(`${path}${entry.slice(TPM_FOLDER.length)}`);
    return facts === null ? [] : [[entry, facts]];
  }));
}

/** Files of the image that QEMU keeps open, as its own root has them: the root itself is looked at too. */
function imageFiles(
  host: Host,
  spec: JailSpec,
  [pid = 0]: readonly number[],
): Record<string, FileFacts> {
  return Object.fromEntries(spec.imageFiles.flatMap((place) => {
    const facts = host.lstat(`${PATHS.proc}/${pid}/root${place}`);
    return facts === null ? [] : [[place, facts]];
  }));
}

/**
 * What the jail holds under each name of the plan, by device and inode: a kernel or an initrd is read
 * once and not held open, and the path that a mount shows can be right again by now.
 */
function swappedFiles(
  host: Host,
  [pid = 0]: readonly number[],
  spec: JailSpec,
  files: Files,
): Issue[] {
  return spec.files.flatMap(({ name, place, path }) => {
    const given = host.lstat(`${PATHS.proc}/${pid}/root${place}`);
    const checked = files[name];
    const same = given !== null && given.device === checked?.device &&
      given.inode === checked.inode;
    return same ? [] : [issue("vm.confinement", {
      path: `${spec.prefix}given.${name}`,
      expected: "the file that was checked, same device and inode",
      found: given === null ? "nothing" : "another file",
      hint: `the guest was killed before it ran an instruction; something swaps ${path}`,
    })];
  });
}
