/**
 * What must hold of a share while it is given: of what it shows, before the launcher is asked, and of who
 * serves it, as the kernel says it. What does not is written down as a violation.
 */

import type { FileFacts } from "../host/port.ts";
import { uidOf } from "../id.ts";
import { PATHS } from "../permissions.ts";
import { checkGuestFile, checkGuestFolder } from "../plan/file_check.ts";
import type { PlannedShare } from "../plan/launch_plan.ts";
import type { SharesAround } from "./around.ts";
import { shareFault } from "./launcher.ts";
import { readShareBack } from "./virtiofsd.ts";

/** The uid of the host's root. */
const ROOT = 0;

type Around = Pick<SharesAround, "host" | "emit" | "plan">;

/**
 * The folder as it is now, or the file of a share that is written, which the launcher may have to make.
 *
 * @returns the folder; null: it is a file's own
 * @throws Fault by the rule that does not hold
 */
export function checkShared(
  { host, emit, plan }: Around,
  { path, readOnly }: PlannedShare,
): FileFacts | null {
  const { slot, vm } = plan();
  if (!readOnly && host.lstat(`${PATHS.dataRoot}/${path}`) === null) return null;
  const facts = readOnly
    ? checkGuestFolder(host, path, uidOf("virtiofsd", slot))
    : checkGuestFile(host, path, ROOT);
  // The guest's root is another one: that of the file system in the file.
  if (!("rule" in facts)) return readOnly ? facts : null;
  emit({ type: "violation", issue: facts, vm });
  throw shareFault(facts.rule, `${path}: ${facts.found}`, "the guest goes on without it");
}

/**
 * Whoever serves it, read back from the kernel.
 *
 * @param folder what {@link checkShared} found
 * @throws Fault `share.jail`
 */
export function checkServer(
  { host, emit, plan: planOf }: Around,
  share: number,
  planned: PlannedShare,
  when: "started" | "serving",
  folder: FileFacts | null,
): void {
  const plan = planOf();
  const { issues } = readShareBack(host, { plan, share, planned }, when, folder);
  for (const one of issues) emit({ type: "violation", issue: one, vm: plan.vm });
  if (issues.length > 0) {
    throw shareFault("share.jail", "virtiofsd's jail is another than planned", "see above");
  }
}
