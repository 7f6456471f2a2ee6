/**
 * One share of a guest as the launcher `share` is given it: one `key value` a line, which the launcher
 * checks again. Pure.
 */

import type { LaunchPlan, PlannedShare } from "../plan/launch_plan.ts";
import { VIRTIOFSD_FILTER_SHA256 } from "../seccomp/virtiofsd.ts";

/** The plan file's text. No value can hold a line break: each was checked where it was read. */
export function renderShare(
  { vm, kind }: Pick<LaunchPlan, "vm" | "kind">,
  { path, readOnly, quotaMib }: PlannedShare,
): string {
  const lines = [
    "rayos-share 0",
    `vm ${vm}`,
    `kind ${kind}`,
    `access ${readOnly ? "ro" : "rw"}`,
    `quota ${quotaMib}`,
    `path ${path}`,
    `seccomp ${VIRTIOFSD_FILTER_SHA256}`,
  ];
  return `${lines.join("\n")}\n`;
}
