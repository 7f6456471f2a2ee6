/**
 * Phase `cmdline`: what the loader asked of this boot. A bad `rayos.*` word means safe mode; every
 * other phase that a person needs to find out why still runs.
 */

import { cmdlineMeansSafe, parseCmdline } from "../boot/cmdline.ts";
import { PATHS } from "../permissions.ts";
import type { Runtime } from "../runtime.ts";

/** The kernel's own limit is 2 KiB on x86 (COMMAND_LINE_SIZE). */
const CMDLINE_LIMIT = 64 * 1024;

export function phaseCmdline(runtime: Runtime): void {
  const text = runtime.host.readText(`${PATHS.proc}/cmdline`, CMDLINE_LIMIT) ?? "";
  const { cmdline, issues } = parseCmdline(text, runtime.image.profile);
  runtime.cmdline = cmdline;
  runtime.sinks.setHarness(cmdline.harness);
  runtime.emit({ type: "boot_select", entry: cmdline.entry, reason: "cmdline" });
  for (const issue of issues) runtime.violation(issue);
  const grave = issues.find(cmdlineMeansSafe);
  if (grave !== undefined) runtime.enterSafeMode(grave.rule);
  else if (cmdline.mode === "safe") {
    runtime.troubles.push({
      code: "mode.safe",
      text: "safe mode was asked for on the kernel command line",
      hint: "boot without rayos.mode=safe",
    });
    runtime.enterSafeMode("asked");
  } else if (cmdline.mode === "recovery") {
    runtime.mode = "recovery";
    runtime.emit({ type: "recovery_entered", shell: "serial" });
  }
}
