/**
 * The files of a plan as they are on RayOS Data, checked before a start: regular, one name, no link in
 * any part of the path, on the same file system, owned by root or by this guest's own uid, and a disk
 * header that names no other file. What is found here is compared later, by device and inode, with what
 * QEMU really opened. It changes nothing.
 */

import type { FileFacts, Host } from "../host/port.ts";
import { slotOfUid } from "../id.ts";
import { type Issue, issue } from "../issue.ts";
import { PATHS } from "../permissions.ts";
import { diskHeaderIssue, HEADER_BYTES } from "./disk_header.ts";
import type { LaunchPlan, PlannedFile, TpmPlan } from "./launch_plan.ts";

/** What was found, by the file's name in the jail, and what is wrong. */
export interface CheckedFiles {
  readonly files: Readonly<Record<string, FileFacts>>;
  readonly issues: readonly Issue[];
}

/** Looks at every file of the plan. */
export function checkFiles(host: Host, plan: LaunchPlan): CheckedFiles {
  const files: Record<string, FileFacts> = {};
  const issues: Issue[] = [];
  for (const file of plan.files) {
    const checked = checkFile(host, plan, file);
    if ("rule" in checked) issues.push(checked);
    else files[file.name] = checked;
  }
  const tpm = plan.tpm === null ? null : checkFolder(host, plan.tpm);
  if (tpm !== null) issues.push(tpm);
  return { files, issues };
}

/** The folder of a TPM's state; what lies in it, the launcher looks at once nothing runs there. */
function checkFolder(host: Host, { stateDir, uid }: TpmPlan): Issue | null {
  const refuse = refusing(stateDir);
  const above = checkParents(host, `${stateDir}/any`, refuse);
  if (above !== null) return above;
  const facts = host.lstat(`${PATHS.dataRoot}/${stateDir}`);
  return facts === null ? null : checkOwner(facts, uid, refuse);
}

function checkFile(host: Host, plan: LaunchPlan, file: PlannedFile): FileFacts | Issue {
  const facts = checkGuestFile(host, file.path, plan.uid);
  if ("rule" in facts) return facts;
  const disk = plan.devices.find((one) => one.device === "disk" && one.file === file.name);
  if (disk?.device !== "disk") return facts;
  const head = host.head(`${PATHS.dataRoot}/${file.path}`, HEADER_BYTES);
  if (head === null) {
    return issue("path.unreadable", {
      path: file.path,
      expected: "readable",
      found: "an error",
      hint: "check the disk",
    });
  }
  const wrong = diskHeaderIssue(disk.format, head);
  return wrong === null ? facts : { ...wrong, path: file.path };
}

/**
 * Looks at one file of a guest's.
 *
 * @param path under the data root
 * @param uid the guest's own, beside root the only one that may own it
 */
export function checkGuestFile(host: Host, path: string, uid: number): FileFacts | Issue {
  const refuse = refusing(path);
  const above = checkParents(host, path, refuse);
  if (above !== null) return above;
  const whole = `${PATHS.dataRoot}/${path}`;
  const facts = host.lstat(whole);
  if (facts === null) return refuse("path.missing", "a file", "nothing", `put it at ${path}`);
  if (facts.type === "symlink") {
    return refuse("path.link", "a regular file", "a symbolic link", "put the file itself there");
  }
  if (facts.type !== "file") {
    return refuse("path.type", "a regular file", `a ${facts.type}`, "put a regular file there");
  }
  if (facts.links !== 1) {
    return refuse("path.hard_link", "one name", `${facts.links} names`, "copy the file");
  }
  if (facts.device !== dataDevice(host)) {
    return refuse("path.mount", "a file of RayOS Data", "another file system", "copy the file");
  }
  return checkOwner(facts, uid, refuse) ?? facts;
}

/**
 * Looks at one folder of a guest's that is there; what lies in it is looked at by whoever gives it away.
 *
 * @param path under the data root
 * @param uid beside root the only one that may own it
 */
export function checkGuestFolder(host: Host, path: string, uid: number): FileFacts | Issue {
  const refuse = refusing(path);
  const above = checkParents(host, path, refuse);
  if (above !== null) return above;
  const facts = host.lstat(`${PATHS.dataRoot}/${path}`);
  if (facts === null) return refuse("path.missing", "a folder", "nothing", `make a folder ${path}`);
  if (facts.type !== "directory") {
    return refuse("path.type", "a folder", `a ${facts.type}`, "put the folder itself there");
  }
  if (facts.device !== dataDevice(host)) {
    return refuse("path.mount", "a folder of RayOS Data", "another file system", "unmount it");
  }
  return checkOwner(facts, uid, refuse) ?? facts;
}

type Refuse = (rule: string, expected: string, found: string, hint: string) => Issue;

const refusing = (path: string): Refuse => (rule, expected, found, hint) =>
  issue(rule, { path, expected, found, hint });

function dataDevice(host: Host): number {
  return host.lstat(PATHS.dataRoot)?.device ?? -1;
}

/** Every folder on the way to a file is one, and lies on RayOS Data itself. */
function checkParents(host: Host, path: string, refuse: Refuse): Issue | null {
  const device = dataDevice(host);
  const parts = path.split("/");
  for (let n = 1; n < parts.length; n++) {
    const place = parts.slice(0, n).join("/");
    const facts = host.lstat(`${PATHS.dataRoot}/${place}`);
    if (facts === null) {
      return refuse("path.missing", "a file", "nothing", `put it at ${path}`);
    }
    if (facts.type !== "directory") {
      return refuse(
        "path.link",
        "directories",
        `${place} is a ${facts.type}`,
        "put a directory there",
      );
    }
    if (facts.device !== device) {
      return refuse("path.mount", "RayOS Data itself", `${place} is a mount`, "unmount it");
    }
  }
  return null;
}

function checkOwner(facts: FileFacts, uid: number, refuse: Refuse): Issue | null {
  if (facts.uid === 0 || facts.uid === uid) return null;
  const other = slotOfUid(facts.uid);
  const owner = other === null ? `uid ${facts.uid}` : `the guest of slot ${other}`;
  return refuse("path.owner", `root or uid ${uid}`, owner, "chown it to root");
}
